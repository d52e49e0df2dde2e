"""Reader of Flickr8k and Flickr30k as their users download them.

DATA_DIR/images/*.jpg
DATA_DIR/text/*.token.txt | *.token          image.jpg#0<TAB>caption
           or results.csv                    image.jpg| 0| caption
           or captions.txt                   image.jpg,caption    (Kaggle's)
DATA_DIR/text/*.<split>Images.txt            one image file name a line, with .jpg or
                                             without
DATA_DIR/text/dataset_flickr*.json           Karpathy's: the captions and the lists
                                             where these files are not there
DATA_DIR/entities/{Annotations,Sentences}    Flickr30k Entities, for the boxes
"""

import collections
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

from config import Config
from dataset.caption_tables import read_csv_file, read_text, read_token_file
from dataset.coco_names import COCO_NAMES
from dataset.entities import ENTITIES, read_entities
from dataset.ids import without_suffix
from dataset.images import FORMATS
from dataset.karpathy import KARPATHY, read_karpathy
from dataset.problems import (
    DatasetError,
    all_of,
    check_folder,
    file_fault,
    name_fault,
    refuse_entries,
)
from dataset.records import CaptionedImage, Dataset, Source

FLICKR8K_SOURCE = Source(
    images="https://github.com/jbrownlee/Datasets/releases (Flickr8k_Dataset.zip)",
    captions="https://github.com/jbrownlee/Datasets/releases (Flickr8k_text.zip)",
    lists=f"the same Flickr8k_text.zip, or dataset_flickr8k.json from {KARPATHY}",
    boxes=ENTITIES,
)
FLICKR30K_SOURCE = Source(
    images="https://shannon.cs.illinois.edu/DenotationGraph (flickr30k-images.tar)",
    captions="https://shannon.cs.illinois.edu/DenotationGraph "
    "(results_20130124.token), or results.csv of "
    "https://www.kaggle.com/datasets/hsankesara/flickr-image-dataset",
    lists=f"dataset_flickr30k.json from {KARPATHY}",
    boxes=ENTITIES,
)
# Sun et al. 2022 (arXiv 2001.01037): the object words that are predicted often.
FREQUENT_WORDS = (
    *("dogs", "building", "person", "background", "field", "women", "hat", "ball"),
    *("children", "child", "water", "street", "boy", "dog", "girl", "men", "shirt"),
    *("people", "woman", "man"),
)
CAPTION_FILES = ("*.token.txt", "*.token", "results.csv")
KARPATHY_FILE = "dataset_flickr*.json"
KAGGLE_FILES = ("captions.txt", "captions.csv")  # read where none of those is there


def read_flickr(
    data_dir: str | Path,
    split: str,
    with_objects: bool = False,
    source: Source = FLICKR30K_SOURCE,
) -> list[CaptionedImage]:
    """Reads the images of one split with their captions.

    Args:
        data_dir: The folder with `images` and `text`.
        split: Names the list file `*.<split>Images.txt`: train, dev or test.
        with_objects: Also reads the boxes of Flickr30k Entities.
        source: Where missing files are to be had.

    Returns:
        The images in the order of the list file.

    Raises:
        DatasetError: Files are missing, lines are broken, or listed images have no
            file or caption. All of them are listed at once.
    """
    data_dir = Path(data_dir)
    text, entities = _text_folder(data_dir), data_dir / "entities"
    (captions, captions_path), (names, list_path), *_ = all_of(
        lambda: _read_captions(text, source),
        lambda: _read_names(text, split, source),
        lambda: check_folder(data_dir / "images", source.images),
        lambda: with_objects and check_folder(entities, source.boxes),
    )
    names = _with_suffixes(names, captions)
    problems = [
        f"{n[:80]}: listed twice"
        for n, k in collections.Counter(names).items()
        if k > 1
    ]
    images = []
    for name in names:
        fault = name_fault(name)
        path = _image_file(data_dir / "images", "" if fault else name)
        fault = fault or file_fault(path)
        if name not in captions:
            problems.append(f"{name[:80]}: no caption in {captions_path.name}")
        elif fault:
            problems.append(f"{name[:80]}: {fault}")
        else:
            images.append(CaptionedImage(path.stem, path, tuple(captions[name])))
    refuse_entries(list_path, problems, f"get the images: {source.images}")
    if not images:
        raise DatasetError(f"{list_path} lists no image of the split {split}.")
    if not with_objects:
        return images
    objects = read_entities(entities, images, source.boxes)
    pairs = zip(images, objects, strict=True)
    return [dataclasses.replace(image, objects=boxes) for image, boxes in pairs]


