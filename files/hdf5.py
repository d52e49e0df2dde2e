"""HDF5 files of weights, checked before any of their numbers is believed.

HDF5 files may point to other files, declare more than they hold, or hold the library in
a loop where they are damaged. So a file of unknown origin is read first by a process of
its own, with a limit of time and memory.
"""

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py

from files.messages import DAMAGE, FileError, reason_of
from files.reading import file_hash

SECONDS = 30.0  # for a file of a few MB; larger ones get more
SECONDS_PER_GB = 60.0
MEMORY = 4_000_000_000  # bytes of the reading process, beside what the file holds
PACKED = 100  # how many times its own size a compressed array may have
FILTERS = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
)
PROCESS = "import sys; from files.hdf5 import main; sys.exit(main(sys.argv[1]))"
ROOT = Path(__file__).parents[1]
_SOUND: set[str] = set()  # the content of files that were read to their end


def check_weights(path: Path) -> None:
    """Reads a whole file in a process of its own; once, until its content changes.

    Raises:
        FileError: The file is missing or damaged, points to other files, declares more
            than it holds, or cannot be read in the time for its size.
    """
    if not Path(path).is_file():
        raise FileError(f"{path}: the file does not exist.")
    content = file_hash(path)
    if content in _SOUND:
        return
    size = Path(path).stat().st_size
    limit = SECONDS + SECONDS_PER_GB * size / 1e9
    command = [sys.executable, "-c", PROCESS, str(Path(path).absolute())]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise FileError(
            f"{path} is damaged: HDF5 did not come to its end in {limit:.0f} seconds."
        ) from None
    if done.returncode == 0:
        _SOUND.add(content)
        return
    reason = done.stdout.decode(errors="replace").strip()
    reason = reason or f"reading it ended the process with code {done.returncode}"
    raise FileError(f"{path} is damaged or not a file of weights: {reason}.")


def check_structure(path: Path) -> list[str]:
    """Refuses what no file of weights has; returns the names of its arrays.

    Raises:
        FileError: The file is damaged, points elsewhere, or declares more than it
            holds.
    """
    try:
        return _array_names(path)
    except (*DAMAGE, RecursionError) as error:
        reason = reason_of(error).rstrip(".")
        raise FileError(
            f"{path} is damaged or not a file of weights: {reason}."
        ) from error


def _array_names(path: Path) -> list[str]:
    size = Path(path).stat().st_size
    names = []
    with h5py.File(path, "r") as file:
        for name, item in walk(file):
            _check_attributes(name, item, size)
            if isinstance(item, h5py.Dataset):
                _check_array(name, item, size)
                names.append(name)
    return names


def walk(group: h5py.Group, name: str = "") -> Iterator[tuple[str, object]]:
    """Yields a group and all below it by names, each once.

    Raises:
        ValueError: A link points to another file or to nothing, or groups form a ring.
    """
    seen, waiting = set(), [(name, group)]
    while waiting:
        name, item = waiting.pop()
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise ValueError(f"{name} is linked to twice")
        seen.add(address)
        yield name or "/", item
        if isinstance(item, h5py.Dataset):
            continue
        if not isinstance(item, h5py.Group):
            raise ValueError(f"{name} is no group and no array")
        for key in item:
            below = f"{name}/{key}"
            kind = item.id.links.get_info(key.encode()).type
            if kind != h5py.h5l.TYPE_HARD:
                raise ValueError(f"{below} is a link to another place or file")
            waiting.append((below, item[key]))


def _check_attributes(name: str, item, size: int) -> None:
    for key in item.attrs:
        attribute = item.attrs.get_id(key)
        if math.prod(attribute.shape) * attribute.dtype.itemsize > size:
            raise ValueError(f"{name} has the attribute {key}, larger than the file")
        if attribute.dtype.kind not in "SOUfiub":
            raise ValueError(f"{name} has the attribute {key} of an unknown kind")


def _check_array(name: str, array: h5py.Dataset, size: int) -> None:
    plan = array.id.get_create_plist()
    if plan.get_external_count() or plan.get_layout() == h5py.h5d.VIRTUAL:
        raise ValueError(f"{name} lies in another file")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds no numbers")
    codes = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    if set(codes) - set(FILTERS):
        raise ValueError(f"{name} is packed in an unknown way")
    stored, declared = array.id.get_storage_size(), array.size * array.dtype.itemsize
    if stored > size or declared > (PACKED * stored if codes else stored):
        raise ValueError(
            f"{name} is declared with {declared:,} bytes, and the file holds "
            f"{stored:,} of them"
        )


def read_all(path: Path) -> None:
    """Reads every array and attribute once; see `check_structure`."""
    names = _array_names(path)
    with h5py.File(path, "r") as file:
        for _, item in walk(file):
            dict(item.attrs)
        for name in names:
            file[name][()]


def main(path: str) -> int:
    """Checks one file; prints what is wrong with it."""
    try:
        import resource

        limit = MEMORY + Path(path).stat().st_size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ImportError, ValueError, OSError):
        pass  # Windows; or the limit is lower already
    try:
        read_all(Path(path))
    except (*DAMAGE, RecursionError) as error:
        print(reason_of(error).rstrip("."))
        return 2
    return 0
