"""Reader of a folder of photographs with captions, of any origin.

DATA_DIR/**/*.jpg, *.png, ...              the photographs
DATA_DIR/captions.json, .jsonl, .csv, .txt the captions, see `dataset.caption_forms`;
                                           or the publishers' results.csv, *.token,
                                           *.token.txt, metadata.jsonl, metadata.csv;
                                           or of each split: captions_train.json, ...
DATA_DIR/train.txt, dev.txt, test.txt      names of photographs, one a line
DATA_DIR/objects.json or instances_*.json  boxes and masks as MSCOCO has them

All these files may lie in a folder of DATA_DIR, too. The splits are told by the lists;
else by the column or field `split`, or by the names of the captions' files; else by the
folders train, dev (or val) and test that photographs lie in; else by the photographs'
names, see `dataset.splits.share_by_name`.
"""

import collections
import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dataset.caption_forms import read_caption_file
from dataset.caption_tables import CaptionTable, read_text
from dataset.coco_boxes import read_instances
from dataset.coco_captions import exact_id
from dataset.coco_names import COCO_NAMES
from dataset.coordinates import Annotated, place_objects
from dataset.flickr import FLICKR8K
from dataset.folder_contents import EXPECTED, Contents, Photographs, ids_of, look_into
from dataset.problems import (
    DatasetError,
    all_of,
    file_fault,
    refuse_entries,
    warn_skipped,
)
from dataset.records import CaptionedImage, Dataset, Source
from dataset.splits import SHARES, SPLITS, share_by_name, split_of

logger = logging.getLogger(__name__)
HOW = "dataset/README.md says how a folder of your own is laid out"
SOURCE = Source(
    images=f"put the photographs into the folder; {HOW}",
    captions=f"write {EXPECTED}; {HOW}",
    lists=f"write train.txt, dev.txt and test.txt; {HOW}",
    boxes=f"put objects.json, boxes as MSCOCO has them, into the folder; {HOW}",
)


class Captioned(NamedTuple):
    """The photographs that files have captions of, by the names they have there.

    Attributes:
        captions: Of each.
        splits: Of those whose split the files tell.
        paths: Of the photographs that were found.
        faults: Why the others were not.
    """

    captions: dict[str, list[str]]
    splits: dict[str, str]
    paths: dict[str, Path]
    faults: dict[str, str]


class Choice(NamedTuple):
    """The photographs of a split.

    Attributes:
        names: In their order.
        source: The file that names them.
        rule: What tells the split.
    """

    names: list[str]
    source: Path
    rule: str


