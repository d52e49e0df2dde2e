"""Boxes and photographs in one system of coordinates: that of the upright photograph.

Boxes count in the pixels of the photograph that was annotated. Another size alone means
that it was resized since. Whether it was turned is told by the orientation tag and by
which side is the longer one.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from dataset.images import Frame, read_frame
from dataset.masks import compress, decompress
from dataset.problems import warn_skipped
from dataset.records import Box, CaptionedImage, ObjectBox

TURNED = {  # where a point (x, y) lies after a turn that swaps the sides
    Image.Transpose.TRANSPOSE: lambda x, y: (y, x),
    Image.Transpose.ROTATE_270: lambda x, y: (1 - y, x),  # clockwise
    Image.Transpose.TRANSVERSE: lambda x, y: (1 - y, 1 - x),
    Image.Transpose.ROTATE_90: lambda x, y: (y, 1 - x),
}


class Annotated(NamedTuple):
    """What a file says of one photograph.

    Attributes:
        width: Of the photograph as it was annotated, in pixels.
        height: Of the photograph as it was annotated, in pixels.
        objects: Their boxes are shares of these sides.
        name: Of the photograph's file, where the file says it.
    """

    width: float
    height: float
    objects: Sequence[ObjectBox]
    name: str | None = None


def place_objects(
    source: Path, images: Iterable[CaptionedImage], annotated: Mapping[str, Annotated]
) -> list[CaptionedImage]:
    """Gives images their objects, in the coordinates of the upright photograph.

    Where these are not certain the objects have no box, and a warning names the image:
    its captions still have objects, but no score of places counts it.

    Args:
        source: The file or folder of the boxes.
        images: The images.
        annotated: What the source says of them, by id; nothing of some.
    """
    placed, faults = [], []
    for image in images:
        found = annotated.get(image.image_id)
        objects = found.objects if found else ()
        try:
            turn = find_turn(found, read_frame(image.path)) if objects else None
            objects = [_turn(object_, turn) for object_ in objects]
        except ValueError as error:
            faults.append(f"the boxes of {image.path.name}: {error}")
            objects = [ObjectBox(object_.phrases, None) for object_ in objects]
        placed.append(dataclasses.replace(image, objects=tuple(objects)))
    warn_skipped(source, faults)
    return placed


def find_turn(annotated: Annotated, frame: Frame | None) -> Image.Transpose | None:
    """Returns what turns boxes as the photograph is turned; None: nothing does.

    Args:
        annotated: The size that the boxes count in.
        frame: How the photograph is stored; of one that cannot be read, None.

    Raises:
        ValueError: The photograph was turned, or its tag asks to turn it, and it is
            not certain whether the boxes were as well.
    """
    if frame is None:
        return None
    width, height, turn = frame
    shapes = np.sign(annotated.width - annotated.height), np.sign(width - height)
    is_turned = shapes[0] * shapes[1] < 0
    if turn is None and not is_turned:
        return None
    if turn in TURNED and all(shapes):
        return None if is_turned else turn
    sizes = (
        f"the photograph has {width}x{height} pixels, the boxes are of "
        f"{annotated.width}x{annotated.height}"
    )
    if turn is None:
        raise ValueError(f"{sizes}: it was turned, and nothing says which way")
    raise ValueError(
        f"its orientation tag asks for {turn.name.lower()}; {sizes}: nothing says "
        "whether they were drawn before or after that"
    )


def _turn(object_: ObjectBox, turn: Image.Transpose | None) -> ObjectBox:
    """Turns an object's box and outline."""
    if turn is None:
        return object_
    outline = object_.outline
    if outline is not None:
        mask = Image.fromarray(decompress(outline))
        outline = compress(np.asarray(mask.transpose(turn)))
    return ObjectBox(object_.phrases, turn_box(object_.box, turn), outline)


def turn_box(box: Box, turn: Image.Transpose) -> Box:
    """Returns a box after one of the turns in TURNED."""
    one, other = (TURNED[turn](*point) for point in (box[:2], box[2:]))
    return Box(*np.minimum(one, other).tolist(), *np.maximum(one, other).tolist())
