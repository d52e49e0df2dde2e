"""Captions a split of a dataset or a folder of photographs, and scores the captions.

python inference.py --model M --dataset flickr8k --data-dir DIR --split test \
        --output captions.json --metrics bleu,cider
python inference.py --model M --images photographs --output captions.json

Several processes share the work: each with its own --output and --shard 0/2, 1/2; then
the same command without --shard, and with --merge and the names of all outputs.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras starts it

from tqdm import tqdm

from command_line import add_shard_options, not_negative, positive, run_script
from dataset import DATASETS, CaptionedImage
from dataset.images import list_images
from models import Captioner, load_captioner
from pycocoevalcap.bert.bert import DEFAULT_MODEL as BERT_MODEL
from scoring.caption_files import CaptionFiles, number_ids, to_record
from scoring.captioning import caption_files, search_settings
from scoring.captions import METRICS, check_metrics, score_lines, score_possible
from scoring.journal import read_shards


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", required=True, help="name or run directory")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", choices=DATASETS)
    source.add_argument("--images", type=Path, metavar="DIR", help="folder of photos")
    add("--data-dir", type=Path, metavar="DIR", help="the dataset's folder")
    add("--split", choices=["test", "dev", "train"], default="test")
    add("--limit", type=positive, metavar="N", help="only the first images")
    add("--output", type=Path, required=True, metavar="FILE.json")
    add_shard_options(parser)
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on where it ended")
    existing.add_argument("--overwrite", action="store_true", help="begin anew")
    add("--beam-size", type=positive, metavar="N", help="default: the model's own")
    add("--n-best", type=positive, default=1, metavar="N", help="captions to keep")
    add(
        "--length-penalty",
        type=not_negative,
        metavar="X",
        help="rank by log-probability / length ** X; default: the model's own",
    )
    add("--batch-size", type=positive, default=8, metavar="N")
    add("--metrics", metavar="NAME,...", help=f"all, or some of {', '.join(METRICS)}")
    add("--bert-model", default=BERT_MODEL, metavar="NAME_OR_DIR", help="of bert_score")
    arguments = parser.parse_args(argv)
    if arguments.dataset and not arguments.data_dir:
        parser.error("--dataset needs --data-dir, the folder that holds it")
    if arguments.images and arguments.metrics:
        parser.error("--metrics needs references; a folder of photos has none")
    if arguments.shard.count > 1 and arguments.metrics:
        parser.error("--metrics needs all images; give it with --merge, not --shard")
    return arguments


def read_images(arguments: argparse.Namespace) -> dict[int | str, CaptionedImage]:
    """Returns the images of the split or the folder by the ids of their results."""
    dataset = DATASETS.get(arguments.dataset)
    if dataset:
        images = dataset.read(arguments.data_dir, arguments.split)
    elif not arguments.images.is_dir():
        raise ValueError(f"{arguments.images} is no folder; --images expects one.")
    else:
        paths = list_images(arguments.images)
        images = [CaptionedImage(path.stem, path, ()) for path in paths]
    ids = number_ids(images, dataset)
    found = list(zip(ids, images, strict=True))[: arguments.limit]
    return dict(arguments.shard.of(found))


def choose_metrics(text: str | None) -> list[str]:
    """Returns the metrics; refuses those that are named and cannot be computed."""
    if text == "all":
        return list(METRICS)
    metrics = text.split(",") if text else []
    check_metrics(metrics)
    return metrics


def choose_settings(captioner: Captioner, arguments: argparse.Namespace) -> dict:
    """Returns what the captions depend on, as JSON keeps it."""
    dataset = arguments.dataset
    return {
        "model": arguments.model,
        "images": dataset or str(arguments.images),
        "split": arguments.split if dataset else None,
    } | search_settings(
        captioner, arguments.beam_size, arguments.n_best, arguments.length_penalty
    )


def caption_images(
    captioner: Captioner,
    images: dict[int | str, CaptionedImage],
    files: CaptionFiles,
    settings: dict,
    arguments: argparse.Namespace,
) -> tuple[dict[int | str, str], list[str]]:
    """Captions the images that are not yet; returns all captions and the problems."""
    shards = [CaptionFiles(path).nbest for path in arguments.merge]
    records = {each["image_id"]: each for each in read_shards(shards, settings)}
    records |= files.read(settings) if arguments.resume else {}
    todo = {key: image.path for key, image in images.items() if key not in records}
    if todo or shards:
        files.start(settings, records.values())
    beam_size, penalty = settings["beam_size"], settings["length_penalty"]
    batches = caption_files(captioner, todo, arguments.batch_size, beam_size, penalty)
    problems = []
    with tqdm(total=len(images), initial=len(images) - len(todo), unit="image") as bar:
        for beams, unreadable in batches:
            new = [to_record(key, b[: arguments.n_best]) for key, b in beams.items()]
            files.append(new)
            records |= {record["image_id"]: record for record in new}
            problems += unreadable
            bar.update(len(new) + len(unreadable))
    finished = [records[key] for key in images if key in records]
    return files.write_results(finished), problems


def run(arguments: argparse.Namespace) -> list[str]:
    """Captions and scores; returns the problems."""
    files = CaptionFiles(arguments.output)
    if not (arguments.resume or arguments.overwrite):
        files.refuse_existing()
    metrics = choose_metrics(arguments.metrics)
    images = read_images(arguments)
    captioner = load_captioner(arguments.model)
    settings = choose_settings(captioner, arguments)
    captions, problems = caption_images(captioner, images, files, settings, arguments)
    if metrics and problems:
        problems.append(f"no scores: {len(problems)} images have no caption.")
    elif metrics:
        references = {key: image.captions for key, image in images.items()}
        scored = score_possible(references, captions, metrics, arguments.bert_model)
        files.write_scores(settings, len(images), *scored)
        print(*score_lines(*scored), sep="\n")
        if arguments.metrics != "all":
            problems += [f"{name} is missing: {why}" for name, why in scored[1].items()]
    print(*files.existing(), sep="\n")
    return problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("inference.py", lambda: run(parse(argv)), resumes=True)


if __name__ == "__main__":
    sys.exit(main())
