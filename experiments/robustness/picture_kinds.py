"""Photographs and rendered scenes."""

import io
import json
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.images import load_image
from dataset.masks import masks_of
from dataset.scenes import write_scenes
from dataset.scenes.scenes import read_scenes
from experiments.robustness.box_kinds import are_boxes
from experiments.robustness.kinds import (
    REFUSED,
    Kind,
    missing,
    put,
    wrong,
)

# Photographs


def png(pixels: np.ndarray, **options) -> bytes:
    """Returns a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


PIXELS = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype="uint8")
PHOTO = png(PIXELS)


def shown(pixels: np.ndarray) -> bytes:
    """Returns what is right of pixels: resized plainly."""
    image = Image.fromarray(pixels).resize((224, 224), Image.Resampling.BILINEAR)
    return np.asarray(image).tobytes()


def chunk(kind: bytes, content: bytes, check: int = 0) -> bytes:
    """Returns a chunk of PNG; `check` spoils its checksum."""
    crc = zlib.crc32(kind + content) ^ check
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def _sized(content: bytes, generator) -> tuple[bytes, object]:
    size = struct.pack(">II", *(int(n) for n in generator.integers(30, 2**31, 2)))
    head = size + content[24:29]
    return content[:8] + chunk(b"IHDR", head) + content[33:], REFUSED


def _transparent(content: bytes, generator) -> tuple[bytes, object]:
    alpha = generator.integers(0, 2, PIXELS.shape[:2], dtype="uint8") * 255
    right = np.where(alpha[..., None] > 0, PIXELS, 255).astype("uint8")
    return png(np.dstack([PIXELS, alpha])), shown(right)


def _grey(content: bytes, generator) -> tuple[bytes, object]:
    grey = generator.integers(0, 256, PIXELS.shape[:2], dtype="uint8")
    return png(grey), shown(np.dstack([grey] * 3))


def _bad_note(content: bytes, generator) -> tuple[bytes, object]:
    note = chunk(b"tEXt", generator.bytes(20), check=1)
    return content[:33] + note + content[33:], shown(PIXELS)


def _turned(content: bytes, generator) -> tuple[bytes, object]:
    tag = int(generator.integers(1, 9))
    right = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.swapaxes(0, 1),
        6: np.rot90(PIXELS, -1),
        7: np.rot90(PIXELS, 2).swapaxes(0, 1),
        8: np.rot90(PIXELS, 1),
    }[tag]
    exif = Image.Exif()
    exif[274] = tag
    return png(PIXELS, exif=exif), shown(np.ascontiguousarray(right))


def _other_program(content: bytes, generator) -> tuple[bytes, object]:
    texts = (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        b"%PDF-1.4\n",
    )
    return texts[generator.integers(0, 2)] + generator.bytes(50), REFUSED


IMAGE = Kind(
    "photograph",
    "a.png",
    lambda folder: put(folder, "a.png", PHOTO),
    lambda folder: load_image(folder / "a.png").tobytes(),
    lambda found: len(found) == 224 * 224 * 3,
    bytes,
    (_sized, _transparent, _grey, _bad_note, _turned, _other_program),
)

# Scenes

_SCENES: dict[str, bytes] = {}


def write_scene_files(folder: Path) -> None:
    """Writes one rendered scene; it is rendered once."""
    if not _SCENES:
        with tempfile.TemporaryDirectory() as other:
            rendered = write_scenes(Path(other) / "scenes", {"dev": 1})
            files = [path for path in rendered.rglob("*") if path.is_file()]
            _SCENES["files"] = {
                path.relative_to(rendered).as_posix(): path.read_bytes()
                for path in files
            }
    for name, content in _SCENES["files"].items():
        put(folder, name, content)


def read_scene(folder: Path) -> tuple:
    """Reads objects and masks."""
    (image,) = read_scenes(folder, "dev", with_objects=True)
    boxes = [(one.phrases, tuple(one.box)) for one in image.objects]
    return boxes, [mask.shape for mask in masks_of(image.objects)]


def _is_scene(found: tuple) -> bool:
    boxes, shapes = found
    return are_boxes({"": [(p[0], b) for p, b in boxes]}) and len(shapes) == len(boxes)


def _mask(make):
    def edit(content: bytes, generator) -> tuple[bytes, object]:
        indices = np.asarray(Image.open(io.BytesIO(content)))
        return make(indices), REFUSED

    return edit


SCENE = "objects/dev_000000"
SCENE_FILE = Kind(
    "scene file",
    f"{SCENE}.json",
    write_scene_files,
    read_scene,
    _is_scene,
    json.loads,
    (
        wrong("objects"),
        wrong("objects.*"),
        wrong("objects.*.box", REFUSED, [0.5, 0.5, 0.4, 0.9], [0, 0, 1]),
        wrong("objects.*.kind", REFUSED, ""),
        wrong("objects.*.colour", REFUSED, " "),
        missing("objects.*.size"),
        missing("objects.*.box"),
        missing("objects"),
    ),
    share=0.5,
)
SCENE_MASK = Kind(
    "scene mask",
    f"{SCENE}.png",
    write_scene_files,
    read_scene,
    _is_scene,
    bytes,
    (
        _mask(lambda indices: png(indices)),
        _mask(lambda indices: png(np.dstack([indices] * 3))),
        _mask(lambda indices: png(indices[:-1])),
    ),
    share=0.3,
)

KINDS = (IMAGE, SCENE_FILE, SCENE_MASK)
