"""Figures of one explanation: heatmaps over the photo, and words over words."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from files.writing import write_whole
from report.canvas import INK, QUIET, axes_at, blank_page, png, show_at, shrink, text_at
from report.checks import check_explanation, num_read
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
from report.wording import (
    VISUAL_SHARE,
    mean_probability,
    method_label,
    number,
    percent,
    sureness,
)

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


def heatmap_figure(explanation, captioner: str | None = None) -> Figure:
    """Draws the photo with its caption, then each word's relevance and attention.

    Every word stands over two pictures: the signed relevance of the pixels (summed
    over channels, lightly smoothed, clipped at the word's own 99.5th percentile of
    absolute relevance; red supports the word, blue opposes it) and below it the
    attention, if there is any (interpolated; the largest weight in full colour).

    Args:
        explanation: An explanation of one caption.
        captioner: The name of the model, if it is to stand below the caption.

    Returns:
        A figure that belongs to no window; `figure.savefig(path)` saves it.

    Raises:
        ValueError: If the explanation's arrays do not fit its words and photo.
    """
    check_explanation(explanation)
    page = _page(explanation)
    figure = blank_page(page.width, page.height)
    _write_title(figure, explanation, captioner)
    left, bottom = page.corner(0, 0)
    side = (page.across(page.layers), page.down(page.layers))
    show_at(figure, explanation.image, left, bottom, side)
    _label(figure, left, bottom + side[1], "photo", "as the model sees it")
    relevance = heatmaps(explanation.pixels)
    for index in range(len(explanation.words)):
        _draw_word(figure, page, explanation, relevance[index], index)
    _draw_legend(figure, page, explanation)
    return figure


@dataclass(frozen=True)
class _Page:
    """Where things lie, in inches; the photo fills the first cells.

    Args:
        rows: Rows of cells.
        columns: Cells in a row.
        layers: Pictures of a cell, one above the other; cells that the photo fills.
        tile_height: Height of a picture; its width is `TILE`.
        title_height: Height of the caption and the lines below it.
    """

    rows: int
    columns: int
    layers: int
    tile_height: float
    title_height: float

    @property
    def cell_height(self) -> float:
        return LABEL + self.down(self.layers)

    @property
    def width(self) -> float:
        return _width(self.columns)

    @property
    def height(self) -> float:
        cells = self.rows * (self.cell_height + ROW_GAP) - ROW_GAP
        return MARGIN + self.title_height + cells + FOOTER + MARGIN

    def across(self, count: int) -> float:
        """Returns the width of some pictures side by side."""
        return count * (TILE + GAP) - GAP

    def down(self, count: int) -> float:
        """Returns the height of some pictures one above the other."""
        return count * (self.tile_height + GAP) - GAP

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """Returns the lower left corner of a cell."""
        down = MARGIN + self.title_height + row * (self.cell_height + ROW_GAP)
        bottom = self.height - down - self.cell_height
        return MARGIN + column * (TILE + GAP), bottom


def _width(columns: int) -> float:
    return 2 * MARGIN + columns * (TILE + GAP) - GAP


def _page(explanation) -> _Page:
    """Chooses rows of equal length, so that few cells stay empty."""
    layers = 1 if explanation.attention is None else 2
    cells = len(explanation.words) + layers
    rows = math.ceil(cells / MAX_COLUMNS)
    columns = math.ceil(cells / rows)
    height, width = explanation.image.shape[:2]
    lines = len(_title_lines(explanation.caption, _width(columns)))
    return _Page(rows, columns, layers, TILE * height / width, 0.32 * lines + 0.46)


def _title_lines(caption: str, width: float) -> list[str]:
    characters = int((width - 2 * MARGIN) / 0.145)
    return textwrap.wrap(caption, characters) or [""]


def _write_title(figure: Figure, explanation, captioner: str | None) -> None:
    width, height = figure.get_size_inches()
    top = height - MARGIN
    lines = _title_lines(explanation.caption, width)
    for index, line in enumerate(lines):
        text_at(figure, MARGIN, top - 0.2 - 0.32 * index, line, size=17, weight="bold")
    facts = (
        sureness(captioner, mean_probability(explanation)),
        f"explained word by word with {method_label(explanation)}",
    )
    for index, fact in enumerate(facts):
        bottom = top - 0.32 * len(lines) - 0.12 - 0.18 * index
        line = text_at(figure, MARGIN, bottom, fact, size=10, color=QUIET)
        shrink(figure, line, width - 2 * MARGIN)


def _label(figure: Figure, left: float, bottom: float, word: str, facts: str) -> None:
    """Writes a word and its facts above a picture, the word as large as fits."""
    name = text_at(figure, left, bottom + 0.22, word, size=13, weight="bold")
    shrink(figure, name, TILE)
    text_at(figure, left, bottom + 0.07, facts, size=8, color=QUIET)


def _draw_word(figure: Figure, page: _Page, explanation, relevance, index) -> None:
    """Draws one word's cell: label, heatmap and, below it, attention."""
    row, column = divmod(index + page.layers, page.columns)
    left, bottom = page.corner(row, column)
    size = (TILE, page.tile_height)
    photo = explanation.image
    if explanation.attention is not None:
        attention = attention_overlay(photo, explanation.attention[index])
        show_at(figure, attention, left, bottom, size)
    upper = bottom + page.down(page.layers) - page.tile_height
    show_at(figure, overlay(photo, relevance), left, upper, size)
    facts = f"p {percent(math.exp(explanation.log_probabilities[index]))}"
    if explanation.beta is not None:
        facts += f"   {VISUAL_SHARE} {number(1 - explanation.beta[index])}"
    word = explanation.words[index]
    _label(figure, left, upper + page.tile_height, word, facts)


