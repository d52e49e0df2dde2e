"""The files of generated captions: COCO results, the n-best list and the scores."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset.files import write_whole
from dataset.records import CaptionedImage

NUMBERED = ("coco2017",)  # datasets whose ids are numbers
_COCO_NAME = re.compile(r"(?:COCO_[a-z]+\d{4}_)?(\d{12})")


@dataclass(frozen=True)
class CaptionFiles:
    """The files of one run of a captioner over many images.

    The n-best list grows while captions are computed: the settings in its first
    line, then a line for each image. A killed run goes on from it.

    Attributes:
        results: The captions as COCO's tools read them; ends in .json.
    """

    results: Path

    def __post_init__(self):
        if self.results.suffix != ".json":
            raise ValueError(
                f"The captions are written as JSON; expected --output FILE.json, "
                f"received {self.results}."
            )

    @property
    def nbest(self) -> Path:
        """The captions of each image's beam, as JSON lines."""
        return self.results.with_suffix(".nbest.jsonl")

    @property
    def scores(self) -> Path:
        """The scores and the settings, as JSON."""
        return self.results.with_suffix(".scores.json")

    def existing(self) -> list[Path]:
        """Returns the files that are there."""
        paths = (self.results, self.nbest, self.scores)
        return [path for path in paths if path.exists()]

    def refuse_existing(self) -> None:
        """Refuses to replace captions.

        Raises:
            ValueError: There are finished or unfinished captions already.
        """
        if self.existing():
            raise ValueError(
                f"{self.existing()[0]} exists already. Go on with it (--resume), "
                "replace it (--overwrite) or name another file (--output)."
            )

    def start(self, settings: Mapping, records: Iterable[Mapping] = ()) -> None:
        """Begins the n-best list, and removes what no longer belongs to it.

        Args:
            settings: What the captions are computed with, as JSON keeps it.
            records: Of images that are captioned already; see `append`.
        """
        write_whole(self.nbest, _lines([{"settings": settings}, *records]))
        self.results.unlink(missing_ok=True)
        self.scores.unlink(missing_ok=True)

    def append(self, records: Iterable[Mapping]) -> None:
        """Adds images to the n-best list.

        Args:
            records: {"image_id": ..., "captions": [...], "scores": [...]}, best first.
        """
        with self.nbest.open("ab") as file:
            file.write(_lines(records))

    def read(self, settings: Mapping) -> dict[int | str, dict]:
        """Returns the records of the n-best list by image id.

        A last line that was cut off is left out.

        Raises:
            ValueError: The list was computed with other settings, is damaged, or is
                missing beside its results.
        """
        if not self.nbest.exists() and not self.results.exists():
            return {}
        if not self.nbest.exists():
            raise ValueError(
                f"{self.results} cannot be gone on with: {self.nbest} is not there. "
                "Begin anew with --overwrite."
            )
        try:
            lines = self.nbest.read_bytes().split(b"\n")[:-1]
            header, *records = [json.loads(line) for line in lines]
            found = {record["image_id"]: record for record in records}
            before = header["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.nbest} is damaged ({error}); begin anew with --overwrite."
            ) from error
        for name in settings:
            if before.get(name) != settings[name]:
                raise ValueError(
                    f"{self.nbest} was computed with {name} {before.get(name)}; "
                    f"received {settings[name]}. Go on with the same, replace it "
                    "(--overwrite) or name another file (--output)."
                )
        return found

    def write_results(self, records: Sequence[Mapping]) -> dict[int | str, str]:
        """Writes and returns the best caption of each image."""
        best = {record["image_id"]: record["captions"][0] for record in records}
        results = [{"image_id": key, "caption": text} for key, text in best.items()]
        write_whole(self.results, (json.dumps(results, indent=0) + "\n").encode())
        return best

    def write_scores(
        self, settings: Mapping, num_images: int, scores: Mapping, missing: Mapping
    ) -> None:
        """Writes scores, why the missing ones are missing, and what was scored."""
        what = {**settings, "num_images": num_images}
        content = what | {"scores": scores, "missing": missing}
        write_whole(self.scores, (json.dumps(content, indent=2) + "\n").encode())


def _lines(records: Iterable[Mapping]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def to_record(image_id: int | str, captions: Iterable) -> dict:
    """Returns what the n-best list keeps of an image.

    Args:
        image_id: See `number_ids`.
        captions: Best first; each with a text and a score.
    """
    found = [caption for caption in captions if math.isfinite(caption.score)]
    return {
        "image_id": image_id,
        "captions": [caption.text for caption in found],
        "scores": [caption.score for caption in found],
    }


def number_ids(
    images: Sequence[CaptionedImage], dataset: str | None
) -> list[int | str]:
    """Returns the ids of results, which COCO's tools compare with their own.

    They are numbers where they are COCO's, of a dataset or of a folder whose files
    are all named as COCO's. Else they are the readers': the name of the file without
    its suffix, or with it in a folder where two names would be alike.

    Args:
        images: All images.
        dataset: A name, or None for a folder.
    """
    if dataset in NUMBERED:
        return [int(image.image_id) for image in images]
    names = [image.image_id for image in images]
    if dataset is not None:
        return names
    found = [_COCO_NAME.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in found if match]
    for ids in (numbers, names):
        if len(set(ids)) == len(images):
            return ids
    return [image.path.name for image in images]
