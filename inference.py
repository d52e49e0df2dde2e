"""Captions a split of a dataset or a folder of photographs, and scores the captions.

python inference.py --model M --dataset flickr8k --data-dir DIR --split test \
        --output captions.json --metrics bleu,cider
python inference.py --model M --images photographs --output captions.json

Several processes share the work: each with its own --output and --shard 0/2, 1/2; then
the same command without --shard, and with --merge and the names of all outputs.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import quiet_start  # noqa: F401
from command_line import (
    MODEL_HELP,
    WHOLE,
    Part,
    add_existing_options,
    add_output_option,
    add_shard_options,
    fill_options,
    make_parser,
    not_negative,
    positive,
    print_paths,
    run_script,
)
from dataset import DATASETS, CaptionedImage
from dataset.images import list_images
from dataset.progress import progress
from models import BaseCaptioner, load_captioner
from models.run_files import model_name
from pycocoevalcap.bert.bert import DEFAULT_MODEL as BERT_MODEL
from scoring.caption_files import CaptionFiles, number_ids, to_record
from scoring.captioning import caption_files, search_settings
from scoring.captions import score_possible
from scoring.journal import held, photo_hash, read_shards, still_valid
from scoring.metric_options import add_metric_options, choose_metrics, show_scores
from scoring.options import SPLITS


@dataclass(frozen=True)
class InferenceOptions:
    """Which images are captioned, how, and what is made of the captions.

    Attributes:
        model: The captioner, see `load_captioner`.
        output: The captions; ends in .json.
        dataset: A key of DATASETS; None where `images` is given.
        images: A folder of photos; None where `dataset` is given.
        data_dir: The dataset's folder.
        split: Of the dataset.
        limit: Of the images; None for all.
        shard: The part of the images that is captioned.
        merge: The outputs of shards, whose captions are taken over.
        resume: Whether to go on where a run ended.
        overwrite: Whether to replace the output.
        beam_size: Of the search; the captioner's own if None.
        n_best: Captions to keep of an image.
        length_penalty: See `beam_search`; the captioner's own if None.
        batch_size: Images described together.
        metrics: Names from METRICS, separated by commas; "all", or None for none.
        bert_model: Of bert_score: a name the library knows, or a folder.
    """

    model: str
    output: Path
    dataset: str | None = None
    images: Path | None = None
    data_dir: Path | None = None
    split: str = "test"
    limit: int | None = None
    shard: Part = WHOLE
    merge: tuple[Path, ...] = ()
    resume: bool = False
    overwrite: bool = False
    beam_size: int | None = None
    n_best: int = 1
    length_penalty: float | None = None
    batch_size: int = 8
    metrics: str | None = None
    bert_model: str = BERT_MODEL


def parse(argv: list[str] | None) -> InferenceOptions:
    """Reads the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--model", required=True, help=MODEL_HELP)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", choices=DATASETS, help="caption its images")
    source.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="caption the photos of this folder, without its subfolders",
    )
    add("--data-dir", type=Path, metavar="DIR", help="the dataset's folder")
    add("--split", choices=SPLITS, help="split of --dataset to caption; default: test")
    add("--limit", type=positive, metavar="N", help="only the first images")
    add_output_option(parser, "the captions in COCO's results format")
    add_shard_options(parser)
    add_existing_options(parser)
    add(
        "--beam-size",
        type=positive,
        metavar="N",
        help="hypotheses that the search keeps; default: the model's own",
    )
    add(
        "--n-best",
        type=positive,
        default=1,
        metavar="N",
        help="captions of an image to keep, of those in the beam",
    )
    add(
        "--length-penalty",
        type=not_negative,
        metavar="X",
        help="rank by log-probability / length ** X; default: the model's own",
    )
    add(
        "--batch-size",
        type=positive,
        default=8,
        metavar="N",
        help="images captioned together",
    )
    add_metric_options(parser)
    parsed = parser.parse_args(argv)
    for name, given in (("--data-dir", parsed.data_dir), ("--split", parsed.split)):
        if parsed.images and given:
            parser.error(f"{name} is of a dataset; leave it out, or leave out --images")
    split = parsed.split or InferenceOptions.split
    options = fill_options(InferenceOptions, parsed, split=split)
    if options.dataset and not options.data_dir:
        parser.error("--dataset needs --data-dir, the folder that holds it")
    if options.images and options.metrics:
        parser.error("--metrics needs references; a folder of photos has none")
    if options.shard.count > 1 and options.metrics:
        parser.error("--metrics needs all images; give it with --merge, not --shard")
    return options


