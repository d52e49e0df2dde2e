"""Captions in the form of MSCOCO: a list of images, and one of annotations."""

import collections
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple

from dataset.ids import image_number
from dataset.problems import list_of, name_fault, read_json, refuse_entries
from dataset.splits import SPLITS, split_of
from dataset.words import compose
from files.messages import shortened
from files.values import filled, image_id


class CocoCaptions(NamedTuple):
    """What a file says of images, by their ids.

    Attributes:
        names: Their file names.
        captions: All of each.
        splits: Of the images that have a `split`, which MSCOCO's own have not.
    """

    names: dict[Hashable, str]
    captions: dict[Hashable, list[str]]
    splits: dict[Hashable, str]


def exact_id(value: object) -> str:
    """Returns an id as a text: 7 and "7" are one image, "7.jpg" is another."""
    return str(image_id(value))


def read_captions(
    path: Path, get: str, id_of: Callable[[object], Hashable] = image_number
) -> CocoCaptions:
    """Reads the images by `id` with their `file_name`, `split` and annotations.

    Args:
        path: The file.
        get: Where to get it, or what is expected of it.
        id_of: What is the id of a value; raises a ValueError if it is none.

    Raises:
        DatasetError: The file is missing or damaged; all faults are listed.
    """
    content = read_json(path, get)
    found = CocoCaptions({}, collections.defaultdict(list), {})
    problems: list[str] = []
    for number, image in enumerate(list_of(content, "images", path)):
        try:
            faults = _add_image(found, image, id_of)
        except (KeyError, TypeError, ValueError):
            faults = [str(image)[:60]]
        problems += [f"image {number}: {fault}" for fault in faults]
    for number, entry in enumerate(list_of(content, "annotations", path)):
        try:
            id_, caption = id_of(entry["image_id"]), compose(entry["caption"].strip())
        except (KeyError, TypeError, AttributeError, ValueError):
            problems.append(f"annotation {number}: {str(entry)[:60]}")
            continue
        if not caption or id_ not in found.names:
            what = "of no image" if caption else "empty"
            problems.append(f"annotation {number}: {what}: {str(entry)[:60]}")
        found.captions[id_].append(caption)
    lacking = (name for id_, name in found.names.items() if not found.captions[id_])
    problems += [f"{name}: no caption" for name in lacking]
    if not found.names and not problems:
        problems.append("no images")
    refuse_entries(path, problems, f"get it again: {get}")
    return found._replace(captions=dict(found.captions))


def _add_image(found: CocoCaptions, image: dict, id_of: Callable) -> list[str]:
    """Adds an image; returns what is wrong with it."""
    id_, name, faults = id_of(image["id"]), filled(image["file_name"]), []
    if found.names.setdefault(id_, name) != name:
        faults.append(f"id {id_} twice: {found.names[id_]}, {name}")
    if fault := name_fault(name):
        faults.append(f"{shortened(name)} {fault}")
    if "split" in image:
        split = split_of(filled(image["split"]))
        if split is None:
            received = shortened(image["split"])
            faults.append(f"the split {received} is none of {', '.join(SPLITS)}")
        else:
            found.splits[id_] = split
    return faults
