"""Localization: numbers by hand, the formulas retyped slowly, the level of chance."""

from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from skimage.transform import pyramid_expand, resize

from dataset.records import ObjectBox
from evaluation.localization import (
    BY_MASKS,
    CHANCE,
    CORRECTNESS,
    RELEASED_SMOOTHING,
    THRESHOLDS,
    TOLERANCE,
    TOLERANT,
    Location,
    chance_scores,
    correctness,
    correctness_as_released,
    heat_of,
    locate,
    locate_masks,
    mass_accuracy,
    pointing,
    rank_accuracy,
    score_location,
    score_words,
)

LEFT = np.array([[True, False], [True, False]])
TOP = np.array([[True, True], [False, False]])


@pytest.fixture
def random():
    return np.random.default_rng(0)


# Boxes


def test_boxes_fill_the_pixels_whose_centres_they_hold():
    location = locate([(0.25, 0.0, 1.0, 0.5), (0.0, 0.5, 0.24, 1.0)], (2, 4))
    expected = [[[0, 1, 1, 1], [0, 0, 0, 0]], [[0, 0, 0, 0], [1, 0, 0, 0]]]
    np.testing.assert_array_equal(location.regions, expected)
    np.testing.assert_array_equal(location.mask, [[0, 1, 1, 1], [1, 0, 0, 0]])


def test_boxes_fill_the_pixels_that_pycocotools_fills(random):
    height, width = 11, 17
    low = random.uniform(0, (14, 9), (200, 2))  # x, y
    sides = random.uniform(1, 2, (200, 2))
    low[::2], sides[::2] = low[::2].round(), sides[::2].round()
    shares = np.hstack([low, low + sides]) / [width, height, width, height]
    location = locate(shares.tolist(), (height, width))
    encoded = coco_mask.frPyObjects(np.hstack([low, sides]), height, width)
    expected = coco_mask.decode(encoded).transpose(2, 0, 1)
    np.testing.assert_array_equal(location.regions, expected)
    for count in (1, 2, 7):
        some = locate(shares[:count].tolist(), (height, width))
        area = coco_mask.area(coco_mask.merge(encoded[:count]))
        assert chance_scores(some)["energy"] == pytest.approx(area / height / width)


def test_a_box_smaller_than_a_pixel_fills_one():
    location = locate([(0.55, 0.9, 0.6, 0.99)], (2, 4))
    np.testing.assert_array_equal(location.regions, [[[0, 0, 0, 0], [0, 0, 1, 0]]])


# Masks


