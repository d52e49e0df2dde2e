"""Small JSON, JSON lines and CSV files, read with checks of all that is in them."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from files.messages import FileError, reason_of, shortened
from files.values import Check

CLOSED = "Get it again, or begin anew."


def read_bytes(path: Path, way_out: str = CLOSED) -> bytes:
    """Returns what a file holds.

    Raises:
        FileError: It is missing or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"{path} is missing. {way_out}") from error
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {reason_of(error)}.") from error


def file_hash(path: Path) -> str:
    """Identifies a file by its content.

    Raises:
        FileError: It is missing or cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {reason_of(error)}.") from error


def parse_json(content: bytes | str, object_hook: Callable | None = None) -> object:
    """Returns what JSON says, UTF-8 with a byte order mark or without.

    Raises:
        ValueError: It is no JSON; the message says why and where.
    """
    pairs = None if object_hook else _distinct
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        return json.loads(text, object_hook=object_hook, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start:,})") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"it is no JSON ({error.msg} in {place})") from None
    except ValueError as error:
        if "digits" in str(error):
            raise ValueError("a number in it has too many digits") from None
        raise


def _distinct(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {shortened(twice)} is there twice")
    return found


def read_json(path: Path, check: Check, way_out: str = CLOSED):
    """Returns what a JSON file holds, checked.

    Args:
        path: The file.
        check: See `files.values`.
        way_out: What to do about a damaged file.

    Raises:
        FileError: It is missing, damaged, or holds something else.
    """
    content = read_bytes(path, way_out)
    try:
        return check(parse_json(content))
    except (ValueError, RecursionError) as error:
        raise damaged(path, error, way_out) from None


def read_json_lines(path: Path, checks: Iterator[Check], way_out: str) -> Iterator:
    """Yields what each line of a file holds; a last line without an end is left out.

    Args:
        path: The file.
        checks: Of the lines, one after the other.
        way_out: What to do about a damaged file.

    Raises:
        FileError: A line is damaged; the message has its number.
    """
    lines = read_bytes(path, way_out).split(b"\n")[:-1]
    for number, (line, check) in enumerate(zip(lines, checks, strict=False), start=1):
        try:
            found = check(parse_json(line))
        except (ValueError, RecursionError) as error:
            raise damaged(path, error, way_out, f"line {number}") from None
        yield found


def read_numbers(path: Path, way_out: str) -> tuple[list[str], list[dict[str, float]]]:
    """Returns the head of a CSV file and its rows of numbers, without a torn last one.

    Raises:
        FileError: It is missing or damaged; the message has the line.
    """
    content = read_bytes(path, way_out)
    try:
        whole = content[: content.rfind(b"\n") + 1].decode()
        rows = list(csv.reader(io.StringIO(whole), strict=True))
        names, *rows = rows or [[]]
        if not names or len(set(names)) < len(names) or not all(names):
            raise ValueError("its head must have distinct names")
    except (ValueError, csv.Error) as error:
        raise damaged(path, error, way_out) from None
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            if len(row) != len(names):
                raise ValueError(f"{len(row)} columns, expected {len(names)}")
            found.append(dict(zip(names, map(_number, row), strict=True)))
        except ValueError as error:
            raise damaged(path, error, way_out, f"line {number}") from None
    return names, found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, received {shortened(text)}") from None


def damaged(path: Path, error: Exception, way_out: str, place: str = "") -> FileError:
    """Returns the error of a file that holds something else than it should."""
    reason = reason_of(error).removeprefix(": ").removeprefix(".")
    where = f"{place}: " if place else ""
    return FileError(f"{path} is damaged ({where}{reason}). {way_out}")