def _text_folder(data_dir: Path) -> Path:
    """Returns `text`, or the dataset's folder where the captions lie as Kaggle's do."""
    text = data_dir / "text"
    is_kaggle = any((data_dir / name).is_file() for name in KAGGLE_FILES)
    return data_dir if is_kaggle and not text.is_dir() else text


def _with_suffixes(names: list[str], captions: Mapping[str, object]) -> list[str]:
    """Names listed images as the captions do, where they differ in the suffix."""
    spelled, several = {}, set()
    for name in captions:
        stem = without_suffix(name)
        if spelled.setdefault(stem, name) != name:
            several.add(stem)
    return [
        name
        if name in captions or without_suffix(name) in several
        else spelled.get(without_suffix(name), name)
        for name in names
    ]


def _image_file(folder: Path, name: str) -> Path:
    """Returns the file of an image, which may be named without its suffix."""
    path = folder / name
    if without_suffix(name) == name and not path.is_file():
        for suffix in FORMATS["JPEG"]:
            if (folder / f"{name}{suffix}").is_file():
                return folder / f"{name}{suffix}"
    return path


def _read_captions(text: Path, source: Source) -> tuple[dict, Path]:
    """Returns the captions of every image file name, and the file they are from."""
    path = _single_file(text, CAPTION_FILES, source.captions)
    if path.suffix == ".json":
        return {image.name: image.captions for image in read_karpathy(path)}, path
    by_columns = path.suffix == ".csv" or path.name in KAGGLE_FILES
    read = read_csv_file if by_columns else read_token_file
    return read(path), path


def _read_names(text: Path, split: str, source: Source) -> tuple[list[str], Path]:
    """Returns the image file names of a split, and the file they are from."""
    path = _single_file(text, (f"*.{split}Images.txt",), source.lists)
    if path.suffix == ".json":
        return [image.name for image in read_karpathy(path, split)], path
    lines = (line.strip() for line in read_text(path).split("\n"))
    return [line for line in lines if line], path


def _single_file(folder: Path, patterns: tuple[str, ...], get: str) -> Path:
    """Returns the one file of these patterns or, if there is none, Karpathy's."""
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    # Flickr8k comes with its captions' lemmas in a second file.
    found = [path for path in paths if ".lemma." not in path.name]
    kaggle = KAGGLE_FILES if patterns == CAPTION_FILES else ()
    found = found or [folder / name for name in kaggle if (folder / name).is_file()]
    found = found or sorted(folder.glob(KARPATHY_FILE))
    if len(found) != 1:
        received = ", ".join(path.name for path in found) or "none"
        expected = " or ".join((*patterns, *kaggle, KARPATHY_FILE))
        raise DatasetError(
            f"{folder} must hold one file {expected}; found {received}. Get it: "
            f"{get}. Or give another folder with --data-dir."
        )
    return found[0]


FLICKR30K = Dataset(
    name="flickr30k",
    read=functools.partial(read_flickr, source=FLICKR30K_SOURCE),
    source=FLICKR30K_SOURCE,
    preset=Config(dataset="flickr30k", images_per_batch=7),
    frequent_words=FREQUENT_WORDS,
    object_names=COCO_NAMES,  # it has no list of its own
    boxes_repeat_captions=True,
)
FLICKR8K = dataclasses.replace(
    FLICKR30K,
    name="flickr8k",
    read=functools.partial(read_flickr, source=FLICKR8K_SOURCE),
    source=FLICKR8K_SOURCE,
    preset=Config(
        dataset="flickr8k",
        feature_scale=0.05,
        words_per_image=60,
        dropout=0.4,
        images_per_batch=8,
        learning_rate=6e-4,
        schedule="cosine",
        warmup_steps=500,
        label_smoothing=0.1,
        epochs=14,
        clip_value=0.0,
        weight_average=0.999,
        flip_images=True,
        length_penalty=0.6,
    ),
)
