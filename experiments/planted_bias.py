"""Counts hallucinations of a planted bias, with and without LRP inference.

In training, scenes on the water nearly always have a boat. In the test all scenes are
on the water and half of them have one: a caption that names a boat in the others is
hallucinated, for certain. A captioner is trained for each seed, then fine-tuned in
every mode by the same steps on the same data in the same order. How well explanations
tell the boats that are there from the others is measured before the fine-tuning.

    python -m experiments.planted_bias --output runs/planted_bias

Stopped anywhere, the same command goes on.
"""

import dataclasses
import functools
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from command_line import (
    GOES_ON,
    fill_options,
    make_parser,
    positive,
    print_paths,
    run_script,
)
from config import Config
from dataset.records import CaptionedImage
from dataset.scenes import SCENES, write_scenes
from dataset.scenes.captions import plural
from dataset.scenes.layout import Bias
from evaluation.chair import (
    chair_scores,
    named_and_shown,
    object_lookup,
    shown_objects,
)
from evaluation.roc import best_statistics, measure_scores
from evaluation.word_statistics import examine_words
from experiments.workbench import MODES, Workbench, over_seeds, table, tuning_settings
from files.writing import write_whole
from models import load_captioner
from models.decoders import DECODERS
from report.canvas import png
from report.roc_figures import roc_figure
from scoring.captions import score_defined
from scoring.explained_images import explain_images
from training.data import encode_images
from training.dev_scores import caption_images, score_images

BIAS = Bias("water", "boat", {"train": 0.9, "dev": 0.9, "test": 0.5}, ("test",))
LOOKUP = object_lookup(SCENES.object_names)
METHODS = ("lrp", "attention")
BASELINE = ("probability", "value")


@dataclass(frozen=True)
class BiasOptions:
    """What is trained on the planted bias and fine-tuned.

    Attributes:
        output: The folder to write or go on with.
        decoder: Of the captioners.
        modes: Of fine-tuning, some of MODES.
        seeds: How many trainings of each mode.
        images: Scenes of train, dev and test.
        encoder_weights: See `TrainingOptions`.
        train: Settings of training, texts field=value.
        tune: Those of fine-tuning.
    """

    output: Path
    decoder: str
    modes: tuple[str, ...]
    seeds: int
    images: tuple[int, int, int]
    encoder_weights: str
    train: tuple[str, ...]
    tune: tuple[str, ...]


def parse(argv: Sequence[str] | None) -> BiasOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m experiments.planted_bias")
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder to write or go on with")
    add("--decoder", choices=DECODERS, default=Config.decoder, help="decoder to train")
    modes = ["plain", "context"]
    add("--modes", nargs="+", choices=MODES, default=modes, help="ways of tuning")
    add("--seeds", type=positive, default=3, metavar="N", help="trainings of each mode")
    add(
        "--images",
        type=positive,
        default=[800, 100, 300],
        nargs=3,
        metavar="N",
        help="scenes of train, dev and test",
    )
    add(
        "--encoder-weights",
        default="flickr8k-adaptive-attention",
        metavar="NAME",
        help="the shipped captioner whose encoder is taken",
    )
    add(
        "--train",
        nargs="+",
        default=["epochs=12", "dropout=0.3"],
        metavar="FIELD=VALUE",
        help="settings of the first training",
    )
    tuning = ["epochs=2", "learning_rate=5e-4"]
    add(
        "--tune",
        nargs="+",
        default=tuning,
        metavar="FIELD=VALUE",
        help="settings of the tuning after it",
    )
    return fill_options(BiasOptions, parser.parse_args(argv))


def run_experiment(options: BiasOptions) -> list[Path]:
    """Trains, counts and explains; returns the files of the results."""
    folder = options.output
    bench = Workbench(folder, folder / "scenes", folder / "cache")
    free = ("output", "seeds", "modes")  # more of them can be added later
    given = dataclasses.asdict(options)
    settings = {name: value for name, value in given.items() if name not in free}
    bench.begin(settings)
    counts = dict(zip(("train", "dev", "test"), options.images, strict=True))
    folder = write_scenes(bench.data_dir, counts, bias=BIAS)
    images = SCENES.read(folder, "test", with_objects=True)
    counted, words = defaultdict(list), []
    for seed in range(options.seeds):
        runs = train_all(bench, options, seed)
        for mode, run in runs.items():
            score = functools.partial(count, bench, run, images)
            counted[mode].append(bench.score(f"{mode}-{seed}", score))
        examine = functools.partial(examine_boats, runs["start"], images)
        words.append(bench.score(f"words-{seed}", examine))
    return write_results(bench, settings, counted, words)


