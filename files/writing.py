"""Files and folders that appear whole or not at all.

Everything the project writes passes through here; what a full, read-only or failing
disk does becomes one `WriteError`.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from files.messages import WriteError, reason_of

NEW, CHANGED = ".new", ".changed"  # in a folder: being filled; to be taken over
REMOVED = ".removed.json"  # in CHANGED: the names that leave the folder
LEAST_ROOM = 1_000_000  # bytes that any result needs


def write_whole(path: str | Path, content: bytes | memoryview) -> Path:
    """Writes beside the path, then renames; makes the folder if it is missing.

    Raises:
        WriteError: The file cannot be written; an earlier one is as it was.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_parts(path)
        part = _part_of(path)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return path


def append_lines(path: Path, lines: bytes) -> None:
    """Adds whole lines to a file; one that does not fit leaves the file as it was.

    Raises:
        WriteError: The lines cannot be written.
    """
    with naming(path), path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(before)
            raise


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes lines of text; see `write_whole`."""
    write_whole(path, ("\n".join(lines) + "\n").encode())


def write_json(path: Path, content: object, indent: int | None = 2) -> Path:
    """Writes JSON; see `write_whole`."""
    return write_whole(path, (json.dumps(content, indent=indent) + "\n").encode())


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder to fill, which then takes the place of a new or empty one.

    Raises:
        WriteError: The folder cannot be written.
    """
    with naming(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_parts(folder)
        part = _part_of(folder)
        try:
            part.mkdir()
            yield part
            if folder.is_dir():
                folder.rmdir()
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


# Several files of a folder that belong together


@contextlib.contextmanager
def changed_together(folder: Path, removed: Iterable[str] = ()) -> Iterator[Path]:
    """Gives a folder to fill, whose files then take their places all at once.

    The rename of NEW to CHANGED decides: before it nothing has changed, after it
    `current_file` finds the new files and `finish_change` moves them. So a kill at any
    moment leaves the old files or the new ones, and never some of both.

    Args:
        folder: Where the files belong; made if it is missing.
        removed: Names of files and folders that leave it with the change.

    Raises:
        WriteError: The files cannot be written; those in the folder are as they were.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        finish_change(folder)
        new = folder / NEW
        shutil.rmtree(new, ignore_errors=True)
        try:
            new.mkdir()
            (new / REMOVED).write_text(json.dumps([*removed]))
            yield new
            new.rename(folder / CHANGED)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        finish_change(folder)


def finish_change(folder: Path) -> None:
    """Moves the files of a change that was decided and not finished.

    Raises:
        WriteError: They cannot be moved.
    """
    changed = folder / CHANGED
    if not changed.is_dir():
        return
    with naming(folder):
        if (changed / REMOVED).is_file():
            for name in json.loads((changed / REMOVED).read_text()):
                remove(folder / name)
        for path in sorted(changed.iterdir()):
            if path.name != REMOVED:
                path.replace(folder / path.name)
        (changed / REMOVED).unlink(missing_ok=True)
        changed.rmdir()


def current_file(folder: Path, name: str) -> Path:
    """Returns the file that counts, also where `finish_change` is still to come."""
    changed = folder / CHANGED / name
    return changed if changed.is_file() else folder / name


def is_leftover(path: Path) -> bool:
    """Tells whether an entry of a folder is what a killed process left there."""
    return path.name in (NEW, CHANGED, ".lock") or bool(
        re.fullmatch(r"\..+\.\d+\.part|tmp\..+", path.name)
    )


def holds_something(path: Path) -> bool:
    """Tells whether a file is there, or a folder with more than leftovers in it."""
    if not path.is_dir():
        return path.exists()
    return not all(map(is_leftover, path.iterdir()))


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# What can go wrong


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turns errors of the system into a `WriteError` that names a path."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a message of our own
            raise
        reason = reason_of(error, writes=True)
        raise WriteError(f"{path} cannot be written: {reason}.") from error


def check_room(folder: Path, needed: int = LEAST_ROOM, what: str = "What is written"):
    """Refuses a disk with less than `needed` bytes, before anything is computed.

    Args:
        folder: Where something will be written; it need not be there yet.
        needed: Bytes.
        what: Needs them, to begin a sentence.

    Raises:
        WriteError: The disk has too little room.
    """
    there = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    with naming(folder):
        free = shutil.disk_usage(there).free
    if free < needed:
        raise WriteError(
            f"{what} needs {_size(needed)}; {folder} has {_size(free)} free. Free some "
            "space, or name another folder."
        )


@contextlib.contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Makes a folder, and removes again what of it stays empty."""
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # those that came to hold something
            for path in made:
                path.rmdir()


def check_folder(folder: Path) -> None:
    """Refuses a folder in which nothing can be written; it need not be there yet.

    Raises:
        WriteError: Why not.
    """
    probe = folder / f".probe.{os.getpid()}.part"
    with naming(folder), made_folder(folder):
        probe.write_bytes(b"")
        probe.unlink()
    check_room(folder)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def clear_parts(path: Path, is_dead: Callable[[int], bool] | None = None) -> None:
    """Removes what killed processes left of a file or folder while they wrote it."""
    is_dead = is_dead or _is_dead
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.part")
    for entry in os.scandir(path.parent):
        match = pattern.fullmatch(entry.name)
        if match and is_dead(int(match[1])):
            with contextlib.suppress(OSError):
                remove(Path(entry.path))


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _is_dead(process: int) -> bool:
    if os.name == "nt":  # there, os.kill ends the process it asks for
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
