"""Figure of one explanation: the relevance of words for words."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from report.canvas import INK, QUIET, axes_at, blank_page, text_at
from report.checks import check_explanation, num_read
from report.look import USUAL, Look
from report.overlays import on_white
from report.wording import method_label, number

MAX_NUMBERED_WORDS = 14

# Inches.
MARGIN = 0.3
CELL = 0.62


def word_relevance_figure(explanation, look: Look = USUAL) -> Figure:
    """Draws the relevance of every preceding word for every predicted word.

    Rows are the predicted words, columns what was read before: the start token, then
    the caption. One signed scale, symmetric about zero, holds for the whole matrix.

    Args:
        explanation: An explanation of one caption.
        look: Has the colours; the scale is one for all words in any case.

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
    mesh = _draw_matrix(axes, matrix, past, look)
    _rule_cells(axes, past)
    _name_words(axes, words, words_read)
    if len(words_read) <= MAX_NUMBERED_WORDS:
        _number_cells(axes, matrix, past, 0.6 * mesh.norm.vmax)
    _draw_scale(figure, mesh, left + breadth + 0.18, below, height)
    _title_words(figure, explanation)
    return figure


def _draw_matrix(
    axes: Axes, matrix: np.ndarray, past: np.ndarray, look: Look
) -> AxesImage:
    """Colours what had been read, symmetrically about zero."""
    shown = np.ma.masked_where(~past | ~np.isfinite(matrix), matrix)
    limit = np.abs(shown.filled(0)).max() or 1.0
    colours = ListedColormap(on_white(look.colours) / 255)
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
