"""Pictures and pages that show what a captioner saw; knows arrays and words only.

An explanation is any object with the attributes of `models.explainers.Explanation`.
"""

from collections.abc import Sequence
from pathlib import Path

from report.figures import heatmap_figure, word_relevance_figure, write_pictures
from report.html_report import write_report
from report.overlays import attention_overlay, overlay

__all__ = [
    "attention_overlay",
    "heatmap_figure",
    "overlay",
    "word_relevance_figure",
    "write",
    "write_pictures",
    "write_report",
]


def write(photos: Sequence[Sequence], folder: str | Path) -> list[Path]:
    """Writes the pictures of every explanation and one report of all of them.

    Pictures lie in `folder` itself; several photos get the folders `photo_0`,
    `photo_1`, ... below it, several methods one folder each below those.

    Args:
        photos: For each photo its explanations, one per method.
        folder: Where to write; made if it is missing.

    Returns:
        The paths written, `report.html` last.

    Raises:
        ValueError: If one photo has two explanations of the same method, which
            would take each other's place.
    """
    folder = Path(folder)
    paths = []
    for index, explanations in enumerate(photos):
        methods = [explanation.method for explanation in explanations]
        if len(set(methods)) < len(methods):
            raise ValueError(
                f"Expected one explanation per method for photo {index}, received "
                f"{methods}. Call write_pictures with a folder for each of them."
            )
        photo_folder = folder / f"photo_{index}" if len(photos) > 1 else folder
        for explanation in explanations:
            below = explanation.method if len(methods) > 1 else "."
            paths += write_pictures(explanation, photo_folder / below)
    return [*paths, write_report(folder / "report.html", photos)]
