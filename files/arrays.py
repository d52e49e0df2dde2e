"""NPZ files, read with checks of all that is in them."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from files.messages import DAMAGE, FileError, reason_of
from files.reading import CLOSED, damaged

MOST_BYTES = 4_000_000_000  # that the arrays of a file may take

Shape = tuple[int | None, ...]  # None: any size


def read_arrays(path: Path, way_out: str = CLOSED) -> dict[str, np.ndarray]:
    """Returns the arrays of an NPZ file by name; objects in it are refused.

    Raises:
        FileError: It is missing, damaged, or far too large.
    """
    try:
        with zipfile.ZipFile(path) as file:
            size = sum(entry.file_size for entry in file.infolist())
        if size > MOST_BYTES:
            raise ValueError(f"its arrays take {size:,} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        if strange := [n for n, a in found.items() if not isinstance(a, np.ndarray)]:
            raise ValueError(f"its entry {strange[0]} is no array")
        return found
    except FileNotFoundError as error:
        raise FileError(f"{path} is missing. {way_out}") from error
    except PermissionError as error:
        raise FileError(f"{path} cannot be read: {reason_of(error)}.") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, *DAMAGE) as error:
        raise damaged(path, error, way_out) from error


def check_shapes(arrays: Mapping[str, object], expected: Mapping[str, Shape]) -> None:
    """Refuses arrays that lack a name or have another shape.

    Raises:
        ValueError: Which array, its shape, and the one it should have.
    """
    for name, shape in expected.items():
        if name not in arrays:
            raise ValueError(f"the array {name} is missing")
        received = np.shape(arrays[name])
        fits = len(received) == len(shape) and all(
            size in (None, other) for size, other in zip(shape, received, strict=True)
        )
        if not fits:
            raise ValueError(
                f"expected {name} of shape {shape} (None: any size), received "
                f"{received}"
            )
