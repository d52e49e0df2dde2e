"""The files of generated captions: COCO results, the n-best list and the scores."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset.ids import by_key, image_key, key_function
from dataset.records import CaptionedImage, Dataset
from files.messages import FileError
from files.reading import read_json
from files.values import anything, items, number, record, text
from files.writing import write_json
from keras_lrp import __version__
from scoring.journal import PHOTO, Journal, require_json

WAY_OUT = (
    "It holds no captions as inference.py writes them: "
    '[{"image_id": ..., "caption": ...}, ...].'
)
BEAM = {"captions": items(text, least=1), "scores": items(number, least=1)}
CAPTIONS = items(record({"image_id": anything, "caption": text}))
_COCO_NAME = re.compile(r"(?:COCO_[a-z]+\d{4}_)?(\d{12})")


@dataclass(frozen=True)
class CaptionFiles:
    """The files of one run of a captioner over many images.

    The n-best list is a journal: it grows while captions are computed, and a killed
    run goes on from it.

    Attributes:
        results: The captions as COCO's tools read them; ends in .json.
    """

    results: Path

    def __post_init__(self):
        require_json(self.results, "captions")

    @property
    def nbest(self) -> Path:
        """The captions of each image's beam, as JSON lines."""
        return self.results.with_suffix(".nbest.jsonl")

    @property
    def journal(self) -> Journal:
        """What reads and writes them."""
        return Journal(self.nbest, lambda settings: BEAM)

    @property
    def scores(self) -> Path:
        """The scores and the settings, as JSON."""
        return self.results.with_suffix(".scores.json")

    def existing(self) -> list[Path]:
        """Returns the files that are there."""
        return [path for path in self.all() if path.exists()]

    def all(self) -> tuple[Path, ...]:
        """Returns all files, the results first."""
        return self.results, self.nbest, self.scores

    def start(self, settings: Mapping, records: Iterable[Mapping] = ()) -> None:
        """Begins the n-best list, and removes what no longer belongs to it.

        Args:
            settings: What the captions are computed with, as JSON keeps it.
            records: Of images that are captioned already; see `append`.
        """
        self.journal.start(settings, records)
        self.results.unlink(missing_ok=True)
        self.scores.unlink(missing_ok=True)

    def append(self, records: Iterable[Mapping]) -> None:
        """Adds images to the n-best list.

        Args:
            records: {"image_id": ..., "captions": [...], "scores": [...]}, best first.
        """
        self.journal.append(records)

    def read(self, settings: Mapping) -> list[dict]:
        """Returns the records of the n-best list.

        Raises:
            ValueError: The list was computed with other settings, is damaged, or is
                missing beside its results; see `Journal.read`.
        """
        if self.results.exists() and not self.nbest.exists():
            raise ValueError(
                f"{self.results} cannot be continued: {self.nbest} is not there. "
                "Begin anew with --overwrite."
            )
        return self.journal.read(settings)

    def write_results(self, records: Sequence[Mapping]) -> dict[int | str, str]:
        """Writes and returns the best caption of each image."""
        best = {record["image_id"]: record["captions"][0] for record in records}
        results = [
            {"image_id": key, "caption": caption} for key, caption in best.items()
        ]
        write_json(self.results, results, indent=0)
        return best

    def write_scores(
        self, settings: Mapping, num_images: int, scores: Mapping, missing: Mapping
    ) -> None:
        """Writes scores, see `write_caption_scores`."""
        write_caption_scores(self.scores, settings, num_images, scores, missing)


def write_caption_scores(
    path: Path, settings: Mapping, num_images: int, scores: Mapping, missing: Mapping
) -> None:
    """Writes scores, why the missing ones are missing, and what was scored."""
    what = {**settings, "num_images": num_images, "version": __version__}
    write_json(path, what | {"scores": scores, "missing": missing})


def read_results(
    path: Path, images: Sequence[CaptionedImage], dataset: Dataset
) -> dict[str, str]:
    """Reads captions from a file as `CaptionFiles.write_results` makes it.

    Args:
        path: The file; it may have captions of other images too.
        images: Of the dataset; see `image_key` for how their ids may be spelled.
        dataset: Says whether its ids are numbers.

    Returns:
        The caption of each image by the image's id.

    Raises:
        ValueError: The file holds something else, several captions of an image, or no
            caption of some images.
    """
    ids = [image.image_id for image in images]
    key = image_key if dataset.has_numbered_ids else key_function(ids)
    try:
        entries = read_json(path, CAPTIONS, WAY_OUT)
        texts = [(entry["image_id"], entry["caption"].strip()) for entry in entries]
        found = by_key(texts, key)
    except FileError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}. Expected one caption of an image."
        ) from None
    missing = [id_ for id_ in ids if key(id_) not in found]
    if missing:
        raise ValueError(
            f"{path} lacks the captions of {len(missing)} of {len(ids)} images, such "
            f"as {missing[0]}. Caption all with inference.py, or choose the first few "
            "with --limit."
        )
    return {id_: found[key(id_)] for id_ in ids}


def to_record(image_id: int | str, captions: Iterable, photo: str) -> dict:
    """Returns what the n-best list keeps of an image.

    Args:
        image_id: See `number_ids`.
        captions: Best first; each with a text and a score.
        photo: From `photo_hash`.
    """
    found = [caption for caption in captions if math.isfinite(caption.score)]
    return {
        "image_id": image_id,
        "captions": [caption.text for caption in found],
        "scores": [caption.score for caption in found],
        PHOTO: photo,
    }


def number_ids(
    images: Sequence[CaptionedImage], dataset: Dataset | None
) -> list[int | str]:
    """Returns the ids of results, which COCO's tools compare with their own.

    They are numbers where they are COCO's, of a dataset or of a folder whose files
    are all named as COCO's. Else they are the readers': the name of the file without
    its suffix. In a folder, files whose names differ in the suffix alone keep it; a
    file that comes later changes the id of no other name.

    Args:
        images: All images.
        dataset: Where they are from; None for a folder.
    """
    if dataset is not None and dataset.has_numbered_ids:
        return [int(image.image_id) for image in images]
    names = [image.image_id for image in images]
    if dataset is not None:
        return names
    found = [_COCO_NAME.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in found if match]
    if len(set(numbers)) == len(images):
        return numbers
    counts = Counter([*names, *(image.path.name for image in images)])
    return [
        name if counts[name] == 1 or name == image.path.name else image.path.name
        for name, image in zip(names, images, strict=True)
    ]
