"""A run over many images, kept image by image so that a killed run goes on."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset.files import write_whole


@dataclass(frozen=True)
class Journal:
    """JSON lines: the settings of a run first, then a record for each image.

    Attributes:
        path: The file.
    """

    path: Path

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
        with self.path.open("ab") as file:
            file.write(_lines(records))

    def read(self, settings: Mapping) -> list[dict]:
        """Returns the records, none if there is no file yet.

        A last line that was cut off is left out.

        Raises:
            ValueError: The records were computed with other settings, or the file is
                damaged.
        """
        if not self.path.exists():
            return []
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
            header, *records = [json.loads(line) for line in lines]
            before = dict(header["settings"])
            found = {record["image_id"]: record for record in records}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path} is damaged ({error}); begin anew with --overwrite."
            ) from error
        for name in {**settings, **before}:
            if before.get(name) != settings.get(name):
                raise ValueError(
                    f"{self.path} was computed with {name} {before.get(name)}; "
                    f"received {settings.get(name)}. Go on with the same, replace it "
                    "(--overwrite) or name another file (--output)."
                )
        return list(found.values())


def read_shards(journals: Iterable[Path], settings: Mapping) -> list[dict]:
    """Returns the records of runs over parts of the images.

    Args:
        journals: Of each run.
        settings: What all were computed with.

    Raises:
        ValueError: One is not there, or was computed with other settings.
    """
    records = []
    for path in journals:
        if not path.exists():
            raise ValueError(
                f"There is no {path} to merge. Name the --output of each shard."
            )
        records += Journal(path).read(settings)
    return records


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
