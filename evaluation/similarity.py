"""How alike two heatmaps are.

Source: Adebayo et al. 2018 (arXiv 1810.03292), section 3. Of the measures there the
structural similarity is left out: its stabilizers call maps alike that are almost
empty, and most pixels of a heatmap are.
"""

import numpy as np


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Returns Spearman's correlation of the values of two arrays of one shape.

    rho = correlation of their ranks; equal values share the mean of their ranks.

    Returns:
        In [-1, 1]; NaN where an array is constant.
    """
    ranks = [_ranks(np.ravel(values)) for values in (first, second)]
    return cosine_similarity(*(values - values.mean() for values in ranks))


def cosine_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Returns sum(x y) / (|x| |y|) of two arrays of one shape.

    Returns:
        In [-1, 1]; NaN where an array is 0.
    """
    x, y = (np.ravel(values).astype("float64") for values in (first, second))
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / lengths) if lengths > 0 else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """Returns the ranks (N,), from 0; equal values share their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse]
