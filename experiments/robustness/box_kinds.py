"""COCO's files and those of Flickr30k Entities."""

import copy
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from dataset.coco_boxes import read_instances
from dataset.coco_captions import read_captions
from dataset.entities import read_entities
from dataset.masks import decompress
from dataset.records import CaptionedImage, RunLengths
from experiments.robustness.caption_kinds import WORDS
from experiments.robustness.kinds import (
    REFUSED,
    Kind,
    made,
    missing,
    put,
    split_lines,
    whole,
    wrong,
)
from experiments.robustness.mutations import wrong_value

# COCO

CORNERS = [[12, 22, 30, 22, 30, 50, 12, 50]]  # 18 x 28 pixels
RUNS = {"size": [100, 200], "counts": [5, 7, 20_000 - 12 - 3, 3]}
OUTLINES = ((CORNERS, 18 * 28), (RUNS, 10), ([], None))


COCO = {
    "images": [
        {"id": number, "file_name": f"{number:012d}.jpg", "width": 200, "height": 100}
        for number in range(4, 9)
    ],
    "annotations": [
        {
            "id": number,
            "image_id": 4 + number % 5,
            "caption": " ".join(WORDS[number % 5 : number % 5 + 6]),
            "category_id": 1 + number % 2,
            "bbox": [10, 20, 30 + number, 40],
            "segmentation": OUTLINES[number % 3][0],
        }
        for number in range(10)
    ],
    "categories": [{"id": 1, "name": "Dog"}, {"id": 2, "name": "traffic light"}],
}
ID, OUTLINE = "annotations.*.image_id", "annotations.*.segmentation"
COUNTS = ([5, 7], [-5, 20_005], [1.5, 19_998.5], "0", [20_000], None, "\u00e9", [[1]])


def read_coco_captions(folder: Path) -> tuple[dict, dict]:
    """Reads names and captions by ids."""
    return read_captions(folder / "captions.json", "there")[:2]


def coco_captions(content: dict) -> tuple[dict, dict]:
    """Returns what is right of good captions."""
    names = {image["id"]: image["file_name"] for image in content["images"]}
    captions = defaultdict(list)
    for entry in content["annotations"]:
        captions[entry["image_id"]].append(entry["caption"])
    return names, dict(captions)


def _padded(value: int, generator: np.random.Generator) -> object:
    forms = (f"{value}", f"{value:012d}", f"{value:012d}.jpg", float(value))
    return forms[generator.integers(0, len(forms))]


COCO_CAPTIONS = Kind(
    "COCO captions",
    "captions.json",
    lambda folder: put(folder, "captions.json", json.dumps(COCO)),
    read_coco_captions,
    lambda found: all(isinstance(name, str) for name in found[0].values()),
    json.loads,
    (
        wrong("images"),
        wrong("annotations"),
        wrong("images.*.id", REFUSED, "", "x"),
        wrong("images.*.file_name", REFUSED, "/etc/passwd", "../a.jpg", ""),
        wrong(ID, REFUSED, "x", 99),
        wrong("annotations.*.caption", REFUSED, " "),
        missing("images.*.file_name"),
        missing("annotations.*.caption"),
        made("images.*.id", lambda value, _: 4 + (value - 3) % 5),
        made(ID, _padded, coco_captions(COCO)),
        made("images.*.width", lambda value, _: "any", coco_captions(COCO)),
        made(
            "annotations.*.caption",
            lambda value, _: "one other caption",
            lambda old, place, new: coco_captions(new),
        ),
    ),
)


def coco_boxes(content: dict, boxes_alone: object = None) -> dict[str, list]:
    """Returns what is right of good boxes: names, edges, pixels of the outline.

    Args:
        content: Of the file.
        boxes_alone: The place of an annotation without a good outline.
    """
    areas = {json.dumps(outline): area for outline, area in OUTLINES}
    names = {entry["id"]: entry["name"].lower() for entry in content["categories"]}
    found = {str(image["id"]): [] for image in content["images"]}
    for place, entry in enumerate(content["annotations"]):
        x, y, width, height = entry["bbox"]
        edges = (x / 200, y / 100, (x + width) / 200, (y + height) / 100)
        name = names[entry["category_id"]]
        area = areas[json.dumps(entry["segmentation"])]
        area = None if place == boxes_alone else area
        found[str(entry["image_id"])].append((name, tuple(np.clip(edges, 0, 1)), area))
    return found


def read_boxes(folder: Path) -> dict[str, list]:
    """Reads names, boxes and numbers of pixels by ids."""
    wanted = {str(image["id"]) for image in COCO["images"]}
    found = read_instances(folder / "instances.json", wanted)
    return {
        key: [
            (*one.phrases, tuple(map(float, one.box)), area_of(one.outline))
            for one in entry.objects
        ]
        for key, entry in found.items()
    }


def area_of(outline: RunLengths | None) -> int | None:
    """Returns the number of pixels of an outline."""
    return None if outline is None else int(decompress(outline).sum())


