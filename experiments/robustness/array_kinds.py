"""Weights as others publish them: safetensors, and the zip of PyTorch."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np

from experiments.robustness.kinds import REFUSED, Edit, Kind, put
from experiments.robustness.mutations import change, wrong_value
from models.published.array_files import read_arrays

ARRAYS = {
    "a": np.arange(6, dtype="float32").reshape(2, 3) / 7,
    "b": np.array([4, -1, 9], "int64"),
    "c": np.array([[0.5], [-0.25]], "float16"),
}
TYPES = {"float32": "F32", "int64": "I64", "float16": "F16"}


def listed(arrays: dict[str, np.ndarray]) -> dict[str, tuple]:
    """Returns shapes and numbers, comparable by `==`."""
    return {name: (one.shape, one.ravel().tolist()) for name, one in arrays.items()}


def read_weights(folder: Path) -> dict[str, tuple]:
    """Reads the arrays of a folder."""
    return listed(read_arrays(folder))


def is_finite(found: dict) -> bool:
    """Whether all numbers are."""
    return all(np.isfinite(numbers).all() for _, numbers in found.values())


def safe(arrays: dict[str, np.ndarray]) -> tuple[dict, bytes]:
    """Returns the header and the numbers of a file of safetensors."""
    header, content = {}, b""
    for name, array in arrays.items():
        raw = array.tobytes()
        header[name] = {
            "dtype": TYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(content), len(content) + len(raw)],
        }
        content += raw
    return header, content


def pack(header: object, content: bytes, length: int | None = None) -> bytes:
    """Returns a file of safetensors."""
    text = json.dumps(header).encode()
    length = len(text) if length is None else length
    return length.to_bytes(8, "little") + text + content


def unpack(packed: bytes) -> tuple[dict, bytes]:
    """Returns the header and the numbers, which the edits work on."""
    end = 8 + int.from_bytes(packed[:8], "little")
    return json.loads(packed[8:end]), packed[end:]


def header_edit(names: str, *more: object) -> Edit:
    """Puts a wrong value in a place of the header."""

    def edit(content: tuple, generator: np.random.Generator) -> tuple[bytes, object]:
        value = wrong_value(generator)
        if more and generator.random() < 0.6:
            value = more[generator.integers(0, len(more))]
        header, _ = change(content[0], names, lambda _: value, generator)
        return pack(header, content[1]), REFUSED

    return edit


def _other_length(content: tuple, generator) -> tuple[bytes, object]:
    length = (0, 1, 10**6, 2**63, 2**64 - 1)[generator.integers(5)]
    return pack(*content, length), REFUSED


def _overlapping(content: tuple, generator) -> tuple[bytes, object]:
    step = int(generator.choice([-24, -8, -1, 1, 8]))
    offsets = [24 + step, 48 + step]
    header = content[0] | {"b": content[0]["b"] | {"data_offsets": offsets}}
    return pack(header, content[1]), REFUSED


def _other_size(content: tuple, generator) -> tuple[bytes, object]:
    more = content[1] + bytes(4) if generator.random() < 0.5 else content[1][:-1]
    return pack(content[0], more), REFUSED


def changed(generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns arrays of other numbers."""
    return ARRAYS | {"a": generator.standard_normal((3, 2)).astype("float32")}