def read_folder(
    data_dir: str | Path, split: str, with_objects: bool = False
) -> list[CaptionedImage]:
    """Reads the images of one split with their captions.

    Args:
        data_dir: The folder.
        split: train, dev or test.
        with_objects: Also reads the boxes, if the folder has any.

    Returns:
        The images in the order of the split's list, else of the captions.

    Raises:
        DatasetError: Files are missing or damaged, or images of the split have no
            photograph, no caption or no split. All of them are listed.
        ValueError: There is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"expected a split {', '.join(SPLITS)}; received {split!r}.")
    contents = look_into(Path(data_dir), SOURCE.captions)
    photographs = Photographs(contents)
    captioned = _find_captioned(contents, photographs)
    choice = _choose(split, contents, captioned, photographs)
    images = _images_of(choice, contents, captioned)
    if not images:
        raise DatasetError(
            f"{data_dir}: no image is in the split {split}, by {choice.rule}. To "
            f"choose them yourself: {SOURCE.lists}."
        )
    return _with_objects(contents, photographs, images) if with_objects else images


def _find_captioned(contents: Contents, photographs: Photographs) -> Captioned:
    """Reads the captions and finds their photographs; names those without captions."""
    table = _read_captions(contents)
    paths: dict[str, Path] = {}
    names: dict[Path, str] = {}
    faults = {}
    for name in table.captions:
        try:
            path = photographs.find(name)
        except ValueError as error:
            faults[name] = str(error)
            continue
        if names.setdefault(path, name) == name:
            paths[name] = path
        else:
            faults[name] = f"is the photograph of {names[path][:80]}, too"
    others = [path for path in contents.photos if path not in names]
    warn_skipped(contents.folder, [f"{path.name}: no caption" for path in others])
    return Captioned(*table, paths, faults)


def _read_captions(contents: Contents) -> CaptionTable:
    paths = (path for path, _ in contents.captions)
    tables = all_of(*(functools.partial(read_caption_file, path) for path in paths))
    captions: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    for (path, split), table in zip(contents.captions, tables, strict=True):
        twice = [f"{name}: in two files" for name in table.captions if name in captions]
        refuse_entries(path, twice, "expected each photograph in one file of captions")
        captions |= table.captions
        splits |= dict.fromkeys(table.captions, split) if split else {}
        splits |= table.splits
    return CaptionTable(captions, splits)


# Splits


def _choose(
    split: str, contents: Contents, captioned: Captioned, photographs: Photographs
) -> Choice:
    """Returns the photographs of a split, by the first rule that there is."""
    if contents.lists:
        return _choose_listed(split, contents, captioned, photographs)
    source, rule = contents.captions[0][0], "their captions"
    splits: Mapping[str, str | None] = captioned.splits
    if splits:
        without = [f"{n[:80]}: no split" for n in captioned.captions if n not in splits]
        refuse_entries(source, without, "expected a split of each photograph")
    else:
        splits, rule = _splits_of_folders(contents, captioned), "the names of folders"
    if not any(splits.values()):
        rule = ", ".join(f"{share:.0%} {name}" for name, share in SHARES.items())
        rule = f"the hash of names ({rule})"
        logger.info("%s tells no splits: they are made by %s.", contents.folder, rule)
        splits = {name: share_by_name(name) for name in captioned.captions}
    # One without a photograph is in no folder: each split names it.
    names = [name for name in captioned.captions if splits.get(name, split) == split]
    return Choice(names, source, rule)


def _choose_listed(
    split: str, contents: Contents, captioned: Captioned, photographs: Photographs
) -> Choice:
    if split not in contents.lists:
        listed = ", ".join(path.name for path in contents.lists.values())
        raise DatasetError(
            f"{contents.folder} has {listed}, and no list of the split {split}. Write "
            f"{split}.txt, names of photographs one a line."
        )
    path, names, problems = contents.lists[split], [], []
    of_path = {found: name for name, found in captioned.paths.items()}
    for line in filter(None, map(str.strip, read_text(path).split("\n"))):
        try:
            is_name = line in captioned.captions
            names.append(line if is_name else of_path[photographs.find(line)])
        except KeyError:
            problems.append(f"{line[:80]}: no caption")
        except ValueError as error:
            problems.append(f"{line[:80]}: {error}")
    counts = collections.Counter(names)
    problems += [f"{name[:80]}: listed twice" for name, n in counts.items() if n > 1]
    refuse_entries(path, problems, "expected a photograph with captions in each line")
    return Choice(names, path, path.name)


def _splits_of_folders(
    contents: Contents, captioned: Captioned
) -> dict[str, str | None]:
    """Returns the splits that the folders of photographs name; None of others."""
    found = {}
    for name, path in captioned.paths.items():
        folders = path.relative_to(contents.folder).parts[:-1]
        found[name] = next(filter(None, map(split_of, folders)), None)
    if any(found.values()):
        outside = [name for name, split in found.items() if split is None]
        faults = [f"{name}: in no folder of a split" for name in outside]
        warn_skipped(contents.folder, faults)
    return found


# Images


def _images_of(
    choice: Choice, contents: Contents, captioned: Captioned
) -> list[CaptionedImage]:
    """Makes the records; refuses those without a photograph."""
    ids = ids_of(contents.folder, captioned.paths.values())
    images, problems = [], []
    for name in choice.names:
        path = captioned.paths.get(name)
        fault = captioned.faults[name] if path is None else file_fault(path)
        if fault:
            problems.append(f"{name[:80]}: {fault}")
        else:
            captions = tuple(captioned.captions[name])
            images.append(CaptionedImage(ids[path], path, captions))
    refuse_entries(choice.source, problems, "get these photographs, or drop the lines")
    return images


def _with_objects(
    contents: Contents, photographs: Photographs, images: Sequence[CaptionedImage]
) -> list[CaptionedImage]:
    """Reads all files of boxes; without one, images have no objects."""
    if not contents.objects:
        return list(images)
    ids = {image.path: image.image_id for image in images}
    found: dict[str, Annotated] = {}
    for path in contents.objects:
        for entry in read_instances(path, None, SOURCE.boxes, exact_id).values():
            try:
                image_id = ids.get(photographs.find(str(entry.name)))
            except ValueError:
                continue  # of another photograph
            if image_id is not None and found.setdefault(image_id, entry) is not entry:
                raise DatasetError(f"{path}: {entry.name} is there twice. Keep one.")
    source = contents.objects[0]
    missing = [f"{i.path.name}: not there" for i in images if i.image_id not in found]
    if len(missing) == len(images):
        refuse_entries(source, missing, "expected the file_name of each photograph")
    warn_skipped(source, missing)
    return place_objects(source, images, found)


FOLDER = Dataset(
    name="folder",
    read=read_folder,
    source=SOURCE,
    preset=dataclasses.replace(FLICKR8K.preset, dataset="folder", flip_images=False),
    frequent_words=(),
    object_names=COCO_NAMES,
)
