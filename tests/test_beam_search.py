"""The beam search against all sentences, against greedy search and against itself."""

import itertools

import numpy as np
import pytest
from keras import ops

from models.generation.beam_search import beam_search

B, V, STEPS = 3, 5, 4  # a sentence has at most 3 words and the end token
START, END = 1, 2
ALL = V**STEPS  # more hypotheses than there are sentences

pytestmark = pytest.mark.compiled


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

    def search(self, beam_size, length_penalty=0.0, max_words=STEPS - 1, watch=None):
        return beam_search(
            self.step,
            self.state(beam_size),
            len(self.log_probabilities),
            beam_size,
            max_words,
            START,
            END,
            length_penalty,
            watch,
        )


def all_sentences(table, row, length_penalty):
    """Returns (score, tokens) of every sentence of at most STEPS - 1 words."""
    found = []
    words = [word for word in range(V) if word != END]
    for length in range(STEPS):
        for sentence in itertools.product(words, repeat=length):
            tokens = (*sentence, END)
            score = table.sentence(row, tokens).sum() / len(tokens) ** length_penalty
            found.append((score, tokens + (END,) * (STEPS - len(tokens))))
    return sorted(found, reverse=True)


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
            best = END if len(tokens) == STEPS - 1 else np.argmax(options)
            tokens.append(int(best))
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
        length = tokens.index(END) + 1
        assert set(tokens[length:]) <= {END}
        expected = np.zeros(STEPS)
        expected[:length] = table.sentence(row, tokens[:length])
        np.testing.assert_allclose(
            found.log_probabilities[row, hypothesis], expected, rtol=1e-6
        )
        score = expected.sum() / length**0.7
        np.testing.assert_allclose(found.scores[row, hypothesis], score, rtol=1e-6)


def test_a_watch_sees_every_step():
    steps = []
    found = Table(seed=4).search(6, 0.7, watch=steps.append)
    assert [seen.tokens.shape for seen in steps] == [(B, 6, n) for n in (1, 2, 3, 4)]
    for seen, expected in zip(steps[-1], found, strict=True):
        np.testing.assert_array_equal(seen, expected)
    for before, after in itertools.pairwise(steps):
        assert np.all(np.diff(after.scores) <= 0), "the best come first"
        for row, hypothesis in np.ndindex(B, 6):
            parent = after.tokens[row, hypothesis, :-1].tolist()
            assert parent in before.tokens[row].tolist()


def test_the_search_stops_when_every_hypothesis_is_finished():
    table = Table(seed=5)
    table.log_probabilities[..., END] = 30.0
    found = table.search(1)
    np.testing.assert_array_equal(found.tokens, np.full((B, 1, 1), END))


def test_a_sentence_of_the_full_length_ends():
    """As in sampling: the end token of the longest sentences is predicted too."""
    table = Table(seed=6)
    table.log_probabilities[..., END] -= 20.0
    found = table.search(3)
    assert np.all(found.tokens[..., -1] == END)
    assert not np.any(found.tokens[..., :-1] == END)
    for row, hypothesis in np.ndindex(B, 3):
        expected = table.sentence(row, found.tokens[row, hypothesis])
        assert expected[-1] < -20.0
        np.testing.assert_allclose(
            found.log_probabilities[row, hypothesis], expected, rtol=1e-6
        )


def test_one_word():
    table = Table(seed=7)
    found = table.search(V, max_words=1)
    assert found.tokens.shape == (B, V, 2)
    for row in range(B):
        tokens = [(END, END), *((w, END) for w in range(V) if w != END)]
        sentences = [(END,), *tokens[1:]]
        order = np.argsort([-table.sentence(row, s).sum() for s in sentences])
        np.testing.assert_array_equal(found.tokens[row], np.array(tokens)[order])
