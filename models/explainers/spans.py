"""Which words and phrases of a caption are explained."""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dataset.vocabulary import split_words
from models.sentence import Sentence

Wanted = list[tuple[str, ...]]  # words and phrases, each as its words


class Spans(NamedTuple):
    """What is explained, each time as one: words that follow each other.

    Attributes:
        steps: The place of the first word (R,).
        lengths: How many words (R,).
    """

    steps: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, steps: "Spans | Sequence[int]") -> "Spans":
        """Returns the spans of single words, given by their places."""
        if isinstance(steps, cls):
            return steps
        steps = np.asarray(steps, "int64")
        return cls(steps, np.ones_like(steps))


def read_wanted(words, phrases) -> Wanted | None:
    """Returns what is to be looked for in a caption; None for all its words.

    Args:
        words: See `explain`.
        phrases: See `explain`.

    Raises:
        ValueError: Nothing is named in one of them.
    """
    if words is None and phrases is None:
        return None
    single = [(word,) for text in _texts("words", words) for word in split_words(text)]
    several = [tuple(split_words(text)) for text in _texts("phrases", phrases)]
    for kind, given, found in (("word", words, single), ("phrase", phrases, several)):
        if given is not None and (not found or () in found):
            raise ValueError(
                f"No {kind} to explain was named: {kind}s must name some of the "
                f"caption's; received {given!r}. Leave it out to explain all."
            )
    return list(dict.fromkeys(single + several))


def _texts(name: str, given: str | Sequence[str] | None) -> list[str]:
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable):
        raise ValueError(f"{name} must be texts of the caption; received {given!r}.")
    return [str(text) for text in given]


def find_spans(sentence: Sentence, wanted: Wanted | None, whole: bool) -> Spans:
    """Returns the places of what is wanted; names what is not there.

    Args:
        sentence: The caption.
        wanted: Of `read_wanted`; each of it is found as often as it is there.
        whole: Whether the whole sentence is explained as one.

    Raises:
        ValueError: None of it is there.
    """
    names = sentence.plain_words if sentence.has_pieces else sentence.words
    if wanted is None and not whole:
        return Spans.of(np.arange(len(names)))
    found = {one: _places(names, one) for one in wanted or ()}
    missing = [" ".join(one) for one, places in found.items() if not places]
    if missing:
        listed, verb = ", ".join(map(repr, missing)), "are" if missing[1:] else "is"
        lacks = f"{listed} {verb} not in the caption {sentence.text!r}"
        if not whole and len(missing) == len(found):
            raise ValueError(f"{lacks}. Name words of it.")
        logging.warning("%s; the other words are explained.", lacks)
    spans = {place for places in found.values() for place in places}
    if whole:
        spans.add((0, len(names)))
    steps, lengths = zip(*sorted(spans), strict=True)
    return Spans(np.asarray(steps), np.asarray(lengths))


def _places(names: Sequence[str], wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """Returns where words follow each other, signs between them aside."""
    spoken = [place for place, name in enumerate(names) if name]
    count, found = len(wanted), []
    for start in range(len(spoken) - count + 1):
        places = spoken[start : start + count]
        if tuple(names[place] for place in places) == wanted:
            found.append((places[0], places[-1] + 1 - places[0]))
    return found
