"""Karpathy's dataset_flickr8k.json, dataset_flickr30k.json and dataset_coco.json.

Source: Karpathy and Li 2015, arXiv 1412.2306.
"""

from dataclasses import dataclass
from pathlib import Path

from dataset.ids import image_number
from dataset.problems import list_of, name_fault, read_json, refuse_entries
from dataset.words import compose
from files.values import filled, text

KARPATHY = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"
SPLITS = {"train": "train", "restval": "train", "val": "dev", "test": "test"}


@dataclass(frozen=True)
class KarpathyImage:
    """One image of the file.

    Attributes:
        name: Its file name.
        folder: The folder of COCO 2014 it lies in; "" in Flickr.
        split: train (with restval), dev or test.
        captions: As they were written.
        coco_id: Its number in COCO, else None.
    """

    name: str
    folder: str
    split: str
    captions: tuple[str, ...]
    coco_id: int | None


def read_karpathy(path: str | Path, split: str | None = None) -> list[KarpathyImage]:
    """Reads the images of one split, or of all.

    Raises:
        DatasetError: The file is missing or damaged, or images lack a name, a known
            split or captions; all of them are listed.
    """
    path = Path(path)
    content = read_json(path, KARPATHY)
    images, problems = [], []
    for number, entry in enumerate(list_of(content, "images", path)):
        try:
            images.append(_image_of(entry))
        except (KeyError, TypeError, AttributeError, ValueError):
            problems.append(f"image {number}: {str(entry)[:60]}")
    if not images and not problems:
        problems.append("no images")
    refuse_entries(
        path, problems, "expected filename, split and sentences with raw of each image"
    )
    return [image for image in images if split in (None, image.split)]


def _image_of(entry: dict) -> KarpathyImage:
    sentences = (sentence["raw"].strip() for sentence in entry["sentences"])
    captions = tuple(map(compose, sentences))
    if not captions or not all(captions) or not entry["filename"]:
        raise ValueError("nothing may be empty")
    name, folder = filled(entry["filename"]), text(entry.get("filepath", ""))
    if name_fault(name) or (folder and name_fault(folder)):
        raise ValueError("it leads out of the dataset's folder")
    return KarpathyImage(
        name,
        folder,
        SPLITS[entry["split"]],
        captions,
        image_number(entry["cocoid"]) if "cocoid" in entry else None,
    )
