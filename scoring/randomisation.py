"""Compares explanations with those of the captioner after it has lost its weights.

An explanation that stays the same when the weights are shuffled does not explain them.
"another photo" compares the maps of different photographs: what all maps of a method
have in common.

    python -m scoring.randomisation --images DIR [--model M] [--method lrp,...]
"""

import collections
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from command_line import (
    ANEW,
    DEFAULT_MODEL,
    MODEL_HELP,
    fill_options,
    make_parser,
    positive,
    run_script,
)
from dataset.images import list_images
from dataset.progress import progress
from evaluation.similarity import cosine_similarity, rank_correlation
from models import METHODS, Captioner, explain_each, load_captioner
from models.explainers.choices import ALL, choose_methods
from scoring.options import add_method_option
from scoring.randomised_captioners import check_trained_here, randomised_captioners

CONTROL = "another photo"
COLUMNS = ("signed ranks", "absolute ranks", "cosine")

Maps = dict[str, np.ndarray]  # method -> relevance (T, H, W)


@dataclass(frozen=True)
class RandomisationOptions:
    """What is explained before and after the weights are shuffled.

    Attributes:
        images: The folder of photos.
        model: The captioner, see `load_captioner`.
        methods: Names from METHODS separated by commas, or "all".
        limit: Of the photos.
        seed: Of the shuffling.
    """

    images: Path
    model: str
    methods: str
    limit: int
    seed: int


def parse(argv: Sequence[str] | None) -> RandomisationOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m scoring.randomisation")
    add = parser.add_argument
    add("--images", type=Path, required=True, metavar="DIR", help="folder of photos")
    add("--model", default=DEFAULT_MODEL, help=MODEL_HELP)
    add_method_option(parser, "methods", ALL)
    add("--limit", type=positive, default=10, metavar="N", help="only the first photos")
    add("--seed", type=int, default=0, help="seed of the shuffling")
    return fill_options(RandomisationOptions, parser.parse_args(argv))


def run(options: RandomisationOptions) -> None:
    """Explains, shuffles and compares; prints the table."""
    paths = list_images(options.images)[: options.limit]
    captioner = load_captioner(options.model)
    check_trained_here(captioner)
    images = [captioner.load_photo(path) for path in paths]
    methods = choose_methods(options.methods, captioner)
    generator = np.random.default_rng(options.seed)
    print_table(compare(captioner, images, methods, generator))


def compare(
    captioner: Captioner,
    images: Sequence[np.ndarray],
    methods: Sequence[str],
    generator: np.random.Generator,
) -> dict[tuple[str, str], np.ndarray]:
    """Compares the maps of the images' captions at every level of randomisation.

    Args:
        captioner: What is explained.
        images: RGB pixels uint8 (H, W, 3).
        methods: How.
        generator: Shuffles the weights.

    Returns:
        For each method and level the similarities of COLUMNS (words, 3).
    """
    texts = [
        captioner.caption_features(captioner.encode(i[None]))[0].text for i in images
    ]
    original = list(explain_all(captioner, images, texts, methods))
    found = collections.defaultdict(list)
    for maps, others in itertools.pairwise(original):
        for method, values in similarities(maps, others):
            found[method, CONTROL].append(values)
    for level, other in randomised_captioners(captioner, generator):
        explained = explain_all(other, images, texts, methods)
        for maps, changed in zip(original, explained, strict=True):
            for method, values in similarities(maps, changed):
                found[method, level].append(values)
    return {key: np.array(values) for key, values in found.items()}


def explain_all(captioner, images, texts, methods) -> Iterator[Maps]:
    """Explains all words of each image's text."""
    pairs = list(zip(images, texts, strict=True))
    for image, text in progress(pairs, unit="photo", leave=False):
        explanations = explain_each(captioner, image, methods, text)
        yield {e.method: e.pixels.sum(-1) for e in explanations}


def similarities(first: Maps, second: Maps) -> Iterator[tuple[str, tuple]]:
    """Compares two explanations word by word, up to the shorter one's end."""
    for method, maps in first.items():
        for one, other in zip(maps, second[method], strict=False):
            yield (
                method,
                (
                    rank_correlation(one, other),
                    rank_correlation(np.abs(one), np.abs(other)),
                    cosine_similarity(one, other),
                ),
            )


def print_table(table: dict[tuple[str, str], np.ndarray]) -> None:
    """Prints means over words; a map that is constant has no ranks and is left out."""
    print(f"{'method':17}{'shuffled':19}{'words':>6}", *(f"{c:>15}" for c in COLUMNS))
    for method, level in sorted(table, key=lambda key: list(METHODS).index(key[0])):
        values = table[method, level]
        means = [f"{mean:15.3f}" for mean in _means(values)]
        print(f"{method:17}{level:19}{len(values):6}", *means)


def _means(values: np.ndarray) -> list[float]:
    known = [column[np.isfinite(column)] for column in values.T]
    return [column.mean() if len(column) else np.nan for column in known]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("randomisation", lambda: run(parse(argv)), ANEW)


if __name__ == "__main__":
    sys.exit(main())