def _draw_legend(figure: Figure, page: _Page, explanation) -> None:
    """Draws the colour bars and says what the numbers mean."""
    second = MARGIN + 2 * (TILE + GAP)
    bars = [
        _Bar(
            MARGIN, 2 * TILE - GAP, RELEVANCE_COLOURS, "opposes the word", "supports it"
        ),
        _Bar(second, TILE, ATTENTION_COLOURS, "no attention", "most"),
    ]
    for bar in bars[: page.layers]:
        _draw_bar(figure, bar)
    notes = ["p: probability", "one scale per word"]
    if explanation.beta is not None:
        notes.insert(1, f"{VISUAL_SHARE}: share of the image's attention")
    note = "  ·  ".join(notes)
    characters = int((page.width - 2 * MARGIN) / 0.058)
    for index, line in enumerate(textwrap.wrap(note, characters)):
        text_at(figure, MARGIN, MARGIN + 0.06 - 0.14 * index, line, size=8, color=QUIET)


class _Bar(NamedTuple):
    """A colour bar, in inches, and what its ends mean."""

    left: float
    width: float
    colours: np.ndarray
    low: str
    high: str


def _draw_bar(figure: Figure, bar: _Bar) -> None:
    picture = on_white(bar.colours[None])  # (1, levels, 3)
    show_at(figure, picture, bar.left, MARGIN + 0.42, (bar.width, 0.1))
    style = {"size": 8, "color": QUIET, "va": "top"}
    text_at(figure, bar.left, MARGIN + 0.37, bar.low, ha="left", **style)
    right = bar.left + bar.width
    text_at(figure, right, MARGIN + 0.37, bar.high, ha="right", **style)


def word_relevance_figure(explanation) -> Figure:
    """Draws the relevance of every preceding word for every predicted word.

    Rows are the predicted words, columns what was read before: the start token, then
    the caption. One signed scale, symmetric about zero, holds for the whole matrix.

    Args:
        explanation: An explanation of one caption.

    Returns:
        A figure that belongs to no window; `figure.savefig(path)` saves it.

    Raises:
        ValueError: If the explanation's arrays do not fit its words and photo.
    """
    check_explanation(explanation)
    words, words_read = explanation.words, explanation.words_read
    breadth, height = CELL * len(words_read), CELL * len(words)
    left = 0.3 + 0.105 * max(map(len, words))
    below = 0.3 + 0.08 * max(map(len, words_read))
    width = max(left + breadth + 0.95, 5.2)
    figure = blank_page(width, below + height + 0.95)
    axes = axes_at(figure, left, below, (breadth, height))
    matrix = np.asarray(explanation.preceding_words, dtype=np.float64)
    past = np.arange(len(words_read)) < num_read(explanation)[:, None]  # (R, T)
    mesh = _draw_matrix(axes, matrix, past)
    _rule_cells(axes, past)
    _name_words(axes, words, words_read)
    if len(words_read) <= MAX_NUMBERED_WORDS:
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


def _name_words(axes: Axes, words: Sequence[str], words_read: Sequence[str]) -> None:
    style = {"color": INK, "size": 11, "parse_math": False}
    axes.set_yticks(range(len(words)), words, weight="bold", **style)
    axes.set_xticks(
        range(len(words_read)), words_read, rotation=40, ha="right", va="top", **style
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


def write_pictures(
    explanation, folder: str | Path, captioner: str | None = None
) -> list[Path]:
    """Writes `heatmaps.png` and `preceding_words.png`, each whole or not at all.

    Args:
        explanation: An explanation of one caption.
        folder: Where to write; made if it is missing.
        captioner: See `heatmap_figure`.

    Returns:
        The two paths.
    """
    figures = {
        "heatmaps.png": heatmap_figure(explanation, captioner),
        "preceding_words.png": word_relevance_figure(explanation),
    }
    return [
        write_whole(Path(folder) / name, png(figure))
        for name, figure in figures.items()
    ]
