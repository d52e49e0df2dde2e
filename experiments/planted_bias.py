"""Counts hallucinations of a planted bias, with and without LRP inference.

In training, scenes on the water mostly have a boat. In the test all scenes are
on the water and half of them have one: a caption that names a boat in the others is
hallucinated, for certain. A captioner is trained for each seed, then fine-tuned in
every mode by the same steps on the same data in the same order. How well explanations
tell the boats that are there from the others is measured before the fine-tuning.

    python -m experiments.planted_bias --output runs/planted_bias

Stopped anywhere, the same command goes on.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from command_line import positive
from config import DECODERS
from dataset.records import CaptionedImage
from dataset.scene_captions import plural
from dataset.scene_layout import Bias
from dataset.scenes import read_scenes, write_scenes
from evaluation.chair import (
    chair_scores,
    mentioned_objects,
    object_lookup,
    shown_objects,
)
from evaluation.roc import measure_scores
from evaluation.word_statistics import examine_words
from experiments.workbench import MODES, Workbench, summarize, table, tuning_settings
from models import Captioner, load_captioner
from models.explained_images import explain_images
from training.data import encode_images
from training.scoring import caption_images, score_images

BIAS = Bias("water", "boat", {"train": 0.8, "dev": 0.8, "test": 0.5}, ("test",))
LOOKUP = object_lookup("scenes")
METHODS = ("lrp", "attention")
BASELINE = ("probability", "value")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder to write or go on with")
    add("--decoder", choices=DECODERS, default=DECODERS[0])
    add("--modes", nargs="+", choices=MODES, default=["plain", "context"])
    add("--seeds", type=positive, default=3, metavar="N", help="trainings of each mode")
    add("--images", type=positive, default=[800, 100, 200], nargs=3, metavar="N")
    add("--encoder-weights", default="flickr8k-adaptive-attention", metavar="NAME")
    add(
        "--train",
        nargs="+",
        default=["epochs=12", "dropout=0.3"],
        metavar="FIELD=VALUE",
    )
    tuning = ["epochs=2", "learning_rate=5e-4"]
    add("--tune", nargs="+", default=tuning, metavar="FIELD=VALUE")
    return parser.parse_args(argv)


def run_experiment(arguments: argparse.Namespace) -> list[Path]:
    """Trains, counts and explains; returns the files of the results."""
    folder = arguments.output
    bench = Workbench(folder, folder / "scenes", folder / "cache")
    free = ("output", "seeds", "modes")  # more of them can be added later
    settings = {k: v for k, v in vars(arguments).items() if k not in free}
    bench.begin(settings)
    counts = dict(zip(("train", "dev", "test"), arguments.images, strict=True))
    images = read_scenes(write_scenes(bench.data_dir, counts, bias=BIAS), "test")
    scores, areas = {mode: [] for mode in arguments.modes}, []
    for seed in range(arguments.seeds):
        start = bench.train(f"start-{seed}", start_arguments(arguments, seed))
        for mode in arguments.modes:
            name = f"{mode}-{seed}"
            changes = [*tuning_settings(mode, seed), *arguments.tune]
            run = bench.train(name, ["--from", str(start), "--set", *changes])
            scores[mode].append(
                bench.score(name, lambda run=run: count(bench, run, images))
            )
        areas.append(
            bench.score(f"areas-{seed}", lambda run=start: measure_areas(run, images))
        )
    counted = {mode: summarize(of_mode) for mode, of_mode in scores.items()}
    areas = summarize([of_seed for of_seed in areas if of_seed])
    results = {"settings": settings, "captions": counted, "areas": areas}
    of_areas = {name: {"area under ROC": value} for name, value in areas.items()}
    tables = [table("fine-tuning", counted), table("score of a word", of_areas)]
    return bench.report(results, tables)


def start_arguments(arguments: argparse.Namespace, seed: int) -> list[str]:
    """Returns the arguments of the training that all modes go on from."""
    return [
        *("--config", "scenes", "--decoder", arguments.decoder),
        *("--encoder-weights", arguments.encoder_weights),
        *("--set", f"seed={seed}", *arguments.train),
    ]


def count(
    bench: Workbench, run: Path, images: Sequence[CaptionedImage]
) -> dict[str, float]:
    """Captions the test images and counts what is not in them."""
    captioner = load_captioner(run)
    encoded = encode_images(captioner, images, bench.cache_dir)
    texts = caption_images(captioner, encoded)
    named = [mentioned_objects(text, LOOKUP) for text in texts]
    shown = [shown_objects(image, LOOKUP) for image in images]
    says = np.array([BIAS.kind in objects for objects in named])
    is_there = np.array([BIAS.kind in objects for objects in shown])
    return {
        f"{BIAS.kind}_hallucinated": float(says[~is_there].mean()),
        f"{BIAS.kind}_recalled": float(says[is_there].mean()),
        "chair_i": chair_scores(named, shown)["chair_i"]["mean"],
        "cider": score_images(encoded, texts, ("cider",))["cider"],
    }


def measure_areas(run: Path, images: Sequence[CaptionedImage]) -> dict[str, float]:
    """Measures how well each statistic tells boats that are there from others.

    Returns:
        The area under the ROC by statistic; none if all are there, or none is.
    """
    words = examine_boats(load_captioner(run), images)
    if len({word["is_true"] for of_image in words for word in of_image}) < 2:
        return {}
    rocs = measure_scores(words, BASELINE)
    return {f"{method} {name}": roc.area for (method, name), roc in rocs.items()}


def examine_boats(
    captioner: Captioner, images: Sequence[CaptionedImage]
) -> list[list[dict]]:
    """Explains every mention of the planted kind; see `examine_words`.

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
        for image in explain_images(captioner, images, choose, METHODS)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        paths = run_experiment(parse(argv))
    except (ValueError, OSError) as error:
        print(f"planted_bias: {error}", file=sys.stderr)
        return 2
    print(*paths, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
