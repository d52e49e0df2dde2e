"""What the command lines of several scripts have in common."""

import argparse
import contextlib
import dataclasses
import difflib
import logging
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from files.messages import describe, printable, shortened
from stopping import STOPPED, begin, end, was_stopped
from streams import lasting_streams, lost_output

Options = TypeVar("Options")
RESUMES = "the same command with --resume goes on."
ANEW = "the same command begins anew."
GOES_ON = "the same command goes on."
DEFAULT_MODEL = "flickr8k-adaptive-attention"
DIGITS = 12  # of a number that counts something
MODEL_HELP = (
    "a shipped captioner's name, a run directory, a published captioner's folder, or "
    "hf://USER/MODEL"
)


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


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Writes the default of every option that has one into its help."""

    def _get_help_string(self, action):
        is_told = "default" in (action.help or "")
        if is_told or not action.default or action.default == WHOLE:
            return action.help
        if isinstance(action.default, (list, tuple)):
            listed = " ".join(map(str, action.default)).replace("%", "%%")
            return f"{action.help} (default: {listed})"
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Refuses a wrong command line in one line, and names options that were meant."""

    def error(self, message):
        wrong = message.rpartition("unrecognized arguments: ")[2].split()
        known = [name for action in self._actions for name in action.option_strings]
        for name in (name for name in wrong if name.startswith("--")):
            if alike := difflib.get_close_matches(name.partition("=")[0], known, 1):
                message += f"; {alike[0]} may be meant"
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def make_parser(description: str, prog: str | None = None) -> argparse.ArgumentParser:
    """Makes the parser of a command: its help has every default.

    No option takes an empty text: as a path it would mean the current folder.

    Args:
        description: What the command does; its first line is shown.
        prog: The command, where it is not the name of the file.
    """
    parser = Parser(
        prog=prog,
        description=description.strip().partition("\n")[0],
        formatter_class=HelpFormatter,
    )
    parser.register("type", None, some_text)
    parser.register("type", Path, named_path)
    return parser


def some_text(text: str) -> str:
    """Reads a text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected a text; received {shortened(text)}")
    return text


def named_path(text: str) -> Path:
    """Reads the name of a file or folder."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(
            f"expected the name of a file or folder; received {shortened(text)}"
        )
    return Path(text)


def some_words(text: str) -> str:
    """Reads WORD,WORD,... with a letter or digit in it."""
    if not any(map(str.isalnum, text)):
        raise argparse.ArgumentTypeError(
            f"expected words, as dog,ball; received {shortened(text)}"
        )
    return text


def add_output_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds --output FILE.json.

    Args:
        parser: Of the script.
        what: The file holds; others lie beside it.
    """
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE.json",
        help=f"{what}; the other files lie beside it",
    )


def add_cache_option(parser: argparse.ArgumentParser) -> None:
    """Adds --cache-dir."""
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=Path("cache"),
        metavar="DIR",
        help="keeps the features of images for the next run",
    )


def add_existing_options(
    parser: argparse.ArgumentParser,
    resume: str = "go on where an earlier run ended",
    overwrite: str = "begin anew, and replace what an earlier run wrote",
) -> None:
    """Adds --resume and --overwrite, without which nothing is replaced."""
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help=resume)
    existing.add_argument("--overwrite", action="store_true", help=overwrite)


def part(text: str) -> Part:
    """Reads INDEX/COUNT."""
    index, _, count = text.partition("/")
    both = index.isdecimal() and count.isdecimal() and len(text) <= DIGITS
    if not (both and int(index) < int(count)):
        raise argparse.ArgumentTypeError(
            f"expected INDEX/COUNT, as 0/4, 1/4, 2/4 or 3/4; received {shortened(text)}"
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
    if not (text.isdecimal() and len(text) <= DIGITS and int(text)):
        received = shortened(text)
        raise argparse.ArgumentTypeError(f"expected 1, 2, 3, ...; received {received}")
    return int(text)


def not_negative(text: str) -> float:
    """Reads a number that is 0 or above."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected 0 or above; received {shortened(text)}"
        )
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


def split_names(text: str | None) -> list[str] | None:
    """Reads NAME,NAME,...; None for none."""
    return None if text is None else text.split(",")


def print_beside(line: str) -> None:
    """Prints a line of the result that does not break into the progress."""
    tqdm.write(printable(line), sys.stdout)


def print_paths(*paths: Path) -> None:
    """Prints the files and folders that a script wrote, one a line."""
    for path in paths:
        print(printable(str(path)))


@contextlib.contextmanager
def messages_about(name: object) -> Iterator[None]:
    """Begins all messages that are logged meanwhile with a name."""
    make = logging.getLogRecordFactory()

    def named(*arguments, **options) -> logging.LogRecord:
        record = make(*arguments, **options)
        record.msg, record.args = f"{name}: {record.getMessage()}", ()
        return record

    logging.setLogRecordFactory(named)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)


class _BesideProgress(logging.StreamHandler):
    """Shows messages, each once, that do not break into the progress."""

    def __init__(self):
        super().__init__()
        self._shown: set[str] = set()

    def emit(self, record):
        message = printable(self.format(record))
        if message not in self._shown:
            self._shown.add(message)
            tqdm.write(message, sys.stderr)


def run_script(
    name: str,
    work: Callable[[], Iterable[str] | None],
    on_stop: str = RESUMES,
) -> int:
    """Does a script's work, names the problems and returns the exit code.

    A stream that is closed or full does not end the work.

    Args:
        name: Of the script.
        work: Reads the command line and prints the result. Returns the problems, if
            any: those that it yields before an error are named too.
        on_stop: What to do after the user stopped the script.

    Returns:
        0, 2 where there are problems, or 130 where the user stopped it.
    """
    with lasting_streams():
        logging.basicConfig(
            level=logging.INFO, format="%(message)s", handlers=[_BesideProgress()]
        )
        problems, code = [], 2
        try:
            begin()
            for problem in work() or ():
                problems.append(problem)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or was_stopped():
                problems.append(f"stopped; {on_stop}")
                code = STOPPED
            elif isinstance(error, MemoryError):
                problems.append("the memory is used up. Take smaller batches or files.")
            elif isinstance(error, (ValueError, OSError, RecursionError)):
                problems.append(describe(error))
            else:
                raise
        problems += lost_output()
        for problem in problems:
            print(printable(f"{name}: {problem}"), file=sys.stderr)
    end()
    return code if problems else 0
