"""Figure of how well explanations tell true words from hallucinated ones."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from report.canvas import INK, axes_at, blank_page
from report.charts import MARGIN, frame_axes, line_style, write_key, write_title
from report.wording import number

SIDE = 4.2  # inches
LINE = 0.53


def roc_figure(
    rocs: Mapping[tuple[str, str], object], num_true: int, num_hallucinated: int
) -> Figure:
    """Draws one curve for each score, with its area and interval beside.

    Args:
        rocs: By method and statistic; anything with the attributes of
            `evaluation.roc.Roc`.
        num_true: How many words are true.
        num_hallucinated: How many are hallucinated. Without either there is nothing
            to draw, and the figure says so.

    Returns:
        A figure that belongs to no window; `figure.savefig(path)` saves it.
    """
    left, bottom = MARGIN + 0.55, MARGIN + 0.5
    figure = blank_page(left + SIDE + 3.5, bottom + SIDE + 0.95)
    axes = axes_at(figure, left, bottom, (SIDE, SIDE))
    _draw_frame(axes)
    _title(figure, num_true, num_hallucinated)
    if not (num_true and num_hallucinated):
        _say_why_empty(axes, num_true + num_hallucinated, num_true)
        return figure
    ranked = sorted(rocs.items(), key=lambda item: -item[1].area)
    for place, ((method, statistic), roc) in enumerate(ranked):
        rates = (roc.false_positive_rate, roc.true_positive_rate)
        axes.plot(*rates, **line_style(method))
        top = bottom + SIDE - 0.16 - place * LINE
        write_key(figure, left + SIDE + 0.3, top, method, _facts(statistic, roc))
    return figure


def _draw_frame(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color="#dfe1e6", linewidth=1)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    below = "share of hallucinated words above the threshold"
    frame_axes(axes, below, "share of true words above the threshold")


def _title(figure: Figure, num_true: int, num_hallucinated: int) -> None:
    title = "Do explanations tell hallucinated words from true ones?"
    note = (
        f"{num_true} true and {num_hallucinated} hallucinated object words · each "
        "method by its best statistic, chosen on these words"
    )
    write_title(figure, title, note)


def _say_why_empty(axes: Axes, num_words: int, num_true: int) -> None:
    if not num_words:
        text = "No caption has one of the object words."
    else:
        text = f"No word is {'hallucinated' if num_true else 'true'}:\nno curve."
    axes.text(0.5, 0.5, text, ha="center", va="center", size=12, color=INK)


def _facts(statistic: str, roc) -> list[str]:
    """Returns the areas of a curve with their intervals."""
    area = f"{number(roc.area)} {_interval(roc.interval)}"
    within = f"{number(roc.within_words)} {_interval(roc.within_words_interval)}"
    name = "" if statistic == "value" else f" · {statistic.replace('_', ' ')}"
    return [area + name, f"{within} among pairs of one word"]


def _interval(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"({number(low)} to {number(high)})"
