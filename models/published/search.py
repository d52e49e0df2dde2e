"""The search of published captioners, which keeps finished hypotheses apart.

The project's own beam search (`models.generation.beam_search`) leaves them in the
beam, and finds other captions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import ops

from models.generation.beam_search import Hypotheses, largest, reorder
from models.published.generation import Generation

NEVER = -1e9  # the score of what is not to be chosen, as the library has it


def search(
    step: Callable,
    state,
    batch_size: int,
    beam_size: int,
    generation: Generation,
    watch: Callable[[Hypotheses], None] | None = None,
) -> Hypotheses:
    """Searches captions as the library that publishes the captioners does.

    With one hypothesis the likeliest token is taken every time. With more, the 2 K
    best continuations of K hypotheses are looked at: of the K best those that end
    leave the beam, and the K best that do not end go on. What is finished is ranked
    by log-probability / tokens ** length_penalty.

    Args:
        step: (tokens (B, K), state) -> (logits (B, K, V), state).
        state: Nested arrays (B, K, ...) before the first token.
        batch_size: B.
        beam_size: K.
        generation: The settings.
        watch: Called after every step with the hypotheses that go on.
    """
    beam = Beam.start(batch_size, beam_size, generation)
    last = np.full((batch_size, beam_size), generation.start)
    for _ in range(generation.max_tokens):
        tokens = ops.convert_to_tensor(last.astype("int32"))
        logits, state = step(tokens, state)
        logits = ops.convert_to_numpy(logits).astype("float64")
        parents = beam.extend(logits, greedy=beam_size == 1)
        if beam.is_done():
            break
        if watch is not None:
            watch(beam.unfinished())
        last = beam.tokens[..., -1]
        state = reorder(state, parents)
    return beam.finish()


@dataclass
class Beam:
    """The hypotheses of a search that go on, and those that are finished.

    Attributes:
        generation: The settings.
        tokens: Of hypotheses that go on (B, K, T), without the start token.
        logs: The log-probabilities of these tokens (B, K, T).
        totals: The scores of the hypotheses, not divided (B, K).
        done_tokens: Of finished hypotheses (B, K, T), padded with -1, best first.
        done_logs: Log-probabilities (B, K, T).
        done_scores: (B, K); NEVER where there is none.
        is_open: Whether an image's search goes on (B,).
    """

    generation: Generation
    tokens: np.ndarray
    logs: np.ndarray
    totals: np.ndarray
    done_tokens: np.ndarray
    done_logs: np.ndarray
    done_scores: np.ndarray
    is_open: np.ndarray

    @classmethod
    def start(cls, rows: int, size: int, generation: Generation) -> "Beam":
        """Begins with one hypothesis; the others are equal and wait."""
        totals = np.full((rows, size), NEVER)
        totals[:, 0] = 0.0
        return cls(
            generation,
            np.zeros((rows, size, 0), int),
            np.zeros((rows, size, 0)),
            totals,
            np.full((rows, size, 0), -1),
            np.zeros((rows, size, 0)),
            np.full((rows, size), NEVER),
            np.ones(rows, bool),
        )

    def extend(self, logits: np.ndarray, greedy: bool) -> np.ndarray:
        """Takes one more token; returns the parents (B, K) of what goes on.

        Args:
            logits: Of the next token (B, K, V).
            greedy: Whether tokens are ranked by their logits, which a penalty of
                repetition changes otherwise than log-probabilities.
        """
        rows, size, vocabulary = logits.shape
        logs = _log_softmax(logits)
        ranked = restrict(logits if greedy else logs, self.tokens, self.generation)
        if greedy:
            ranked = _log_softmax(ranked)
        sums = (self.totals[..., None] + ranked).reshape(rows, -1)
        best = largest(sums, (1 + len(self.generation.end)) * size)
        parents, words = np.divmod(best, vocabulary)
        index = np.arange(rows)[:, None]
        totals = sums[index, best]
        tokens = np.concatenate([self.tokens[index, parents], words[..., None]], 2)
        chosen = logs[index, parents, words][..., None]
        chosen = np.concatenate([self.logs[index, parents], chosen], 2)
        ends = np.isin(words, self.generation.end)
        if tokens.shape[2] == self.generation.max_tokens:
            ends[:] = True
        self._keep_finished(tokens, chosen, totals, ends)
        going = largest(totals + NEVER * ends, size)
        self.tokens, self.logs = tokens[index, going], chosen[index, going]
        self.totals = (totals + NEVER * ends)[index, going]
        self._close(greedy)
        return parents[index, going]

    def _keep_finished(self, tokens, logs, totals, ends) -> None:
        """Adds those of the K best continuations that end."""
        size, length = self.done_scores.shape[1], tokens.shape[2]
        scores = totals / length**self.generation.length_penalty
        counts = ends & (np.arange(ends.shape[1]) < size) & self.is_open[:, None]
        if self.generation.early_stopping is True:
            counts &= ~self._is_full()[:, None]
        scores = np.where(counts, scores, NEVER)
        padding = [(0, 0), (0, 0), (0, length - self.done_tokens.shape[2])]
        known = np.pad(self.done_tokens, padding, constant_values=-1)
        tokens = np.concatenate([known, tokens], 1)
        logs = np.concatenate([np.pad(self.done_logs, padding), logs], 1)
        scores = np.concatenate([self.done_scores, scores], 1)
        best, index = largest(scores, size), np.arange(len(scores))[:, None]
        self.done_tokens, self.done_logs = tokens[index, best], logs[index, best]
        self.done_scores = scores[index, best]

    def _is_full(self) -> np.ndarray:
        return (self.done_scores > NEVER / 2).all(1)

    def _close(self, greedy: bool) -> None:
        """Ends the searches that can become no better, or that look no further."""
        settings, length = self.generation, self.tokens.shape[2]
        if settings.early_stopping == "never" and settings.length_penalty > 0:
            length = settings.max_tokens
        attainable = self.totals.max(1) / length**settings.length_penalty
        is_best = greedy | (attainable <= self.done_scores.min(1))
        self.is_open &= ~(self._is_full() & is_best)

    def is_done(self) -> bool:
        """Tells whether no search goes on."""
        full = self.generation.early_stopping is True and self._is_full().all()
        return full or not self.is_open.any() or (self.totals < NEVER / 2).all()

    def unfinished(self) -> Hypotheses:
        """Returns what goes on, best first."""
        scores = self.totals / self.tokens.shape[2] ** self.generation.length_penalty
        return Hypotheses(self.tokens, self.logs, scores)

    def finish(self) -> Hypotheses:
        """Returns what was found, best first; the score of nothing is -inf."""
        is_found = self.done_scores > NEVER / 2
        scores = np.where(is_found, self.done_scores, -np.inf)
        return Hypotheses(self.done_tokens, self.done_logs, scores)


def restrict(scores: np.ndarray, tokens: np.ndarray, generation: Generation):
    """Applies the settings against repetition and against early ends.

    Args:
        scores: Of the next token (B, K, V); logits, or log-probabilities.
        tokens: Written so far (B, K, T), without the start token.
        generation: The settings.
    """
    rows, size, length = tokens.shape
    penalty, phrase = generation.repetition_penalty, generation.no_repeat_ngram_size
    scores = scores.copy()
    start = np.full((rows, size, 1), generation.start)
    seen = np.concatenate([start, tokens], 2)  # (B, K, 1 + T)
    if penalty != 1.0:
        known = np.take_along_axis(scores, seen, 2)
        changed = np.where(known < 0, known * penalty, known / penalty)
        np.put_along_axis(scores, seen, changed, 2)
    if phrase > 0:
        for row, hypothesis in np.ndindex(rows, size):
            banned = _repeating(seen[row, hypothesis].tolist(), phrase)
            scores[row, hypothesis, banned] = -np.inf
    if length < generation.min_tokens:
        scores[..., list(generation.end)] = -np.inf
    return scores


def _repeating(tokens: list[int], size: int) -> list[int]:
    """Returns the tokens that would end a phrase that was there before."""
    tail = tokens[len(tokens) - size + 1 :]
    starts = range(len(tokens) - size + 1)
    return [tokens[i + size - 1] for i in starts if tokens[i : i + size - 1] == tail]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
