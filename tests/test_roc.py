"""Areas and curves by hand, against all pairs, and their intervals."""

import numpy as np
import pytest

from evaluation.roc import (
    area_under_roc,
    best_statistics,
    measure_scores,
    roc_curve,
    to_json,
)

BASELINE = ("visual_share", "value")


def area_of_pairs(scores, is_true) -> float:
    """Counts the pairs of a true and a hallucinated word, one after the other."""
    wins = pairs = 0
    for score, label in zip(scores, is_true, strict=True):
        for other, other_label in zip(scores, is_true, strict=True):
            if label and not other_label:
                pairs += 1
                wins += 1.0 if score > other else 0.5 if score == other else 0.0
    return wins / pairs


def random_images(seed: int, num_images: int = 40, shift: float = 1.0) -> list[list]:
    """Makes the words of images, from 0 to 3 of each; true ones score higher."""
    generator = np.random.default_rng(seed)
    return [
        [
            word(is_true, generator.normal() + shift * is_true, generator.normal())
            for is_true in generator.random(generator.integers(0, 4)) < 0.7
        ]
        for _ in range(num_images)
    ]


def word(is_true: bool, score: float, other: float = 0.0, name: str = "dog") -> dict:
    scores = {"lrp": {"sum": -score, "mean": score}, "visual_share": {"value": other}}
    return {"word": name, "is_true": bool(is_true), "scores": scores}


def column(images: list[list], method: str, statistic: str) -> tuple:
    """Returns one score of all words and whether they are true."""
    words = [word for some in images for word in some]
    scores = np.array([word["scores"][method][statistic] for word in words])
    return scores, np.array([word["is_true"] for word in words])


@pytest.mark.parametrize(
    ("scores", "is_true", "area"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([1, 2, 3, 4], [1, 1, 0, 0], 0.0),
        ([1, 2, 3, 4], [0, 1, 0, 1], 0.75),
        ([5, 5, 5], [1, 0, 1], 0.5),
        ([1, 2, 2], [0, 0, 1], 0.75),
    ],
)
def test_area_by_hand(scores, is_true, area):
    assert area_under_roc(np.array([scores]).T, np.array(is_true) == 1) == [area]


def test_areas_count_all_pairs_ties_half():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 6, (50, 3))
    is_true = generator.random(50) < 0.6
    expected = [area_of_pairs(scores[:, k], is_true) for k in range(3)]
    np.testing.assert_allclose(area_under_roc(scores, is_true), expected, rtol=1e-12)


@pytest.mark.parametrize("is_true", [[], [True, True], [False]])
def test_one_class_has_no_area(is_true):
    scores = np.zeros((len(is_true), 2))
    assert np.isnan(area_under_roc(scores, np.array(is_true, bool))).all()


def test_curve_by_hand():
    is_true = np.array([True, False, False, True])
    false, true = roc_curve(np.array([0.9, 0.1, 0.5, 0.5]), is_true)
    np.testing.assert_array_equal(false, [0, 0, 0.5, 1])
    np.testing.assert_array_equal(true, [0, 0.5, 1, 1])


def test_area_is_that_below_the_curve():
    scores, is_true = column(random_images(3), "lrp", "mean")
    scores = scores.round(1)  # with ties
    area = np.trapezoid(*roc_curve(scores, is_true)[::-1])
    assert area == pytest.approx(area_of_pairs(scores, is_true), rel=1e-12)


def test_every_score_is_measured():
    images = random_images(1)
    rocs = measure_scores(images, BASELINE)
    assert list(rocs) == [("lrp", "sum"), ("lrp", "mean"), BASELINE]
    for score, roc in rocs.items():
        expected = area_of_pairs(*column(images, *score))
        assert roc.area == pytest.approx(expected, rel=1e-12)
        assert roc.advantage == pytest.approx(expected - rocs[BASELINE].area)
    assert rocs["lrp", "sum"].area == pytest.approx(1 - rocs["lrp", "mean"].area)
    roc = rocs["lrp", "mean"]
    assert 0.5 < roc.interval[0] < roc.area < roc.interval[1] < 1
    low, high = roc.advantage_interval
    assert low < roc.advantage < high
    assert rocs[BASELINE].advantage_interval == (0, 0)


def test_interval_is_that_of_drawn_images():
    """A score near another has a sure difference, though both areas are not."""
    images = random_images(4, num_images=60)
    for some in images:
        for each in some:
            score = each["scores"]["lrp"]["mean"]
            each["scores"]["visual_share"]["value"] = score + 0.01 * np.sin(99 * score)
    roc = measure_scores(images, BASELINE)["lrp", "mean"]
    of_area, of_advantage = np.ptp(roc.interval), np.ptp(roc.advantage_interval)
    assert of_advantage < 0.3 * of_area


def test_images_are_drawn_whole():
    """Words repeated within their image say nothing new: the interval stays."""
    images = random_images(2)
    once = measure_scores(images, BASELINE)["lrp", "mean"]
    again = measure_scores([3 * some for some in images], BASELINE)["lrp", "mean"]
    np.testing.assert_allclose(again.interval, once.interval, rtol=1e-12)


def test_a_score_that_knows_the_word_alone_is_chance_within_words():
    """Hats are mostly hallucinated, dogs mostly true, whatever else the score says."""
    labels = {"hat": [0, 0, 0, 1], "dog": [1, 1, 1, 0], "ball": [0, 0]}
    images = [
        [word(is_true, score=name == "dog", other=place, name=name)]
        for name, all_true in labels.items()
        for place, is_true in enumerate(all_true)
    ]
    rocs = measure_scores(images, BASELINE)
    assert rocs["lrp", "mean"].area > 0.7
    assert rocs["lrp", "mean"].within_words == 0.5
    assert rocs[BASELINE].within_words == (3 + 0) / (3 + 3)  # hats in order, dogs not


def test_areas_within_words_count_their_pairs():
    images = random_images(6)
    generator = np.random.default_rng(7)
    for each in (each for some in images for each in some):
        each["word"] = str(generator.choice(["dog", "hat", "ball"]))
    wins = pairs = 0
    for name in ("dog", "hat", "ball"):
        same = [[each for some in images for each in some if each["word"] == name]]
        scores, is_true = column(same, "lrp", "mean")
        number = is_true.sum() * (~is_true).sum()
        pairs, wins = pairs + number, wins + number * area_of_pairs(scores, is_true)
    roc = measure_scores(images, BASELINE)["lrp", "mean"]
    assert roc.within_words == pytest.approx(wins / pairs, rel=1e-12)
    low, high = roc.within_words_interval
    assert 0 <= low < roc.within_words < high <= 1


@pytest.mark.parametrize("images", [[[word(True, 1.0), word(True, 0.0)]], [[], []]])
def test_without_both_classes_nothing_is_measured(images):
    rocs = measure_scores(images, BASELINE)
    for roc in rocs.values():
        assert np.isnan([roc.area, *roc.interval, *roc.advantage_interval]).all()
    assert len(rocs) == (3 if images[0] else 0)


def test_best_statistic_of_each_method():
    rocs = measure_scores(random_images(5), BASELINE)
    best = best_statistics(rocs)
    assert best == {score: rocs[score] for score in (("lrp", "mean"), BASELINE)}
    content = to_json(best)
    assert content["lrp"]["mean"]["area"] == rocs["lrp", "mean"].area
    assert list(content) == ["lrp", "visual_share"]
