"""What is wrong with a dataset: collected first, then raised at once."""

import logging
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from files.messages import reason_of, shortened
from files.reading import parse_json, read_bytes

logger = logging.getLogger(__name__)
LONGEST_NAME = 255  # bytes
SHOWN = 3  # entries that a warning names
LISTED = 20  # entries of one problem that a message names


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        what: One line: the file, what is wrong, and where to get it.
        entries: Where the file or folder has several faults, each of them.
    """

    what: str
    entries: tuple[str, ...] = ()

    def text(self, limit: int | None = None) -> str:
        """Returns the lines of a message that names at most `limit` entries."""
        if not self.entries:
            return self.what
        lines = [f"{self.what}:", *self.entries[:limit]]
        left_out = len(self.entries) - len(lines[1:])
        if left_out:
            lines.append(
                f"... and {left_out:,} more; python -m dataset.check lists all"
            )
        return "\n  ".join(lines)


class DatasetError(ValueError):
    """A dataset that cannot be read; the message lists everything that is wrong.

    Attributes:
        problems: All of them, with all their entries.
    """

    def __init__(self, *problems: Problem | str):
        found = (p if isinstance(p, Problem) else Problem(p) for p in problems)
        self.problems = tuple(dict.fromkeys(found))
        texts = [problem.text(LISTED) for problem in self.problems]
        if len(texts) > 1:  # their entries lie below them, and they below the first
            texts = [text.replace("\n", "\n  ") for text in texts]
        super().__init__("\n  ".join(texts))


def all_of(*calls: Callable) -> list:
    """Returns the results of all calls.

    Raises:
        DatasetError: Some calls raised one; it holds the problems of all of them.
    """
    results, problems = [], []
    for call in calls:
        try:
            results.append(call())
        except DatasetError as error:
            problems += error.problems
    if problems:
        raise DatasetError(*problems)
    return results


def refuse_entries(path: Path, entries: Sequence[str], hint: str) -> None:
    """Raises if a file has entries that cannot be used.

    Args:
        path: The file.
        entries: What is wrong with each.
        hint: What was expected, or where to get it.
    """
    if entries:
        what = f"{path} has {len(entries):,} unusable entries ({hint})"
        raise DatasetError(Problem(what, tuple(entries)))


def warn_skipped(path: Path, faults: Sequence[str]) -> None:
    """Warns once of entries of a good file that are left out."""
    if faults:
        more = "; ..." if len(faults) > SHOWN else ""
        logger.warning(
            "%s: %d entries cannot be used and are left out: %s%s",
            *(path, len(faults), "; ".join(faults[:SHOWN]), more),
        )


def list_of(content: dict, name: str, path: Path) -> list:
    """Returns a list that a JSON object holds, or an empty one where it holds none.

    Args:
        content: The object.
        name: Of the list.
        path: The file it is from.

    Raises:
        DatasetError: Something else has the name.
    """
    found = content.get(name, [])
    if not isinstance(found, list):
        reason = f"{name}: expected a list, received {shortened(found)}"
        raise DatasetError(f"{path} is damaged ({reason}). Get it again.")
    return found


def read_json(path: Path, get: str, object_hook: Callable | None = None) -> dict:
    """Returns the object that a JSON file holds.

    Args:
        path: The file.
        get: Where to get it.
        object_hook: See `json.load`.

    Raises:
        DatasetError: The file is missing, damaged or holds no object.
    """
    check_file(path, get)
    try:
        content = parse_json(read_bytes(path), object_hook)
    except ValueError as error:
        reason = reason_of(error)
        raise DatasetError(
            f"{path} is damaged ({reason}). Get it again: {get}."
        ) from error
    if not isinstance(content, dict):
        raise DatasetError(
            f"{path} holds a {type(content).__name__}; expected an object. Get it "
            f"again: {get}."
        )
    return content


def check_file(path: Path, get: str) -> None:
    """Refuses a file that is missing, with where to get it."""
    if not path.is_file():
        raise DatasetError(f"{path} is missing. Get it: {get}.")


def check_folder(folder: Path, get: str) -> None:
    """Refuses a folder that is missing, with where to get it."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder. Get it: {get}.")


def name_fault(name: str) -> str:
    """Returns why a name that a list gives cannot be used, or nothing.

    A photograph lies in the dataset's folder, so its name leads nowhere else.
    """
    parts = name.replace("\\", "/").split("/")
    is_inside = ".." not in parts and not parts[0].endswith(":")
    if any(len(part.encode(errors="replace")) > LONGEST_NAME for part in parts):
        return "is longer than the name of a file can be"
    if "\0" in name or not parts[0] or name.startswith("~") or not is_inside:
        return "leads out of the dataset's folder"
    return ""


def file_fault(path: Path) -> str:
    """Returns why a file cannot be an image, or nothing."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- a third of the time of Path.stat
    except (OSError, ValueError):  # the second for a name that no file can have
        return f"no such file in {path.parent}"
    if not stat.S_ISREG(found.st_mode):
        return f"not a file in {path.parent}"
    return "" if found.st_size else f"empty file in {path.parent}"