def not_finite(generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns arrays of which a number is NaN or infinite."""
    name = ("a", "c")[generator.integers(2)]
    array = ARRAYS[name].copy()
    value = (np.nan, np.inf, -np.inf)[generator.integers(3)]
    array.flat[generator.integers(array.size)] = value
    return ARRAYS | {name: array}


def _safe_changed(content: tuple, generator) -> tuple[bytes, object]:
    arrays = changed(generator)
    return pack(*safe(arrays)), listed(arrays)


def _noted(content: tuple, generator) -> tuple[bytes, object]:
    return pack({"__metadata__": {"format": "pt"}} | content[0], content[1]), listed(
        ARRAYS
    )


SAFETENSORS = Kind(
    "safetensors",
    "model.safetensors",
    lambda folder: put(folder, "model.safetensors", pack(*safe(ARRAYS))),
    read_weights,
    is_finite,
    unpack,
    (
        header_edit("*", "x", 3),
        header_edit("*.dtype", "F31", "F64", 4),
        header_edit("a.shape", [2, 4], [2.0, 3], [-2, -3], [2**40, 2**40], "23"),
        header_edit("*.data_offsets", [0, 1, 2], [24, 0], [0, 10**12], [-24, 0]),
        lambda content, g: (pack(*safe(not_finite(g))), REFUSED),
        _other_length,
        _overlapping,
        _other_size,
        _safe_changed,
        _noted,
    ),
)

# PyTorch

STORAGES = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}
REBUILD = "torch._utils\n_rebuild_tensor_v2"


def _text(text: str) -> bytes:
    return b"X" + len(text.encode()).to_bytes(4, "little") + text.encode()


def _whole(number: int) -> bytes:
    return b"J" + number.to_bytes(4, "little", signed=True)


def _tuple(parts: list[bytes]) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def tensor(key: str, array: np.ndarray, **other) -> bytes:
    """Returns the opcodes of one tensor.

    Args:
        key: Of its storage.
        array: Its numbers.
        **other: What it declares instead: count, offset, shape, strides, type, call.
    """
    strides = [step // array.itemsize for step in array.strides]
    said = {"count": array.size, "offset": 0, "shape": array.shape, "strides": strides}
    said |= {"type": STORAGES[array.dtype.name], "call": REBUILD} | other
    place = [_text("storage"), f"ctorch\n{said['type']}\n".encode(), _text(key)]
    storage = _tuple([*place, _text("cpu"), _whole(said["count"])]) + b"Q"
    shape, steps = (_tuple([_whole(n) for n in said[k]]) for k in ("shape", "strides"))
    rest = [_whole(said["offset"]), shape, steps, b"\x89", b"ccollections\nOrderedDict"]
    rest[-1] += b"\n)R"
    return f"c{said['call']}\n".encode() + _tuple([storage, *rest]) + b"R"


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Returns a zip of entries."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name}", content)
    return packed.getvalue()


def torch_file(arrays: dict[str, np.ndarray], extra: bytes = b"", **others) -> bytes:
    """Returns what PyTorch writes of arrays; `others` belong to the first tensor."""
    return zipped(entries_of(arrays, extra, **others))


def entries_of(arrays: dict, extra: bytes = b"", **others) -> dict[str, bytes]:
    """Returns the entries of its zip."""
    items = [
        _text(name) + tensor(name, array, **({} if number else others))
        for number, (name, array) in enumerate(arrays.items())
    ]
    content = b"\x80\x02ccollections\nOrderedDict\n)R("
    content += b"".join(items) + b"u" + extra + b"."
    raw = {f"data/{name}": array.tobytes() for name, array in arrays.items()}
    return {"data.pkl": content, "byteorder": b"little"} | raw


HOSTILE = (
    {"call": "posix\nsystem"},
    {"call": "torch._utils\n_rebuild_other"},
    {"type": "OtherStorage"},
    {"count": 7},
    {"count": 5},
    {"count": -1},
    {"offset": 1},
    {"offset": -1},
    {"shape": (2, 4)},
    {"shape": (2**30, 2**30), "strides": (0, 0)},
    {"shape": (-2, 3)},
    {"strides": (3, -1)},
    {"strides": (3, 2)},
    {"shape": (2,)},
)
OPCODES = (
    b"cposix\nsystem\n(X\x04\x00\x00\x00trueturR",
    b"r\xff\xff\xff\xee",  # an object numbered so high that the table has gigabytes
    b"(iposix\nsystem\n",
    b"\x8d" + bytes(7) + b"\x7f",  # a text of exabytes
    b"\x82\x01",
    b"(" * 1000,
)


def _hostile(content, generator) -> tuple[bytes, object]:
    return torch_file(ARRAYS, **HOSTILE[generator.integers(len(HOSTILE))]), REFUSED


def _opcodes(content, generator) -> tuple[bytes, object]:
    return torch_file(ARRAYS, OPCODES[generator.integers(len(OPCODES))]), REFUSED


def _entries(content, generator) -> tuple[bytes, object]:
    entries = entries_of(ARRAYS)
    kind = generator.integers(5)
    if kind == 0:
        return zipped(entries | {"data/x": bytes(10**6)}, zipfile.ZIP_DEFLATED), REFUSED
    if kind == 1:
        del entries["data/b"]
    elif kind == 2:
        entries["data/b"] = entries["data/b"][:-8]
    elif kind == 3:
        entries["byteorder"] = b"big"
    else:
        entries["data.pkl"] = pickle.dumps({"a": [wrong_value(generator)]})
    return zipped(entries), REFUSED


def _torch_changed(content, generator) -> tuple[bytes, object]:
    arrays = changed(generator)
    return torch_file(arrays), listed(arrays)


def _turned(content, generator) -> tuple[bytes, object]:
    right = listed(ARRAYS | {"a": ARRAYS["a"].reshape(3, 2).T[:, :2]})
    return torch_file(ARRAYS, shape=(2, 2), strides=(1, 2)), right


def _with_attributes(content, generator) -> tuple[bytes, object]:
    state = b"}" + _text("items") + _whole(3) + b"sb"
    return torch_file(ARRAYS, state), listed(ARRAYS)


TORCH = Kind(
    "pytorch_model.bin",
    "pytorch_model.bin",
    lambda folder: put(folder, "pytorch_model.bin", torch_file(ARRAYS)),
    read_weights,
    is_finite,
    bytes,
    (
        *(_hostile, _opcodes, _entries),
        lambda content, g: (torch_file(not_finite(g)), REFUSED),
        *(_torch_changed, _turned, _with_attributes),
    ),
)

KINDS = (SAFETENSORS, TORCH)
