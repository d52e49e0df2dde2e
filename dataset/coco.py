"""Reader of MSCOCO 2017 as its archives unpack.

DATA_DIR/images/{train2017,val2017}/*.jpg    or without images/
DATA_DIR/annotations/captions_{train2017,val2017}.json
DATA_DIR/annotations/instances_{train2017,val2017}.json    for the boxes
DATA_DIR/COCOvalEntities.json                the boxes of val2017 where
                                             instances_val2017.json is not there
DATA_DIR/annotations/dataset_coco.json       Karpathy's splits and captions, where
                                             no captions_*.json is there; his images
                                             are those of 2014, or the same in 2017
"""

import functools
import logging
from collections.abc import Sequence
from pathlib import Path

from config import Config
from dataset.coco_boxes import BOXES, read_instances, read_val_entities
from dataset.coco_captions import read_captions
from dataset.coco_names import COCO_NAMES
from dataset.coordinates import Annotated, place_objects
from dataset.karpathy import KARPATHY, read_karpathy
from dataset.problems import (
    DatasetError,
    Problem,
    all_of,
    check_file,
    check_folder,
    file_fault,
    refuse_entries,
)
from dataset.records import CaptionedImage, Dataset, Source

SOURCE = Source(
    images="http://images.cocodataset.org/zips/train2017.zip and val2017.zip",
    captions=BOXES,
    lists=KARPATHY,
    boxes=BOXES,
)
logger = logging.getLogger(__name__)
# Sun et al. 2022 (arXiv 2001.01037): the object words that are predicted often.
FREQUENT_WORDS = (
    *("clock", "kitchen", "picture", "water", "food", "pizza", "grass", "building"),
    *("bus", "sign", "bathroom", "baseball", "dog", "room", "cat", "plate", "train"),
    *("field", "tennis", "person", "table", "street", "woman", "people", "man"),
)
NUM_TRAIN, NUM_DEV = 110_000, 5_000  # of train2017 by id; the rest is not used
FOLDERS = {"train": "train2017", "dev": "train2017", "test": "val2017"}
KARPATHY_FILE = "dataset_coco.json"
ENTITIES_FILE = "COCOvalEntities.json"


def read_coco(
    data_dir: str | Path, split: str, with_objects: bool = False
) -> list[CaptionedImage]:
    """Reads the images of one split with their captions, by their ids.

    Args:
        data_dir: The folder with `annotations` and the images.
        split: train and dev are the first 110000 images of train2017 and the 5000
            after them, test is val2017. Of a smaller train2017 both keep their share.
        with_objects: Also reads the boxes.

    Raises:
        DatasetError: Files are missing or damaged. All of them are listed at once.
        ValueError: There is no such split.
    """
    data_dir = Path(data_dir)
    if split not in FOLDERS:
        raise ValueError(
            f"coco2017 has the splits {', '.join(FOLDERS)}; received {split!r}."
        )
    karpathy = is_karpathy(data_dir)
    read = _read_karpathy if karpathy else _read_official
    paths = _object_files(data_dir, split, karpathy) if with_objects else []
    checks = [functools.partial(check_file, path, SOURCE.boxes) for path in paths]
    images, *_ = all_of(lambda: read(data_dir, split), *checks)
    if not images:
        raise DatasetError(f"{data_dir / 'annotations'}: no image is in split {split}.")
    if not with_objects:
        return images
    return place_objects(paths[0], images, _read_objects(paths, images))


def is_karpathy(data_dir: Path) -> bool:
    """Returns whether Karpathy's splits are read, not the official files."""
    folder = data_dir / "annotations"
    official = any(folder.glob("captions_*2017.json"))
    return not official and (folder / KARPATHY_FILE).is_file()


# The official files


def _read_official(data_dir: Path, split: str) -> list[CaptionedImage]:
    name = FOLDERS[split]
    path = data_dir / "annotations" / f"captions_{name}.json"
    (names, captions, _), folder = all_of(
        lambda: read_captions(path, SOURCE.captions),
        lambda: _image_folder(data_dir, name),
    )
    ids = sorted(names)
    if split != "test":
        ids = _share_train(ids, split)
    found = [(id_, (folder / names[id_],), captions[id_]) for id_ in ids]
    return _with_files(path, found)


