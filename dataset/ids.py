"""Ids of images, as numbers or texts, brought to one spelling."""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from dataset.images import IMAGE_SUFFIXES
from files.messages import shortened

_FOLDERS = re.compile(r".*[/\\]", re.DOTALL)
_COCO_NAME = re.compile(r"COCO_[a-z]+\d{4}_(?=\d{12}$)")
Value = TypeVar("Value")


def image_key(value: object) -> str:
    """Returns an image's id without folder, image suffix and padding.

    391895, "391895", "000000391895.jpg" and "val2017/000000391895.jpg" are one image.

    Raises:
        ValueError: The id is no whole number and no text.
    """
    if type(value) is int:
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str) or not value.strip():
        raise ValueError(
            f"an image id must be a whole number or a text; received {shortened(value)}"
        )
    name = _COCO_NAME.sub("", without_suffix(_FOLDERS.sub("", value.strip())))
    is_number = name.isascii() and name.isdigit()
    return name.lstrip("0") or "0" if is_number else name


def image_number(value: object) -> int:
    """Returns the number that an image's id is; see `image_key`."""
    key = image_key(value)
    if not (key.isascii() and key.isdigit()):
        raise ValueError(f"an image id must be a number; received {shortened(value)}")
    return int(key)


def without_suffix(name: str) -> str:
    """Returns the name of a file without the suffix of an image."""
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else name


def key_function(ids: Iterable[str]) -> Callable[[object], str]:
    """Returns `image_key`, or `str` for images that differ in padding or suffix."""
    ids = list(ids)
    return image_key if len({image_key(id_) for id_ in ids}) == len(ids) else str


def by_key(
    entries: Iterable[tuple[object, Value]], key: Callable[[object], str]
) -> dict[str, Value]:
    """Returns values by the keys of their images.

    Raises:
        ValueError: An id is none, or several entries are of one image.
    """
    found, twice = {}, []
    for id_, value in entries:
        if key(id_) in found:
            twice.append(key(id_))
        found[key(id_)] = value
    if twice:
        raise ValueError(
            f"{len(twice)} images are there more than once, such as {twice[0][:60]}"
        )
    return found
