"""Pictures and pages that show what a captioner saw; knows arrays and words only.

An explanation is any object with the attributes of `models.explainers.Explanation`.
"""

from collections.abc import Sequence
from pathlib import Path

from report.figures import heatmap_figure, word_relevance_figure, write_pictures
from report.html_report import write_report
from report.index_page import Card, write_index
from report.overlays import attention_overlay, overlay

__all__ = [
    "Card",
    "attention_overlay",
    "heatmap_figure",
    "overlay",
    "word_relevance_figure",
    "write",
    "write_index",
    "write_pictures",
    "write_report",
]


def write(explanations: Sequence, folder: str | Path) -> list[Path]:
    """Writes the pictures of every explanation of a photo and one report of them.

    Args:
        explanations: Of one photo, one per method. The pictures of several methods
            lie in one folder each.
        folder: Where to write; made if it is missing.

    Returns:
        The paths written, `report.html` last.

    Raises:
        ValueError: If two explanations have the same method, which would take each
            other's place.
    """
    folder = Path(folder)
    methods = [explanation.method for explanation in explanations]
    if len(set(methods)) < len(methods):
        raise ValueError(
            f"Expected one explanation per method, received {methods}. Call "
            "write_pictures with a folder for each of them."
        )
    paths = []
    for explanation in explanations:
        below = explanation.method if len(methods) > 1 else "."
        paths += write_pictures(explanation, folder / below)
    return [*paths, write_report(folder / "report.html", [explanations])]
