"""What the command lines of several scripts have in common."""

import argparse
import dataclasses
import logging
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

Options = TypeVar("Options")


class Part(NamedTuple):
    """One of several parts of some work, which are as large as each other.

    Attributes:
        index: Counted from 0.
        count: Of all parts.
    """

    index: int
    count: int

    def of(self, items: Sequence) -> Sequence:
        """Returns every `count`-th item."""
        return items[self.index :: self.count]


WHOLE = Part(0, 1)


def part(text: str) -> Part:
    """Reads INDEX/COUNT."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(
            f"expected INDEX/COUNT, as 0/4, 1/4, 2/4 or 3/4; received {text!r}"
        )
    return Part(int(index), int(count))


def add_shard_options(parser: argparse.ArgumentParser) -> None:
    """Adds what lets several processes share the images, each with its own output."""
    parser.add_argument(
        "--shard",
        type=part,
        default=WHOLE,
        metavar="INDEX/COUNT",
        help="only this part of the images",
    )
    parser.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE.json",
        help="take over what the shards with these outputs did; do what they lack",
    )


def positive(text: str) -> int:
    """Reads a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected 1, 2, 3, ...; received {text!r}")
    return int(text)


def not_negative(text: str) -> float:
    """Reads a number that is 0 or above."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected 0 or above; received {text!r}")
    return number


def fill_options(kind: type[Options], parsed: argparse.Namespace, **changes) -> Options:
    """Fills a dataclass from parsed arguments with the names of its fields.

    Args:
        kind: The dataclass.
        parsed: What the parser found.
        **changes: Fields that take other values. Lists become tuples.
    """
    names = [field.name for field in dataclasses.fields(kind)]
    found = {name: getattr(parsed, name) for name in names} | changes
    return kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in found.items()
        }
    )


def split_names(text: str) -> list[str]:
    """Reads NAME,NAME,..."""
    return text.split(",")


def run_script(
    name: str, work: Callable[[], Iterable[str] | None], resumes: bool = False
) -> int:
    """Does a script's work, names the problems and returns the exit code.

    Args:
        name: Of the script.
        work: Reads the command line and prints the result. Returns the problems, if
            any: those that it yields before an error are named too.
        resumes: Whether --resume goes on where the user stops the script.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    problems = []
    try:
        for problem in work() or ():
            problems.append(problem)
    except (ValueError, OSError) as error:
        problems.append(str(error))
    except KeyboardInterrupt:
        if not resumes:
            raise
        problems.append("stopped; the same command with --resume goes on.")
    for problem in problems:
        print(f"{name}: {problem}", file=sys.stderr)
    return 2 if problems else 0
