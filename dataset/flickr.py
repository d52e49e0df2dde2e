"""Reader of Flickr8k and Flickr30k as their users download them.

DATA_DIR/images/*.jpg
DATA_DIR/text/*.token.txt | *.token          image.jpg#0<TAB>caption
           or results.csv                    image.jpg| 0| caption
DATA_DIR/text/*.<split>Images.txt            one image file name a line
DATA_DIR/text/dataset_flickr*.json           Karpathy's: the captions and the lists
                                             where these files are not there
DATA_DIR/entities/{Annotations,Sentences}    Flickr30k Entities, for the boxes
"""

import collections
import dataclasses
import functools
import re
from pathlib import Path

from config import Config
from dataset.coco_names import COCO_NAMES
from dataset.entities import ENTITIES, read_entities
from dataset.karpathy import KARPATHY, read_karpathy
from dataset.problems import (
    DatasetError,
    all_of,
    check_folder,
    file_fault,
    refuse_entries,
)
from dataset.records import CaptionedImage, Dataset, Source
from dataset.words import compose

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
# One line of the published CSV lacks its second bar: "2199200615.jpg| 4   A dog ...".
_CSV_LINE = re.compile(r"([^|]+)\|\s*(\d+)(?:\s*\||\s)\s*(\S.*)")


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
    text, entities = data_dir / "text", data_dir / "entities"
    (captions, captions_path), (names, list_path), *_ = all_of(
        lambda: _read_captions(text, source),
        lambda: _read_names(text, split, source),
        lambda: check_folder(data_dir / "images", source.images),
        lambda: with_objects and check_folder(entities, source.boxes),
    )
    problems = [
        f"{n}: listed twice" for n, k in collections.Counter(names).items() if k > 1
    ]
    images = []
    for name in names:
        path = data_dir / "images" / name
        fault = file_fault(path)
        if name not in captions:
            problems.append(f"{name}: no caption in {captions_path.name}")
        elif fault:
            problems.append(f"{name}: {fault}")
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


def read_token_file(path: str | Path) -> dict[str, list[str]]:
    """Reads `image.jpg#k<TAB>caption` lines.

    Returns:
        The captions of every image file name, in the order of the file.

    Raises:
        DatasetError: Lines are broken; all are listed with their numbers.
    """

    def parse(line: str) -> tuple[str, str] | None:
        key, tab, caption = line.partition("\t")
        name, mark, index = key.partition("#")
        if tab and mark and name and index.isdigit() and caption.strip():
            return name, caption
        return None

    return _read_lines(Path(path), parse, "expected image.jpg#0<TAB>caption")


def read_csv_file(path: str | Path) -> dict[str, list[str]]:
    """Reads `image.jpg| k| caption` lines below a header; see `read_token_file`."""

    def parse(line: str) -> tuple[str, str] | None:
        found = _CSV_LINE.fullmatch(line)
        return (found[1].strip(), found[3]) if found else None

    return _read_lines(Path(path), parse, "expected image.jpg| 0| caption", header=1)


def _read_lines(path: Path, parse, expected: str, header: int = 0) -> dict:
    captions, problems = collections.defaultdict(list), []
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        line = line.rstrip("\r")
        if number <= header or not line.strip():
            continue
        found = parse(line)
        if found is None:
            problems.append(f"line {number}: {line[:60]!r}")
        elif "\ufffd" in line:
            problems.append(f"line {number}: not UTF-8: {line[:60]!r}")
        else:
            captions[found[0]].append(compose(found[1].strip()))
    refuse_entries(path, problems, expected)
    return dict(captions)


def _read_captions(text: Path, source: Source) -> tuple[dict, Path]:
    """Returns the captions of every image file name, and the file they are from."""
    path = _single_file(text, CAPTION_FILES, source.captions)
    if path.suffix == ".json":
        return {image.name: image.captions for image in read_karpathy(path)}, path
    read = read_csv_file if path.suffix == ".csv" else read_token_file
    return read(path), path


def _read_names(text: Path, split: str, source: Source) -> tuple[list[str], Path]:
    """Returns the image file names of a split, and the file they are from."""
    path = _single_file(text, (f"*.{split}Images.txt",), source.lists)
    if path.suffix == ".json":
        return [image.name for image in read_karpathy(path, split)], path
    lines = (line.strip() for line in _read_text(path).split("\n"))
    return [line for line in lines if line], path


def _read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig", errors="replace")


def _single_file(folder: Path, patterns: tuple[str, ...], get: str) -> Path:
    """Returns the one file of these patterns or, if there is none, Karpathy's."""
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    # Flickr8k comes with its captions' lemmas in a second file.
    found = [path for path in paths if ".lemma." not in path.name]
    found = found or sorted(folder.glob(KARPATHY_FILE))
    if len(found) != 1:
        received = ", ".join(path.name for path in found) or "none"
        expected = " or ".join((*patterns, KARPATHY_FILE))
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
