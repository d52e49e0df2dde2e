"""Rendered scenes in the layouts of published datasets, to try their readers with.

They hold what the readers read; see dataset/README.md for the layouts.
"""

import collections
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from dataset.coco import ENTITIES_FILE
from dataset.images import IMAGE_SIZE
from dataset.problems import DatasetError
from dataset.records import Box
from dataset.scenes.captions import SceneObject, plural
from dataset.scenes.drawing import KINDS
from dataset.scenes.scenes import (
    SPLITS,
    Scene,
    check_num_images,
    render_scene,
    save_image,
    scene_seed,
)
from dataset.vocabulary import split_words
from files.writing import whole_folder, write_lines

CATEGORIES = {kind: number for number, kind in enumerate(sorted(KINDS), start=1)}


def write_like_flickr30k(
    data_dir: str | Path, num_images: Mapping[str, int], seed: int = 0
) -> Path:
    """Renders images, results_20130124.token, three lists and Entities.

    Args:
        data_dir: A new or empty folder.
        num_images: How many images each split has.
        seed: See `dataset.scenes.scenes.write_scenes`.

    Returns:
        The folder. It appears whole or not at all.

    Raises:
        DatasetError: The folder holds files.
        ValueError: A split is unknown or its number of images is out of range.
    """
    return _write(_write_flickr30k, Path(data_dir).absolute(), num_images, seed)


def write_like_coco2017(
    data_dir: str | Path, num_images: Mapping[str, int], seed: int = 0
) -> Path:
    """Renders train2017 (train and dev), val2017 (test) and their annotations.

    The reader's rule says which images of a small train2017 are dev.
    See `write_like_flickr30k` for the arguments.
    """
    return _write(_write_coco2017, Path(data_dir).absolute(), num_images, seed)


def _write(write: Callable, data_dir: Path, num_images, seed: int) -> Path:
    check_num_images(num_images)
    if data_dir.is_file() or (data_dir.is_dir() and any(data_dir.iterdir())):
        raise DatasetError(
            f"{data_dir} is not empty; expected a new or empty folder. Choose another."
        )
    with whole_folder(data_dir) as folder:
        splits = (split for split in SPLITS for _ in range(num_images.get(split, 0)))
        indices = collections.Counter()
        scenes = []
        for number, split in enumerate(splits, start=1):
            scene = render_scene(scene_seed(split, indices[split], seed))
            indices[split] += 1
            scenes.append((number, split, scene))
        write(folder, scenes)
    return data_dir


# Flickr30K


def _write_flickr30k(folder: Path, scenes: list[tuple[int, str, Scene]]) -> None:
    tokens, names = [], collections.defaultdict(list)
    for number, split, scene in scenes:
        name = f"{1000000000 + number}"
        save_image(folder / "images" / f"{name}.jpg", scene)
        names[split].append(f"{name}.jpg")
        tokens += [f"{name}.jpg#{k}\t{c}" for k, c in enumerate(scene.captions)]
        linked = [_link(caption, scene.objects) for caption in scene.captions]
        write_lines(folder / f"entities/Sentences/{name}.txt", linked)
        xml = _annotation(scene.objects)
        write_lines(folder / f"entities/Annotations/{name}.xml", xml)
    write_lines(folder / "text/results_20130124.token", tokens)
    for split, some in names.items():
        write_lines(folder / f"text/Flickr_30k.{split}Images.txt", some)


def _link(caption: str, objects: tuple[SceneObject, ...]) -> str:
    """Marks the words of a caption that name the kind of an object."""
    entities = _entities(objects)
    return " ".join(
        f"[/EN#{entities[word]}/other {word}]" if word in entities else word
        for word in split_words(caption)
    )


def _entities(objects: tuple[SceneObject, ...]) -> dict[str, int]:
    """Returns the entity of each word; objects of a kind are one with several boxes."""
    kinds = {o.kind: number for number, o in enumerate(objects, start=1)}
    return kinds | {plural(kind): number for kind, number in kinds.items()}


def _annotation(objects: tuple[SceneObject, ...]) -> list[str]:
    size = f"<size><width>{IMAGE_SIZE}</width><height>{IMAGE_SIZE}</height></size>"
    lines = ["<annotation>", size]
    entities = _entities(objects)
    for object_ in objects:
        edges = _pixels(object_)._asdict().items()
        box = "".join(f"<{name}>{edge}</{name}>" for name, edge in edges)
        name = f"<name>{entities[object_.kind]}</name>"
        lines.append(f"<object>{name}<bndbox>{box}</bndbox></object>")
    return [*lines, "</annotation>"]


# MSCOCO 2017


def _write_coco2017(folder: Path, scenes: list[tuple[int, str, Scene]]) -> None:
    for name in ("train2017", "val2017"):
        some = [
            (number, scene)
            for number, split, scene in scenes
            if (split == "test") == (name == "val2017")
        ]
        images, captions, boxes = [], [], []
        for number, scene in some:
            file_name = f"{number:012d}.jpg"
            save_image(folder / "images" / name / file_name, scene)
            size = {"width": IMAGE_SIZE, "height": IMAGE_SIZE}
            images.append({"id": number, "file_name": file_name, **size})
            captions += [{"image_id": number, "caption": c} for c in scene.captions]
            boxes += [_coco_box(number, object_) for object_ in scene.objects]
        _write_json(
            folder / f"annotations/captions_{name}.json",
            {"images": images, "annotations": _numbered(captions)},
        )
        categories = [{"id": id_, "name": kind} for kind, id_ in CATEGORIES.items()]
        _write_json(
            folder / f"annotations/instances_{name}.json",
            {
                "images": images,
                "annotations": _numbered(boxes),
                "categories": categories,
            },
        )
    _write_json(folder / ENTITIES_FILE, _val_entities(some))


def _coco_box(number: int, object_: SceneObject) -> dict:
    box = _pixels(object_)
    upper = [box.xmin, box.ymin, box.xmax, box.ymin]
    lower = [box.xmax, box.ymax, box.xmin, box.ymax]
    return {
        "image_id": number,
        "category_id": CATEGORIES[object_.kind],
        "bbox": [box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin],
        "segmentation": [upper + lower],
        "iscrowd": 0,
    }


def _val_entities(scenes: list[tuple[int, Scene]]) -> dict:
    content = {}
    for number, scene in scenes:
        boxes = collections.defaultdict(list)
        for object_ in scene.objects:
            boxes[str(CATEGORIES[object_.kind])].append(_pixels(object_))
        kinds = {o.kind: str(CATEGORIES[o.kind]) for o in scene.objects}
        content[f"{number:012d}.jpg"] = {
            "shape": [IMAGE_SIZE, IMAGE_SIZE],
            "bbox": boxes,
            "categories": kinds,
        }
    return content


# Files


def _pixels(object_: SceneObject) -> Box:
    return Box(*(round(share * IMAGE_SIZE) for share in object_.box))


def _numbered(entries: list[dict]) -> list[dict]:
    return [{"id": number, **entry} for number, entry in enumerate(entries, start=1)]


def _write_json(path: Path, content: dict) -> None:
    write_lines(path, [json.dumps(content)])
