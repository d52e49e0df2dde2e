"""Means, intervals over images, rows, best and worst: numbers by hand."""

import csv
import io

import numpy as np
import pytest

from evaluation.intervals import bootstrap_interval
from evaluation.localization import CHANCE
from evaluation.score_tables import (
    all_words,
    average_scores,
    choose_examples,
    curves,
    table_lines,
    to_csv,
)


def word(step, lrp, attention, chance=0.1):
    values = {"lrp": lrp, "attention": attention, CHANCE: chance}
    scores = {m: {"energy": v, "rank": v / 2} for m, v in values.items()}
    return {"step": step, "word": f"word{step}", "boxes": [], "scores": scores}


RECORDS = [
    {"image_id": "a", "words": [word(1, 0.9, 0.3), word(4, 0.5, 0.5)]},
    {"image_id": "b", "words": []},
    {"image_id": "c", "words": [word(2, 0.1, 0.4, chance=0.05)]},
    {"image_id": "d", "words": [word(0, 0.2, 0.2, chance=0.45)]},
]


# Intervals


def test_one_image_has_no_spread():
    low, high = bootstrap_interval([np.array([0.0, 1.0, 2.0])])
    assert (low, high) == (1, 1)


def test_images_are_drawn_whole():
    """Two images of unequal size: the mean is one of four."""
    groups = [np.zeros(3), np.ones(1), np.empty(0)]
    seen = []

    def mean(values):
        seen.append(round(float(values.mean()), 4))
        return values.mean()

    low, high = bootstrap_interval(groups, mean)
    assert (low, high) == (0, 1)
    assert set(seen) == {0, 0.25, 1}


def test_the_interval_is_that_of_theory():
    """Of a mean of 400 normal values: 1.96 standard errors."""
    values = np.random.default_rng(0).normal(size=(400, 1))
    low, high = bootstrap_interval(values, num_samples=4000)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    assert bootstrap_interval(values, seed=0) == bootstrap_interval(values, seed=0)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=0)


def test_several_statistics_at_once():
    groups = list(np.random.default_rng(0).random((5, 2, 3)))
    low, high = bootstrap_interval(groups, lambda values: values.mean(0))
    for column in range(3):
        one = bootstrap_interval([group[:, column] for group in groups])
        assert (low[column], high[column]) == pytest.approx(one)


def test_nothing_has_no_interval():
    assert np.isnan(bootstrap_interval([])).all()
    assert np.isnan(bootstrap_interval([np.empty(0)])).all()


# Tables


def test_means_are_over_words_and_intervals_over_images():
    summary = average_scores(RECORDS)
    assert list(summary) == ["lrp", "attention", CHANCE]
    assert summary["lrp"]["energy"]["mean"] == pytest.approx(1.7 / 4)
    assert summary["lrp"]["rank"]["mean"] == pytest.approx(1.7 / 8)
    groups = [np.array([0.9, 0.5]), np.array([0.1]), np.array([0.2])]
    expected = bootstrap_interval(groups)
    assert summary["lrp"]["energy"]["interval"] == pytest.approx(expected)


def test_differences_are_taken_word_by_word():
    found = average_scores(RECORDS, baseline="attention")
    assert list(found) == ["lrp", CHANCE]
    assert found["lrp"]["energy"]["mean"] == pytest.approx((0.6 - 0.3) / 4)
    groups = [np.array([0.6, 0.0]), np.array([-0.3]), np.array([0.0])]
    expected = bootstrap_interval(groups)
    assert found["lrp"]["energy"]["interval"] == pytest.approx(expected)


def test_a_row_for_every_score():
    rows = list(csv.DictReader(io.StringIO(to_csv(RECORDS).decode())))
    assert len(rows) == 4 * 3 * 2
    assert rows[1] == {
        "image_id": "a",
        "step": "1",
        "word": "word1",
        "method": "lrp",
        "score": "rank",
        "value": "0.45",
    }


def test_curves_and_lines():
    summary = average_scores(RECORDS)
    mean, low, high = curves(summary, ["energy", "rank"])["lrp"]
    np.testing.assert_allclose(mean, [0.425, 0.2125])
    assert (low <= mean).all() and (mean <= high).all()
    lines = table_lines(summary, ["rank", "energy"])
    assert lines[0].split() == ["rank", "energy"]
    interval = summary["lrp"]["rank"]["interval"]
    assert lines[1].startswith("lrp ")
    assert f"0.212 [{interval[0]:.3f}, {interval[1]:.3f}]" in lines[1]
    assert len({len(line) for line in lines}) == 1


def test_examples_are_ranked_by_what_is_above_chance():
    best, worst = choose_examples(RECORDS, "lrp", "energy", 2)
    assert [one.word["word"] for one in best] == ["word1", "word2"]
    assert [one.word["word"] for one in worst] == ["word0", "word4"]
    assert best[0].record is RECORDS[0]


def test_objects_that_fill_the_image_are_no_examples():
    full = {"image_id": "e", "words": [word(3, 0.9, 0.9, chance=0.95)]}
    best, worst = choose_examples([*RECORDS, full], "lrp", "energy", 9)
    assert "word3" not in [one.word["word"] for one in best + worst]
    best, worst = choose_examples([full], "lrp", "energy", 9)
    assert [one.word["word"] for one in best] == ["word3"] and not worst


def test_few_words_are_shown_once():
    best, worst = choose_examples(RECORDS, "attention", "energy", 3)
    names = [one.word["word"] for one in best + worst]
    assert sorted(names) == ["word0", "word1", "word2", "word4"]
    assert len(all_words(RECORDS)) == 4
