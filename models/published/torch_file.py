"""Weights that PyTorch saved, read without PyTorch and without running anything.

The file is a zip of one pickle and of raw numbers. A pickle may name any function and
call it; this reader knows tensors, their storages and ordered dicts, and refuses every
other name before it is looked up.
"""

import collections
import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.run_files import CaptionerError

DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",  # the upper half of a float32
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
DAMAGE = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, OSError, ValueError, TypeError),
    *(LookupError, AttributeError, EOFError, OverflowError, MemoryError),
    *(NotImplementedError, RuntimeError),
)


@dataclass(frozen=True)
class StorageType:
    """The type of the numbers of a storage."""

    name: str


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a file of PyTorch 1.6 or newer by name.

    Raises:
        CaptionerError: The file is damaged, or names something that is no tensor.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [n for n in archive.namelist() if n.endswith("/data.pkl")]
            if len(inside) != 1:
                raise ValueError(f"it holds {len(inside)} entries data.pkl, not 1")
            root = inside[0].removesuffix("data.pkl")
            found = _Reader(archive, root).load()
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CaptionerError(
            f"{path} cannot be read: {reason}. Expected weights saved by PyTorch 1.6 "
            "or newer that hold tensors and nothing else."
        ) from error
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(array, np.ndarray)
        for name, array in found.items()
    ):
        raise CaptionerError(f"{path} must hold tensors by name, and nothing else.")
    return dict(found)


class _Reader(pickle.Unpickler):
    """Builds tensors of one archive as arrays.

    Args:
        archive: The zip.
        root: The folder in it.
    """

    def __init__(self, archive: zipfile.ZipFile, root: str):
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._archive, self._root = archive, root
        self._storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if module == "torch" and name in DTYPES:
            return StorageType(name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is refused")

    def persistent_load(self, pid):
        kind, storage, key, *_ = pid
        if kind != "storage" or not isinstance(storage, StorageType):
            raise pickle.UnpicklingError(f"it refers to {kind!r}, not to a storage")
        if key not in self._storages:
            content = self._archive.read(f"{self._root}data/{key}")
            array = np.frombuffer(content, DTYPES[storage.name])
            if storage.name == "BFloat16Storage":
                array = (array.astype("uint32") << 16).view("float32")
            self._storages[key] = array
        return self._storages[key]


def _tensor(storage, offset, shape, strides, *_) -> np.ndarray:
    """Lays a tensor out on its storage, within its bounds."""
    if not isinstance(storage, np.ndarray):
        raise ValueError("a tensor has no storage")
    numbers = [offset, *shape, *strides]
    if any(type(n) is not int or n < 0 for n in numbers) or len(shape) != len(strides):
        raise ValueError(f"a tensor has shape {shape} and strides {strides}")
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.size:
        raise ValueError(f"a tensor of shape {shape} lies outside of its storage")
    if 0 in shape:
        return np.zeros(shape, storage.dtype)
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(
        storage[offset:], shape, steps, writeable=False
    )


def _parameter(tensor, *_) -> np.ndarray:
    return tensor
