"""From a photograph to a published captioner's input: its preprocessor_config.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.images import ImageError
from files.messages import shortened
from files.reading import read_json
from models.published.settings import AGAIN, PROCESSOR
from models.run_files import CaptionerError

FILE = "preprocessor_config.json"
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_CLIP_COLOURS = {"resample": 3, "image_mean": CLIP_MEAN, "image_std": CLIP_DEVIATION}
NARROWEST = 50  # times as long as wide
_HALF = (0.5, 0.5, 0.5)
PROCESSORS = {  # what a file leaves out, by the kind of processor that it names
    "Blip": {"size": {"height": 384, "width": 384}, **_CLIP_COLOURS},
    "CLIP": {
        "size": {"shortest_edge": 224},
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        **_CLIP_COLOURS,
    },
    "ViT": {
        "size": {"height": 224, "width": 224},
        "resample": 2,
        "image_mean": _HALF,
        "image_std": _HALF,
    },
}


@dataclass(frozen=True)
class Preprocessing:
    """How a photograph becomes the encoder's input.

        resize, cut out the middle, (pixels * scale - mean) / deviation

    Attributes:
        size: Height and width in pixels; one number for the shortest edge, which
            keeps the photograph's shape.
        resample: The filter, Pillow's number.
        crop: Height and width of what is cut out of the middle; None for all.
        scale: On pixels in [0, 255].
        mean: Of each colour.
        deviation: Of each colour.
    """

    size: tuple[int, int] | int
    resample: int
    crop: tuple[int, int] | None
    scale: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def resize(self, image: Image.Image) -> Image.Image:
        """Resizes a picture; nothing is cut off.

        Raises:
            ImageError: It is far too narrow to keep its shape.
        """
        if isinstance(self.size, int):
            width, height = image.size
            short, long = sorted(image.size)
            if long > NARROWEST * short:
                raise ImageError(
                    f"a photo of {width}x{height} pixels is too narrow; one side may "
                    f"be {NARROWEST} times the other at most. Cut it."
                )
            other = int(self.size * long / short)
            size = (self.size, other) if width <= height else (other, self.size)
        else:
            size = self.size[::-1]
        return image.resize(size, Image.Resampling(self.resample))

    def window(self, photo: np.ndarray) -> tuple[slice, slice]:
        """Returns the rows and columns of a resized photo that are seen."""
        if self.crop is None:
            return slice(None), slice(None)
        starts = [(o - c) // 2 for o, c in zip(photo.shape, self.crop, strict=False)]
        return tuple(slice(s, s + c) for s, c in zip(starts, self.crop, strict=True))

    def apply(self, photo: np.ndarray) -> np.ndarray:
        """Turns a resized photo, uint8 RGB (H, W, 3), into the input, float32."""
        seen = photo[self.window(photo)].astype("float32") * np.float32(self.scale)
        mean, deviation = (np.float32(v) for v in (self.mean, self.deviation))
        return (seen - mean) / deviation


def read_preprocessing(folder: Path, image_size: int, kind: str) -> Preprocessing:
    """Reads a folder's file, in its earlier or its present form.

    Args:
        folder: With `FILE`.
        image_size: Height and width of the encoder's input.
        kind: A key of PROCESSORS, where the file names none.

    Raises:
        CaptionerError: The file does not fit the encoder.
        FileError: It is missing or damaged.
    """
    path = Path(folder) / FILE
    settings = read_json(path, PROCESSOR, AGAIN)
    try:
        found = _read(settings, kind)
    except ValueError as error:
        raise CaptionerError(
            f"{path} does not say how photographs are prepared: {error}."
        ) from error
    shape = found.crop or found.size
    whole = (image_size, image_size)
    is_cut = isinstance(found.size, int) and found.crop and found.size < image_size
    if shape != whole or is_cut:
        raise CaptionerError(
            f"{path} prepares photographs of {shape} pixels; the encoder of "
            f"config.json reads {whole}."
        )
    return found


def _read(settings: Mapping, kind: str) -> Preprocessing:
    named = settings.get("image_processor_type", settings.get("feature_extractor_type"))
    if named is not None:
        known = [key for key in PROCESSORS if named.startswith(key)]
        if not known:
            raise ValueError(
                f"it names {shortened(named)}; known are processors of "
                f"{', '.join(PROCESSORS)}"
            )
        kind = known[0]
    given = {name: value for name, value in settings.items() if value is not None}
    settings = PROCESSORS[kind] | given
    if not settings.get("do_resize", True):
        raise ValueError("do_resize is false, so that photographs keep any size")
    normalized = settings.get("do_normalize", True)
    factor = settings.get("rescale_factor", 1 / 255)
    return Preprocessing(
        _size(settings["size"], kind),
        settings["resample"],
        _shape(settings["crop_size"]) if settings.get("do_center_crop") else None,
        float(factor) if settings.get("do_rescale", True) else 1.0,
        _colours(settings["image_mean"]) if normalized else (0.0, 0.0, 0.0),
        _colours(settings["image_std"]) if normalized else (1.0, 1.0, 1.0),
    )


def _size(size, kind: str) -> tuple[int, int] | int:
    if isinstance(size, Mapping):
        return size["shortest_edge"] if "shortest_edge" in size else _shape(size)
    return size if kind == "CLIP" else _shape(size)


def _shape(size) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return size["height"], size["width"]
    return size, size


def _colours(values) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
