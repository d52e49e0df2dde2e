"""Exact pixels of objects: polygons and run lengths, as MSCOCO has them."""

from array import array
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from dataset.images import MAX_PIXELS
from dataset.records import ObjectBox, RunLengths

POINTS = 3  # of a polygon, at least
# Compressed counts: characters of five bits each, lowest first.
_ZERO, _LARGEST, _GOES_ON, _NEGATIVE, _BITS = 48, 63, 32, 16, 5


def read_outline(segmentation: object, width: float, height: float) -> RunLengths:
    """Turns what an annotation has as `segmentation` into run lengths.

    Args:
        segmentation: Polygons [[x, y, x, y, ...], ...] in pixels, or run lengths
            {"size": [height, width], "counts": ...}, compressed or not. What lies
            outside the image is cut.
        width: Of the image, in pixels.
        height: Of the image, in pixels.

    Raises:
        ValueError: The segmentation cannot be used.
    """
    if not (width % 1 == height % 1 == 0 and width * height <= MAX_PIXELS):
        raise ValueError(
            f"a mask of {width}x{height} pixels; expected whole numbers and at most "
            f"{MAX_PIXELS:,} pixels"
        )
    size = int(height), int(width)
    if isinstance(segmentation, dict):
        found = _of_counts(segmentation, size)
    elif isinstance(segmentation, list) and segmentation:
        for polygon in segmentation:
            _check_polygon(polygon, size)
        polygons = [np.asarray(polygon, "float64") for polygon in segmentation]
        found = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
    else:
        raise ValueError(f"the segmentation {str(segmentation)[:60]} is no outline")
    if not coco_mask.area(found):
        raise ValueError("the segmentation covers no pixel")
    return RunLengths(*size, found["counts"])


def _check_polygon(polygon: object, size: tuple[int, int]) -> None:
    """Refuses what is no polygon, or lies farther outside than the image is large."""
    is_list = isinstance(polygon, list | array)
    if not is_list or len(polygon) < 2 * POINTS or len(polygon) % 2:
        shown = str(list(polygon) if is_list else polygon)[:60]
        raise ValueError(f"the polygon {shown} is not [x, y, x, y, x, y, ...]")
    for place, number in enumerate(polygon):
        side = size[1 - place % 2]
        if type(number) not in (int, float) or not -side <= number <= 2 * side:
            raise ValueError(
                f"{str(number)[:60]!r} of a polygon is no place in an image of "
                f"{size[1]}x{size[0]} pixels"
            )


def _of_counts(segmentation: dict, size: tuple[int, int]) -> dict:
    given, counts = segmentation.get("size"), segmentation.get("counts")
    if given != list(size):
        raise ValueError(
            f"its run lengths are of the size {str(given)[:60]}; the image's height "
            f"and width are {list(size)}"
        )
    lengths = _lengths_of(counts) if isinstance(counts, str) else counts
    is_list = isinstance(lengths, list)
    if not is_list or not all(type(n) is int and n >= 0 for n in lengths):
        raise ValueError(f"the run lengths {str(counts)[:60]!r} are no whole numbers")
    if sum(lengths) != size[0] * size[1]:
        raise ValueError(
            f"its run lengths have {sum(lengths)} pixels, the image has "
            f"{size[0] * size[1]}"
        )
    return coco_mask.frPyObjects([{"size": given, "counts": lengths}], *size)[0]


def _lengths_of(text: str) -> list[int] | None:
    """Returns the run lengths of a compressed text; None if it is none.

    From the third on, each is kept as its difference to the last but one.
    """
    lengths: list[int] = []
    value = shift = 0
    for code in map(ord, text):
        bits = code - _ZERO
        if not 0 <= bits <= _LARGEST or shift > 2 * _GOES_ON:
            return None
        value |= (bits & (_GOES_ON - 1)) << shift
        shift += _BITS
        if bits & _GOES_ON:
            continue
        value -= (1 << shift) if bits & _NEGATIVE else 0
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    return None if shift else lengths


def compress(mask: np.ndarray) -> RunLengths:
    """Turns pixels, bool (H, W), into run lengths."""
    found = coco_mask.encode(np.asfortranarray(mask, "uint8"))
    return RunLengths(*mask.shape, found["counts"])


def decompress(outline: RunLengths) -> np.ndarray:
    """Returns the pixels of an outline, bool (H, W)."""
    size = [outline.height, outline.width]
    return coco_mask.decode({"size": size, "counts": outline.counts}).astype(bool)


def masks_of(objects: Sequence[ObjectBox]) -> list[np.ndarray | None]:
    """Returns the exact pixels of objects, or None where only the box is known."""
    outlines = (object_.outline for object_ in objects)
    return [None if outline is None else decompress(outline) for outline in outlines]