def without(content: dict, place: int) -> dict[str, list]:
    """Returns what is right where an annotation cannot be used: it is left out."""
    changed = copy.deepcopy(content)
    del changed["annotations"][place]
    return coco_boxes(changed)


def no_list(generator: np.random.Generator) -> object:
    """Returns a wrong value; an empty list would say that there is nothing."""
    value = wrong_value(generator)
    return None if isinstance(value, list) else value


def are_boxes(found: dict) -> bool:
    """Whether all boxes lie in their image and have an area."""
    boxes = [box for one in found.values() for _, box, *_ in one]
    return all(0 <= a < c <= 1 and 0 <= b < d <= 1 for a, b, c, d in boxes)


INSTANCES = Kind(
    "COCO instances",
    "instances.json",
    lambda folder: put(folder, "instances.json", json.dumps(COCO)),
    read_boxes,
    are_boxes,
    json.loads,
    (
        made("images", lambda _, generator: no_list(generator)),
        made("annotations", lambda _, generator: no_list(generator)),
        wrong("annotations.*.bbox", without, [1, 2, 3], [500, 1, 2, 3], [1, 2, 0, 9]),
        wrong(ID, without, "x", ""),
        wrong("annotations.*.category_id", without, 9, "1"),
        missing("annotations.*.bbox", without),
        missing("annotations.*.category_id", without),
        wrong(OUTLINE, coco_boxes, "x", [[1, 2, 3]], [[1, 2, 3, 4, 5, 900]], [3]),
        wrong(OUTLINE, coco_boxes, {"size": [200, 100], "counts": RUNS["counts"]}),
        wrong(
            OUTLINE, coco_boxes, *({"size": [100, 200], "counts": c} for c in COUNTS)
        ),
        made(
            OUTLINE,
            lambda _, generator: OUTLINES[generator.integers(3)][0],
            lambda old, place, new: coco_boxes(new),
        ),
        made(ID, _padded, coco_boxes(COCO)),
        made(
            "annotations.*.bbox",
            lambda value, generator: [5, 6, int(generator.integers(1, 300)), 7],
            lambda old, place, new: coco_boxes(new),
        ),
    ),
)

# Entities

XML = """<annotation><filename>12.jpg</filename>
<size><width>200</width><height>50</height><depth>3</depth></size>
<object><name>7</name><bndbox><xmin>20</xmin><ymin>5</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>
<object><name>8</name><bndbox><xmin>100</xmin><ymin>10</ymin><xmax>150</xmax><ymax>20</ymax></bndbox></object>
</annotation>
"""
SENTENCE = "[/EN#7/people two girls] near [/EN#8/animals a dog] .\n"
GIRLS = (("two girls",), (0.1, 0.1, 0.3, 1.0))
DOG = (("a dog",), (0.5, 0.2, 0.75, 0.4))
ENTITY = "<!ENTITY {} '{}'>"
BOMB = "<!DOCTYPE a [" + ENTITY.format("b", "b" * 1000)
BOMB += "".join(ENTITY.format(n, f"&{o};" * 30) for n, o in ("cb", "dc", "ed", "fe"))
UNKNOWN = '<?xml version="1.0" encoding="x-no"?><annotation>'


def write_entities(folder: Path) -> None:
    """Writes the files of one photograph."""
    put(folder, "Annotations/12.xml", XML)
    put(folder, "Sentences/12.txt", SENTENCE)


def read_entities_file(folder: Path) -> list[tuple]:
    """Reads phrases and boxes."""
    image = CaptionedImage("12", Path("12.jpg"), ("a",))
    ((boxes),) = read_entities(folder, [image], "there")
    return [(one.phrases, tuple(round(edge, 9) for edge in one.box)) for one in boxes]


def _xml(old: str, new: str, right: object):
    return whole(lambda content: content.replace(old.encode(), new.encode(), 1), right)


ENTITIES_XML = Kind(
    "Entities XML",
    "Annotations/12.xml",
    write_entities,
    read_entities_file,
    lambda found: are_boxes({"12": [(phrases[0], box) for phrases, box in found]}),
    split_lines,
    (
        _xml("<width>200", "<width>x", REFUSED),
        _xml("<width>200</width>", "", REFUSED),
        _xml(
            "<annotation>", '<?xml version="1.0" encoding="x-no"?><annotation>', REFUSED
        ),
        _xml("</annotation>", "", REFUSED),
        _xml("<annotation>", f"{BOMB}]><annotation>&f;", REFUSED),
        _xml("<xmin>20", "<xmin>x", [DOG]),
        _xml("<xmin>20", "<xmin>NaN", [DOG]),
        _xml("<xmin>20", "<xmin>90", [DOG]),
        _xml("<xmin>20</xmin>", "", [DOG]),
        _xml("<xmax>150", "<xmax>1e999", [GIRLS]),
        _xml("<name>8", "<name>99", [GIRLS]),
        _xml("<depth>3</depth>", "<depth>any</depth>", [GIRLS, DOG]),
    ),
)


KINDS = (COCO_CAPTIONS, INSTANCES, ENTITIES_XML)
