"""Weights as they are published, read with numpy; nothing in a file is executed."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.published.torch_file import read_torch_file
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


def read_arrays(folder: Path) -> Mapping[str, np.ndarray]:
    """Reads the published weights of a folder by name.

    Raises:
        CaptionerError: There are none, or the file is damaged.
    """
    folder = Path(folder)
    for name in (SAFE, TORCH):
        index = folder / f"{name}.index.json"
        paths = _parts(index) if index.is_file() else [folder / name]
        if all(path.is_file() for path in paths):
            read = read_safetensors if name == SAFE else read_torch_file
            arrays = {}
            for path in paths:
                arrays |= read(path)
            return arrays
    raise CaptionerError(
        f"{folder} has no weights: expected {SAFE} or {TORCH}, whole or in the parts "
        "that NAME.index.json lists."
    )


def _parts(index: Path) -> list[Path]:
    """Returns the files that an index names, which lie beside it."""
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [index.parent / Path(name).name for name in sorted(set(names))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CaptionerError(
            f"{index} lists no files of weights: {error!r}."
        ) from error


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Reads a .safetensors file: the length of a JSON header, the header, the arrays.

    Raises:
        CaptionerError: The file is damaged; says which array.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = path.stat().st_size
        if not 2 <= length <= min(size - 8, LONGEST_HEADER):
            raise CaptionerError(
                f"{path} is damaged: its header has {length} bytes, the file {size}."
            )
        try:
            header = dict(json.loads(file.read(length).decode("utf-8")))
        except (ValueError, TypeError, RecursionError) as error:
            raise CaptionerError(
                f"{path} is damaged: its header is no JSON ({error})."
            ) from error
    header.pop("__metadata__", None)
    data = (
        np.memmap(path, "uint8", "r", offset=8 + length) if size > 8 + length else b""
    )
    return {name: _array(path, name, entry, data) for name, entry in header.items()}


def _array(path: Path, name: str, entry: dict, data) -> np.ndarray:
    try:
        dtype = np.dtype(DTYPES[entry["dtype"]])
        shape = tuple(int(length) for length in entry["shape"])
        start, end = (int(offset) for offset in entry["data_offsets"])
        count = int(np.prod(shape, dtype=object)) if shape else 1
        fits = 0 <= start <= end <= len(data) and min((0, *shape)) == 0
        if not fits or end - start != count * dtype.itemsize:
            raise ValueError(f"shape {shape} at bytes {start} to {end}")
    except (KeyError, TypeError, ValueError) as error:
        raise CaptionerError(
            f"{path} is damaged: the array {name!r} cannot be read ({error!r})."
        ) from error
    found = np.frombuffer(data[start:end], dtype).reshape(shape)
    if entry["dtype"] == "BF16":
        return (found.astype("uint32") << 16).view("float32")
    return found
