"""Figures of one explanation: heatmaps over the photo, and words over words."""

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from dataset.files import write_whole
from report.canvas import INK, QUIET, axes_at, blank_page, png, show_at, shrink, text_at
from report.checks import check_explanation
from report.overlays import (
    ATTENTION_COLOURS,
    OPPOSES,
    RELEVANCE_COLOURS,
    SUPPORTS,
    attention_overlay,
    heatmaps,
    on_white,
    overlay,
)
from report.wording import VISUAL_SHARE, method_label, number, percent

MAX_COLUMNS = 8
MAX_NUMBERED_WORDS = 14

# Inches.
TILE = 1.5
GAP = 0.07
ROW_GAP = 0.2
LABEL = 0.44
MARGIN = 0.3
FOOTER = 0.74
CELL = 0.62


def heatmap_figure(explanation) -> Figure:
    """Draws the photo with its caption, then each word's relevance and attention.

    Every word stands over two pictures: the signed relevance of the pixels (summed
    over channels, lightly smoothed, clipped at the word's own 99.5th percentile of
    absolute relevance; red supports the word, blue opposes it) and below it the
    attention (interpolated; the largest weight in full colour).

    Args:
        explanation: An explanation of one caption.

    Returns:
        A figure that belongs to no window; `figure.savefig(path)` saves it.

    Raises:
        ValueError: If the explanation's arrays do not fit its words and photo.
    """
    check_explanation(explanation)
    page = _page(explanation)
    figure = blank_page(page.width, page.height)
    _write_title(figure, explanation)
    left, bottom = page.corner(0, 0)
    side = (2 * TILE + GAP, 2 * page.tile_height + GAP)
    show_at(figure, explanation.image, left, bottom, side)
    _label(figure, left, bottom + side[1], "photo", "as the model sees it")
    relevance = heatmaps(explanation.pixels)
    for index in range(len(explanation.words)):
        _draw_word(figure, page, explanation, relevance[index], index)
    _draw_legend(figure, page)
    return figure


@dataclass(frozen=True)
class _Page:
    """Where things lie, in inches; the photo fills the first two cells.

    Args:
        rows: Rows of cells.
        columns: Cells in a row.
        tile_height: Height of a picture; its width is `TILE`.
        title_height: Height of the caption and the line below it.
    """

    rows: int
    columns: int
    tile_height: float
    title_height: float

    @property
    def cell_height(self) -> float:
        return LABEL + 2 * self.tile_height + GAP

    @property
    def width(self) -> float:
        return _width(self.columns)

    @property
    def height(self) -> float:
        cells = self.rows * (self.cell_height + ROW_GAP) - ROW_GAP
        return MARGIN + self.title_height + cells + FOOTER + MARGIN

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """Returns the lower left corner of a cell."""
        down = MARGIN + self.title_height + row * (self.cell_height + ROW_GAP)
        bottom = self.height - down - self.cell_height
        return MARGIN + column * (TILE + GAP), bottom


def _width(columns: int) -> float:
    return 2 * MARGIN + columns * (TILE + GAP) - GAP


def _page(explanation) -> _Page:
    """Chooses rows of equal length, so that few cells stay empty."""
    cells = len(explanation.words) + 2
    rows = math.ceil(cells / MAX_COLUMNS)
    columns = math.ceil(cells / rows)
    height, width = explanation.image.shape[:2]
    lines = len(_title_lines(explanation.caption, _width(columns)))
    return _Page(rows, columns, TILE * height / width, 0.32 * lines + 0.28)


def _title_lines(caption: str, width: float) -> list[str]:
    characters = int((width - 2 * MARGIN) / 0.145)
    return textwrap.wrap(caption, characters) or [""]


def _write_title(figure: Figure, explanation) -> None:
    width, height = figure.get_size_inches()
    top = height - MARGIN
    lines = _title_lines(explanation.caption, width)
    for index, line in enumerate(lines):
        text_at(figure, MARGIN, top - 0.2 - 0.32 * index, line, size=17, weight="bold")
    text_at(
        figure,
        MARGIN,
        top - 0.32 * len(lines) - 0.12,
        f"explained word by word with {method_label(explanation)}",
        size=10,
        color=QUIET,
    )


def _label(figure: Figure, left: float, bottom: float, word: str, facts: str) -> None:
    """Writes a word and its facts above a picture, the word as large as fits."""
    name = text_at(figure, left, bottom + 0.22, word, size=13, weight="bold")
    shrink(figure, name, TILE)
    text_at(figure, left, bottom + 0.07, facts, size=8, color=QUIET)


def _draw_word(figure: Figure, page: _Page, explanation, relevance, index) -> None:
    """Draws one word's cell: label, heatmap, attention."""
    row, column = divmod(index + 2, page.columns)
    left, bottom = page.corner(row, column)
    size = (TILE, page.tile_height)
    photo = explanation.image
    attention = attention_overlay(photo, explanation.attention[index])
    upper = bottom + page.tile_height + GAP
    show_at(figure, attention, left, bottom, size)
    show_at(figure, overlay(photo, relevance), left, upper, size)
    probability = percent(math.exp(explanation.log_probabilities[index]))
    facts = f"p {probability}   {VISUAL_SHARE} {number(1 - explanation.beta[index])}"
    word = explanation.words[index]
    _label(figure, left, upper + page.tile_height, word, facts)


