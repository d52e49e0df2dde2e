"""The figure of ROC curves: what is drawn, and what is said where there is none."""

from types import SimpleNamespace

import numpy as np
import pytest

from report.canvas import png
from report.roc_figures import roc_figure


def roc(area: float) -> SimpleNamespace:
    rates = np.linspace(0, 1, 5)
    return SimpleNamespace(
        area=area,
        interval=(area - 0.1, area + 0.125),
        within_words=0.55,
        within_words_interval=(0.45, 0.7),
        false_positive_rate=rates,
        true_positive_rate=rates ** (1 - area),
    )


def texts(figure) -> list[str]:
    return [text.get_text() for text in (*figure.texts, *figure.axes[0].texts)]


def test_curves_from_the_best_with_their_areas():
    scores = {
        ("visual_share", "value"): roc(0.5),
        ("lrp", "quantile_0.95"): roc(0.75),
        ("new_method", "mean"): roc(0.25),
    }
    figure = roc_figure(scores, 7, 3)
    assert png(figure).startswith(b"\x89PNG")
    assert len(figure.axes[0].lines) == 1 + 3  # the diagonal
    found = texts(figure)
    assert found[-9::3] == ["LRP", "1\N{MINUS SIGN}β", "new method"]
    assert found[-8::3][0] == "0.75 (0.65 to 0.88) · quantile 0.95"
    assert found[-8::3][1] == "0.50 (0.40 to 0.62)"
    assert found[-1] == "0.55 (0.45 to 0.70) among pairs of one word"
    assert "7 true and 3 hallucinated" in found[1]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((4, 0), "No word is hallucinated:"),
        ((0, 4), "No word is true:"),
        ((0, 0), "No caption has one of the object words."),
    ],
)
def test_without_a_class_the_figure_says_so(counts, message):
    figure = roc_figure({("lrp", "mean"): roc(np.nan)} if any(counts) else {}, *counts)
    assert len(figure.axes[0].lines) == 1
    assert any(message in text for text in texts(figure))
