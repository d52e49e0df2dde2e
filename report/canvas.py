"""A white page on which things are placed in inches; it belongs to no window."""

from io import BytesIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

INK = "#1b1d22"
QUIET = "#666b75"
VECTOR = {  # pictures in them have 300 pixels an inch
    "svg": {"dpi": 300, "metadata": {"Date": None}},
    "pdf": {"dpi": 300, "metadata": {"CreationDate": None}},
}


def blank_page(width: float, height: float) -> Figure:
    """Makes a white page of a size in inches."""
    figure = Figure(figsize=(width, height), dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, left: float, bottom: float, size) -> Axes:
    """Adds axes at their lower left corner, of a size (width, height)."""
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, size[0] / width, size[1] / height)
    )


def text_at(figure: Figure, left: float, bottom: float, text: str, **style) -> Text:
    """Writes text; its words are never read as formulas."""
    width, height = figure.get_size_inches()
    style = {"color": INK, "parse_math": False} | style
    return figure.text(left / width, bottom / height, text, **style)


def show_at(
    figure: Figure, picture: np.ndarray, left: float, bottom: float, size
) -> Axes:
    """Shows a picture that fills a size (width, height); returns its axes."""
    axes = axes_at(figure, left, bottom, size)
    axes.imshow(picture, aspect="auto", interpolation="antialiased")
    axes.set_axis_off()
    return axes


def shrink(figure: Figure, text: Text, width: float) -> None:
    """Makes a text smaller until it is at most `width` inches wide."""
    renderer = figure.canvas.get_renderer()
    for _ in range(3):  # letters of small sizes are not narrower in proportion
        taken = text.get_window_extent(renderer).width / figure.dpi
        if taken <= width:
            return
        text.set_size(0.99 * text.get_size() * width / taken)


def png(figure: Figure) -> bytes:
    """Encodes the page as a PNG."""
    return encode(figure, "png")


def encode(figure: Figure, kind: str) -> bytes:
    """Encodes the page; the same page gives the same bytes.

    Args:
        figure: The page.
        kind: png, svg or pdf. Text in a PDF can be searched; in an SVG it is drawn.
    """
    options = VECTOR.get(kind, {})
    file = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "page", "pdf.fonttype": 42}):
        figure.savefig(file, format=kind, **options)
    return file.getvalue()
