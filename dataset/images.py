"""Photographs of any kind, refused with a reason when they cannot be used."""

import contextlib
import io
import logging
import struct
import warnings
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from dataset.addresses import AddressError, fetch, is_address
from dataset.image_metadata import without_metadata
from dataset.image_values import Stored, ValuesError, draw_array, to_rgb
from files.messages import shortened

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
Content = Path | bytes | Image.Image  # what pixels are read from


class ImageError(ValueError):
    """An image that cannot be read; the message names it and the reason."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """An image as a viewer shows it, in its own size.

    Attributes:
        name: What messages call it: its file, its address or its kind.
        picture: Upright, RGB, 8 bits.
    """

    name: str
    picture: Image.Image

    @cached_property
    def pixels(self) -> np.ndarray:
        """The pixels, uint8 RGB (H, W, 3)."""
        return np.asarray(self.picture)


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


def open_image(image) -> Photograph:
    """Reads an image of any kind; every image that is captioned passes through here.

    Args:
        image: One of these.

            - a file in one of FORMATS, its path a `str` or a `Path`;
            - the bytes of such a file;
            - an address that begins with http:// or https://, as a `str`: it is
              fetched, within the bounds of `dataset.addresses`;
            - an image of Pillow;
            - an array or a tensor of any library, see `draw_array`;
            - a Photograph, which is returned.

            The orientation tag is followed, and what is transparent is laid on white.
            Values of more than 8 bits are scaled by their range, see `to_bytes`.

    Raises:
        ImageError: The image is missing, empty, truncated, of no known kind, has more
            than MAX_PIXELS pixels, or values that are not finite or of unknown range;
            or the address gives none.
    """
    if isinstance(image, Photograph):
        return image
    if isinstance(image, str) and is_address(image):
        with _naming(image):
            content = fetch(image)
        return _draw(image, content)
    if isinstance(image, (str, Path)):
        path = Path(image)
        check_file(path)
        return _draw(str(path), path)
    if isinstance(image, (bytes, bytearray, memoryview)):
        if not len(image):
            raise ImageError("The bytes of the image are empty.")
        return _draw("the bytes given", bytes(image))
    if isinstance(image, Image.Image):
        return _draw(f"the picture of {image.width}x{image.height} pixels", image)
    return _draw_array(image)


def load_image(
    image,
    size: int | tuple[int, int] = IMAGE_SIZE,
    resize: Callable[[Image.Image], Image.Image] | None = None,
) -> np.ndarray:
    """Reads a photograph and resizes it plainly, as the paper does.

    Args:
        image: See `open_image`.
        size: Height and width of the result in pixels; one number for both.
        resize: Resizes the upright RGB picture in another way; `size` then says
            nothing.

    Returns:
        uint8 RGB pixels (H, W, 3).

    Raises:
        ImageError: See `open_image`; or `resize` refuses the picture.
    """
    photograph = open_image(image)
    if resize is None:
        height, width = (size, size) if isinstance(size, int) else size
        how = {"size": (width, height), "resample": Image.Resampling.BILINEAR}
        resize = partial(Image.Image.resize, **how)
    with _naming(photograph.name):
        return np.asarray(resize(photograph.picture))


def split_images(images) -> list:
    """Returns the images in a list of them, in a batch (B, H, W, C), or a single one.

    Args:
        images: Of kinds that `open_image` takes; None for none.
    """
    kinds = (str, Path, bytes, bytearray, memoryview, Image.Image, Photograph)
    if isinstance(images, kinds) or getattr(images, "ndim", 4) < 4:
        return [images]
    return [] if images is None else list(images)


def check_file(path: Path) -> None:
    """Refuses what is no file with something in it.

    Raises:
        ImageError: What it is instead.
    """
    if not path.is_file():
        reason = "does not exist"
        if path.exists():
            reason = "is a folder" if path.is_dir() else "is a pipe or a device"
        raise ImageError(f"{path}: the file {reason}; expected an image file.")
    if path.stat().st_size == 0:
        raise ImageError(f"{path}: the file is empty; expected an image file.")


def _draw(name: str, content: Content) -> Photograph:
    with _naming(name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own size warning: checked below
        return Photograph(name, _read(content, _to_pixels))


def _draw_array(values) -> Photograph:
    """Takes what can be made an array; refuses everything else."""
    if not hasattr(values, "shape") or not hasattr(values, "dtype"):
        raise ImageError(
            "An image must be a file, its bytes, an address (http://...), an image of "
            f"Pillow, an array or a tensor; received {shortened(values)}."
        )
    name = f"the array {tuple(values.shape)} of {values.dtype}"
    with _naming(name):
        picture = draw_array(values)
    return _draw(name, picture)


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turns what is wrong with an image into an error that names it."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not an image that Pillow can read as one of {', '.join(FORMATS)}."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: {_too_large('far too many')}") from error
    except ValuesError as error:
        raise ImageError(f"{name}: the image cannot be shown: {error}") from error
    except (ImageError, AddressError) as error:
        raise ImageError(f"{name}: {error}") from error
    except DAMAGE as error:
        reason = " ".join(str(error).split())
        raise ImageError(f"{name}: the image is damaged ({reason}).") from error


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


def _read(content: Content, read: Callable[[Image.Image], Result]) -> Result:
    """Reads an opened image; a second time without its metadata if they are broken."""
    if isinstance(content, Image.Image):
        return read(content)
    try:
        # Of a path Pillow 13 maps the file, and scrambles TIFF with swapped sides.
        with _file(content) as file, Image.open(file, formats=tuple(FORMATS)) as image:
            return read(image)
    except (ValuesError, ImageError, Image.DecompressionBombError):
        raise
    except DAMAGE:
        try:
            with _file(content) as file:
                bare = io.BytesIO(without_metadata(file.read()))
            with Image.open(bare, formats=tuple(FORMATS)) as image:
                image.load_end = lambda: None  # TIFF reads its other tags there
                return read(image)
        except DAMAGE:
            pass  # the first reason is the one to tell
        raise


def _file(content: Path | bytes) -> BinaryIO:
    return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)


def _to_pixels(image: Image.Image) -> Image.Image:
    _check_size(image.size)
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


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(f"{width}x{height}"))


def _too_large(received: str) -> str:
    return (
        f"the image has {received} pixels; at most {MAX_PIXELS:,} are read. "
        "Scale it down first."
    )
