"""Figure of one explanation: heatmaps over the photo. And the files of figures."""

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from files.pictures import shrunk
from files.writing import write_whole
from report.canvas import QUIET, blank_page, encode, show_at, shrink, text_at
from report.checks import check_explanation, row_of
from report.look import USUAL, Look
from report.overlays import ATTENTION_COLOURS, on_white, photo_of
from report.word_figure import word_relevance_figure
from report.word_pictures import SMALL, WordPictures
from report.wording import (
    VISUAL_SHARE,
    likelihood,
    mean_probability,
    method_label,
    number,
    sureness,
)

MAX_COLUMNS = 8
FORMATS = ("png", "svg", "pdf")
NAMES = ("heatmaps", "preceding_words")

LARGE = 960  # pixels of the photo's longer side

# Inches.
TILE = 1.5
GAP = 0.07
ROW_GAP = 0.2
LABEL = 0.44
MARGIN = 0.3
FOOTER = 0.74


def heatmap_figure(
    explanation, captioner: str | None = None, look: Look = USUAL
) -> Figure:
    """Draws the photo with its caption, then each word's relevance and attention.

    Every word stands over two pictures: the signed relevance of the pixels (summed
    over channels, lightly smoothed, clipped at the 99.5th percentile of absolute
    relevance; red supports the word, blue opposes it) and below it the attention, if
    there is any (interpolated; the largest weight in full colour). The photo has its
    own proportions.

    Args:
        explanation: An explanation of one caption.
        captioner: The name of the model, if it is to stand below the caption.
        look: The colours, and whether each word or the caption has a scale.

    Returns:
        A figure that belongs to no window; `write_figure(figure, path)` saves it.

    Raises:
        ValueError: If the explanation's arrays do not fit its words and photo.
    """
    check_explanation(explanation)
    page = _page(explanation)
    figure = blank_page(page.width, page.height)
    _write_title(figure, explanation, captioner)
    left, bottom = page.corner(0, 0)
    side = (page.across(page.layers), page.down(page.layers))
    show_at(figure, shrunk(photo_of(explanation), LARGE), left, bottom, side)
    height, width = explanation.image.shape[:2]
    seen = f"the model sees {width}x{height} pixels"
    _label(figure, left, bottom + side[1], ("photo", seen), side[0])
    pictures = WordPictures(explanation, shrunk(photo_of(explanation), SMALL), look)
    for index in range(len(explanation.words)):
        _draw_word(figure, page, explanation, pictures, index)
    _draw_legend(figure, page, explanation, look)
    return figure


def word_picture(explanation, word: str | int, look: Look = USUAL) -> Image.Image:
    """Draws the relevance of one word over the photograph in its own size.

    Args:
        explanation: An explanation of one caption.
        word: One of its words, or its place in the caption, from 0.
        look: The colours, and whether the word or the caption has the scale.

    Returns:
        An RGB picture of the size of `explanation.photo`, or of `explanation.image`
        if the photograph is not kept; `picture.save(path)` saves it.

    Raises:
        ValueError: There is no such word, or it is there several times.
    """
    check_explanation(explanation)
    row = row_of(explanation, word)
    pictures = WordPictures(explanation, photo_of(explanation), look)
    return Image.fromarray(pictures.relevance(row))


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
    height, width = photo_of(explanation).shape[:2]
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
    for index, fact in enumerate(filter(None, facts)):
        bottom = top - 0.32 * len(lines) - 0.12 - 0.18 * index
        line = text_at(figure, MARGIN, bottom, fact, size=10, color=QUIET)
        shrink(figure, line, width - 2 * MARGIN)


def _label(
    figure: Figure, left: float, bottom: float, texts: tuple[str, str], width: float
) -> None:
    """Writes a word and its facts above a picture, as large as fits."""
    word, facts = texts
    name = text_at(figure, left, bottom + 0.22, word, size=13, weight="bold")
    below = text_at(figure, left, bottom + 0.07, facts, size=8, color=QUIET)
    for text in (name, below):
        shrink(figure, text, width)


def _draw_word(
    figure: Figure, page: _Page, explanation, pictures: WordPictures, index: int
) -> None:
    """Draws one word's cell: label, heatmap and, below it, attention."""
    row, column = divmod(index + page.layers, page.columns)
    left, bottom = page.corner(row, column)
    size = (TILE, page.tile_height)
    if explanation.attention is not None:
        show_at(figure, pictures.attention(index), left, bottom, size)
    upper = bottom + page.down(page.layers) - page.tile_height
    show_at(figure, pictures.relevance(index), left, upper, size)
    facts = likelihood(explanation, index)
    if explanation.beta is not None:
        facts += f"   {VISUAL_SHARE} {number(1 - explanation.beta[index])}"
    word = explanation.words[index]
    _label(figure, left, upper + page.tile_height, (word, facts), TILE)


def _draw_legend(figure: Figure, page: _Page, explanation, look: Look) -> None:
    """Draws the colour bars and says what the numbers mean."""
    second = MARGIN + 2 * (TILE + GAP)
    bars = [
        _Bar(MARGIN, 2 * TILE - GAP, look.colours, "opposes the word", "supports it"),
        _Bar(second, TILE, ATTENTION_COLOURS, "no attention", "most"),
    ]
    for bar in bars[: page.layers]:
        _draw_bar(figure, bar)
    scale = "one scale for all words" if look.is_shared else "one scale per word"
    is_one = explanation.against is None
    notes = ["p: probability" if is_one else "times: likelier than the other", scale]
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


def write_pictures(
    explanation,
    folder: str | Path,
    captioner: str | None = None,
    look: Look = USUAL,
    figure_format: str = FORMATS[0],
) -> list[Path]:
    """Writes `heatmaps` and `preceding_words`, each whole or not at all.

    Args:
        explanation: An explanation of one caption.
        folder: Where to write; made if it is missing.
        captioner: See `heatmap_figure`, as `look`.
        look: The colours.
        figure_format: One of FORMATS, which is the suffix.

    Returns:
        The two paths.
    """
    figures = (
        heatmap_figure(explanation, captioner, look),
        word_relevance_figure(explanation, look),
    )
    return [
        write_figure(figure, Path(folder) / f"{name}.{figure_format}")
        for name, figure in zip(NAMES, figures, strict=True)
    ]


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Writes a figure in the format that the suffix of its path names.

    Args:
        figure: Of this module, or any other of matplotlib.
        path: Ends in .png, .svg or .pdf.

    Returns:
        The path.

    Raises:
        ValueError: The suffix is another one.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        expected = ", ".join(f".{known}" for known in FORMATS)
        raise ValueError(f"{path} is no name of a figure; expected one of {expected}.")
    return write_whole(path, encode(figure, kind))
