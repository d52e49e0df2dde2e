"""Compares captioners: the time to read, to caption and to explain one photograph.

All of it in one run, in turn; ratios are those of the least times, to the first
captioner. Every captioner explains the same caption.

    python -m benchmarks.captioners [--models A B]
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import keras
import numpy as np

from benchmarks import timed_rounds
from command_line import DEFAULT_MODEL, MODEL_HELP, make_parser, positive, run_script
from models import explain, load_captioner

MODELS = (DEFAULT_MODEL, "flickr8k-transformer", "flickr8k-transformer-288")
PHOTO = np.random.default_rng(0).integers(0, 256, (480, 640, 3), "uint8")
TEXT = "a brown dog is running through the grass with a ball"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns the exit code."""
    return run_script("benchmarks.captioners", lambda: compare(parse(argv)))


def compare(arguments: argparse.Namespace) -> None:
    """Times the captioners in turn and prints the table."""
    timed = {
        (name, work): call
        for name in arguments.models
        for work, call in contenders(name).items()
    }
    timed_rounds(timed, 1)  # compiles
    rounds = timed_rounds(timed, arguments.rounds)
    least = {key: min(each[key] for each in rounds) for key in rounds[0]}
    first = arguments.models[0]
    print(f"{keras.backend.backend()}, {len(TEXT.split())} words explained")
    print(f"{'':32}{'':10}{'least s':>9}{'/ first':>9}")
    for (name, work), taken in least.items():
        print(f"{name:32}{work:10}{taken:9.3f}{taken / least[first, work]:9.3f}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m benchmarks.captioners")
    parser.add_argument("--models", nargs="+", default=MODELS, help=MODEL_HELP)
    parser.add_argument("--rounds", type=positive, default=5, help="timed rounds")
    return parser.parse_args(argv)


def contenders(name: str) -> dict[str, Callable]:
    """Returns what is timed of a captioner, by the work."""
    captioner = load_captioner(name)
    inputs = captioner.prepare([captioner.load_photo(PHOTO)])
    features = captioner.encode_inputs(inputs)
    return {
        "encode": lambda: captioner.encode_inputs(inputs),
        "caption": lambda: captioner.caption_features(features)[0].score,
        "explain": lambda: explain(captioner, PHOTO, "lrp", caption=TEXT).pixels,
    }


if __name__ == "__main__":
    sys.exit(main())
