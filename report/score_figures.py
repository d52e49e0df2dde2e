"""Figures of how well explanations find objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from report.canvas import INK, QUIET, axes_at, blank_page, show_at, shrink, text_at
from report.charts import (
    LABELS,
    MARGIN,
    frame_axes,
    line_style,
    write_key,
    write_title,
)
from report.overlays import heatmaps, overlay
from report.wording import number

# Inches.
CURVES = (5.2, 4.0)
LINE = 0.42
TILE = 1.5
GAP = 0.08
LABEL = 0.42
SIDE = 1.6
BETWEEN = 0.35


@dataclass(frozen=True, eq=False)
class Example:
    """A word, its relevance and the boxes it names.

    Attributes:
        photo: uint8 (H, W, 3).
        relevance: Signed, (H, W, 3).
        boxes: (xmin, ymin, xmax, ymax) as shares of the photo's width and height.
        word: As in the caption.
        facts: What is written below the word.
    """

    photo: np.ndarray
    relevance: np.ndarray
    boxes: Sequence[tuple[float, float, float, float]]
    word: str
    facts: str


def correctness_figure(
    curves: Mapping[str, np.ndarray],
    thresholds: Sequence[float],
    note: str,
    region: str = "box",
) -> Figure:
    """Draws correctness against threshold, a line for each method.

    Args:
        curves: By method, and of "chance": mean, low and high (3, number of
            thresholds).
        thresholds: Shares of the largest heat.
        note: What was scored.
        region: In which the relevance was counted.

    Returns:
        A figure that belongs to no window; `figure.savefig(path)` saves it.
    """
    left, bottom = MARGIN + 0.55, MARGIN + 0.5
    width, height = CURVES
    figure = blank_page(left + width + 2.9, bottom + height + 0.95)
    axes = axes_at(figure, left, bottom, CURVES)
    title = "Does relevance lie on the object that the word names?"
    write_title(figure, title, note)
    ranked = sorted(curves.items(), key=lambda item: -item[1][0].mean())
    for place, (method, (mean, low, high)) in enumerate(ranked):
        style = line_style(method)
        axes.plot(thresholds, mean, **style)
        band = {"color": style["color"], "alpha": 0.1, "linewidth": 0}
        axes.fill_between(thresholds, low, high, **band)
        top = bottom + height - 0.16 - place * LINE
        ends = f"{number(mean[0])} at 0, {number(mean[-1])} at {thresholds[-1]}"
        label = f"Chance: the {region}'s share" if method == "chance" else None
        write_key(figure, left + width + 0.3, top, method, [ends], label)
    axes.set_xlim(thresholds[0], thresholds[-1])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#eceef2", linewidth=0.8)
    below = "threshold, as a share of the largest relevance"
    frame_axes(axes, below, f"share of the relevance above it in the {region}")
    return figure


def examples_figure(
    rows: Mapping[str, Sequence[Sequence[Example]]],
) -> Figure:
    """Draws the best and the worst words of each method, with their boxes.

    Args:
        rows: By method the best words and the worst, as many of these.
    """
    count = max(len(best) for best, _ in rows.values())
    columns = count * (TILE + GAP)
    width = MARGIN + SIDE + 2 * columns + BETWEEN + MARGIN
    row_height = LABEL + TILE + 0.16
    height = len(rows) * row_height + 1.25 + MARGIN
    figure = blank_page(width, height)
    note = "by the share of the relevance in the boxes, less their share of the photo"
    write_title(figure, "Where explanations find objects best and worst", note)
    starts = (MARGIN + SIDE, MARGIN + SIDE + columns + BETWEEN)
    for left, name in zip(starts, ("best", "worst"), strict=True):
        text_at(figure, left, height - MARGIN - 0.75, name, size=12, color=QUIET)
    for row, (method, halves) in enumerate(rows.items()):
        bottom = height - MARGIN - 0.85 - (row + 1) * row_height + 0.16
        label = LABELS.get(method, method)
        name = text_at(figure, MARGIN, bottom + TILE / 2, label, size=12, weight="bold")
        shrink(figure, name, SIDE - 0.15)
        for left, examples in zip(starts, halves, strict=True):
            for place, example in enumerate(examples):
                _draw_example(figure, example, left + place * (TILE + GAP), bottom)
    return figure


def _draw_example(figure: Figure, example: Example, left: float, bottom: float) -> None:
    word = text_at(
        figure, left, bottom + TILE + 0.21, example.word, size=11, weight="bold"
    )
    shrink(figure, word, TILE)
    text_at(figure, left, bottom + TILE + 0.06, example.facts, size=8, color=QUIET)
    picture = overlay(example.photo, heatmaps(example.relevance))
    axes = show_at(figure, picture, left, bottom, (TILE, TILE))
    height, width = example.photo.shape[:2]
    for box in example.boxes:
        least, most = np.reshape(box, (2, 2))  # (x, y) of two opposite corners
        corner = least * (width, height) - 0.5
        size = (most - least) * (width, height)
        for colour, line in (("white", 2.4), (INK, 1.1)):
            style = {"fill": False, "edgecolor": colour, "linewidth": line}
            axes.add_patch(Rectangle(corner, *size, **style))