def _share_train(ids: Sequence[int], split: str) -> Sequence[int]:
    """Returns the ids of train or dev."""
    num_train, num_dev = NUM_TRAIN, NUM_DEV
    if len(ids) < num_train + num_dev:
        num_dev = max(1, round(len(ids) * num_dev / (num_train + num_dev)))
        num_train = len(ids) - num_dev
        logger.warning(
            "train2017 has %d images here, not 118287: the first %d are train, the "
            "last %d dev",
            *(len(ids), num_train, num_dev),
        )
    train, dev = ids[:num_train], ids[num_train : num_train + num_dev]
    return train if split == "train" else dev


def _image_folder(data_dir: Path, name: str) -> Path:
    bare = data_dir / name
    if bare.is_dir():
        return bare
    folder = data_dir / "images" / name
    check_folder(folder, SOURCE.images)
    return folder


def _with_files(
    path: Path, found: Sequence[tuple[int, Sequence[Path], Sequence[str]]]
) -> list[CaptionedImage]:
    """Takes of each image the first of its paths that is there."""
    images, problems = [], []
    for id_, paths, captions in found:
        faults = []
        for candidate in paths:
            fault = file_fault(candidate)
            if not fault:
                image = CaptionedImage(str(id_), candidate, tuple(captions))
                images.append(image)
                break
            faults.append(fault)
        else:
            problems.append(f"{paths[0].name}: {faults[0]}")
    if problems:
        what = (
            f"{path} names {len(found):,} images of this split, {len(problems):,} of "
            f"which cannot be used; get them: {SOURCE.images}"
        )
        raise DatasetError(Problem(what, tuple(problems)))
    return images


# Karpathy's file


def _read_karpathy(data_dir: Path, split: str) -> list[CaptionedImage]:
    path = data_dir / "annotations" / KARPATHY_FILE
    roots = [data_dir / "images", data_dir]
    roots = [r for r in roots if any(r.glob("train20*")) or any(r.glob("val20*"))]
    found = []
    for image in read_karpathy(path, split):
        if image.coco_id is None:
            raise DatasetError(f"{path} is not that of COCO: {image.name}: no cocoid.")
        new_name = f"{image.coco_id:012d}.jpg"
        names = [f"{image.folder}/{image.name}"]
        names += [f"{folder}/{new_name}" for folder in ("train2017", "val2017")]
        paths = [
            root / name for root in roots or [data_dir / "images"] for name in names
        ]
        found.append((image.coco_id, paths, image.captions))
    return _with_files(path, sorted(found, key=lambda entry: entry[0]))


# Boxes


def _object_files(data_dir: Path, split: str, karpathy: bool) -> list[Path]:
    folder = data_dir / "annotations"
    official = folder / f"instances_{FOLDERS[split]}.json"
    if karpathy:
        return sorted(folder.glob("instances_*.json")) or [official]
    entities = data_dir / ENTITIES_FILE
    alone = split == "test" and entities.is_file() and not official.is_file()
    return [entities if alone else official]


def _read_objects(
    paths: Sequence[Path], images: Sequence[CaptionedImage]
) -> dict[str, Annotated]:
    """Returns what is known of images by their ids; objects are named by categories.

    Raises:
        DatasetError: Files are missing or damaged, or know nothing of some images.
    """
    wanted = {image.image_id for image in images}
    found = {}
    for path in paths:
        read = read_val_entities if path.name == ENTITIES_FILE else read_instances
        found |= read(path, wanted)
    if paths[0].name == ENTITIES_FILE:  # leaves out images without objects
        return found
    missing = [f"{image_id}: not there" for image_id in sorted(wanted - set(found))]
    refuse_entries(paths[0], missing, f"get it: {SOURCE.boxes}")
    return found


COCO2017 = Dataset(
    name="coco2017",
    read=read_coco,
    source=SOURCE,
    preset=Config(
        dataset="coco2017", min_word_count=5, learning_rate=2e-4, images_per_batch=4
    ),
    frequent_words=FREQUENT_WORDS,
    object_names=COCO_NAMES,
    has_numbered_ids=True,
)
