"""Pixels of any kind as a viewer shows them: 8 bits, RGB, on white paper."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

DEPTHS = (8, 10, 12, 14, 16, 24, 31, 32)  # bits that whole numbers come in
SIGNED_DEPTHS = (8, 10, 12, 14, 15)  # of 16 bits, one of which is a sign
_UNIT, _BYTE, _WORD = 1.01, 255.5, 65535.5  # the largest values of fractions, bytes...
_DARKEST = 32  # below, a picture of bytes would be black
_DARK_BITS = 16  # of 16 bits, the upper 8 of 12 are below
_MOST_BANDS = 4  # red, green, blue, alpha
_SCALES = {"L;2": 85, "L;4": 17}  # grey of few bits is spread over a byte
# Tags of TIFF.
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_SAMPLE_FORMAT, _SIGNED = 339, 2


class ValuesError(ValueError):
    """Pixels whose meaning is not known; the message names them."""


class Stored(NamedTuple):
    """How a file keeps its pixels; known before they are read."""

    raw_mode: str
    is_signed: bool
    white_is_zero: bool

    @classmethod
    def of(cls, image: Image.Image) -> "Stored":
        """Returns what an opened file says."""
        tiles = getattr(image, "tile", None)  # none of a picture that was made
        tile = tiles[0][3] if tiles else ""
        raw_mode = tile[0] if isinstance(tile, tuple) and tile else tile
        tags = getattr(image, "tag_v2", {})
        return cls(
            raw_mode if isinstance(raw_mode, str) else "",
            _SIGNED in np.atleast_1d(tags.get(_SAMPLE_FORMAT, 1)),
            tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
        )


def to_rgb(image: Image.Image, stored: Stored) -> Image.Image:
    """Returns 8 bit RGB; what is transparent is laid on white.

    Raises:
        ValuesError: The values are not finite, negative, or of an unknown range.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey_to_rgb(image, stored)
    if stored.is_signed:
        raise ValuesError("its bytes have a sign. Save it with 8 bits without one.")
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    if image.mode == "La":
        image = image.convert("LA")
    _refuse_dark(image, stored)
    if not image.has_transparency_data:
        try:
            return image.convert("RGB")
        except ValueError as error:
            raise ValuesError(
                f"its pixels are of kind {image.mode}, which cannot be shown as RGB."
            ) from error
    if image.mode in ("1", "L", "RGB"):
        return _without_colour(image, stored)
    pixels = np.asarray(image.convert("RGBA")).astype(np.uint16)  # (H, W, 4)
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    on_white = (colours * alpha + 255 * (255 - alpha) + 127) // 255
    return Image.fromarray(on_white.astype(np.uint8))


def draw_array(values) -> Image.Image:
    """Returns the picture of an array or a tensor, grey or RGB, with alpha or without.

    Args:
        values: (H, W), or (H, W, C) with C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4
            (RGB, alpha); (C, H, W) if the last axis cannot be the colours. The range
            is found by `to_bytes`: bytes are taken as they are, fractions in [0, 1]
            as shares of white. Truth is white.

    Raises:
        ValuesError: The shape or the numbers are those of no picture.
    """
    values = _as_numbers(values)
    if values.ndim == 3 and values.shape[2] > _MOST_BANDS >= values.shape[0]:
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    is_picture = values.ndim == 2 or (
        values.ndim == 3 and 2 <= values.shape[2] <= _MOST_BANDS
    )
    if not is_picture or not values.size:
        raise ValuesError(
            "its shape is that of no picture. Give (H, W), or (H, W, C) with 1 to 4 "
            "channels; of a batch, one image."
        )
    levels = values if values.dtype == np.uint8 else to_bytes(values)
    return Image.fromarray(np.ascontiguousarray(levels))


def _as_numbers(values) -> np.ndarray:
    """Returns real numbers of a type that numpy computes with."""
    if hasattr(values, "detach"):  # a tensor that records, or lies on another device
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    try:
        found = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValuesError("it has no values that can be read.") from error
    if found.dtype.kind == "b":
        return found * np.uint8(255)
    if found.dtype.kind == "V" and found.dtype.names is None:  # bfloat16
        found = found.astype("float32")
    if found.dtype.kind not in "uif":
        raise ValuesError(f"its values are no real numbers ({found.dtype}).")
    return found


def _grey_to_rgb(image: Image.Image, stored: Stored) -> Image.Image:
    values = np.asarray(image)
    if not stored.is_signed and values.dtype == np.int32:
        values = values.view(np.uint32)
    is_short = stored.is_signed and ";16" in stored.raw_mode
    levels = to_bytes(values, SIGNED_DEPTHS if is_short else DEPTHS)
    levels = 255 - levels if stored.white_is_zero else levels
    clear = values == image.info.get("transparency", -1)
    return Image.fromarray(np.where(clear, 255, levels).astype(np.uint8)).convert("RGB")


def to_bytes(values: np.ndarray, depths: Sequence[int] = DEPTHS) -> np.ndarray:
    """Scales grey values to [0, 255] by the range that they come in.

    Whole numbers are of the fewest bits that hold them; fractions are in
    [0, 1], in [0, 255] or in [0, 65535].

    Args:
        values: Real numbers of any shape.
        depths: The numbers of bits that whole numbers may be of.

    Returns:
        uint8 of that shape.
    """
    if not np.isfinite(values).all():
        raise ValuesError("it has values that are not finite (NaN or infinity).")
    least, largest = values.min(), values.max()
    if least < 0 and not (values.dtype.kind == "f" and least >= 1 - _UNIT):
        raise ValuesError(f"it has negative values (down to {least:g}).")
    if values.dtype.kind == "f":
        return _fractions_to_bytes(values, float(largest))
    bits = next(bits for bits in depths if largest < 2**bits)
    return (values.astype(np.uint64) * 255 // (2**bits - 1)).astype(np.uint8)


def _fractions_to_bytes(values: np.ndarray, largest: float) -> np.ndarray:
    if _UNIT < largest < _DARKEST or largest > _WORD:
        raise ValuesError(
            f"its values reach {largest:g}; expected fractions in [0, 1], or values in "
            "[0, 255] or [0, 65535]. Save it with 8 bits."
        )
    unit = 1.0 if largest <= _UNIT else 255.0 if largest <= _BYTE else 65535.0
    return np.clip(np.rint(values * (255.0 / unit)), 0, 255).astype(np.uint8)


def _refuse_dark(image: Image.Image, stored: Stored) -> None:
    """Refuses colours of 16 bits whose upper 8, which alone are read, hold nothing."""
    if ";16" not in stored.raw_mode or image.mode not in ("LA", "RGB", "RGBA", "RGBX"):
        return
    colours = [band for band in image.getbands() if band not in "AX"]
    if max(image.getchannel(band).getextrema()[1] for band in colours) < _DARK_BITS:
        raise ValuesError(
            "its 16 bits hold values of 12 bits or fewer, or it is black. Scale its "
            "values up, or save it with 8 bits."
        )


def _without_colour(image: Image.Image, stored: Stored) -> Image.Image:
    """Lays a picture on white that has one transparent colour."""
    colour = np.atleast_1d(image.info["transparency"])
    if ";16" in stored.raw_mode:
        colour = colour >> 8
    colour = colour * _SCALES.get(stored.raw_mode, 1)
    pixels = np.asarray(image.convert("RGB"))  # (H, W, 3)
    clear = (pixels == colour).all(axis=-1, keepdims=True)
    return Image.fromarray(np.where(clear, 255, pixels).astype(np.uint8))
