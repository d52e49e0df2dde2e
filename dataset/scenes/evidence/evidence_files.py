"""Scenes with evidence on the disk, written and read.

DATA_DIR/...                          as rendered scenes, see dataset.scenes.scenes
DATA_DIR/text/scenes.editsImages.txt  the edited pictures of the test
DATA_DIR/evidence/<image id>.json     the words with their evidence, and the edits

Parts of a picture have the numbers that its file in `objects` shows: 0 is the ground, 1
the badge, 2 and more are the objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.problems import DatasetError
from dataset.progress import progress
from dataset.records import CaptionedImage
from dataset.scenes.evidence.edits import Edit, edits_of
from dataset.scenes.evidence.plans import Plan, compose_plan, render_plan
from dataset.scenes.evidence.told_words import ABOUT, ToldWord, sentence, tell
from dataset.scenes.scenes import (
    ANEW,
    read_parts,
    read_scenes,
    render_whole,
    scene_seed,
    write_scene,
)
from files import values
from files.reading import read_json
from files.writing import write_json, write_lines

VERSION = 1  # raised whenever the same seed gives another picture
TEST, EDITS = "test", "edits"
_PARTS = values.items(values.whole(0, 9))
_WORD = values.record(
    {
        "text": values.filled,
        "about": values.one_of("", *ABOUT),
        "fact": values.text,
        "parts": _PARTS,
    }
)
_EDIT = values.record({"image": values.filled, "fact": values.filled, "parts": _PARTS})
_FACTS = values.record(
    {"words": values.items(_WORD, least=1), "edits": values.items(_EDIT)}
)


@dataclass(frozen=True, eq=False)
class EditedImage:
    """An edited picture; see `Edit`.

    Attributes:
        edit: What was changed; without the plan.
        record: The picture and its own caption.
    """

    edit: Edit
    record: CaptionedImage


@dataclass(frozen=True, eq=False)
class EvidenceScene:
    """A picture with what is known of its words.

    Attributes:
        record: The picture and its caption.
        words: Of the caption (T,).
        parts: The number of each pixel's part (224, 224).
        edits: The picture with one fact changed; none but in the test.
    """

    record: CaptionedImage
    words: tuple[ToldWord, ...]
    parts: np.ndarray
    edits: tuple[EditedImage, ...]

    def evidence(self, word: ToldWord) -> np.ndarray:
        """Returns the pixels that a word rests on, bool (224, 224)."""
        return np.isin(self.parts, list(word.parts))


def write_evidence_scenes(
    data_dir: str | Path,
    num_images: Mapping[str, int],
    seed: int = 0,
    by_badge: bool = False,
) -> Path:
    """Renders pictures with one caption each, and their words' evidence.

    The pictures of a seed are the same with and without the shortcut. In those of the
    test the badge has the colour of the first object: there both captions are the same
    and true.

    Args:
        data_dir: A new or empty folder, or one written with the same arguments.
        num_images: How many pictures each split has, the edited ones apart.
        seed: See `write_scenes`.
        by_badge: See `tell`.

    Returns:
        The folder. It appears whole or not at all.

    Raises:
        DatasetError: The folder holds other files or scenes, or is a file.
        ValueError: A split is unknown or its number of images is out of range.
    """

    def write(folder: Path, num_images: Mapping[str, int]) -> None:
        _write_splits(folder, num_images, seed, by_badge)

    drawn = {"evidence": VERSION, "seed": seed}
    return render_whole(data_dir, num_images, drawn, {"by_badge": by_badge}, write)


def read_evidence(data_dir: str | Path, split: str) -> list[EvidenceScene]:
    """Reads a split with the evidence of its words, the test with its edits.

    Raises:
        DatasetError: The folder holds no such scenes, or files are missing.
        FileError: A file is damaged.
    """
    data_dir = Path(data_dir)
    edited = {}
    if split == TEST:
        edited = {record.image_id: record for record in read_scenes(data_dir, EDITS)}
    return [
        _read_scene(data_dir, record, edited) for record in read_scenes(data_dir, split)
    ]


def _read_scene(
    data_dir: Path, record: CaptionedImage, edited: Mapping[str, CaptionedImage]
) -> EvidenceScene:
    path = data_dir / "evidence" / f"{record.image_id}.json"
    if not path.is_file():
        raise DatasetError(f"{path} is missing. {ANEW}")
    facts = read_json(path, _FACTS, ANEW)
    words = [
        ToldWord(one["text"], one["about"], one["fact"], frozenset(one["parts"]))
        for one in facts["words"]
    ]
    edits = []
    for one in facts["edits"]:
        if one["image"] not in edited:
            raise DatasetError(f"{path}: {one['image']} is not listed. {ANEW}")
        edit = Edit(one["fact"], frozenset(one["parts"]))
        edits.append(EditedImage(edit, edited[one["image"]]))
    return EvidenceScene(record, tuple(words), read_parts(record), tuple(edits))


def _write_splits(
    folder: Path, num_images: Mapping[str, int], seed: int, by_badge: bool
) -> None:
    for name in ("images", "objects", "text", "evidence"):
        (folder / name).mkdir(parents=True)
    captions: dict[str, dict[str, str]] = {split: {} for split in (*num_images, EDITS)}
    with progress(total=sum(num_images.values()), desc="Rendering scenes") as bar:
        for split, number in num_images.items():
            for index in range(number):
                rng = np.random.default_rng((scene_seed(split, index, seed), 2))
                plan = compose_plan(rng, agrees=split == TEST)
                edits = edits_of(plan, rng) if split == TEST else ()
                image_id = f"{split}_{index:06d}"
                told = _write_pictures(folder, image_id, plan, edits, by_badge)
                captions[split][image_id] = told.pop(image_id)
                captions[EDITS] |= told
                bar.update()
    for split, told in captions.items():
        if told:
            names = [f"{image_id}.jpg" for image_id in told]
            write_lines(folder / f"text/scenes.{split}Images.txt", names)
    lines = [f"{i}.jpg#0\t{c}" for told in captions.values() for i, c in told.items()]
    write_lines(folder / "text/scenes.token.txt", lines)


def _write_pictures(
    folder: Path, image_id: str, plan: Plan, edits: Sequence[Edit], by_badge: bool
) -> dict[str, str]:
    """Writes the files of a picture and of its edits; returns the captions by id."""
    named = {f"{image_id}-{n:02d}": edit for n, edit in enumerate(edits, start=1)}
    plans = {image_id: plan} | {name: edit.plan for name, edit in named.items()}
    told = {name: tell(one, by_badge) for name, one in plans.items()}
    captions = {name: sentence(words) for name, words in told.items()}
    for name, one in plans.items():
        write_scene(folder, name, render_plan(one, (captions[name],)))
        facts = _facts(told[name], named if name == image_id else {})
        write_json(folder / "evidence" / f"{name}.json", facts, indent=None)
    return captions


def _facts(words: Sequence[ToldWord], edits: Mapping[str, Edit]) -> dict:
    """Returns what is kept of a picture's words and of its edits by their ids."""
    return {
        "words": [word._asdict() | {"parts": sorted(word.parts)} for word in words],
        "edits": [
            {"image": name, "fact": edit.fact, "parts": sorted(edit.parts)}
            for name, edit in edits.items()
        ],
    }
