"""How sure a mean is: bootstrap intervals over images."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np

LEVEL = 0.95


def bootstrap_interval(
    groups: Sequence[np.ndarray],
    statistic: Callable = np.mean,
    num_samples: int = 1000,
    seed: int = 0,
) -> tuple:
    """Returns the 95% percentile interval of a statistic of all values.

    Images are drawn with replacement, each with all its values, because the values
    of one image depend on each other.

    Args:
        groups: The values of each image, arrays (N,) or (N, ...); N may be 0.
        statistic: Of the values of the drawn images in one array; a number, or an
            array of several, each of which has an interval.
        num_samples: How often images are drawn.
        seed: The same seed gives the same interval.

    Returns:
        (low, high); NaN where no image has a value. Draws of which the statistic is
        not defined (NaN) are left out.

    Source: Efron and Tibshirani 1993, chapter 13.
    """
    groups = [np.asarray(group) for group in groups if len(group)]
    if not groups:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(
        len(groups), size=(num_samples, len(groups))
    )
    values = [
        statistic(np.concatenate([groups[index] for index in indices]))
        for indices in drawn
    ]
    outside = (1 - LEVEL) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # not defined in any draw: NaN
        return tuple(np.nanquantile(values, [outside, 1 - outside], axis=0))
