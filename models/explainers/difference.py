"""Why one caption and not another: their difference, where their words differ."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from dataset.vocabulary import SPECIAL_TOKENS, START
from models.explainers.explanation import Explanation
from models.explainers.methods import METHODS
from models.explainers.spans import Spans
from models.sentence import Sentence


class Block(NamedTuple):
    """Words of one caption that stand where the other has other words, or none.

    Attributes:
        first: Its place and number of words in the first caption.
        second: The same in the second caption.
        merged: The same in the merged words: those of the first, then the second.
    """

    first: tuple[int, int]
    second: tuple[int, int]
    merged: tuple[int, int]


class Alignment(NamedTuple):
    """Two captions laid beside each other.

    Attributes:
        blocks: Where they differ.
        words: All words of both, each common word once; those of the second caption
            alone in brackets.
        columns: For each caption, where what its decoder reads stands in what both
            read: the start token, then `words`.
    """

    blocks: list[Block]
    words: tuple[str, ...]
    columns: tuple[np.ndarray, np.ndarray]


def check_difference(
    methods: Sequence[str],
    words: Sequence[str] | None = None,
    phrases: Sequence[str] | None = None,
    contrast: str | None = None,
    sentence: bool = False,
) -> None:
    """Refuses what has no meaning for a difference of captions.

    Raises:
        ValueError: Why, and the way out.
    """
    if any(given is not None for given in (words, phrases, contrast)) or sentence:
        raise ValueError(
            "A difference of captions is explained at all words where they differ. "
            "Leave words, phrases, sentence and contrast out."
        )
    for name in methods:
        if not METHODS[name].is_additive:
            additive = (known for known, m in METHODS.items() if m.is_additive)
            raise ValueError(
                f"The method {name} cannot explain a difference of captions: its maps "
                f"do not add up. Choose one of {', '.join(additive)}."
            )


def align(first: Sentence, second: Sentence) -> Alignment:
    """Lays two captions beside each other, with as many words in common as possible.

    Raises:
        ValueError: They have the same words.
    """
    matcher = difflib.SequenceMatcher(None, first.words, second.words, autojunk=False)
    blocks, words, columns = [], [], ([0], [0])
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        mine, others = first.words[start:end], second.words[other_start:other_end]
        place = len(words)
        columns[0].extend(range(place + 1, place + 1 + len(mine)))
        words += mine
        if kind == "equal":
            columns[1].extend(range(place + 1, place + 1 + len(mine)))
            continue
        columns[1].extend(range(len(words) + 1, len(words) + 1 + len(others)))
        words += [f"({word})" for word in others]
        sizes = (len(mine), len(others))
        merged = (place, sum(sizes))
        blocks.append(Block((start, sizes[0]), (other_start, sizes[1]), merged))
    if not blocks:
        raise ValueError(
            f"The captions {first.text!r} and {second.text!r} have the same words. "
            "Name another one to compare with."
        )
    return Alignment(blocks, tuple(words), tuple(map(np.asarray, columns)))


def spans_of(blocks: Sequence[Block], caption: int) -> Spans:
    """Returns the spans of a caption's words in blocks: 0 the first, 1 the second."""
    spans = [span for block in blocks if (span := block[caption])[1]]
    return Spans(*map(np.asarray, zip(*spans, strict=True))) if spans else Spans.of([])


def subtract(
    alignment: Alignment,
    captions: tuple[Sentence, Sentence],
    found: Sequence[Explanation | None],
) -> Explanation:
    """Subtracts the explanations of two captions' words where they differ.

        log p(words of the first) - log p(words of the second)
            = words + features + lost,  each a difference of both

    Args:
        alignment: Of the captions.
        captions: Both.
        found: The explanations of both captions' differing words, by an additive
            method, of log-probabilities; None where a caption has none.
    """
    blocks, rows = alignment.blocks, len(alignment.blocks)
    whole = next(e for e in found if e is not None)
    total = {
        name: np.zeros((rows, *getattr(whole, name).shape[1:]), "float64")
        for name in ("pixels", "features", "log_probabilities", "mean_feature", "lost")
        if getattr(whole, name) is not None
    }
    words = np.zeros((rows, 1 + len(alignment.words)))
    for caption, (sign, e) in enumerate(zip((1, -1), found, strict=True)):
        if e is None:
            continue
        mine = [row for row, block in enumerate(blocks) if block[caption][1]]
        for name, values in total.items():
            values[mine] += sign * getattr(e, name)
        columns = alignment.columns[caption][: e.preceding_words.shape[1]]
        words[np.ix_(mine, columns)] += sign * e.preceding_words
    logits = total["log_probabilities"]
    lost = _lost(words, total)
    steps, lengths = zip(*(block.merged for block in blocks), strict=True)
    return replace(
        whole,
        **{name: values.astype("float32") for name, values in total.items()},
        preceding_words=words.astype("float32"),
        logits=logits.astype("float32"),
        lost=lost,
        caption=captions[0].text,
        against=captions[1].text,
        words=tuple(_named(captions, block) for block in blocks),
        steps=steps,
        lengths=lengths,
        words_read=(SPECIAL_TOKENS[START], *alignment.words),
        attention=None,
        beta=None,
    )


def _lost(words: np.ndarray, total: dict[str, np.ndarray]) -> np.ndarray:
    """Takes out what was lost (R, 2); the entropies are lost in the decoder, too."""
    lost = total.pop("lost")
    image = total["features"].sum((1, 2, 3))
    in_decoder = total["log_probabilities"] - words.sum(1) - image
    lost[:, 0] = np.where(np.isnan(lost[:, 0]), np.nan, in_decoder)
    return lost


def _named(captions: tuple[Sentence, Sentence], block: Block) -> str:
    """Names a block, as "red, not blue"."""
    mine, others = (
        " ".join(sentence.words[start : start + count])
        for sentence, (start, count) in zip(captions, block, strict=False)
    )
    return ", ".join(filter(None, (mine, others and f"not {others}")))
