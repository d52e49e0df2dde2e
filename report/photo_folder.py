"""The folder of one explained photo, whole or marked as not yet whole."""

import json
from collections.abc import Sequence
from pathlib import Path

from dataset.files import write_whole
from report.figures import write_pictures
from report.html_report import write_report
from report.overlays import photo_jpeg

FINISHED = "settings.json"


def name_folders(photos: Sequence[Path], output: Path) -> list[Path]:
    """Returns a folder below `output` for each photo, no two alike in any case."""
    folders, taken = [], set()
    for photo in photos:
        stem = photo.stem.strip(". ") or "photo"
        folder, number = stem, 2
        while folder.casefold() in taken:
            folder, number = f"{stem}-{number}", number + 1
        taken.add(folder.casefold())
        folders.append(output / folder)
    return folders


def write_photo(folder: Path, explanations: Sequence, settings: dict) -> list[Path]:
    """Writes data, pictures and report of one photo; returns their paths.

    Several methods lie in subfolders. The settings come last: where they are, the
    folder is whole.

    Args:
        folder: The photo's folder.
        explanations: One per method.
        settings: What the explanations were asked for with, as JSON keeps it.
    """
    (folder / FINISHED).unlink(missing_ok=True)
    paths = []
    for explanation in explanations:
        below = folder / explanation.method if len(explanations) > 1 else folder
        paths += explanation.save(below)
        paths += write_pictures(explanation, below)
    first = explanations[0]
    write_whole(folder / "photo.jpg", photo_jpeg(first.image))
    paths.append(write_report(folder / "report.html", [explanations]))
    record = {"caption": first.caption, "settings": settings}
    write_whole(folder / FINISHED, (json.dumps(record, indent=2) + "\n").encode())
    return paths


def finished_caption(folder: Path, settings: dict) -> str | None:
    """Returns the caption of a whole folder with these settings, or None."""
    try:
        record = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record["caption"] if record["settings"] == settings else None
