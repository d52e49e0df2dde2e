"""Batched beam search over any step function."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from config import MAX_BEAM, not_negative, whole_number

IMPOSSIBLE = -np.inf


class Hypotheses(NamedTuple):
    """The found sentences of each image, best first.

    Attributes:
        tokens: int (B, K, T), the end token and nothing else after it.
        log_probabilities: float (B, K, T) of each token, 0 after the end.
        scores: float (B, K): sum of log-probabilities / length ** length_penalty.
    """

    tokens: np.ndarray
    log_probabilities: np.ndarray
    scores: np.ndarray


def check_search(
    beam_size: int | None = None, length_penalty: float | None = None
) -> None:
    """Refuses numbers that no search has; None, for a default, is none of them.

    Raises:
        ValueError: Which number, what was expected and what was received.
    """
    if beam_size is not None:
        whole_number("beam_size", beam_size, most=MAX_BEAM)
    if length_penalty is not None:
        not_negative("length_penalty", length_penalty)


def beam_search(
    step: Callable,
    state,
    batch_size: int,
    beam_size: int,
    max_words: int,
    start: int,
    end: int,
    length_penalty: float = 0.0,
    watch: Callable[[Hypotheses], None] | None = None,
) -> Hypotheses:
    """Searches the likeliest sentences, several images and hypotheses at a time.

    A finished hypothesis stays in the beam with its score. After `max_words` words
    only the end token may follow, so every sentence ends, at the price of that token's
    log-probability. The search stops when every hypothesis is finished.

    Args:
        step: (tokens (B, K), state) -> (log-probabilities (B, K, V), state).
        state: Nested arrays (B, K, ...) before the first token.
        batch_size: B.
        beam_size: K.
        max_words: Of the longest sentence, without the end token.
        start: The token before the first one.
        end: The token after the last one.
        length_penalty: Exponent of the length; 0 ranks by probability alone.
        watch: Called after every step with the hypotheses so far.
    """
    tokens = np.full((batch_size, beam_size, 1), start)
    chosen = np.zeros((batch_size, beam_size, 1))
    totals = np.full((batch_size, beam_size), IMPOSSIBLE)
    totals[:, 0] = 0.0  # all hypotheses are equal at first: one is enough
    finished = np.zeros((batch_size, beam_size), bool)
    lengths = np.zeros((batch_size, beam_size))
    rows = np.arange(batch_size)[:, None]
    for number in range(max_words + 1):
        last = np.where(finished, end, tokens[..., -1]).astype("int32")
        log_probabilities, state = step(ops.convert_to_tensor(last), state)
        steps = ops.convert_to_numpy(log_probabilities).astype("float64")
        if number == max_words:
            steps[..., np.arange(steps.shape[-1]) != end] = IMPOSSIBLE
        steps[finished] = IMPOSSIBLE
        steps[finished, end] = 0.0
        sums = totals[..., None] + steps  # (B, K, V)
        new_lengths = lengths + ~finished
        ranks = (sums / new_lengths[..., None] ** length_penalty).reshape(
            batch_size, -1
        )
        best = largest(ranks, beam_size)
        parents, words = np.divmod(best, steps.shape[-1])
        totals = sums[rows, parents, words]
        chosen = np.concatenate(
            [chosen[rows, parents], steps[rows, parents, words][..., None]], axis=2
        )
        tokens = np.concatenate([tokens[rows, parents], words[..., None]], axis=2)
        lengths = new_lengths[rows, parents]
        finished = words == end
        scores = totals / lengths**length_penalty  # falling: the best come first
        found = Hypotheses(tokens[..., 1:], chosen[..., 1:], scores)
        if watch is not None:
            watch(found)
        if finished.all():
            break
        state = reorder(state, parents)
    return found


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """Returns the indices of each row's largest values, largest first."""
    count = min(count, values.shape[1])
    largest = np.argpartition(-values, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(values, largest, 1), axis=1, kind="stable")
    return np.take_along_axis(largest, order, 1)


def reorder(state, parents: np.ndarray):
    """Lets every hypothesis go on from its parent's state."""

    def pick(array):
        index = parents.reshape(parents.shape + (1,) * (len(array.shape) - 2))
        return ops.take_along_axis(array, ops.convert_to_tensor(index), axis=1)

    return keras.tree.map_structure(pick, state)
