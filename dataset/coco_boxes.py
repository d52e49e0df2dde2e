"""The objects of MSCOCO, from its own files and from that of the paper's authors.

Crowds (iscrowd) are objects like the others: a word that names their category names
their box and, where it is scored by exact pixels, their run lengths.
"""

import contextlib
import functools
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

from dataset.coordinates import Annotated
from dataset.ids import image_key
from dataset.masks import read_outline
from dataset.problems import (
    DatasetError,
    list_of,
    read_json,
    refuse_entries,
    warn_skipped,
)
from dataset.records import Box, ObjectBox, RunLengths, share_of_image
from files.values import items, text

BOXES = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
ENTITIES_FROM = "https://github.com/SunJiamei/LRP-ImageCaptioning (its README)"
Found = dict[str, Annotated]


def read_instances(
    path: Path,
    wanted: set[str] | None,
    get: str = BOXES,
    key_of: Callable[[object], str] = image_key,
) -> Found:
    """Reads instances_*.json.

    Boxes that cannot be used are left out, and a warning names them: boxes without
    area, outside their image, of no category. So are segmentations; their objects keep
    their boxes.

    Args:
        path: The file.
        wanted: Image ids; others are left out. None for all images.
        get: Where to get the file, or what is expected of it.
        key_of: Brings image ids to one spelling; raises a ValueError for what is none.

    Returns:
        What the file says of each image that it knows.

    Raises:
        DatasetError: The file is missing or damaged, or no box can be used.
    """
    pack = functools.partial(_pack_outline, wanted, key_of)
    content = read_json(path, get, pack)
    faults: list[str] = []
    categories = _read_categories(list_of(content, "categories", path), faults)
    images = list_of(content, "images", path)
    found = _read_images(images, wanted, key_of, faults)
    for number, entry in enumerate(list_of(content, "annotations", path)):
        try:
            image = found.get(key_of(entry["image_id"]))
            if image is None:
                continue
            phrases, size = _category_of(entry, categories), (image.width, image.height)
            box = share_of_image(_edges(entry["bbox"]), *size)
            outline = _outline_of(entry, size, _name_of(entry, number), faults)
            image.objects.append(ObjectBox(phrases, box, outline))
        except (KeyError, TypeError, ValueError) as error:
            faults.append(f"{_name_of(entry, number)}: {_reason(error)}")
    _report(path, faults, found, BOXES)
    return found


def _report(path: Path, faults: list[str], found: Found, get: str) -> None:
    """Names what cannot be used; refuses the file if that is everything."""
    if faults and not any(entry.objects for entry in found.values()):
        refuse_entries(path, faults, f"get it again: {get}")
    warn_skipped(path, faults)


def _outline_of(
    entry: dict, size: tuple[float, float], name: str, faults: list[str]
) -> RunLengths | None:
    """Returns an annotation's exact pixels, or adds a fault."""
    segmentation = entry.get("segmentation")
    if segmentation is None or segmentation == []:
        return None
    try:
        return read_outline(segmentation, *size)
    except ValueError as error:
        faults.append(f"{name}: {error}; its box is kept")
        return None


def read_val_entities(path: Path, wanted: set[str]) -> Found:
    """Reads the boxes that the paper's authors published of val2017.

    Boxes that cannot be used are left out; see `read_instances`.

    Args:
        path: COCOvalEntities.json: {file name: {shape: [width, height], bbox:
            {category id: [[xmin, ymin, xmax, ymax], ...]}, categories: {name: id}}}.
        wanted: Image ids; others are left out.

    Raises:
        DatasetError: The file is missing or damaged, or no box can be used.
    """
    content = read_json(path, ENTITIES_FROM)
    found, faults = {}, []
    try:
        for name, entry in content.items():
            if image_key(name) in wanted:
                found[image_key(name)] = _read_entry(name, entry, faults)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DatasetError(
            f"{path} is damaged ({error!r}); get it again: {ENTITIES_FROM}."
        ) from error
    _report(path, faults, found, ENTITIES_FROM)
    return found