def test_a_mask_is_resized_as_boxes_are(random):
    """A rectangle of whole pixels is the same as box and as mask, at any size."""
    for _ in range(40):
        height, width = random.integers(3, 40, 2)
        top, left = random.integers(0, (height - 1, width - 1))
        low, right = random.integers((top + 2, left + 2), (height + 1, width + 1))
        mask = np.zeros((height, width), bool)
        mask[top:low, left:right] = True
        box = (left / width, top / height, right / width, low / height)
        size = tuple(random.integers((height // 2 + 1, width // 2 + 1), 60).tolist())
        expected = locate([box], size).regions
        np.testing.assert_array_equal(locate_masks([mask], size).regions, expected)


def test_a_mask_at_its_own_size_is_itself(random):
    masks = random.random((2, 5, 7)) < 0.5
    np.testing.assert_array_equal(locate_masks(masks, (5, 7)).regions, masks)


def test_a_mask_smaller_than_a_pixel_fills_one():
    mask = np.zeros((20, 40), bool)
    mask[19, 22:24] = True
    expected = [[[0, 0, 0, 0], [0, 0, 1, 0]]]
    np.testing.assert_array_equal(locate_masks([mask], (2, 4)).regions, expected)


def test_regions_without_pixels_are_refused():
    with pytest.raises(ValueError, match=r"regions \(N, H, W\), each with a pixel"):
        Location(np.ones((2, 4), bool))
    with pytest.raises(ValueError, match=r"received \(2, 2, 3\) with \[0 6\] pixels"):
        Location(np.array([np.zeros((2, 3)), np.ones((2, 3))], bool))


# Scores by hand


def test_heat_is_what_speaks_for_the_word():
    relevance = np.array([[[3.0, -9.0, 0.0], [1.0, 2.0, 3.0]]])
    np.testing.assert_allclose(heat_of(relevance), [[0.5, 1.0]])
    np.testing.assert_array_equal(heat_of(-np.ones((2, 3, 3))), np.zeros((2, 3)))


def test_relevance_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="Expected finite relevance, received NaN"):
        heat_of(np.full((2, 3, 3), np.nan))


def test_correctness_by_hand():
    heat = np.array([[1.0, 0.5], [0.1, 0.25]])
    found = dict(zip(THRESHOLDS, correctness(heat, LEFT[None]), strict=True))
    assert found[0.0] == pytest.approx(1.1 / 1.85)
    assert found[0.1] == pytest.approx(1.0 / 1.75)  # what equals it is not above it
    assert found[0.3] == pytest.approx(1.0 / 1.5)
    assert found[0.5] == found[0.9] == 1.0


def test_correctness_is_that_of_the_best_box():
    heat = np.array([[1.0, 0.5], [0.1, 0.25]])
    both = correctness(heat, np.stack([LEFT, TOP]))
    assert both[0] == pytest.approx(1.5 / 1.85)
    apart = [correctness(heat, box[None]) for box in (LEFT, TOP)]
    np.testing.assert_allclose(both, np.maximum(*apart))


def test_a_map_without_heat_scores_nothing():
    nothing = np.zeros((2, 2))
    assert not correctness(nothing, LEFT[None]).any()
    assert mass_accuracy(nothing, LEFT) == pointing(nothing, LEFT) == 0


def test_mass_and_rank_by_hand():
    heat = np.array([[1.0, 0.5], [0.1, 0.25]])
    assert mass_accuracy(heat, LEFT) == pytest.approx(1.1 / 1.85)
    assert rank_accuracy(heat, LEFT) == 0.5  # 1.0 of {1.0, 0.5}
    assert rank_accuracy(heat, TOP) == 1.0


def test_equally_hot_pixels_are_ranked_by_chance():
    heat = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert rank_accuracy(heat, LEFT) == pytest.approx((1 + 1 / 3) / 2)
    assert rank_accuracy(np.zeros((2, 2)), LEFT) == 0.5


def test_pointing_by_hand():
    heat = np.array([[0.2, 1.0], [0.1, 0.3]])
    assert (pointing(heat, LEFT), pointing(heat, TOP)) == (0, 1)
    assert pointing(np.array([[1.0, 1.0], [1.0, 0.0]]), TOP) == pytest.approx(2 / 3)


def test_a_point_near_the_object_is_a_hit_with_tolerance():
    mask = np.zeros((1, 224, 224), bool)
    mask[0, 1, 3] = True
    location = Location(mask)
    for distance, hit in ((TOLERANCE, 1), (TOLERANCE + 1, 0)):
        relevance = np.zeros((224, 224, 3))
        relevance[1, 3 + distance] = 1
        found = score_location(relevance, location)
        assert (found["pointing"], found[TOLERANT]) == (0, hit)


def test_the_tolerance_grows_with_the_image():
    mask = np.zeros((1, 112, 112), bool)
    mask[0, 1, 3] = True
    assert Location(mask).surroundings[1].sum() == 3 + 1 + TOLERANCE // 2


# The formulas once more, slowly


def slow_correctness(heat, boxes, limit):
    best = 0.0
    for box in boxes:
        inside = total = 0.0
        for row, column in np.ndindex(heat.shape):
            if heat[row, column] > limit:
                total += heat[row, column]
                inside += heat[row, column] * box[row, column]
        best = max(best, inside / total)
    return best


def test_every_score_retyped_slowly(random):
    relevance = random.normal(size=(5, 6, 3))
    boxes = [(0.0, 0.2, 0.5, 0.8), (0.4, 0.0, 1.0, 0.5)]
    location = Location(locate(boxes, (5, 6)).regions & (random.random((5, 6)) < 0.7))
    found = score_location(relevance, location)
    heat = sum(np.maximum(relevance[..., channel], 0) for channel in range(3)) / 3
    heat = heat / heat.max()
    for name, limit in zip(CORRECTNESS, THRESHOLDS, strict=True):
        assert found[name] == pytest.approx(
            slow_correctness(heat, location.regions, limit)
        )
    order = sorted(np.ndindex(heat.shape), key=lambda place: -heat[place])
    exact = [place for place in order if location.mask[place]]
    either = location.regions[0] | location.regions[1]
    assert found["energy"] == pytest.approx((heat * either).sum() / heat.sum())
    assert found["mass_accuracy"] == pytest.approx(
        sum(heat[place] for place in exact) / heat.sum()
    )
    hits = sum(bool(location.mask[place]) for place in order[: len(exact)])
    assert found["rank_accuracy"] == pytest.approx(hits / len(exact))
    assert found["pointing"] == location.mask[order[0]]


def released_correctness(heat, boxes):
    """Thresholds the one map in place, as the released code does."""
    heat, best = heat.copy(), np.zeros(len(THRESHOLDS))
    for box in boxes:
        for place, limit in enumerate(THRESHOLDS):
            heat[heat <= limit] = 0
            best[place] = max(best[place], (heat * box).sum() / heat.sum())
    return best


def test_the_bug_of_the_released_code_is_reproduced(random):
    for _ in range(5):
        heat = heat_of(random.random((6, 7, 3)) ** 4)
        boxes = random.random((3, 6, 7)) < 0.3
        expected = released_correctness(heat, boxes)
        np.testing.assert_allclose(correctness_as_released(heat, boxes), expected)
    one = boxes[:1]
    np.testing.assert_array_equal(
        correctness_as_released(heat, one), correctness(heat, one)
    )
    assert np.abs(expected - correctness(heat, boxes)).max() > 0.1


def test_the_attention_of_the_released_code_is_reproduced(random):
    attention = random.random((14, 14)) ** 3
    expanded = pyramid_expand(attention, upscale=16, sigma=RELEASED_SMOOTHING)
    large = resize(attention, (224, 224), order=1, mode="reflect", anti_aliasing=False)
    boxes = random.random((2, 224, 224)) < 0.3
    found = correctness_as_released(large, boxes, RELEASED_SMOOTHING)
    expected = released_correctness(expanded / expanded.max(), boxes)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    objects = [ObjectBox(("ball",), (0.0, 0.0, 0.5, 1.0))]
    pixels = np.repeat(large[None, ..., None], 3, axis=-1)
    for method, smoothing in (("attention", RELEASED_SMOOTHING), ("lrp", 0)):
        explanation = SimpleNamespace(method=method, pixels=pixels)
        (word,) = score_words(["ball"], objects, [explanation], as_released=True)
        boxes = locate([objects[0].box], (224, 224)).regions
        expected = correctness_as_released(large / large.max(), boxes, smoothing)
        scores = word["scores"][method]
        assert [scores[name] for name in CORRECTNESS] == pytest.approx(list(expected))


def test_scoring_leaves_the_relevance_as_it_is(random):
    relevance = random.normal(size=(4, 5, 3))
    before = relevance.copy()
    location = locate([(0, 0, 0.5, 1), (0.5, 0, 1, 1)], (4, 5))
    first = score_location(relevance, location)
    assert score_location(relevance, location) == first
    released = score_location(relevance, location, correctness_as_released)
    assert {n for n in first if released[n] != first[n]} <= set(CORRECTNESS)
    np.testing.assert_array_equal(relevance, before)


# Chance


def test_an_even_map_scores_its_chance():
    location = locate([(0, 0, 0.5, 0.5), (0.4, 0.2, 1, 1)], (10, 10))
    chance = chance_scores(location)
    even = score_location(np.ones((10, 10, 3)), location)
    assert chance == pytest.approx(even)
    assert chance["correctness_0.9"] == pytest.approx(0.48)
    assert chance["energy"] == pytest.approx(0.7)


def test_random_maps_score_chance_on_average(random):
    location = locate([(0.2, 0.1, 0.7, 0.6)], (20, 30))
    maps = random.random((400, 20, 30, 3))
    scores = [score_location(one, location) for one in maps]
    chance = chance_scores(location)
    for name in ("correctness_0.0", "mass_accuracy", "rank_accuracy", "pointing"):
        mean = np.mean([score[name] for score in scores])
        # four standard errors of a share of one of 400 points
        assert mean == pytest.approx(chance[name], abs=4 * 0.5 / 20)


# Words


def test_every_word_is_scored_on_its_own_objects(random):
    objects = [
        ObjectBox(("a dog",), (0.0, 0.0, 0.5, 0.5)),
        ObjectBox(("the ball",), (0.5, 0.5, 1.0, 1.0)),
        ObjectBox(("a brown dog",), (0.0, 0.5, 0.5, 1.0)),
    ]
    words = ("a", "dog", "and", "a", "cat", "and", "a", "ball")
    pixels = {name: random.normal(size=(2, 4, 6, 3)) for name in ("lrp", "attention")}
    explanations = [SimpleNamespace(method=m, pixels=p) for m, p in pixels.items()]
    dog, ball = score_words(words, objects, explanations)
    assert (dog["step"], dog["word"]) == (1, "dog")
    assert (ball["step"], ball["word"]) == (7, "ball")
    assert dog["boxes"] == [objects[0].box, objects[2].box]
    assert list(dog["scores"]) == ["lrp", "attention", CHANCE]
    location = locate([objects[1].box], (4, 6))
    expected = score_location(pixels["attention"][1], location)
    assert ball["scores"]["attention"] == expected


def test_exact_pixels_are_scored_beside_boxes(random):
    objects = [
        ObjectBox((w,), (0.0, 0.1, 0.5, 0.9)) for w in ("a dog", "a ball", "dogs")
    ]
    pixels = random.normal(size=(2, 4, 6, 3))
    explanation = SimpleNamespace(method="lrp", pixels=pixels)
    words = ("dog", "ball")
    before = score_words(words, objects, [explanation])
    masks = [*(random.random((2, 4, 6)) < 0.5), None]
    both = score_words(words, objects, [explanation], masks)
    assert both[0] == before[0]  # of one of the dogs there are no exact pixels
    for name, scores in both[1]["scores"].items():
        by_box = before[1]["scores"][name]
        assert list(scores) == [*by_box, *(BY_MASKS + score for score in by_box)]
        assert {score: scores[score] for score in by_box} == by_box
    expected = score_location(pixels[1], Location(masks[1][None]))
    found = both[1]["scores"]["lrp"]
    assert {n: found[BY_MASKS + n] for n in expected} == expected
    chance = both[1]["scores"][CHANCE]
    assert chance["mask_rank_accuracy"] == chance["mask_energy"] == masks[1].mean()


def test_objects_that_lie_nowhere_are_not_scored():
    assert score_words(("dog",), [ObjectBox(("dog",), None)], []) == []


def test_a_caption_without_objects_has_no_words():
    assert score_words(("a", "cat"), [], []) == []
