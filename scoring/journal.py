"""A run over many images, kept image by image so that a killed run goes on."""

import contextlib
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset.records import CaptionedImage
from files.locks import locked, refuse_same
from files.messages import FileError, shortened
from files.reading import file_hash, read_json_lines
from files.values import Check, anything, image_id, record, table, text
from files.writing import append_lines, check_room, write_whole

logger = logging.getLogger(__name__)
PHOTO = "photo"  # of a record: identifies what the record was computed from
ANEW = "Begin anew with --overwrite."
HEAD = record({"settings": table(anything)})  # the check of the first line


@dataclass(frozen=True)
class Journal:
    """JSON lines: the settings of a run first, then a record for each image.

    Attributes:
        path: The file.
        values: (settings) -> the checks of what records hold beside the image's id.
    """

    path: Path
    values: Callable[[Mapping], Mapping[str, Check]] = lambda settings: {}

    def start(self, settings: Mapping, records: Iterable[Mapping] = ()) -> None:
        """Begins the file anew.

        Args:
            settings: What the records are computed with, as JSON keeps it.
            records: Of images that are done already; see `append`.
        """
        write_whole(self.path, _lines([{"settings": settings}, *records]))

    def append(self, records: Iterable[Mapping]) -> None:
        """Adds images.

        Args:
            records: One for each image, {"image_id": ..., ...}, as JSON keeps it.
        """
        append_lines(self.path, _lines(records))

    def read(self, settings: Mapping) -> list[dict]:
        """Returns the records, none if there is no file yet.

        A last line that was cut off is left out.

        Raises:
            ValueError: The records were computed with other settings, or the file is
                damaged.
        """
        if not self.path.exists():
            return []
        line = record({"image_id": image_id, **self.values(settings)}, photo=text)
        checks = itertools.chain([HEAD], itertools.repeat(line))
        lines = read_json_lines(self.path, checks, ANEW)
        self._compare(self._head(lines), settings)
        return list({record["image_id"]: record for record in lines}.values())

    def begun_with(self) -> dict:
        """Returns the settings that the file was begun with.

        Raises:
            FileError: It is missing or damaged.
        """
        return self._head(read_json_lines(self.path, iter([HEAD]), ANEW))

    def _head(self, lines: Iterator[dict]) -> dict:
        """Takes the first line; returns the settings in it."""
        head = next(lines, None)
        if head is None:
            raise FileError(f"{self.path} is damaged (it is empty). {ANEW}")
        return head["settings"]

    def _compare(self, before: Mapping, settings: Mapping) -> None:
        """Refuses other settings; a model of the same weights may have moved."""
        same = before.get("weights") == settings.get("weights") is not None
        for name in {**settings, **before}:
            if name == "model" and same:
                continue
            if before.get(name) != settings.get(name):
                raise ValueError(
                    f"{self.path} was computed with {name} "
                    f"{shortened(before.get(name))}; received "
                    f"{shortened(settings.get(name))}. Go on with the same, replace it "
                    "(--overwrite) or name another file (--output)."
                )


def photo_hash(image: CaptionedImage) -> str:
    """Identifies what is computed from: the photograph, its captions and boxes."""
    digest = hashlib.sha256(repr((image.captions, image.objects)).encode())
    digest.update(file_hash(image.path).encode())
    return digest.hexdigest()[:16]


def still_valid(
    path: Path, records: Iterable[Mapping], images: Mapping[object, CaptionedImage]
) -> list[dict]:
    """Returns the records without those of images that have changed since.

    Records of earlier versions do not say what they were computed from; they stay.

    Args:
        path: The journal, for the messages.
        records: Of the images.
        images: By the ids of the records.
    """
    kept, num_changed, num_silent = [], 0, 0
    for one in records:
        image = images.get(one["image_id"])
        if image is not None and PHOTO not in one:
            num_silent += 1
        elif image is not None and _has_changed(image, one[PHOTO]):
            num_changed += 1
            continue
        kept.append(dict(one))
    if num_changed:
        logger.warning(
            "%s: %d photographs or their captions have changed since; they are "
            "computed anew.",
            *(path, num_changed),
        )
    if num_silent:
        logger.warning(
            "%s: an earlier version computed %d images and did not note which "
            "photographs they were; they are taken as they are.",
            *(path, num_silent),
        )
    return kept


def _has_changed(image: CaptionedImage, before: str) -> bool:
    try:
        return photo_hash(image) != before
    except FileError:  # it cannot be read: that is told where it is computed anew
        return True


def read_shards(journals: Iterable[Journal], settings: Mapping) -> list[dict]:
    """Returns the records of runs over parts of the images.

    Args:
        journals: Of each run.
        settings: What all were computed with.

    Raises:
        ValueError: One is not there, or was computed with other settings.
    """
    records = []
    for journal in journals:
        if not journal.path.exists():
            raise ValueError(
                f"There is no {journal.path} to merge. Name the --output of each shard."
            )
        records += journal.read(settings)
    return records


@contextlib.contextmanager
def held(results: Path, written: Iterable[Path], options) -> Iterator[None]:
    """Holds the files of a run for this process, after it is clear they can be written.

    Args:
        results: The first of the files.
        written: All files.
        options: Of the script: `resume`, `overwrite`, `merge`, `data_dir`, and
            perhaps `captions` and `images`.

    Raises:
        ValueError: The files are read too, or are there and may not be replaced.
        WriteError: They cannot be written, or another process writes them.
    """
    written = list(written)
    read = [*options.merge, getattr(options, "captions", None)]
    for path in written:
        refuse_same([one for one in read if one is not None], path)
    if not (options.resume or options.overwrite):
        refuse_existing(written)
    folders = (options.data_dir, getattr(options, "images", None))
    _refuse_among(written, [folder for folder in folders if folder is not None])
    check_room(results.parent)
    with locked(results):
        yield


def _refuse_among(written: list[Path], folders: list[Path]) -> None:
    """Refuses to replace a file of what is read, which is no result of a run."""
    results, others = written[0], written[1:]
    if not results.exists() or any(path.exists() for path in others):
        return
    for folder in folders:
        if folder.resolve() in results.resolve().parents:
            raise ValueError(
                f"{results} lies in {folder}, which is read, and is no result of an "
                "earlier run. Name another --output."
            )


def require_json(path: Path, what: str) -> None:
    """Refuses results that would be written to another file than a JSON file.

    Args:
        path: Of the results.
        what: They are, in the plural.

    Raises:
        ValueError: The path does not end in .json.
    """
    if path.suffix != ".json":
        raise ValueError(
            f"The {what} are written as JSON; expected --output FILE.json, received "
            f"{path}."
        )


def refuse_existing(paths: Iterable[Path]) -> None:
    """Refuses to replace the files of an earlier run.

    Raises:
        ValueError: One of the paths is there.
    """
    for path in paths:
        if path.exists():
            raise ValueError(
                f"{path} exists already. Go on with it (--resume), replace it "
                "(--overwrite) or name another file (--output)."
            )


def _lines(records: Iterable[Mapping]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