def _draw_legend(figure: Figure, page: _Page) -> None:
    """Draws both colour bars and says what the numbers mean."""
    second = MARGIN + 2 * (TILE + GAP)
    ends = ("opposes the word", "supports it")
    _draw_bar(figure, MARGIN, 2 * TILE - GAP, RELEVANCE_COLOURS, ends)
    _draw_bar(figure, second, TILE, ATTENTION_COLOURS, ("no attention", "most"))
    note = (
        f"p: probability  ·  {VISUAL_SHARE}: share of the image's attention  ·  "
        "one scale per word"
    )
    characters = int((page.width - 2 * MARGIN) / 0.058)
    for index, line in enumerate(textwrap.wrap(note, characters)):
        text_at(figure, MARGIN, MARGIN + 0.06 - 0.14 * index, line, size=8, color=QUIET)


def _draw_bar(
    figure: Figure, left: float, width: float, colours, ends: tuple[str, str]
) -> None:
    """Draws a colour bar with the meaning of its two ends below it."""
    bar = on_white(colours[None])  # (1, levels, 3)
    show_at(figure, bar, left, MARGIN + 0.42, (width, 0.1))
    style = {"size": 8, "color": QUIET, "va": "top"}
    low, high = ends
    text_at(figure, left, MARGIN + 0.37, low, ha="left", **style)
    text_at(figure, left + width, MARGIN + 0.37, high, ha="right", **style)


def word_relevance_figure(explanation) -> Figure:
    """Draws the relevance of every preceding word for every predicted word.

    Rows are the predicted words, columns their inputs: the start token, then the
    caption. One signed scale, symmetric about zero, holds for the whole matrix.

    Args:
        explanation: An explanation of one caption.

    Returns:
        A figure that belongs to no window; `figure.savefig(path)` saves it.

    Raises:
        ValueError: If the explanation's arrays do not fit its words and photo.
    """
    check_explanation(explanation)
    words, inputs = explanation.words, explanation.inputs
    breadth, height = CELL * len(inputs), CELL * len(words)
    left = 0.3 + 0.105 * max(map(len, words))
    below = 0.3 + 0.08 * max(map(len, inputs))
    width = max(left + breadth + 0.95, 5.2)
    figure = blank_page(width, below + height + 0.95)
    axes = axes_at(figure, left, below, (breadth, height))
    matrix = np.asarray(explanation.preceding_words, dtype=np.float64)
    past = np.arange(len(inputs)) <= np.asarray(explanation.steps)[:, None]  # (R, T)
    mesh = _draw_matrix(axes, matrix, past)
    _rule_cells(axes, past)
    _name_words(axes, words, inputs)
    if len(inputs) <= MAX_NUMBERED_WORDS:
        _number_cells(axes, matrix, past, 0.6 * mesh.norm.vmax)
    _draw_scale(figure, mesh, left + breadth + 0.18, below, height)
    _title_words(figure, explanation)
    return figure


def _draw_matrix(axes: Axes, matrix: np.ndarray, past: np.ndarray) -> AxesImage:
    """Colours what had been read, symmetrically about zero."""
    shown = np.ma.masked_where(~past | ~np.isfinite(matrix), matrix)
    limit = np.abs(shown.filled(0)).max() or 1.0
    ends = np.divide([OPPOSES, (255, 255, 255), SUPPORTS], 255)
    colours = LinearSegmentedColormap.from_list("relevance", ends)
    return axes.imshow(shown, cmap=colours, vmin=-limit, vmax=limit)


def _rule_cells(axes: Axes, past: np.ndarray) -> None:
    """Frames the cells of what had been read and nothing else."""
    frame = {"fill": False, "edgecolor": "#dfe1e6", "linewidth": 0.8}
    for row, column in np.argwhere(past):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)


def _name_words(axes: Axes, words: tuple[str, ...], inputs: tuple[str, ...]) -> None:
    style = {"color": INK, "size": 11, "parse_math": False}
    axes.set_yticks(range(len(words)), words, weight="bold", **style)
    axes.set_xticks(
        range(len(inputs)), inputs, rotation=40, ha="right", va="top", **style
    )
    axes.tick_params(axis="x", pad=2)


def _number_cells(
    axes: Axes, matrix: np.ndarray, past: np.ndarray, dark: float
) -> None:
    """Writes the relevance into its cell, light on dark."""
    for row, column in np.argwhere(past):
        value = matrix[row, column]
        axes.text(
            column,
            row,
            number(value),
            ha="center",
            va="center",
            size=9,
            color="white" if abs(value) > dark else INK,
        )


def _draw_scale(figure: Figure, mesh, left: float, bottom: float, side: float) -> None:
    size = (0.11, min(side, 2.4))
    bar = figure.colorbar(mesh, cax=axes_at(figure, left, bottom, size))
    limit = mesh.norm.vmax
    bar.set_ticks([-limit, 0, limit], labels=[number(v) for v in (-limit, 0, limit)])
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=QUIET)
    bar.outline.set_visible(False)


def _title_words(figure: Figure, explanation) -> None:
    top = figure.get_size_inches()[1] - MARGIN
    title = "Relevance of the preceding words"
    text_at(figure, MARGIN, top - 0.17, title, size=15, weight="bold")
    label = method_label(explanation)
    note = f"rows: predicted words · columns: words before them · {label}"
    text_at(figure, MARGIN, top - 0.42, note, size=9, color=QUIET)


def write_pictures(explanation, folder: str | Path) -> list[Path]:
    """Writes `heatmaps.png` and `preceding_words.png`, each whole or not at all.

    Args:
        explanation: An explanation of one caption.
        folder: Where to write; made if it is missing.

    Returns:
        The two paths.
    """
    figures = {
        "heatmaps.png": heatmap_figure(explanation),
        "preceding_words.png": word_relevance_figure(explanation),
    }
    return [
        write_whole(Path(folder) / name, png(figure))
        for name, figure in figures.items()
    ]
