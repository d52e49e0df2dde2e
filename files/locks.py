"""One process at a time for one output."""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from files.messages import WriteError
from files.writing import made_folder, naming

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = logging.getLogger(__name__)
LOCK = ".lock"  # in a folder that is locked
WAIT = 0.2  # seconds between two looks
_UNKNOWN = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class LockedError(WriteError):
    """An output that another process is writing."""


@contextlib.contextmanager
def locked(path: Path, is_folder: bool = False, wait: bool = False) -> Iterator[None]:
    """Holds an output for this process; the system lets go of it when the process ends.

    The lock is a file in the folder, or beside the file, and is removed at the end. To
    make it also shows whether the place can be written.

    Args:
        path: The file or folder.
        is_folder: Which of both.
        wait: Whether to wait until another process lets go, and not to refuse.

    Raises:
        WriteError: Another process holds the output, or it cannot be written.
    """
    lock = path / LOCK if is_folder else path.with_name(f".{path.name}{LOCK}")
    with contextlib.ExitStack() as stack:
        with naming(path):
            stack.enter_context(made_folder(lock.parent))
            descriptor = _hold(lock, path, wait)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlink(missing_ok=True)
            os.close(descriptor)


def _hold(lock: Path, path: Path, wait: bool) -> int:
    """Opens and locks the file; returns its descriptor."""
    is_told = False
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if _try(descriptor):
                if _is_there(lock, descriptor):
                    return descriptor
            elif not wait:
                raise LockedError(
                    f"{path} is being written by another process. Wait for its end, or "
                    "name another place."
                )
            elif not is_told:
                logger.info("Waiting for another process that writes %s.", path)
                is_told = True
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(WAIT if wait else 0)


def _try(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        logger.warning("This disk knows no locks: let one process write at a time.")
    return True


def _is_there(lock: Path, descriptor: int) -> bool:
    """Tells whether the file was not removed between opening and locking it."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def refuse_same(inputs: list[Path], output: Path, is_folder: bool = False) -> None:
    """Refuses an output that would replace what it is made from.

    Args:
        inputs: Files and folders that are read.
        output: What is written.
        is_folder: Whether that is a folder, which no input may lie in.

    Raises:
        ValueError: An input is the output, or lies in it.
    """
    written = output.resolve()
    for path in inputs:
        read = path.resolve()
        if read == written or (is_folder and written in read.parents):
            raise ValueError(
                f"{output} would replace {path}, which is read. Name another output."
            )
