"""Weights that PyTorch saved, read without PyTorch and without running anything.

The file is a zip of one pickle and of raw numbers. A pickle may name any function and
call it; this reader knows tensors, their storages and ordered dicts, and refuses every
other name before it is looked up.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from files.messages import DAMAGE, reason_of, shortened
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
# What tensors, storages and dicts need; no opcode that makes objects in other ways.
_KNOWN = """
PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT
BINUNICODE SHORT_BINUNICODE EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND
APPENDS EMPTY_DICT SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID BINPUT
LONG_BINPUT BINGET LONG_BINGET MEMOIZE
"""
OPCODES = frozenset(_KNOWN.split())
_PUTS = ("BINPUT", "LONG_BINPUT")
_ERRORS = (*DAMAGE, pickle.UnpicklingError, zipfile.BadZipFile)


class Names(dict):
    """An ordered dict of a file; attributes that the file gives it are dropped."""

    __slots__ = ()

    def __setstate__(self, state):
        pass


@dataclass(frozen=True)
class StorageType:
    """The type of the numbers of a storage."""

    name: str

    def __setstate__(self, state):
        raise pickle.UnpicklingError("it changes what it names")


@dataclass(frozen=True)
class Function:
    """A function that a file may call, and may not change."""

    call: Callable

    def __call__(self, *arguments):
        return self.call(*arguments)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("it changes what it names")


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a file of PyTorch 1.6 or newer by name.

    Raises:
        CaptionerError: The file is damaged, or names something that is no tensor.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path.stat().st_size)
            inside = [n for n in archive.namelist() if n.endswith("/data.pkl")]
            if len(inside) != 1:
                raise ValueError(f"it holds {len(inside)} entries data.pkl, not 1")
            root = inside[0].removesuffix("data.pkl")
            _check_byte_order(archive, f"{root}byteorder")
            content = archive.read(inside[0])
            _check_opcodes(content)
            found = _Reader(archive, root, content).load()
    except _ERRORS as error:
        raise CaptionerError(
            f"{path} cannot be read: {reason_of(error)}. Expected weights saved by "
            "PyTorch 1.6 or newer that hold tensors and nothing else."
        ) from error
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(array, np.ndarray)
        for name, array in found.items()
    ):
        raise CaptionerError(f"{path} must hold tensors by name, and nothing else.")
    return dict(found)


def _check_entries(archive: zipfile.ZipFile, size: int) -> None:
    """Refuses a zip that declares more than it holds; PyTorch compresses nothing."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("it is compressed, which PyTorch never does")
    declared = sum(entry.file_size for entry in entries)
    if declared > size or len({entry.filename for entry in entries}) < len(entries):
        raise ValueError(
            f"its entries declare {declared:,} bytes, the file has {size:,}, or one is "
            "there twice"
        )


def _check_byte_order(archive: zipfile.ZipFile, name: str) -> None:
    order = archive.read(name) if name in archive.namelist() else b"little"
    if order != b"little":
        raise ValueError("its numbers are not in little-endian order")


def _check_opcodes(content: bytes) -> None:
    """Reads a pickle's opcodes before any of them is followed."""
    for opcode, argument, place in pickletools.genops(content):
        if opcode.name not in OPCODES:
            raise ValueError(f"its opcode {opcode.name} at byte {place} is refused")
        if opcode.name in _PUTS and argument > len(content):
            raise ValueError(
                f"it numbers an object {argument:,}, more than it can have"
            )


class _Reader(pickle.Unpickler):
    """Builds tensors of one archive as arrays.

    Args:
        archive: The zip.
        root: The folder in it.
        content: The pickle.
    """

    def __init__(self, archive: zipfile.ZipFile, root: str, content: bytes):
        super().__init__(io.BytesIO(content))
        self._archive, self._root = archive, root
        self._storages: dict[tuple[str, str], np.ndarray] = {}

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return Names
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return Function(_tensor)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return Function(_parameter)
        if module == "torch" and name in DTYPES:
            return StorageType(name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is refused")

    def persistent_load(self, pid):
        kind, storage, key, _, count, *_ = pid
        if kind != "storage" or not isinstance(storage, StorageType):
            raise pickle.UnpicklingError(
                f"it refers to {shortened(kind)}, not to a storage"
            )
        if (key, storage.name) not in self._storages:
            content = self._archive.read(f"{self._root}data/{key}")
            array = np.frombuffer(content, DTYPES[storage.name])
            if storage.name == "BFloat16Storage":
                array = widen(array)
            if type(count) is not int or array.size != count:
                raise ValueError(
                    f"the storage {shortened(key)} has {array.size:,} numbers; it "
                    f"declares {shortened(count)}"
                )
            self._storages[key, storage.name] = array
        return self._storages[key, storage.name]


def widen(halves: np.ndarray) -> np.ndarray:
    """Turns bfloat16, the upper halves of float32 as whole numbers, into float32."""
    return (halves.astype("uint32") << 16).view("float32")


def _tensor(storage, offset, shape, strides, *_) -> np.ndarray:
    """Lays a tensor out on its storage, within its bounds."""
    if not isinstance(storage, np.ndarray):
        raise ValueError("a tensor has no storage")
    numbers = [offset, *shape, *strides]
    if any(type(n) is not int or n < 0 for n in numbers) or len(shape) != len(strides):
        raise ValueError(
            f"a tensor has the offset {shortened(offset)}, the shape "
            f"{shortened(shape)} and the strides {shortened(strides)}"
        )
    if 0 in shape:
        return np.zeros(shape, storage.dtype)
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if last >= storage.size or math.prod(shape) > storage.size:
        raise ValueError(
            f"a tensor of shape {shortened(shape)} lies outside of its storage"
        )
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(
        storage[offset:], shape, steps, writeable=False
    )


def _parameter(tensor, *_) -> np.ndarray:
    return tensor
