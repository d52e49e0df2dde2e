"""Fine-tunes captioners in several modes, and scores all of them on dev.

The modes are cross-entropy (plain), LRP inference (context, mean, ...), and the rewards
of self-critical training: CIDEr (rewarded), CIDEr less a penalty for hallucinated
objects (penalized), or with a credit for those that are shown besides (credited), the
same with a smaller penalty (mild), and credited with the words weighed by LRP
inference, too (credited_context). From each captioner and for each seed, all modes make
the same number of steps at the same rate on the same data in the same order; each is
compared with the first, on all of dev and on both halves of it.

    python -m experiments.lrp_inference --data-dir DIR --output runs/lrp_inference

Stopped anywhere, the same command goes on; more modes and seeds can be added to it.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from command_line import (
    GOES_ON,
    add_cache_option,
    fill_options,
    make_parser,
    positive,
    print_paths,
    run_script,
    split_names,
)
from config import choose
from dataset import DATASETS, CaptionedImage, Dataset
from evaluation.chair import chair_scores, named_and_shown, object_lookup
from evaluation.hallucination import summarize_captions
from experiments.other_objects import OTHER_OBJECTS
from experiments.workbench import (
    MODES,
    Workbench,
    differences,
    over_seeds,
    table,
    tuning_settings,
)
from models.captioner import load_run
from scoring.captions import check_metrics, score_defined
from training.data import encode_images
from training.dev_scores import by_image, caption_images, read_captions, score_images

STARTS = ("flickr8k-adaptive-attention", "flickr8k-grid-td")
METRICS = "bleu,meteor,rouge_l,cider"
TUNING = (
    *("epochs=1", "images_per_batch=4", "learning_rate=1e-4", "warmup_steps=50"),
    *("trainable_from=", "window_share=1", "weight_average=0"),
)
SHOWN = ("cider", "bleu_4", "meteor", "rouge_l")  # in the table, where computed
PARTS = {"scores": "dev", "first_half": "first half", "second_half": "second half"}
SMALLEST = 4  # images of dev that are halved


@dataclass(frozen=True)
class TuningOptions:
    """What is fine-tuned and compared.

    Attributes:
        data_dir: Of the captioners' dataset.
        output: The folder to write or go on with.
        cache_dir: The features of images.
        starts: The captioners, see `load_run`.
        modes: Some of MODES.
        seeds: How many trainings of each mode.
        limit: Of the images of each split; None for all.
        metrics: Scored on dev.
        settings: Of fine-tuning, texts field=value.
    """

    data_dir: Path
    output: Path
    cache_dir: Path
    starts: tuple[str, ...]
    modes: tuple[str, ...]
    seeds: int
    limit: int | None
    metrics: tuple[str, ...]
    settings: tuple[str, ...]


def parse(argv: Sequence[str] | None) -> TuningOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m experiments.lrp_inference")
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, metavar="DIR", help="the dataset's")
    add("--output", type=Path, required=True, help="folder to write or go on with")
    add_cache_option(parser)
    add(
        "--from",
        dest="starts",
        nargs="+",
        default=STARTS,
        metavar="MODEL",
        help="captioners to tune",
    )
    modes = ["plain", "context", "mean"]
    add("--modes", nargs="+", choices=MODES, default=modes, help="ways of tuning")
    add("--seeds", type=positive, default=3, metavar="N", help="trainings of each mode")
    add("--limit", type=positive, metavar="N", help="only the first images")
    add(
        "--metrics",
        type=split_names,
        default=METRICS,
        metavar="NAME,...",
        help="metrics of dev",
    )
    add(
        "--set",
        dest="settings",
        nargs="+",
        default=TUNING,
        metavar="FIELD=VALUE",
        help="settings of every training",
    )
    return fill_options(TuningOptions, parser.parse_args(argv))


def run_experiment(options: TuningOptions) -> list[Path]:
    """Trains and scores; returns the files of the results."""
    check_metrics(options.metrics)
    bench = Workbench(
        options.output, options.data_dir, options.cache_dir, options.limit
    )
    settings = {
        "set": options.settings,
        "limit": options.limit,
        "metrics": options.metrics,
    }
    bench.begin(settings)
    rows, twins = {}, {}
    for start in options.starts:
        of_start = compare(bench, start, options)
        rows |= {
            row: over_seeds([one["scores"] for one in of])
            for row, of in of_start.items()
        }
        for images, of_part in less_first(of_start).items():
            twins.setdefault(images, {}).update(of_part)
    results = {"settings": settings, "scores": rows, "differences": twins}
    tables = [table("captioner, fine-tuning", rows)]
    for images, of_part in twins.items():
        head = f"difference of the same seeds ± standard error, {images}"
        tables.append(table(head, of_part))
    return bench.report(results, tables)


def less_first(of_start: dict[str, list[dict]]) -> dict[str, dict[str, dict]]:
    """Returns by parts of dev how each mode differs from the first one.

    Args:
        of_start: What `compare` returns.
    """
    _, (first, twin), *others = of_start.items()
    return {
        images: {
            f"{row} less {first}": differences(
                [one[part] for one in own], [one[part] for one in twin]
            )
            for row, own in others
        }
        for part, images in PARTS.items()
        if others and part in twin[0]
    }


def compare(
    bench: Workbench, start: str, options: TuningOptions
) -> dict[str, list[dict]]:
    """Fine-tunes one captioner in all modes.

    Returns:
        For the captioner as it is and for every mode what `describe` says of each seed.
    """
    captioner, name = load_run(start), Path(start).name
    dataset = choose("dataset", captioner.config.dataset, DATASETS)
    images = dataset.read(options.data_dir, "dev", with_objects=True)
    images = images[: options.limit]

    def score(cell: str, captions: Callable[[], list[str]]) -> dict:
        def compute() -> dict:
            return describe(captions(), images, options.metrics, dataset)

        return bench.score(cell, compute)

    def caption_dev() -> list[str]:
        encoded = encode_images(captioner, images, bench.cache_dir)
        return caption_images(captioner, encoded)

    rows = {f"{name}, as it is": [score(name, caption_dev)]}
    for mode in options.modes:
        of_mode = rows.setdefault(f"{name}, {mode}", [])
        for seed in range(options.seeds):
            settings = (*tuning_settings(mode, seed), *options.settings)
            cell = f"{name}-{mode}-{seed}"
            run = bench.train(cell, start=start, settings=settings)
            of_mode.append(score(cell, functools.partial(read_captions, run, images)))
    return rows


def describe(
    captions: Sequence[str],
    images: Sequence[CaptionedImage],
    metrics: Sequence[str],
    dataset: Dataset,
) -> dict:
    """Scores the captions of the images.

    Returns:
        "scores" by name, see `score_all`, those of the "first_half" and "second_half"
        of SMALLEST images or more, and the "captions" by image id.
    """
    parts = {"scores": slice(None)}
    if len(images) >= SMALLEST:
        middle = len(images) // 2
        parts |= {"first_half": slice(middle), "second_half": slice(middle, None)}
    scores = {
        part: score_all(captions[of_part], images[of_part], metrics, dataset)
        for part, of_part in parts.items()
    }
    return {**scores, "captions": by_image(images, captions)}


def score_all(
    captions: Sequence[str],
    images: Sequence[CaptionedImage],
    metrics: Sequence[str],
    dataset: Dataset,
) -> dict[str, float]:
    """Returns the scores of the captions by name.

    chair_i_unseen is that of objects that no reward counts, length the mean number of
    words, vocabulary the number of different words, distinct the share of captions that
    no other image has.
    """
    found = score_images(images, captions, metrics, score_defined)
    of_words = summarize_captions(
        captions, images, dataset.frequent_words, dataset.object_names
    )
    others = named_and_shown(captions, images, object_lookup(OTHER_OBJECTS))
    unique = sum(captions.count(text) == 1 for text in captions)
    return {
        **{name: found[name] for name in SHOWN if name in found},
        **{name: of_name["mean"] for name, of_name in of_words["scores"].items()},
        "chair_i_unseen": chair_scores(*others)["chair_i"]["mean"],
        "length": sum(len(text.split()) for text in captions) / len(captions),
        "vocabulary": len({word for text in captions for word in text.split()}),
        "distinct": unique / len(captions),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script(
        "lrp_inference", lambda: print_paths(*run_experiment(parse(argv))), GOES_ON
    )


if __name__ == "__main__":
    sys.exit(main())
