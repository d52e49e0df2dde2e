"""Compares explanations in bfloat16 with those in float32, on photographs.

Both explain every word of the captioner's own caption. "ranks" is the rank correlation
of a word's two heatmaps, pixels summed over their colours. "balance" is how far the
sum of the pixels' relevance moves, as a share of the word's logit, and "sum" the same
as a share of the sum itself, which may be near zero.

    python -m benchmarks.precision DIR [--photographs 20] [--model M]
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import quiet_start  # noqa: F401
from command_line import DEFAULT_MODEL, MODEL_HELP, make_parser, positive, run_script
from dataset.images import list_images, load_image
from dataset.progress import progress
from evaluation.similarity import rank_correlation
from models import LRP_PRESETS, Captioner, Explanation, explain, load_captioner
from models.explainers.methods import LRP_PRESET

SMALLEST_RANKS = 0.999
LARGEST_MOVE = 0.01


class Change(NamedTuple):
    """What bfloat16 changes of one word's explanation."""

    ranks: float
    balance: float
    sum: float


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    return run_script("benchmarks.precision", lambda: run(argv))


def run(argv: Sequence[str] | None) -> None:
    """Explains the photographs in both precisions."""
    parser = make_parser(__doc__, "python -m benchmarks.precision")
    parser.add_argument("folder", type=Path, metavar="DIR", help="of photographs")
    parser.add_argument(
        "--photographs", type=positive, default=20, metavar="N", help="the first ones"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help=MODEL_HELP)
    parser.add_argument(
        "--presets",
        nargs="+",
        choices=LRP_PRESETS,
        default=[LRP_PRESET],
        help="the encoder's rules",
    )
    arguments = parser.parse_args(argv)
    photographs = list_images(arguments.folder)[: arguments.photographs]
    captioner = load_captioner(arguments.model)
    for preset in arguments.presets:
        changes = []
        for photo in progress(photographs, unit="photo", leave=False):
            changes += changes_of(captioner, load_image(photo), preset)
        print(f"{preset}, {len(photographs)} photographs, {len(changes)} words")
        report(changes)


def changes_of(
    captioner: Captioner, image: np.ndarray, preset: str
) -> Iterator[Change]:
    """Explains an image in both precisions; yields what changes of every word."""
    usual = explain(captioner, image, "lrp", lrp_preset=preset)
    half = explain(
        captioner,
        image,
        "lrp",
        usual.caption,
        lrp_preset=preset,
        precision="bfloat16",
    )
    moved = np.abs(sums_of(half) - sums_of(usual))
    for row, maps in enumerate(zip(usual.pixels, half.pixels, strict=True)):
        yield Change(
            rank_correlation(*(pixels.sum(-1) for pixels in maps)),
            moved[row] / abs(usual.logits[row]),
            moved[row] / abs(sums_of(usual)[row]),
        )


def sums_of(explanation: Explanation) -> np.ndarray:
    """Returns the sum of each word's pixels, (T,)."""
    return explanation.pixels.sum((1, 2, 3), dtype="float64")


def report(changes: Sequence[Change]) -> None:
    """Prints the median and the worst word, and how many keep the bars."""
    ranks, *moves = (np.asarray(column) for column in zip(*changes, strict=True))
    print(f"{'':10}{'median':>11}{'worst':>11}{'within':>14}")
    kept = (ranks > SMALLEST_RANKS).sum()
    line = f"{np.median(ranks):11.7f}{ranks.min():11.7f}{kept:8} / {len(ranks)}"
    print(f"{'ranks':10}{line}, above {SMALLEST_RANKS}")
    for name, values in zip(Change._fields[1:], moves, strict=True):
        kept = (values < LARGEST_MOVE).sum()
        line = f"{np.median(values):11.5f}{values.max():11.5f}{kept:8} / {len(values)}"
        print(f"{name:10}{line}, below {LARGEST_MOVE}")


if __name__ == "__main__":
    sys.exit(main())
