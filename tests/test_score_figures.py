"""Figures of scores: what stands on them, and that boxes lie where they should."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from report.canvas import png
from report.score_figures import Example, correctness_figure, examples_figure

THRESHOLDS = (0.0, 0.5, 0.9)
HEIGHT, WIDTH = 20, 30


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_a_line_for_each_method_best_first():
    curve = np.array([[0.2, 0.3, 0.4], [0.1, 0.2, 0.3], [0.3, 0.4, 0.5]])
    curves = {"chance": curve - 0.1, "lrp": curve + 0.1, "attention": curve}
    figure = correctness_figure(curves, THRESHOLDS, "$12$ words")
    (axes,) = figure.axes
    assert len(axes.lines) == len(axes.collections) == 3
    np.testing.assert_allclose(axes.lines[0].get_ydata(), curve[0] + 0.1)
    assert axes.lines[2].get_linestyle() == "--"
    written = texts(figure)
    assert "$12$ words" in written
    labels = ["LRP", "Attention", "Chance: the box's share"]
    assert [text for text in written if text in labels] == labels
    assert "0.30 at 0, 0.50 at 0.9" in written
    with Image.open(BytesIO(png(figure))) as picture:
        assert picture.width > 1000


def example(word, boxes=((0.1, 0.5, 0.4, 1.0),)):
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    relevance = random.normal(size=(HEIGHT, WIDTH, 3))
    return Example(photo, relevance, boxes, word, "80 % inside, area 10 %")


def test_best_and_worst_words_with_their_boxes():
    two = ((0.1, 0.5, 0.4, 1.0), (0, 0, 0.5, 0.5))
    rows = {
        "lrp": ([example("dog"), example("$ball", two)], [example("man")]),
        "attention": ([example("hat"), example("cat")], []),
    }
    figure = examples_figure(rows)
    assert len(figure.axes) == 5
    written = texts(figure)
    for text in ("LRP", "Attention", "best", "worst", "dog", "$ball", "man"):
        assert text in written
    boxes = [p for p in figure.axes[1].patches if isinstance(p, Rectangle)]
    assert len(boxes) == 2 * 2  # a white line below each dark one
    left, top = boxes[0].get_xy()
    assert (left, top) == pytest.approx((2.5, 9.5))  # pixel 3 starts at 2.5
    assert (boxes[0].get_width(), boxes[0].get_height()) == pytest.approx((9, 10))
    shown = figure.axes[1].get_position()
    assert 0 < shown.x0 < shown.x1 < 1 and 0 < shown.y0 < shown.y1 < 1
