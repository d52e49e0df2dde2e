"""The beam search against all sentences, against greedy search and against itself."""

import itertools

import numpy as np
import pytest
from keras import ops

from models.generation.beam_search import beam_search

B, V, STEPS = 3, 5, 4
START, END = 1, 2
ALL = V**STEPS  # more hypotheses than there are sentences


class Table:
    """Random log-probabilities that depend on all tokens before.

    The state holds the number of every history: as a vector, so that it has an axis
    behind the hypotheses, and as a scalar.
    """

    def __init__(self, seed=0, batch=B):
        generator = np.random.default_rng(seed)
        logits = 2 * generator.normal(size=(batch, (V + 1) ** (STEPS + 1), V))
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        self.log_probabilities = logits.astype("float32")

    def state(self, beam_size):
        batch = len(self.log_probabilities)
        history = ops.zeros((batch, beam_size), "int32")
        return {"vector": ops.stack([history] * 2, axis=-1), "scalar": (history,)}

    def step(self, tokens, state):
        history = self.following(ops.convert_to_numpy(state["scalar"][0]), tokens)
        vector = ops.convert_to_numpy(state["vector"])
        rows = np.arange(len(history))[:, None]
        log_probabilities = self.log_probabilities[rows, history]
        np.testing.assert_array_equal(
            self.following(vector[..., 1], tokens), history, "states are mixed up"
        )
        state = {
            "vector": ops.convert_to_tensor(np.stack([history + 7, history], -1)),
            "scalar": (ops.convert_to_tensor(history),),
        }
        return ops.convert_to_tensor(log_probabilities), state

    @staticmethod
    def following(history, token):
        return (history * (V + 1) + ops.convert_to_numpy(token) + 1).astype("int32")

    def sentence(self, row, tokens):
        """Returns the log-probability of each token of a sentence."""
        found, history, last = [], np.zeros((), "int32"), START
        for token in tokens:
            history = self.following(history, last)
            found.append(self.log_probabilities[row, history, token])
            last = token
        return np.array(found, "float64")

    def search(self, beam_size, length_penalty=0.0, max_steps=STEPS):
        return beam_search(
            self.step,
            self.state(beam_size),
            len(self.log_probabilities),
            beam_size,
            max_steps,
            START,
            END,
            length_penalty,
        )


def all_sentences(table, row, length_penalty):
    """Returns (score, tokens) of everything there is, finished sentences first."""
    finished, others = [], []
    for length in range(1, STEPS + 1):
        for tokens in itertools.product(range(V), repeat=length):
            is_finished = tokens[-1] == END
            if END in tokens[:-1] or not (is_finished or length == STEPS):
                continue
            score = table.sentence(row, tokens).sum() / length**length_penalty
            tokens += (END,) * (STEPS - length)
            (finished if is_finished else others).append((score, tokens))
    return sorted(finished, reverse=True) + sorted(others, reverse=True)


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 2.0])
def test_a_large_beam_finds_every_sentence_in_order(length_penalty):
    table = Table()
    found = table.search(ALL, length_penalty)
    for row in range(B):
        expected = all_sentences(table, row, length_penalty)
        number = len(expected)
        scores, tokens = zip(*expected, strict=True)
        np.testing.assert_array_equal(found.tokens[row, :number], tokens)
        np.testing.assert_allclose(found.scores[row, :number], scores, rtol=1e-6)
        # What is left of the beam is no sentence.
        assert np.all(np.isneginf(found.scores[row, number:]))


def test_the_length_penalty_changes_the_optimum():
    table = Table(seed=3)
    lengths = [
        np.argmax(table.search(ALL, penalty).tokens[:, 0] == END, axis=-1).mean()
        for penalty in (0.0, 2.0)
    ]
    assert lengths[0] < lengths[1]


def test_one_hypothesis_is_greedy():
    table = Table(seed=1)
    found = table.search(1)
    for row in range(B):
        tokens = []
        while len(tokens) < STEPS and END not in tokens:
            options = [table.sentence(row, [*tokens, w])[-1] for w in range(V)]
            tokens.append(int(np.argmax(options)))
        width = found.tokens.shape[-1]
        expected = (tokens + [END] * STEPS)[:width]
        np.testing.assert_array_equal(found.tokens[row, 0], expected)


@pytest.mark.parametrize("beam_size", [2, 3, 7])
def test_a_batch_equals_one_by_one(beam_size):
    table = Table(seed=2)
    together = table.search(beam_size, 0.7)
    for row in range(B):
        alone = Table(batch=1)
        alone.log_probabilities = table.log_probabilities[row : row + 1]
        found = alone.search(beam_size, 0.7)
        steps = found.tokens.shape[-1]
        np.testing.assert_array_equal(found.tokens[0], together.tokens[row, :, :steps])
        np.testing.assert_array_equal(found.scores[0], together.scores[row])
        assert np.all(together.tokens[row, :, steps:] == END)


def test_results_agree_with_each_other():
    table = Table(seed=4)
    found = table.search(6, 0.7)
    assert found.tokens.shape == found.log_probabilities.shape == (B, 6, STEPS)
    for row, hypothesis in np.ndindex(B, 6):
        tokens = list(found.tokens[row, hypothesis])
        length = tokens.index(END) + 1 if END in tokens else STEPS
        assert set(tokens[length:]) <= {END}
        expected = np.zeros(STEPS)
        expected[:length] = table.sentence(row, tokens[:length])
        np.testing.assert_allclose(
            found.log_probabilities[row, hypothesis], expected, rtol=1e-6
        )
        score = expected.sum() / length**0.7
        np.testing.assert_allclose(found.scores[row, hypothesis], score, rtol=1e-6)


def test_the_search_stops_when_every_hypothesis_is_finished():
    table = Table(seed=5)
    table.log_probabilities[..., END] = 30.0
    found = table.search(1)
    np.testing.assert_array_equal(found.tokens, np.full((B, 1, 1), END))


def test_sentences_that_do_not_end_rank_last():
    table = Table(seed=6)
    table.log_probabilities[..., END] -= 20.0
    found = table.search(ALL, 0.7)
    unfinished = ~np.any(found.tokens == END, axis=-1)
    assert not unfinished[:, 0].any()
    assert found.scores[0, 0] < found.scores[0][unfinished[0]].max()
    table.log_probabilities[..., END] = -np.inf
    best = table.search(3).tokens[:, 0]
    assert best.shape == (B, STEPS) and not np.any(best == END)


def test_one_step():
    table = Table(seed=7)
    found = table.search(V, max_steps=1)
    for row in range(B):
        options = [table.sentence(row, [word])[0] for word in range(V)]
        others = sorted(set(range(V)) - {END}, key=lambda w: -options[w])
        np.testing.assert_array_equal(found.tokens[row, :, 0], [END, *others])
