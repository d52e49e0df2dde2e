"""Likeness of maps: by hand, and against scipy."""

import numpy as np
import pytest

from evaluation.similarity import cosine_similarity, rank_correlation


def test_ranks_alone_matter():
    values = np.array([[0.1, 2.0], [-3.0, 40.0]])
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert rank_correlation(values, -(values**3)) == pytest.approx(-1)


def test_equal_values_share_their_rank():
    """Ranks (0.5, 0.5, 2) and (0, 1, 2), less 1: product 1.5, squares 1.5 and 2."""
    found = rank_correlation(np.array([7, 7, 9]), np.array([1, 2, 3]))
    assert found == pytest.approx(1.5 / np.sqrt(1.5 * 2))


def test_rank_correlation_equals_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(0)
    first = generator.integers(0, 9, (7, 11))
    second = first + generator.integers(0, 5, (7, 11))
    expected = stats.spearmanr(first.ravel(), second.ravel()).statistic
    assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)


def test_a_constant_map_has_no_ranks():
    assert np.isnan(rank_correlation(np.zeros((3, 4)), np.arange(12).reshape(3, 4)))


def test_cosine_by_hand():
    """(1 x 2 + 2 x 0 - 2 x 1) = 0; of (3, 4) and (4, 3): 24 / 25."""
    assert cosine_similarity(np.array([1, 2, -2]), np.array([2, 0, 1])) == 0
    found = cosine_similarity(np.array([[3.0], [4.0]]), np.array([[0.4], [0.3]]))
    assert found == pytest.approx(24 / 25)
    assert cosine_similarity(np.array([1, 2]), np.array([-10, -20])) == pytest.approx(
        -1
    )
    assert np.isnan(cosine_similarity(np.zeros(2), np.ones(2)))
