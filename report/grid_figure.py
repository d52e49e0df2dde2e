"""Figure of a grid: a row for each thing explained, a column for each way."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from files.pictures import shrunk
from report.canvas import QUIET, blank_page, show_at, shrink, text_at
from report.checks import check_explanation, row_of
from report.look import USUAL, Look
from report.overlays import photo_of
from report.word_pictures import SMALL, WordPictures
from report.wording import likelihood, method_label

TILE, GAP, MARGIN, LABEL = 1.3, 0.06, 0.3, 0.5  # inches
Heading = tuple[str, str]  # a name, and a fact in small letters below it


def grid_figure(
    headings: Sequence[Heading],
    tiles: Sequence[Sequence[np.ndarray]],
    labels: Sequence[str],
) -> Figure:
    """Draws a grid of pictures.

    Args:
        headings: Of the columns (C,).
        tiles: Pictures by row and column, uint8 RGB (H, W, 3) each; all have the
            proportions of the first.
        labels: Written into the first picture of each row.

    Returns:
        A figure that belongs to no window.
    """
    height, width = tiles[0][0].shape[:2]
    size = (TILE, TILE * height / width)
    across = 2 * MARGIN + len(headings) * (TILE + GAP) - GAP
    down = 2 * MARGIN + LABEL + len(tiles) * (size[1] + GAP) - GAP
    figure = blank_page(across, down)
    top = down - MARGIN - LABEL
    for column, (name, fact) in enumerate(headings):
        left = MARGIN + column * (TILE + GAP)
        for text in (
            text_at(figure, left, top + 0.24, name, size=10, weight="bold"),
            text_at(figure, left, top + 0.08, fact, size=8, color=QUIET),
        ):
            shrink(figure, text, TILE)
        for row, pictures in enumerate(tiles):
            bottom = top - row * (size[1] + GAP) - size[1]
            show_at(figure, pictures[column], left, bottom, size)
    behind = {"facecolor": "#000000a0", "edgecolor": "none", "pad": 2}
    style = {"size": 7, "color": "white", "bbox": behind}
    for row, label in enumerate(labels):
        bottom = top - row * (size[1] + GAP) - size[1]
        text_at(figure, MARGIN + 0.05, bottom + 0.06, label, **style)
    return figure


def method_figure(
    explanations: Sequence, words: Sequence[str | int], look: Look = USUAL
) -> Figure:
    """Draws words of one caption under several methods, a column for each.

    Args:
        explanations: Of the same caption, one per method.
        words: Words of it, or their places in the caption, from 0.
        look: The colours.

    Returns:
        A figure that belongs to no window; `write_figure(figure, path)` saves it.

    Raises:
        ValueError: A word is not there, or it is there several times.
    """
    for explanation in explanations:
        check_explanation(explanation)
    first = explanations[0]
    photo = shrunk(photo_of(first), SMALL)
    rows = [row_of(first, word) for word in words]
    columns = [[photo] * len(rows)]
    for explanation in explanations:
        pictures = WordPictures(explanation, photo, look)
        columns.append(list(map(pictures.relevance, rows)))
    headings = [("photo", ""), *(_heading(method_label(e)) for e in explanations)]
    labels = [f"{first.words[row]}, {likelihood(first, row)}" for row in rows]
    return grid_figure(headings, list(zip(*columns, strict=True)), labels)


def _heading(label: str) -> Heading:
    name, _, rules = label.partition(" (")
    return name, rules.removesuffix(")")
