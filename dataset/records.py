"""What a dataset is, and what its reader hands over: images, captions and boxes."""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from config import Config


class Box(NamedTuple):
    """The edges of a rectangle; y grows downwards."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


class RunLengths(NamedTuple):
    """The exact pixels of an object, compressed as `pycocotools.mask` does it."""

    height: int
    width: int
    counts: bytes


@dataclass(frozen=True)
class ObjectBox:
    """One object of an image.

    Attributes:
        phrases: The words that name it, lower case: a category or linked phrases.
        box: Its edges as shares of the image's width and height; None where it is not
            known where in the image the object is.
        outline: Its exact pixels, where the file of the boxes has them.
    """

    phrases: tuple[str, ...]
    box: Box | None
    outline: RunLengths | None = None


@dataclass(frozen=True)
class CaptionedImage:
    """One photograph with its reference captions and, where known, its objects."""

    image_id: str
    path: Path
    captions: tuple[str, ...]
    objects: tuple[ObjectBox, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where to get what of a dataset."""

    images: str
    captions: str
    lists: str
    boxes: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """All that is to be known of one dataset; it stands beside its reader.

    Attributes:
        name: As the command line and `Config.dataset` have it.
        read: (folder, split, with_objects=False) -> the images of the split, with
            their boxes if asked for.
        source: Where its files are published.
        preset: The settings of a captioner that is trained on it.
        frequent_words: The object words that captioners often predict on it; none
            where they are not known.
        object_names: What its captions call each object, divided by commas, besides
            the object's own name.
        has_numbered_ids: Whether results name images by numbers, as COCO's tools do.
        boxes_repeat_captions: Whether boxes name just what the captions name: to CHAIR
            they add nothing.
        captions_tell_sides: Whether captions say left and right. Mirrored photographs
            would make them false.

    Raises:
        ValueError: The preset is that of another dataset.
    """

    name: str
    read: Callable[..., list[CaptionedImage]]
    source: Source
    preset: Config
    frequent_words: tuple[str, ...]
    object_names: Mapping[str, str]
    has_numbered_ids: bool = False
    boxes_repeat_captions: bool = False
    captions_tell_sides: bool = False

    def __post_init__(self):
        if self.preset.dataset != self.name:
            raise ValueError(
                f"The preset of {self.name} must have dataset={self.name!r}; received "
                f"{self.preset.dataset!r}."
            )


def _is_finite(number: object) -> bool:
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        return False
    return -1e18 < number < 1e18 and math.isfinite(number)


def share_of_image(edges: Sequence[float], width: float, height: float) -> Box:
    """Turns the edges of a box from pixels into shares of the image.

    Args:
        edges: xmin, ymin, xmax, ymax; what lies outside the image is cut.
        width: Of the image, in pixels.
        height: Of the image, in pixels.

    Raises:
        ValueError: Nothing of the box lies in the image, or something is no finite
            number.
    """
    if isinstance(edges, str) or len(edges) != len(Box._fields):
        raise ValueError(f"the box {str(edges)[:60]} does not have four edges")
    for number in (*edges, width, height):
        if not _is_finite(number):
            raise ValueError(
                f"{str(number)[:60]!r} of the box {str(list(edges))[:60]} in an image "
                f"of {str(width)[:20]}x{str(height)[:20]} pixels is no finite number"
            )
    if width <= 0 or height <= 0:
        raise ValueError(f"an image of {width}x{height} pixels has no area")
    sizes = (width, height, width, height)
    shares = (min(max(e / s, 0.0), 1.0) for e, s in zip(edges, sizes, strict=True))
    box = Box(*shares)
    if not (box.xmin < box.xmax and box.ymin < box.ymax):
        raise ValueError(
            f"the box {list(edges)} has no area in an image of {width}x{height} pixels"
        )
    return box
