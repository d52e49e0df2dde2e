"""The folder of one explained photo, whole or marked as not yet whole."""

import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from files.pictures import kept_photo
from files.reading import read_json
from files.values import record, text
from files.writing import holds_something, write_json, write_whole
from report.figures import FORMATS, NAMES, write_pictures
from report.html_report import write_report
from report.index_page import Card
from report.look import USUAL, Look
from report.overlays import photo_of
from report.wording import mean_probability

logger = logging.getLogger(__name__)
FINISHED = "settings.json"
NOTED_LATER = {"weights": "weights", "content": "photograph"}  # than version e42c30f
ANEW = "Explain the photo anew with --overwrite."
WRITTEN = (
    *("explanation.json", "explanation.npz", "photo.jpg", "report.html"),
    *(f"{name}.{kind}" for name in NAMES for kind in FORMATS),
)


def place_of(photo: Path, output: Path) -> str:
    """Returns where a photo lies, seen from the output: it names no folders above."""
    try:
        return Path(os.path.relpath(photo.absolute(), output.absolute())).as_posix()
    except ValueError:  # another drive
        return photo.name


def name_folders(
    photos: Sequence[Path], output: Path, taken: Iterable[str] = ()
) -> list[Path]:
    """Returns a folder below `output` for each photo, no two alike in any case.

    A folder belongs to the photo that was explained in it. A photo without a folder
    gets the first of NAME, NAME-2, NAME-3, ... that belongs to no other, so that a
    photo of the same name that comes later renames nothing.

    Args:
        photos: The files.
        output: Has the folders in it.
        taken: Names in it of other files.
    """
    others = {name.casefold() for name in taken}
    names = {photo: _own_name(photo, output) for photo in photos}
    names = {p: None if n and n.casefold() in others else n for p, n in names.items()}
    taken = others | {name.casefold() for name in names.values() if name}
    for photo in [photo for photo, name in names.items() if name is None]:
        free = (
            name
            for name in _possible_names(photo)
            if name.casefold() not in taken and _photo_of(output / name) is None
        )
        names[photo] = next(free)
        if names[photo] != next(_possible_names(photo)):
            logger.info(
                "%s is explained in the folder %s: another photo, or the index, has "
                "its name already.",
                *(photo, names[photo]),
            )
        taken.add(names[photo].casefold())
    return [output / names[photo] for photo in photos]


def _own_name(photo: Path, output: Path) -> str | None:
    for name in _possible_names(photo):
        if not (output / name).exists():
            return None
        if _photo_of(output / name) in (str(photo), place_of(photo, output)):
            return name


def _possible_names(photo: Path) -> Iterator[str]:
    stem = photo.stem.strip(". ") or "photo"
    yield stem
    yield from (f"{stem}-{number}" for number in itertools.count(2))


def _photo_of(folder: Path) -> str | None:
    """Returns which photo was explained in a folder, None if it is not known."""
    try:
        settings = _read_settings(folder).get("settings", {})
    except ValueError:  # told where the photo is explained
        return None
    return settings.get("photo")


def in_use(paths: Iterable[Path]) -> list[Path]:
    """Returns the files that are there, and the folders that hold something."""
    return [path for path in paths if holds_something(path)]


def write_photo(
    folder: Path,
    explanations: Mapping[str, Sequence],
    settings: dict,
    look: Look = USUAL,
    figure_format: str = FORMATS[0],
) -> list[Path]:
    """Writes data, pictures and report of one photo; returns their paths.

    Several captioners lie in subfolders, and several methods in subfolders of these.
    The settings come last: where they are, the folder is whole.

    Args:
        folder: The photo's folder.
        explanations: By the captioner's name, one per method.
        settings: What the explanations were asked for with, as JSON keeps it; a
            sentence to show is `note`.
        look: The colours.
        figure_format: Of the figures, one of FORMATS.
    """
    _clear(folder)
    paths = []
    for captioner, place in _places(folder, list(explanations)).items():
        several = len(explanations[captioner]) > 1
        for explanation in explanations[captioner]:
            below = place / explanation.method if several else place
            paths += explanation.save(below)
            paths += write_pictures(explanation, below, captioner, look, figure_format)
    first = next(iter(explanations.values()))[0]
    photo = folder / "photo.jpg"
    if photo not in paths:  # a single explanation has written it
        write_whole(photo, kept_photo(photo_of(first)))
    page, note = folder / "report.html", settings.get("note")
    groups, names = list(explanations.values()), list(explanations)
    paths.append(write_report(page, groups, names, note, look))
    finished = {
        "caption": joined_captions(groups),
        "probability": mean_probability(first),
        "settings": settings,
    }
    write_json(folder / FINISHED, finished)
    return paths


