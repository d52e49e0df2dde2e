"""Weights as they are published, read with numpy; nothing in a file is executed."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from files.messages import shortened
from files.reading import parse_json, read_json
from files.values import items, one_of, record, table, whole
from models.published.settings import AGAIN, INDEX
from models.published.torch_file import read_torch_file, widen
from models.run_files import CaptionerError

SAFE, TORCH = "model.safetensors", "pytorch_model.bin"
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
LONGEST_HEADER = 100_000_000  # bytes
LARGEST_SIDE, MOST_AXES = 2**40, 32  # of an array


def find_weights(folder: Path) -> list[Path]:
    """Returns the files of a folder that hold its published weights.

    Raises:
        CaptionerError: There are none.
        FileError: The index of the parts is damaged.
    """
    folder = Path(folder)
    for name in (SAFE, TORCH):
        index = folder / f"{name}.index.json"
        paths = _parts(index) if index.is_file() else [folder / name]
        if paths and all(path.is_file() for path in paths):
            return paths
    raise CaptionerError(
        f"{folder} has no weights: expected {SAFE} or {TORCH}, whole or in the parts "
        "that NAME.index.json lists."
    )


def read_arrays(
    folder: Path, unused: Callable[[str], bool] = lambda name: False
) -> Mapping[str, np.ndarray]:
    """Reads the published weights of a folder by name.

    Args:
        folder: With the files.
        unused: Tells names that nobody has a use for; their numbers may be anything.

    Raises:
        CaptionerError: There are none, the file is damaged, or numbers are NaN,
            infinite or too large for float32.
    """
    arrays = {}
    for path in find_weights(folder):
        read = read_safetensors if path.suffix == ".safetensors" else read_torch_file
        found = read(path)
        if twice := sorted(arrays.keys() & found.keys()):
            raise CaptionerError(
                f"{path} is damaged: the array {shortened(twice[0])} is in another "
                "file too. Get both again."
            )
        for name, array in found.items():
            if not (unused(name) or _is_finite(array)):
                raise CaptionerError(
                    f"{path} is damaged: the array {shortened(name)} holds numbers "
                    "that are NaN, infinite or too large for float32. Get it again."
                )
        arrays |= found
    return arrays


def _is_finite(array: np.ndarray) -> bool:
    if array.dtype.kind != "f" or not array.size:
        return True
    largest = np.finfo("float32").max
    return bool(-largest <= array.min() and array.max() <= largest)


def _parts(index: Path) -> list[Path]:
    """Returns the files that an index names, which lie beside it."""
    found = read_json(index, INDEX, AGAIN)["weight_map"].values()
    return [index.parent / Path(name).name for name in sorted(set(found))]


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Reads a .safetensors file: the length of a JSON header, the header, the arrays.

    Raises:
        CaptionerError: The file is damaged; says which array.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, LONGEST_HEADER):
            raise CaptionerError(
                f"{path} is damaged: its header has {length} bytes, the file {size}."
            )
        content = file.read(length)
    num_bytes = size - 8 - length
    try:
        header = table(record({}))(parse_json(content))
        header.pop("__metadata__", None)
        entries = table(_entry(num_bytes))(header)
        _check_offsets(entries, num_bytes)
    except (ValueError, RecursionError) as error:
        raise CaptionerError(
            f"{path} is damaged: its header: {str(error).removeprefix(': ')}. {AGAIN}"
        ) from None
    data = np.memmap(path, "uint8", "r", offset=8 + length) if num_bytes else b""
    return {name: _array(entry, data) for name, entry in entries.items()}


def _entry(num_bytes: int) -> Callable:
    """Returns the check of an array's entry in a header."""
    place = whole(0, num_bytes)
    check = record(
        {
            "dtype": one_of(*DTYPES),
            "shape": items(whole(0, LARGEST_SIDE), most=MOST_AXES),
            "data_offsets": items(place, 2, 2),
        }
    )

    def check_all(value: object) -> dict:
        entry = check(value)
        start, end = entry["data_offsets"]
        expected = math.prod(entry["shape"]) * np.dtype(DTYPES[entry["dtype"]]).itemsize
        if end - start != expected:
            raise ValueError(
                f" of the shape {shortened(entry['shape'])} has {expected:,} bytes; "
                f"received those from {start:,} to {end:,}"
            )
        return entry

    return check_all


def _check_offsets(entries: Mapping[str, Mapping], num_bytes: int) -> None:
    """Refuses arrays that overlap or leave bytes out."""
    before = 0
    for name, entry in sorted(
        entries.items(), key=lambda item: item[1]["data_offsets"]
    ):
        start, end = entry["data_offsets"]
        if start != before:
            raise ValueError(
                f"the array {shortened(name)} begins at byte {start:,}; expected "
                f"{before:,}, where the one before it ends"
            )
        before = end
    if before != num_bytes:
        raise ValueError(f"its arrays have {before:,} bytes, the file {num_bytes:,}")


def _array(entry: Mapping, data) -> np.ndarray:
    start, end = entry["data_offsets"]
    found = np.frombuffer(data[start:end], DTYPES[entry["dtype"]])
    if entry["dtype"] == "BF16":
        found = widen(found)
    return found.reshape(entry["shape"])
