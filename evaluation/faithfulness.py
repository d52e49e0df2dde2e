"""Faithfulness: does the model change its mind when what was called relevant goes?

What an explanation ranks first is deleted and the model asked again; how is the
caller's business (`tell`). What is deleted at random says what chance does.

Source: Samek et al. 2017 (arXiv 1509.06321); for captions Sun et al. 2022 (arXiv
2001.01037).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

NUM_PATCHES = 20  # deleted together of
OF_PATCHES = 784
NUM_WORDS = 3  # deleted together
FIRST_STEP = 6  # of the words whose preceding words are deleted
NUM_DRAWS = 5  # random deletions
SHARES = (0.05, 0.1, 0.2, 0.35, 0.5)  # of the patches, for the curves
RANDOM = "random"


# What is deleted


def sum_patches(pixels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Sums signed relevance over channels and patches.

    Args:
        pixels: Relevance (R, H, W, C).
        numbers: The number of the patch that each pixel belongs to (H, W).

    Returns:
        (R, N), the patches by their numbers.
    """
    sums = pixels.sum(-1, dtype="float64").reshape(len(pixels), -1)  # (R, H W)
    return np.stack([np.bincount(numbers.ravel(), row) for row in sums])


def rank(scores: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Orders by score, largest first; equal scores come in random order.

    In the order of the patches, ties would delete the top of the photo first, where
    a rectified map is often 0 everywhere.

    Args:
        scores: (..., N).
        generator: Decides ties.

    Returns:
        Numbers below N (..., N).

    Raises:
        ValueError: A score is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError(
            f"{np.isnan(scores).sum()} of {np.size(scores)} scores are NaN; expected "
            "relevance of everything. Leave out methods that say nothing about it."
        )
    return np.lexsort((generator.random(np.shape(scores)), -np.asarray(scores)))


def mask_words(
    scores: np.ndarray,
    steps: np.ndarray,
    generator: np.random.Generator,
    count: int = NUM_WORDS,
) -> np.ndarray:
    """Marks the most relevant words before each explained word.

    Args:
        scores: Relevance of the decoder's inputs for each explained word (R, T); that
            of step 0, the start token, is no word and is never marked.
        steps: The places of the explained words (R,), at least `count`.
        generator: Decides ties.
        count: Words to mark.

    Returns:
        Booleans (R, T).
    """
    marked = np.zeros(np.shape(scores), bool)
    for row, step in enumerate(steps):
        marked[row, 1 + rank(scores[row, 1 : step + 1], generator)[:count]] = True
    return marked


# What the model says then


def patch_deletion(
    scores: Mapping[str, np.ndarray],
    words: Sequence[str],
    before: np.ndarray,
    tell: Callable,
    generator: np.random.Generator,
    count: int | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Deletes the most relevant patches for each of R words, and random ones.

    Args:
        scores: Relevance of N patches for each word (R, N), by method.
        words: The words (R,).
        before: Their probabilities (R,).
        tell: Patches to delete, P arrays of numbers -> (probabilities of the words
            (P, R), words of the new captions, P collections).
        generator: Draws the random patches and decides ties.
        count: Patches to delete together; NUM_PATCHES of OF_PATCHES if None.

    Returns:
        For each method and RANDOM (the mean of NUM_DRAWS draws): "vanished", whether
        the new caption lacks the word (R,), and "drop" of the probability (R,).
    """
    orders = _orders(scores, generator)
    if count is None:
        count = max(1, round(NUM_PATCHES * orders.shape[1] / OF_PATCHES))
    probabilities, captions = tell([order[:count] for order in orders])
    vanished = np.array([[word not in said for word in words] for said in captions])
    vanished = _by_method(vanished, scores)
    drops = _by_method(before - probabilities, scores)
    return {
        name: {"vanished": vanished[name], "drop": drops[name]} for name in vanished
    }


def flipping_curves(
    scores: Mapping[str, np.ndarray],
    before: np.ndarray,
    tell: Callable,
    generator: np.random.Generator,
    shares: Sequence[float] = SHARES,
) -> dict[str, np.ndarray]:
    """Deletes a growing share of the patches, most relevant first.

    Args:
        scores: See `patch_deletion`.
        before: See `patch_deletion`.
        tell: See `patch_deletion`; the captions are not needed.
        generator: See `patch_deletion`.
        shares: Of the patches that are deleted, ascending.

    Returns:
        For each method and RANDOM the probability of each word at share 0 and at
        `shares` (R, 1 + S). Lower is more faithful; see `area_under`.
    """
    orders = _orders(scores, generator)
    counts = [round(share * orders.shape[1]) for share in shares]
    told, _ = tell([order[:count] for order in orders for count in counts])
    told = np.reshape(told, (len(orders), len(counts), -1)).swapaxes(1, 2)  # (P, R, S)
    return {
        name: np.column_stack([before, curve])
        for name, curve in _by_method(told, scores).items()
    }


def area_under(curves: np.ndarray, shares: Sequence[float] = SHARES) -> np.ndarray:
    """Returns the mean height of curves (..., 1 + S) at share 0 and at `shares`."""
    widths = np.diff([0.0, *shares])
    return (curves[..., 1:] + curves[..., :-1]) @ widths / (2.0 * widths.sum())


def word_deletion(
    scores: Mapping[str, np.ndarray],
    steps: np.ndarray,
    before: np.ndarray,
    tell: Callable,
    generator: np.random.Generator,
    count: int = NUM_WORDS,
) -> dict[str, np.ndarray]:
    """Deletes the most relevant preceding words of each of R words, and random ones.

    Args:
        scores: Relevance of the decoder's inputs for each word (R, T), by method.
        steps: The places of the words (R,), at least `count`.
        before: Their probabilities (R,).
        tell: (places of the predicted words (P,), inputs to delete (P, T)) ->
            probabilities (P,).
        generator: Draws the random words and decides ties.
        count: Words to delete together.

    Returns:
        For each method and RANDOM (the mean of NUM_DRAWS draws) what the probability
        of each word falls by (R,).
    """
    drawn = generator.random((NUM_DRAWS, *next(iter(scores.values())).shape))
    masks = [
        mask_words(each, steps, generator, count) for each in [*scores.values(), *drawn]
    ]
    told = tell(np.tile(steps, len(masks)), np.concatenate(masks))
    drops = before - np.reshape(told, (len(masks), -1))
    named = dict(zip(scores, drops, strict=False))
    return named | {RANDOM: drops[len(scores) :].mean(0)}


def _orders(scores: Mapping[str, np.ndarray], generator) -> np.ndarray:
    """Returns orders of N patches: each method's R, then the random ones (P, N)."""
    num_patches = next(iter(scores.values())).shape[1]
    drawn = generator.random((NUM_DRAWS, num_patches))
    return rank(np.concatenate([*scores.values(), drawn]), generator)


def _by_method(values: np.ndarray, methods: Mapping) -> dict[str, np.ndarray]:
    """Takes from (P, R, ...) what each order of `_orders` says about its word (R, ...).

    The random orders are about all words: their mean.
    """
    rows = np.arange(values.shape[1])
    named = {
        name: values[number * len(rows) + rows, rows]
        for number, name in enumerate(methods)
    }
    return named | {RANDOM: values[len(methods) * len(rows) :].mean(0)}