def read_images(options: InferenceOptions) -> dict[int | str, CaptionedImage]:
    """Returns the images of the split or the folder by the ids of their results."""
    dataset = DATASETS.get(options.dataset)
    if dataset:
        images = dataset.read(options.data_dir, options.split)
    elif not options.images.is_dir():
        raise ValueError(f"{options.images} is no folder; --images expects one.")
    else:
        paths = list_images(options.images)
        images = [CaptionedImage(path.stem, path, ()) for path in paths]
    ids = number_ids(images, dataset)
    found = list(zip(ids, images, strict=True))[: options.limit]
    return dict(options.shard.of(found))


def choose_settings(captioner: BaseCaptioner, options: InferenceOptions) -> dict:
    """Returns what the captions depend on, as JSON keeps it."""
    dataset = options.dataset
    return {
        "model": model_name(options.model),
        "images": dataset or str(options.images),
        "split": options.split if dataset else None,
    } | search_settings(
        captioner, options.beam_size, options.n_best, options.length_penalty
    )


def caption_images(
    captioner: BaseCaptioner,
    images: dict[int | str, CaptionedImage],
    files: CaptionFiles,
    settings: dict,
    options: InferenceOptions,
) -> tuple[dict[int | str, str], list[str]]:
    """Captions the images that are not yet; returns all captions and the problems."""
    shards = [CaptionFiles(path).journal for path in options.merge]
    found = read_shards(shards, settings)
    found += files.read(settings) if options.resume else []
    found = still_valid(files.nbest, found, images)
    records = {each["image_id"]: each for each in found}
    todo = {key: image.path for key, image in images.items() if key not in records}
    if todo or shards or not options.resume:
        files.start(settings, records.values())
    beam_size, penalty = settings["beam_size"], settings["length_penalty"]
    batches = caption_files(captioner, todo, options.batch_size, beam_size, penalty)
    problems = []
    done = len(images) - len(todo)
    with progress(total=len(images), initial=done, unit="image") as bar:
        for beams, unreadable in batches:
            new = [
                to_record(key, beam[: options.n_best], photo_hash(images[key]))
                for key, beam in beams.items()
            ]
            files.append(new)
            records |= {record["image_id"]: record for record in new}
            problems += unreadable
            bar.update(len(new) + len(unreadable))
    finished = [records[key] for key in images if key in records]
    return files.write_results(finished), problems


def run(options: InferenceOptions) -> list[str]:
    """Captions and scores; returns the problems."""
    files = CaptionFiles(options.output)
    metrics = choose_metrics(options.metrics)
    with held(files.results, files.all(), options):
        return caption_and_score(files, metrics, options)


def caption_and_score(
    files: CaptionFiles, metrics: list[str], options: InferenceOptions
) -> list[str]:
    """Does the work of `run`; the files are held."""
    images = read_images(options)
    captioner = load_captioner(options.model)
    settings = choose_settings(captioner, options)
    captions, problems = caption_images(captioner, images, files, settings, options)
    if metrics and problems:
        problems.append(f"no scores: {len(problems)} images have no caption.")
    elif metrics:
        references = {key: image.captions for key, image in images.items()}
        scored = score_possible(references, captions, metrics, options.bert_model)
        files.write_scores(settings, len(images), *scored)
        problems += show_scores(options.metrics, *scored)
    print_paths(*files.existing())
    return problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("inference.py", lambda: run(parse(argv)))


if __name__ == "__main__":
    sys.exit(main())
