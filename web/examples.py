"""The example images of the project, for who has no photograph at hand."""

from collections.abc import Callable
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image

import example_images.__main__ as photographs

SCENES = Path(photographs.__file__).parent
SCENES_CAPTIONER = "scenes-adaptive-attention"


class Example(NamedTuple):
    """An image that the page offers.

    Attributes:
        name: Of the image.
        media_type: Of its file.
        captioner: The shipped one that describes images of its kind; "" for any.
        read: Returns the bytes of its file.
    """

    name: str
    media_type: str
    captioner: str
    read: Callable[[], bytes]


def list_examples() -> dict[str, Example]:
    """Returns the photographs and the rendered scenes by name."""
    found = [
        Example(name, "image/jpeg", "", partial(_jpeg, read))
        for folder in photographs.PHOTOGRAPHS.values()
        for name, read in folder.items()
    ]
    found += [
        Example(path.stem, "image/png", SCENES_CAPTIONER, path.read_bytes)
        for path in sorted(SCENES.glob("*.png"))
    ]
    return {example.name: example for example in found}


@cache
def _jpeg(read: Callable) -> bytes:
    file = BytesIO()
    Image.fromarray(read()).convert("RGB").save(file, format="JPEG", quality=92)
    return file.getvalue()
