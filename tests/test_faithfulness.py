"""Faithfulness by hand: the order of deletion, and what planted answers score."""

import numpy as np
import pytest

from evaluation.faithfulness import (
    NUM_DRAWS,
    RANDOM,
    area_under,
    flipping_curves,
    mask_words,
    patch_deletion,
    rank,
    sum_patches,
    word_deletion,
)

CAUSES = {"dog": 4, "cat": 1}  # the patch that each word depends on
WORDS = tuple(CAUSES)
BEFORE = np.array([0.9, 0.8])
SCORES = {
    "right": np.array([[0, -1, 0, 0, 2, 1.0], [0, 3, 0, 1, -9, 2]]),
    "wrong": np.array([[0, 3, 0, 1, -9, 2], [0, -1, 0, 0, 2, 1.0]]),
}


@pytest.fixture
def generator():
    return np.random.default_rng(0)


class Oracle:
    """A model in which each word needs one patch; keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, patches):
        self.asked += [list(deleted) for deleted in patches]
        seen = [[CAUSES[word] not in deleted for word in WORDS] for deleted in patches]
        captions = [[w for w, s in zip(WORDS, row, strict=True) if s] for row in seen]
        return np.where(seen, BEFORE, 0.1), captions


def test_patches_are_summed_row_by_row():
    pixels = np.zeros((2, 4, 6, 3))
    pixels[0, 0, 2:4] = 1.0  # two pixels of the second patch, three channels
    pixels[1, 3, 5] = (5.0, -7.0, 0.5)  # the last patch
    expected = [[0, 6, 0, 0, 0, 0], [0, 0, 0, 0, 0, -1.5]]
    numbers = np.arange(6).reshape(2, 3).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(sum_patches(pixels, numbers), expected)


def test_the_share_that_is_deleted_is_the_same_at_any_number_of_patches(generator):
    for num_patches, count in ((784, 20), (6, 1), (256, 7)):
        told = Oracle()
        scores = {"one": generator.random((2, num_patches))}
        patch_deletion(scores, WORDS, BEFORE, told, generator)
        assert {len(deleted) for deleted in told.asked} == {count}


def test_most_relevant_comes_first(generator):
    scores = np.array([[1.0, 3.0, -2.0], [0.5, -4.0, 6.0]])
    np.testing.assert_array_equal(rank(scores, generator), [[1, 0, 2], [2, 0, 1]])


def test_ties_come_in_random_order(generator):
    scores = np.array([0.0, 0.0, 5.0, 0.0, -1.0])
    orders = np.array([rank(scores, generator) for _ in range(50)])
    assert set(orders[:, 0]) == {2} and set(orders[:, 4]) == {4}
    for place in (1, 2, 3):
        assert set(orders[:, place]) == {0, 1, 3}


def test_relevance_that_says_nothing_is_refused(generator):
    with pytest.raises(ValueError, match="2 of 3 scores are NaN; expected relevance"):
        rank(np.array([np.nan, 1.0, np.nan]), generator)


def test_preceding_words_are_marked_without_the_start(generator):
    scores = np.array([[9.0, 1.0, 3.0, 2.0, 8.0], [9.0, -1.0, -3.0, -2.0, 4.0]])
    marked = mask_words(scores, np.array([3, 4]), generator, count=2)
    np.testing.assert_array_equal(marked, [[0, 0, 1, 1, 0], [0, 1, 0, 0, 1]])


def test_words_vanish_with_the_patch_they_need(generator):
    oracle = Oracle()
    found = patch_deletion(SCORES, WORDS, BEFORE, oracle, generator, count=1)
    assert oracle.asked[:4] == [[4], [1], [1], [4]]
    np.testing.assert_array_equal(found["right"]["vanished"], [True, True])
    np.testing.assert_allclose(found["right"]["drop"], [0.8, 0.7])
    np.testing.assert_array_equal(found["wrong"]["vanished"], [False, False])
    np.testing.assert_allclose(found["wrong"]["drop"], [0.0, 0.0])
    drawn = oracle.asked[4:]
    assert len(drawn) == NUM_DRAWS
    shares = [drawn.count([CAUSES[word]]) / NUM_DRAWS for word in WORDS]
    np.testing.assert_allclose(found[RANDOM]["vanished"], shares)
    np.testing.assert_allclose(found[RANDOM]["drop"], shares * (BEFORE - 0.1))


def test_curves_fall_where_the_patch_goes(generator):
    """Of six patches 1, 3 and 6 are deleted; the right method falls at once."""
    found = flipping_curves(SCORES, BEFORE, Oracle(), generator, (1 / 6, 0.5, 1.0))
    falls = np.array([[0.9, 0.1, 0.1, 0.1], [0.8, 0.1, 0.1, 0.1]])
    stays = np.array([[0.9, 0.9, 0.9, 0.1], [0.8, 0.8, 0.8, 0.1]])
    np.testing.assert_allclose(found["right"], falls)
    np.testing.assert_allclose(found["wrong"], stays)
    assert np.all(found[RANDOM] <= stays + 1e-9)
    np.testing.assert_allclose(found[RANDOM][:, [0, 3]], stays[:, [0, 3]])


def test_area_is_the_mean_height():
    """(0.1 x 0.5 + 0.4 x 0) / 0.5 = 0.1 and (0.1 x 0.9 + 0.4 x 0.6) / 0.5 = 0.66."""
    curves = np.array([[1.0, 0.0, 0.0], [1.0, 0.8, 0.4]])
    np.testing.assert_allclose(area_under(curves, (0.1, 0.5)), [0.1, 0.66])


def test_probabilities_fall_with_the_word_they_need(generator):
    """Both words need input 2; one method knows it."""
    scores = {
        "right": np.array([[0, 0, 9.0, 1, 0], [0, 1, 9.0, 0, 0]]),
        "wrong": np.array([[9, 1, 0.0, 2, 0], [9, 1, -1.0, 2, 3]]),
    }
    steps, before = np.array([3, 4]), np.array([0.5, 0.6])
    asked = []

    def tell(steps, deleted):
        asked.extend(zip(steps, deleted, strict=True))
        return np.where(deleted[:, 2], 0.2, np.tile(before, len(steps) // 2))

    found = word_deletion(scores, steps, before, tell, generator, count=1)
    np.testing.assert_allclose(found["right"], [0.3, 0.4])
    np.testing.assert_allclose(found["wrong"], [0.0, 0.0])
    assert len(asked) == 2 * (2 + NUM_DRAWS)
    for step, deleted in asked:
        assert deleted.sum() == 1 and not deleted[0] and not deleted[step + 1 :].any()
    assert np.all((found[RANDOM] >= 0) & (found[RANDOM] <= [0.3, 0.4]))
