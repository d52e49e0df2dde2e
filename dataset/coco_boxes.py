"""The boxes of MSCOCO, from its own files and from that of the paper's authors."""

from collections.abc import Sequence
from pathlib import Path

from dataset.ids import image_key
from dataset.problems import (
    DatasetError,
    list_of,
    read_json,
    refuse_entries,
    warn_skipped,
)
from dataset.records import Box, ObjectBox, share_of_image

BOXES = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
ENTITIES_FROM = "https://github.com/SunJiamei/LRP-ImageCaptioning (its README)"
Objects = dict[str, list[ObjectBox]]


def read_instances(path: Path, wanted: set[str]) -> Objects:
    """Reads instances_*.json without its outlines.

    Boxes that cannot be used are left out, and a warning names them: boxes without
    area, outside their image, of no category.

    Args:
        path: The file.
        wanted: Image ids; others are left out.

    Returns:
        The boxes of each image that the file knows, crowds among them.

    Raises:
        DatasetError: The file is missing or damaged, or no box can be used.
    """
    content = read_json(path, BOXES, _without_outline)
    faults: list[str] = []
    categories = _read_categories(list_of(content, "categories", path), faults)
    sizes = _read_sizes(list_of(content, "images", path), wanted, faults)
    objects: Objects = {key: [] for key in sizes}
    for number, entry in enumerate(list_of(content, "annotations", path)):
        try:
            key = image_key(entry["image_id"])
            if key in objects:
                phrases = (_category_of(entry, categories),)
                box = share_of_image(_edges(entry["bbox"]), *sizes[key])
                objects[key].append(ObjectBox(phrases, box))
        except (KeyError, TypeError, ValueError) as error:
            faults.append(f"{_name_of(entry, number)}: {_reason(error)}")
    if faults and not any(objects.values()):
        refuse_entries(path, faults, f"get it again: {BOXES}")
    warn_skipped(path, faults)
    return objects


def read_val_entities(path: Path, wanted: set[str]) -> Objects:
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
    objects, faults = {}, []
    try:
        for name, entry in content.items():
            if image_key(name) in wanted:
                objects[image_key(name)] = _read_entry(name, entry, faults)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DatasetError(
            f"{path} is damaged ({error!r}); get it again: {ENTITIES_FROM}."
        ) from error
    if faults and not any(objects.values()):
        refuse_entries(path, faults, f"get it again: {ENTITIES_FROM}")
    warn_skipped(path, faults)
    return objects


def _read_entry(name: str, entry: dict, faults: list[str]) -> list[ObjectBox]:
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
    return objects


def _without_outline(entry: dict) -> dict:
    entry.pop("segmentation", None)  # nine tenths of the file
    return entry


def _read_categories(entries: Sequence, faults: list[str]) -> dict[object, str]:
    """Returns the names of the categories by their ids."""
    names: dict[object, str] = {}
    for number, entry in enumerate(entries):
        try:
            id_, name = entry["id"], entry["name"].lower()
            if names.setdefault(id_, name) != name:
                faults.append(f"category {id_} twice: {names[id_]}, {name}")
        except (KeyError, TypeError, AttributeError) as error:
            faults.append(f"category {number}: {_reason(error)}")
    return names


def _read_sizes(
    entries: Sequence, wanted: set[str], faults: list[str]
) -> dict[str, tuple[float, float]]:
    """Returns the width and the height of the wanted images."""
    sizes: dict[str, tuple[float, float]] = {}
    for number, entry in enumerate(entries):
        try:
            key = image_key(entry["id"])
            size = entry["width"], entry["height"]
        except (KeyError, TypeError, ValueError) as error:
            faults.append(f"image {number}: {_reason(error)}")
            continue
        if key in wanted and sizes.setdefault(key, size) != size:
            faults.append(f"image {key} twice: of {sizes[key]} and {size} pixels")
    return sizes


def _category_of(entry: dict, categories: dict[object, str]) -> str:
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