def train_all(bench: Workbench, options: BiasOptions, seed: int) -> dict[str, Path]:
    """Trains a captioner and fine-tunes it in every mode; returns the runs."""
    start = bench.train(
        f"start-{seed}",
        preset=SCENES.name,
        decoder=options.decoder,
        encoder_weights=options.encoder_weights,
        settings=(f"seed={seed}", *options.train),
    )
    runs = {"start": start}
    for mode in options.modes:
        settings = (*tuning_settings(mode, seed), *options.tune)
        name = f"{mode}-{seed}"
        runs[mode] = bench.train(name, start=str(start), settings=settings)
    return runs


def count(
    bench: Workbench, run: Path, images: Sequence[CaptionedImage]
) -> dict[str, float]:
    """Captions the test images and counts what is not in them."""
    captioner = load_captioner(run)
    encoded = encode_images(captioner, images, bench.cache_dir)
    texts = caption_images(captioner, encoded)
    named, shown = named_and_shown(texts, images, LOOKUP)
    says = np.array([BIAS.kind in objects for objects in named])
    is_there = np.array([BIAS.kind in objects for objects in shown])
    hallucinated, recalled = (
        float(says[rows].mean()) for rows in (~is_there, is_there)
    )
    scores = score_images(images, texts, ("cider",), score_defined)
    return {
        f"{BIAS.kind}_hallucinated": hallucinated,
        f"{BIAS.kind}_recalled": recalled,
        "difference": recalled - hallucinated,
        "chair_i": chair_scores(named, shown)["chair_i"]["mean"],
        **({"cider": scores["cider"]} if "cider" in scores else {}),
    }


def examine_boats(run: Path, images: Sequence[CaptionedImage]) -> list[list[dict]]:
    """Explains every mention of the planted kind in each image; see `examine_words`.

    A mention "is_true" if one is in the scene, whatever their number.
    """
    names = (BIAS.kind, plural(BIAS.kind))

    def choose(record: CaptionedImage, words: tuple[str, ...]) -> list[int]:
        return [step for step, word in enumerate(words) if word in names]

    return [
        examine_words(
            image.explanations,
            names if BIAS.kind in shown_objects(image.record, LOOKUP) else (),
        )
        for image in explain_images(load_captioner(run), images, choose, METHODS)
    ]


def write_results(
    bench: Workbench,
    settings: Mapping,
    counted: Mapping[str, Sequence[dict]],
    words: Sequence[Sequence[list[dict]]],
) -> list[Path]:
    """Writes the tables and the figure.

    Args:
        bench: Where to.
        settings: Of the experiment.
        counted: By mode what `count` returns for each seed.
        words: Of each seed and image what `examine_boats` returns.
    """
    areas = [areas_of(of_seed) for of_seed in words]
    areas = over_seeds([of_seed for of_seed in areas if of_seed])
    counted = {mode: over_seeds(of_mode) for mode, of_mode in counted.items()}
    results = {"settings": settings, "captions": counted, "areas": areas}
    of_areas = {name: {"area under ROC": value} for name, value in areas.items()}
    tables = [table("fine-tuning", counted), table("score of a word", of_areas)]
    pooled = [
        [word for some in image for word in some] for image in zip(*words, strict=True)
    ]
    labels = [word["is_true"] for some in pooled for word in some]
    rocs = best_statistics(measure_scores(pooled, BASELINE))
    figure = png(roc_figure(rocs, sum(labels), len(labels) - sum(labels)))
    path = write_whole(bench.folder / "roc.png", figure)
    return [*bench.report(results, tables), path]


def areas_of(words: Sequence[Sequence[Mapping]]) -> dict[str, float]:
    """Measures how well each statistic tells boats that are there from others.

    Returns:
        The area under the ROC by statistic; none if all are there, or none is.
    """
    if len({word["is_true"] for some in words for word in some}) < 2:
        return {}
    rocs = measure_scores(words, BASELINE)
    return {f"{method} {name}": roc.area for (method, name), roc in rocs.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script(
        "planted_bias", lambda: print_paths(*run_experiment(parse(argv))), GOES_ON
    )


if __name__ == "__main__":
    sys.exit(main())
