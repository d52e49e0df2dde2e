"""Words and their ids; saved beside a model and never rebuilt from captions."""

import collections
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dataset.words import compose, is_word, split_words
from files.messages import FileError
from files.reading import read_json
from files.values import items, text
from files.writing import write_whole

PADDING, START, END = 0, 1, 2
WAY_OUT = "Expected a JSON list of words, as training writes it; get it again."
SPECIAL_TOKENS = ("<padding>", "<start>", "<end>")


class Vocabulary:
    """A bijection of words and ids; ids 0, 1, 2 are padding, start and end.

    Args:
        words: The words in the order of their ids, which start at 3.

    Raises:
        ValueError: A word appears twice or is no single word.
    """

    start, padding = START, PADDING

    def __init__(self, words: Sequence[str]):
        self.words = SPECIAL_TOKENS + tuple(words)
        self._ids = {word: id_ for id_, word in enumerate(self.words)}
        others = [word for word in words if not is_word(word)]
        if others:
            raise ValueError(f"These are no single lower-case words: {others[:5]}.")
        if len(self._ids) != len(self.words):
            twice = [w for w, n in collections.Counter(self.words).items() if n > 1]
            raise ValueError(f"Words appear twice in the vocabulary: {twice[:5]}.")
        for word, id_ in list(self._ids.items()):  # older files have other spellings
            self._ids.setdefault(compose(word), id_)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return self._ids.get(word, PADDING) > END

    @classmethod
    def from_captions(cls, captions: Iterable[str], min_count: int) -> "Vocabulary":
        """Collects the words seen at least `min_count` times, most frequent first."""
        if isinstance(captions, str):
            raise ValueError(f"Expected several captions; received {captions[:60]!r}.")
        counts = collections.Counter(w for c in captions for w in split_words(c))
        kept = [(-count, word) for word, count in counts.items() if count >= min_count]
        if not kept:
            raise ValueError(f"No word appears {min_count} times in the captions.")
        return cls([word for _, word in sorted(kept)])

    def id_of(self, word: str) -> int:
        """Returns the id of a word.

        Raises:
            KeyError: The word is not in the vocabulary.
        """
        if word not in self:
            raise KeyError(f"The word {word!r} is not in the vocabulary.")
        return self._ids[word]

    def encode(self, caption: str, max_words: int) -> np.ndarray:
        """Returns the ids of a caption's known words and the end token.

        Args:
            caption: A text; unknown words are left out.
            max_words: Words beyond this number are cut.

        Returns:
            int32 ids (T,) with T = number of words + 1.
        """
        ids = [self._ids[word] for word in split_words(caption) if word in self]
        return np.asarray([*ids[:max_words], END], "int32")

    def decode(self, tokens: Iterable[int]) -> list[str]:
        """Returns the words of ids up to the end token, without special tokens."""
        words = []
        for token in tokens:
            if token == END:
                break
            if token > END:
                words.append(self.words[token])
        return words

    def unknown_words(self, caption: str) -> list[str]:
        """Returns the words of a caption that have no id, in order."""
        return [word for word in split_words(caption) if word not in self]

    def save(self, path: str | Path) -> None:
        """Writes the words as a JSON list in the order of their ids."""
        words = json.dumps(list(self.words[len(SPECIAL_TOKENS) :]), ensure_ascii=False)
        write_whole(path, (words + "\n").encode())

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Reads a file written by `save`.

        Raises:
            ValueError: The file is not a JSON list of distinct words.
        """
        try:
            words = read_json(Path(path), items(text), WAY_OUT)
            return cls(words)
        except FileError:
            raise
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
