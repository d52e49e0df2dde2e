"""What charts of the methods' scores have in common."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from report.canvas import INK, QUIET, text_at
from report.wording import METHOD_LABELS, VISUAL_SHARE

LABELS = METHOD_LABELS | {
    "visual_share": VISUAL_SHARE,
    "probability": "Probability of the word",
}
_COLOURS = {
    "lrp": "#d1495b",
    "decoder_lrp": "#e79aa5",
    "centred_lrp": "#8c1c2f",
    "gradient": "#56a3d9",
    "gradient_x_input": "#1b5e9b",
    "grad_cam": "#2a9d6f",
    "guided_grad_cam": "#b06fb5",
    "attention": "#e09f1f",
    "occlusion": "#7a5a3a",
    "visual_share": INK,
}
_DASHED = ("chance", "visual_share", "probability")  # no map, but a number
MARGIN = 0.3  # inches


def line_style(method: str) -> dict:
    """Returns how the line of a method is drawn."""
    return {
        "color": _COLOURS.get(method, QUIET),
        "linewidth": 2.4 if method == "lrp" else 1.4,
        "linestyle": "--" if method in _DASHED else "-",
    }


def frame_axes(axes: Axes, below: str, beside: str) -> None:
    """Names the axes and leaves two of four lines around them."""
    axes.set_xlabel(below, color=INK)
    axes.set_ylabel(beside, color=INK)
    axes.tick_params(color=QUIET, labelcolor=QUIET, labelsize=9)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color("#b9bdc6")


def write_title(figure: Figure, title: str, note: str) -> None:
    """Writes a title and what was scored at the top of a page."""
    top = figure.get_size_inches()[1] - MARGIN
    text_at(figure, MARGIN, top - 0.17, title, size=15, weight="bold")
    text_at(figure, MARGIN, top - 0.42, note, size=9, color=QUIET)


def write_key(
    figure: Figure,
    left: float,
    top: float,
    method: str,
    facts: Sequence[str],
    label: str | None = None,
) -> None:
    """Writes a method's name, or a label, in its colour, and lines of facts below."""
    label = label or LABELS.get(method, method.replace("_", " "))
    colour = _COLOURS.get(method)
    style = {"size": 11, "weight": "bold", "color": colour or QUIET}
    text_at(figure, left, top, label, **style)
    for line, fact in enumerate(facts):
        style = {"size": 9, "color": QUIET if line else INK}
        text_at(figure, left, top - 0.16 - 0.14 * line, fact, **style)
