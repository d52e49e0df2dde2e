"""What lies in a folder: photographs, and the files that tell of them."""

import collections
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dataset.ids import without_suffix
from dataset.images import IMAGE_SUFFIXES
from dataset.problems import DatasetError, check_folder, name_fault
from dataset.splits import split_of

_CAPTIONS = re.compile(r"captions(?:[_-](\w+))?\.(?:jsonl?|ndjson|csv|tsv|txt)", re.I)
_PUBLISHED = re.compile(
    r"metadata\.(?:jsonl|csv)|results\.csv|(?!.*\.lemma\.).+\.token(?:\.txt)?", re.I
)
_LIST = re.compile(r"(?:.+\.)?([a-z]+?)(?:images)?\.txt", re.I)
_OBJECTS = re.compile(r"(?:objects|instances)(?:[_-]\w+)?\.json", re.I)
DEPTH = 2  # of those files' paths: the folder itself, and the folders in it
EXPECTED = "captions.json, captions.jsonl, captions.csv or captions.txt"


class Contents(NamedTuple):
    """The files of a folder.

    Attributes:
        folder: The folder.
        photos: Of all folders below.
        captions: The files of captions, each with the split that its name tells.
        lists: The list of each split.
        objects: The files of boxes.
    """

    folder: Path
    photos: list[Path]
    captions: list[tuple[Path, str | None]]
    lists: dict[str, Path]
    objects: list[Path]


def look_into(folder: Path, get: str) -> Contents:
    """Finds the files of a folder.

    Args:
        folder: The folder.
        get: What should be there.

    Raises:
        DatasetError: It is no folder, or has no file of captions, several that are not
            of different splits, or several lists of a split.
    """
    check_folder(folder, get)
    contents = Contents(folder, [], [], {}, [])
    for path in sorted(_files_below(folder)):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            contents.photos.append(path)
        elif len(path.relative_to(folder).parts) <= DEPTH:
            _add_file(contents, path)
    _check_captions(contents, get)
    return contents


def _files_below(folder: Path) -> Iterator[Path]:
    """Yields all files but hidden ones; a folder that is linked to twice, once."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        found = os.stat(root)  # noqa: PTH116 -- as os.walk does
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in names if not name.startswith("."))


def _add_file(contents: Contents, path: Path) -> None:
    found = _LIST.fullmatch(path.name)
    split = split_of(found[1]) if found else None
    if captions := _CAPTIONS.fullmatch(path.name):
        contents.captions.append((path, split_of(captions[1] or "")))
    elif _PUBLISHED.fullmatch(path.name):
        contents.captions.append((path, None))
    elif _OBJECTS.fullmatch(path.name):
        contents.objects.append(path)
    elif split and contents.lists.setdefault(split, path) != path:
        raise DatasetError(
            f"{contents.folder} has two lists of the split {split}: "
            f"{contents.lists[split].name} and {path.name}. Keep one."
        )


def _check_captions(contents: Contents, get: str) -> None:
    names = [path.name for path, _ in contents.captions]
    if not names:
        raise DatasetError(
            f"{contents.folder} has no file of captions; expected {EXPECTED}, in it or "
            f"in a folder of it. Get it: {get}."
        )
    splits = [split for _, split in contents.captions]
    if len(names) > 1 and (None in splits or len(set(splits)) < len(splits)):
        raise DatasetError(
            f"{contents.folder} has several files of captions: {', '.join(names)}. "
            "Keep one, or one of each split: captions_train.csv, captions_dev.csv, ..."
        )


# Photographs by their names


class Photographs:
    """The photographs of a folder, found by the names that files have for them.

    A name is the end of a photograph's path, with its suffix or without: `a`, `a.jpg`
    and `images/a.jpg` are one photograph where no other path ends so.

    Args:
        contents: Of the folder.
    """

    def __init__(self, contents: Contents):
        self._folder = contents.folder
        self._by_stem = collections.defaultdict(list)
        for path in contents.photos:
            relative = PurePosixPath(path.relative_to(contents.folder).as_posix())
            self._by_stem[without_suffix(path.name)].append(relative)

    def find(self, name: str) -> Path:
        """Returns the photograph of a name.

        Raises:
            ValueError: Why there is none, or not one alone.
        """
        if fault := name_fault(name):
            raise ValueError(fault)
        wanted = PurePosixPath(name.replace("\\", "/"))
        alike = self._by_stem.get(without_suffix(wanted.name), [])
        found = [path for path in alike if _ends(path, wanted)]
        exact = [path for path in found if path == wanted]
        found = exact or found
        if len(found) == 1:
            return self._folder / found[0]
        if found:
            raise ValueError(f"may be {_listed(found)}")
        there = f"; there is {_listed(alike)}" if alike else ""
        raise ValueError(f"no such file in {self._folder}{there}")


def _listed(paths: list[PurePosixPath]) -> str:
    return " or ".join(map(str, paths[:3]))


def _ends(path: PurePosixPath, wanted: PurePosixPath) -> bool:
    """Tells whether a path ends as a name of the same stem, which may lack a suffix."""
    has_suffix = without_suffix(wanted.name) != wanted.name
    if has_suffix and wanted.suffix.lower() != path.suffix.lower():
        return False
    return path.parts[-len(wanted.parts) : -1] == wanted.parts[:-1]


def ids_of(folder: Path, paths: Iterable[Path]) -> Mapping[Path, str]:
    """Returns the ids of photographs: the names of their files without suffix.

    Photographs that share this name have the names of their folders before it.
    """
    paths = list(paths)
    counts = collections.Counter(without_suffix(path.name) for path in paths)
    ids = {}
    for path in paths:
        stem = without_suffix(path.name)
        whole = without_suffix(path.relative_to(folder).as_posix())
        ids[path] = stem if counts[stem] == 1 else whole
    return ids
