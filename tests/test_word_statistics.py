"""The statistics of maps by hand, and what is kept of an explanation."""

import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.word_statistics import examine_words, map_statistics, statistics_csv


def test_statistics_by_hand():
    found = map_statistics(np.array([[4.0, -2.0], [0.0, 1.0]]))
    assert found["mean"] == 0.75 / 4
    assert found["positive_mean"] == 1.25 / 4
    assert found["absolute_mean"] == 1.75 / 4
    assert (found["maximum"], found["sum"]) == (4, 3)
    # of -0.5, 0, 0.25, 1 at places 2.7 and 2.85, linearly
    assert found["quantile_0.9"] == pytest.approx(0.25 + 0.7 * 0.75)
    assert found["quantile_0.95"] == pytest.approx(0.25 + 0.85 * 0.75)


def test_scale_changes_maximum_and_sum_alone():
    relevance = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
    small, large = map_statistics(relevance), map_statistics(16 * relevance)
    for name, value in small.items():
        factor = 16 if name in ("maximum", "sum") else 1
        assert large[name] == pytest.approx(factor * value, rel=1e-5)  # six digits


def test_rounding_does_not_order_what_is_constant():
    attention = np.random.default_rng(2).random((9, 7, 6)).astype("float32")
    attention /= attention.sum((1, 2), keepdims=True)
    assert {map_statistics(each)["sum"] for each in attention} == {1.0}


def test_an_empty_map_has_zeros():
    assert set(map_statistics(np.zeros((3, 2))).values()) == {0.0}


# Words


def explanation(method: str, seed: int) -> SimpleNamespace:
    """Explains "dog" and "ball" of "a dog with a ball"."""
    generator = np.random.default_rng(seed)
    return SimpleNamespace(
        method=method,
        words=("dog", "ball"),
        steps=(1, 4),
        pixels=generator.normal(size=(2, 6, 7, 3)),
        attention=generator.random((2, 4, 5)),
        beta=np.array([0.25, 0.5], "float32"),
        log_probabilities=np.log([0.5, 0.75]),
    )


def test_words_with_their_labels_and_scores():
    lrp, attention = explanation("lrp", 0), explanation("attention", 1)
    dog, ball = examine_words([lrp, attention], ["A dog.", "two balls"])
    assert (dog["step"], dog["word"], dog["is_true"]) == (1, "dog", True)
    assert (ball["step"], ball["word"], ball["is_true"]) == (4, "ball", False)
    assert ball["scores"]["lrp"] == map_statistics(lrp.pixels[1].sum(-1))
    assert ball["scores"]["attention"] == map_statistics(attention.attention[1])
    assert ball["scores"]["visual_share"] == {"value": 0.5}
    assert ball["scores"]["probability"] == {"value": pytest.approx(0.75)}
    assert examine_words([], ["a dog"]) == []


def test_a_row_for_each_word_and_method():
    words = examine_words([explanation("lrp", 0)], ["a dog"])
    text = statistics_csv([{"image_id": 7, "words": words}]).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["word"] for row in rows] == ["dog"] * 3 + ["ball"] * 3
    assert {row["is_true"] for row in rows[3:]} == {"False"}
    assert [row["method"] for row in rows[:3]] == ["lrp", "visual_share", "probability"]
    assert float(rows[0]["mean"]) == words[0]["scores"]["lrp"]["mean"]
    assert (rows[0]["value"], rows[1]["value"], rows[1]["mean"]) == ("", "0.75", "")
    assert statistics_csv([]).decode() == "image_id,step,word,is_true,method\n"
