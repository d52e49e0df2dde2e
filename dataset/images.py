"""Photographs from disk, refused with a reason when they cannot be used."""

import io
import logging
import struct
import warnings
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from dataset.image_metadata import without_metadata
from dataset.image_values import Stored, ValuesError, to_rgb

IMAGE_SIZE = 224
MAX_PIXELS = 100_000_000
DAMAGE = (
    *(OSError, SyntaxError, ValueError, RuntimeError, TypeError, struct.error),
    *(LookupError, EOFError, AttributeError, ArithmeticError, AssertionError),
    zlib.error,
)
UPRIGHT = {  # what undoes each value of the orientation tag
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FORMATS: dict[str, tuple[str, ...]] = {  # Pillow's names; none runs another program
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
IMAGE_SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
FEW = 3  # names that a message lists
Result = TypeVar("Result")


class ImageError(ValueError):
    """An image file that cannot be read; the message names the file and the reason."""


class Frame(NamedTuple):
    """How a file keeps a photograph.

    Attributes:
        width: Of the stored pixels.
        height: Of the stored pixels.
        turn: What the orientation tag asks a viewer to do; None: nothing.
    """

    width: int
    height: int
    turn: Image.Transpose | None


def load_image(
    path: str | Path,
    size: int | tuple[int, int] = IMAGE_SIZE,
    resize: Callable[[Image.Image], Image.Image] | None = None,
) -> np.ndarray:
    """Reads a photograph and resizes it plainly, as the paper does.

    Args:
        path: A file in one of FORMATS. Its orientation tag is followed, and what is
            transparent is laid on white. Grey of more than 8 bits is scaled by its
            range.
        size: Height and width of the result in pixels; one number for both.
        resize: Resizes the upright RGB picture in another way; `size` then says
            nothing.

    Returns:
        uint8 RGB pixels (H, W, 3).

    Raises:
        ImageError: The file is missing, empty, truncated, no image, has more than
            MAX_PIXELS pixels, or values that are not finite or of unknown range.
    """
    path = Path(path)
    height, width = (size, size) if isinstance(size, int) else size
    if not path.is_file():
        reason = "does not exist"
        if path.exists():
            reason = "is a folder" if path.is_dir() else "is a pipe or a device"
        raise ImageError(f"{path}: the file {reason}; expected an image file.")
    if path.stat().st_size == 0:
        raise ImageError(f"{path}: the file is empty; expected an image file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning: checked below
            pixels = _read(path, lambda image: _to_pixels(path, image))
            if resize is not None:
                return _resized(path, pixels, resize)
            return np.asarray(pixels.resize((width, height), Image.Resampling.BILINEAR))
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path}: not an image that Pillow can read as one of {', '.join(FORMATS)}."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: {_too_large('far too many')}") from error
    except ValuesError as error:
        raise ImageError(f"{path}: the image cannot be shown: {error}") from error
    except ImageError:
        raise
    except DAMAGE as error:
        reason = " ".join(str(error).split())
        raise ImageError(f"{path}: the image is damaged ({reason}).") from error


def _resized(path: Path, pixels: Image.Image, resize: Callable) -> np.ndarray:
    """Resizes; names the file where that is refused."""
    try:
        return np.asarray(resize(pixels))
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def read_frame(path: str | Path) -> Frame | None:
    """Returns how a file keeps its photograph; None if it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(Path(path), _frame_of)
    except (*DAMAGE, Image.DecompressionBombError):
        return None


def list_images(folder: str | Path) -> list[Path]:
    """Returns the image files of a folder by name.

    Subfolders, hidden files and files of other kinds are left out; the log says so.

    Raises:
        ImageError: The folder holds no image.
    """
    folder = Path(folder)
    images, others = [], defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            others["hidden files"].append(path.name)
        elif path.is_dir():
            others["subfolders"].append(path.name)
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            others["other files"].append(path.name)
        else:
            images.append(path)
    listed = (f"{kind} ({_listed(names)})" for kind, names in others.items())
    left_out = ", ".join(listed)
    if not images:
        rest = f" It has {left_out}. Name a folder of images." if left_out else ""
        raise ImageError(
            f"{folder}: the folder holds no image ({', '.join(IMAGE_SUFFIXES)}).{rest}"
        )
    if left_out:
        logging.info("%s: left out are %s.", folder, left_out)
    return images


def _listed(names: list[str]) -> str:
    """Names the first few."""
    more = f" and {len(names) - FEW} more" if names[FEW:] else ""
    return ", ".join(names[:FEW]) + more


def _read(path: Path, read: Callable[[Image.Image], Result]) -> Result:
    """Reads an opened file; a second time without its metadata if they are broken."""
    try:
        # Of a path Pillow 13 maps the file, and scrambles TIFF with swapped sides.
        with path.open("rb") as file, Image.open(file, formats=tuple(FORMATS)) as image:
            return read(image)
    except (ValuesError, ImageError, Image.DecompressionBombError):
        raise
    except DAMAGE:
        try:
            content = io.BytesIO(without_metadata(path.read_bytes()))
            with Image.open(content, formats=tuple(FORMATS)) as image:
                image.load_end = lambda: None  # TIFF reads its other tags there
                return read(image)
        except DAMAGE:
            pass  # the first reason is the one to tell
        raise


def _to_pixels(path: Path, image: Image.Image) -> Image.Image:
    _check_size(path, image.size)
    stored = Stored.of(image)
    image.load()  # some formats are turned by this already, and lose the tag
    turn = _turn_of(image)
    return to_rgb(image if turn is None else image.transpose(turn), stored)


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    """Returns what the orientation tag asks for, if there is one to be read."""
    try:
        return UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
    except DAMAGE:  # of the tags, which no pixel needs
        return None


def _frame_of(image: Image.Image) -> Frame:
    tags = getattr(image, "tag_v2", {})  # of TIFF, whose size is that after turning
    width = tags.get(ExifTags.Base.ImageWidth, image.width)
    return Frame(
        width, tags.get(ExifTags.Base.ImageLength, image.height), _turn_of(image)
    )


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{path}: {_too_large(f'{width}x{height}')}")


def _too_large(received: str) -> str:
    return (
        f"the image has {received} pixels; at most {MAX_PIXELS:,} are read. "
        "Scale it down first."
    )