def joined_captions(explanations: Iterable[Sequence]) -> str:
    """Returns the captions of a photo, one per captioner, as one line."""
    return " / ".join(dict.fromkeys(group[0].caption for group in explanations))


def _places(folder: Path, captioners: list[str]) -> dict[str, Path]:
    """Returns the folder of each captioner: the last part of its name, if several."""
    if len(captioners) == 1:
        return {captioners[0]: folder}
    places: dict[str, Path] = {}
    for name in captioners:
        possible = _possible_names(Path(name))
        free = (
            place for one in possible if (place := folder / one) not in places.values()
        )
        places[name] = next(free)
    return places


def _clear(folder: Path) -> None:
    """Removes an earlier explanation of the photo, and nothing else."""
    (folder / FINISHED).unlink(missing_ok=True)
    found = (folder.glob(f"{stars}explanation.json") for stars in ("*/*/", "*/", ""))
    for below in [path.parent for paths in found for path in paths]:
        for name in WRITTEN:
            (below / name).unlink(missing_ok=True)
        for empty in (below, below.parent):
            if empty != folder and folder in empty.parents and not any(empty.iterdir()):
                empty.rmdir()
    for name in WRITTEN:
        (folder / name).unlink(missing_ok=True)


def finished_caption(folder: Path, settings: dict, photo: str) -> str | None:
    """Returns the caption of a whole folder with these settings, or None.

    Earlier versions noted less: what they did not note is taken for the same.

    Args:
        folder: Of a photo.
        settings: Asked for now.
        photo: Its name, as earlier versions noted it.

    Raises:
        FileError: The settings in the folder are damaged.
    """
    found = _read_settings(folder)
    if not found:
        return None
    before = found["settings"]
    same_weights = before.get("weights") == settings["weights"]
    if same_weights or os.path.normpath(before.get("model", "")) == settings["model"]:
        before = before | {"model": settings["model"]}
    if before.get("photo") == photo:
        before = before | {"photo": settings["photo"]}
    silent = [name for name in NOTED_LATER if name not in before]
    if before != {name: settings[name] for name in settings if name not in silent}:
        return None
    if silent:
        logger.warning(
            "%s: an earlier version explained it and noted no fingerprint of the %s; "
            "it is taken as it is.",
            *(folder, " and the ".join(map(NOTED_LATER.get, silent))),
        )
    return found["caption"]


def list_cards(output: Path) -> list[Card]:
    """Returns a card of every whole folder in `output`, the surest captions first."""
    folders = (path.parent for path in output.glob(f"*/{FINISHED}"))
    records = {folder.name: _read_settings(folder) for folder in folders}
    cards = [_card(name, record) for name, record in records.items() if record]
    return sorted(cards, key=lambda card: (-(card.probability or 0), card.folder))


def _card(folder: str, record: dict) -> Card:
    """Gathers what the index says; earlier versions wrote no probability and note."""
    settings = record["settings"]
    return Card(
        record["caption"],
        folder,
        settings["model"].replace(",", ", "),
        record.get("probability"),
        settings.get("note"),
    )


def _read_settings(folder: Path) -> dict:
    """Returns what FINISHED holds; nothing where it is not there."""
    path = folder / FINISHED
    if not path.is_file():
        return {}
    known = record({"photo": text}, model=text, weights=text)
    return read_json(path, record({"caption": text, "settings": known}), ANEW)
