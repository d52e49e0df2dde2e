"""What every reader hands over: images with captions and objects with boxes."""

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
