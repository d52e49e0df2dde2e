"""A caption as a person reads it, over the tokens that a decoder writes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset.words import plain_word

MULTIPLE = 4  # numbers of words are padded to a multiple of it


def few_sizes(count: int) -> int:
    """Rounds up, so that few sizes occur and few functions are compiled."""
    return -(-count // MULTIPLE) * MULTIPLE


@dataclass(frozen=True, eq=False)
class Sentence:
    """A caption's text, its words, and which tokens each word consists of.

    Attributes:
        text: As it is shown.
        words: Of the text (T,).
        tokens: Their ids (S,).
        word_of: The number of each token's word (S,); None where every token is a
            word.
    """

    text: str
    words: tuple[str, ...]
    tokens: np.ndarray
    word_of: np.ndarray | None = None

    @property
    def has_pieces(self) -> bool:
        """Whether a word may consist of several tokens."""
        return self.word_of is not None

    @property
    def plain_words(self) -> tuple[str, ...]:
        """The words as they are compared with others: lower-case, no punctuation."""
        return tuple(map(plain_word, self.words))

    def places(
        self, steps: Sequence[int], lengths: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the places of all tokens of some words or phrases.

        Args:
            steps: The places of the words, or of the phrases' first words (R,).
            lengths: How many words each phrase has (R,); None for single words.

        Returns:
            The tokens' places (P,), and which of the R words each belongs to (P,).
        """
        steps = np.asarray(steps)
        lengths = np.ones_like(steps) if lengths is None else np.asarray(lengths)
        word_of = self.word_of
        if word_of is None:
            word_of = np.arange(len(self.tokens))
        found = [
            np.flatnonzero((word_of >= step) & (word_of < step + length))
            for step, length in zip(steps, lengths, strict=True)
        ]
        counts = [len(places) for places in found]
        return np.concatenate(found), np.repeat(np.arange(len(steps)), counts)

    @property
    def columns(self) -> np.ndarray:
        """The column of what the decoder reads at each step (S,).

        The start token has column 0; word number t has column t + 1.
        """
        if self.word_of is None:
            return np.arange(len(self.tokens))
        return np.concatenate([[0], 1 + self.word_of[:-1]])

    @property
    def num_columns(self) -> int:
        """How many columns there are.

        Where words consist of several tokens, the last word has a column too: its
        later tokens are written after its first ones were read.
        """
        return len(self.words) + self.has_pieces

    def merge(
        self,
        values: np.ndarray,
        steps: Sequence[int],
        lengths: Sequence[int] | None = None,
        how: np.ufunc = np.add,
    ) -> np.ndarray:
        """Merges values (P, ...) of the tokens of `places` for each word: (R, ...)."""
        _, rows = self.places(steps, lengths)
        if len(rows) == len(steps):
            return values
        return how.reduceat(values, np.flatnonzero(np.diff(rows, prepend=-1)), axis=0)

    def sum_columns(self, values: np.ndarray) -> np.ndarray:
        """Sums values (R, S) of what was read at each step by column: (R, C)."""
        if self.word_of is None:
            return values
        found = np.zeros((len(values), self.num_columns), values.dtype)
        np.add.at(found, (slice(None), self.columns), values)
        return found