def _read_entry(name: str, entry: dict, faults: list[str]) -> Annotated:
    width, height = entry["shape"]
    boxes_of, objects = entry["bbox"], []
    for category, id_ in entry["categories"].items():
        if not isinstance(boxes_of.get(id_), list):
            faults.append(f"{name}: no boxes of the category {category!r}")
            continue
        for edges in boxes_of[id_]:
            try:
                box = share_of_image(edges, width, height)
            except (TypeError, ValueError) as error:
                faults.append(f"{name}, {category}: {error}")
            else:
                objects.append(ObjectBox((category.lower(),), box))
    return Annotated(width, height, objects)


def _pack_outline(
    wanted: set[str] | None, key_of: Callable[[object], str], entry: dict
) -> dict:
    """Makes polygons, nine tenths of the file, small; drops those of other images."""
    if "segmentation" not in entry:
        return entry
    with contextlib.suppress(ValueError):
        if wanted is not None and key_of(entry.get("image_id")) not in wanted:
            del entry["segmentation"]
        elif isinstance(entry["segmentation"], list):
            entry["segmentation"] = [_pack(part) for part in entry["segmentation"]]
    return entry


def _pack(polygon: object) -> object:
    """Turns a list of numbers into an array; leaves anything else as it is."""
    is_list = isinstance(polygon, list)
    with contextlib.suppress(OverflowError):
        if is_list and all(type(number) in (int, float) for number in polygon):
            return array("d", polygon)
    return polygon


def _read_categories(entries: Sequence, faults: list[str]) -> dict[object, tuple]:
    """Returns what the categories are called by their ids: names, then synonyms."""
    names: dict[object, tuple[str, ...]] = {}
    for number, entry in enumerate(entries):
        try:
            texts = [entry["name"], *items(text)(entry.get("synonyms", []))]
            id_, known = entry["id"], tuple(dict.fromkeys(t.lower() for t in texts))
            if names.setdefault(id_, known) != known:
                faults.append(f"category {id_} twice: {names[id_][0]}, {known[0]}")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            faults.append(f"category {number}: {_reason(error)}")
    return names


def _read_images(
    entries: Sequence,
    wanted: set[str] | None,
    key_of: Callable[[object], str],
    faults: list[str],
) -> Found:
    """Returns the sizes of the wanted images, still without objects."""
    found: Found = {}
    for number, entry in enumerate(entries):
        try:
            key, name = key_of(entry["id"]), entry.get("file_name")
            image = Annotated(entry["width"], entry["height"], [], name)
        except (KeyError, TypeError, ValueError) as error:
            faults.append(f"image {number}: {_reason(error)}")
            continue
        if (wanted is None or key in wanted) and found.setdefault(key, image) != image:
            faults.append(f"image {key} twice: {_shown(found[key])}, {_shown(image)}")
    return found


def _shown(image: Annotated) -> str:
    return f"{image.name} of {image.width}x{image.height} pixels"


def _category_of(entry: dict, categories: dict[object, tuple]) -> tuple[str, ...]:
    id_ = entry["category_id"]
    if isinstance(id_, bool) or id_ not in categories:
        raise ValueError(f"unknown category {id_!r}")
    return categories[id_]


def _edges(box: Sequence[float]) -> Box:
    """Turns a box from COCO's corner and size into its edges, in pixels."""
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"the box {str(box)[:60]} is not [x, y, width, height]")
    (x, y), (width, height) = box[:2], box[2:]
    return Box(x, y, x + width, y + height)


def _name_of(entry: object, number: int) -> str:
    """Names an annotation by its id, or by its place where it has none."""
    if not isinstance(entry, dict):
        return f"annotation number {number}"
    name = f"annotation {str(entry['id'])[:60]}" if "id" in entry else ""
    name = name or f"annotation number {number}"
    return f"{name} of image {str(entry.get('image_id'))[:60]}"


def _reason(error: Exception) -> str:
    return f"lacks {error}" if isinstance(error, KeyError) else str(error)
