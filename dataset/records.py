"""What every reader hands over: images with captions and objects with boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ObjectBox:
    """One object of an image.

    Attributes:
        phrases: The words that name it, lower case: a category or linked phrases.
        box: (xmin, ymin, xmax, ymax) as shares of the image's width and height.
    """

    phrases: tuple[str, ...]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class CaptionedImage:
    """One photograph with its reference captions and, where known, its objects."""

    image_id: str
    path: Path
    captions: tuple[str, ...]
    objects: tuple[ObjectBox, ...] = ()


def share_of_image(
    edges: Sequence[float], width: float, height: float
) -> tuple[float, float, float, float]:
    """Turns the edges of a box from pixels into shares of the image.

    Args:
        edges: xmin, ymin, xmax, ymax; what lies outside the image is cut.
        width: Of the image, in pixels.
        height: Of the image, in pixels.

    Raises:
        ValueError: Nothing of the box lies in the image.
    """
    sizes = (width, height, width, height)
    shares = [min(max(e / s, 0.0), 1.0) for e, s in zip(edges, sizes, strict=True)]
    xmin, ymin, xmax, ymax = shares
    if not (xmin < xmax and ymin < ymax):
        raise ValueError(
            f"the box {list(edges)} has no area in an image of {width}x{height} pixels"
        )
    return xmin, ymin, xmax, ymax
