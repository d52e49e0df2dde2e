"""Photographs from disk, refused with a reason when they cannot be used."""

import io
import logging
import struct
import warnings
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

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


class ImageError(ValueError):
    """An image file that cannot be read; the message names the file and the reason."""


def load_image(
    path: str | Path,
    size: int = IMAGE_SIZE,
    resize: Callable[[Image.Image], Image.Image] | None = None,
) -> np.ndarray:
    """Reads a photograph and resizes it plainly, as the paper does.

    Args:
        path: A file in one of FORMATS. Its orientation tag is followed, and what is
            transparent is laid on white. Grey of more than 8 bits is scaled by its
            range.
        size: Height and width of the result in pixels.
        resize: Resizes the upright RGB picture in another way; `size` then says
            nothing.

    Returns:
        uint8 RGB pixels (size, size, 3), or of the other way's size.

    Raises:
        ImageError: The file is missing, empty, truncated, no image, has more than
            MAX_PIXELS pixels, or values that are not finite or of unknown range.
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "does not exist"
        raise ImageError(f"{path}: the file {reason}; expected an image file.")
    if path.stat().st_size == 0:
        raise ImageError(f"{path}: the file is empty; expected an image file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning: checked below
            pixels = _read_pixels(path)
            if resize is not None:
                return np.asarray(resize(pixels))
            return np.asarray(pixels.resize((size, size), Image.Resampling.BILINEAR))
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


def _read_pixels(path: Path) -> Image.Image:
    """Reads a file as RGB; a second time without its metadata if they are broken."""
    try:
        return _decode(path, path)
    except (ValuesError, ImageError, Image.DecompressionBombError):
        raise
    except DAMAGE:
        try:
            content = without_metadata(path.read_bytes())
            return _decode(io.BytesIO(content), path, is_bare=True)
        except DAMAGE:
            pass  # the first reason is the one to tell
        raise


def _decode(
    source: Path | io.BytesIO, path: Path, is_bare: bool = False
) -> Image.Image:
    with Image.open(source, formats=tuple(FORMATS)) as image:
        _check_size(path, image.size)
        stored = Stored.of(image)
        if is_bare:  # TIFF reads its other tags there
            image.load_end = lambda: None
        return to_rgb(_turn_upright(image), stored)


def _turn_upright(image: Image.Image) -> Image.Image:
    image.load()  # some formats are turned by this already, and lose the tag
    try:
        turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
    except DAMAGE:  # of the tags, which no pixel needs
        turn = None
    return image if turn is None else image.transpose(turn)


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{path}: {_too_large(f'{width}x{height}')}")


def _too_large(received: str) -> str:
    return (
        f"the image has {received} pixels; at most {MAX_PIXELS:,} are read. "
        "Scale it down first."
    )
