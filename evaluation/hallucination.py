"""Object words of captions: how many are true, how many are hallucinated.

An object word is true if a reference caption of the image has it, else hallucinated.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from dataset.records import CaptionedImage
from dataset.vocabulary import split_words
from evaluation.chair import chair_scores, named_and_shown, object_lookup
from evaluation.intervals import bootstrap_interval

OUTCOMES = ("true", "hallucinated", "missed")


def words_of(captions: Iterable[str]) -> frozenset[str]:
    """Returns all words of an image's captions."""
    return frozenset(word for caption in captions for word in split_words(caption))


# How many words are true


def word_outcomes(
    captions: Sequence[Collection[str]],
    references: Sequence[Collection[str]],
    words: Sequence[str],
) -> np.ndarray:
    """Tells what each word is in each caption; a word counts once per caption.

    Args:
        captions: The words of N captions.
        references: The words of each image's references, see `words_of`.
        words: The W words that are looked for.

    Returns:
        Booleans (N, W, 3) in the order of OUTCOMES.
    """
    said, known = (
        np.array([[word in some for word in words] for some in texts], bool).reshape(
            len(texts), len(words)
        )
        for texts in (captions, references)
    )
    return np.stack([said & known, said & ~known, ~said & known], axis=-1)


def word_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Returns precision, recall and F1 of each word (W,); NaN where it has none.

    precision = true / (true + hallucinated)
    recall = true / (true + missed)
    f1 = 2 true / (2 true + hallucinated + missed)

    Args:
        counts: How often each outcome occurs, (W, 3); sums of `word_outcomes`.
    """
    true, hallucinated, missed = np.moveaxis(np.asarray(counts, "float64"), -1, 0)
    with np.errstate(invalid="ignore"):  # 0 / 0
        return {
            "precision": true / (true + hallucinated),
            "recall": true / (true + missed),
            "f1": 2 * true / (2 * true + hallucinated + missed),
        }


def macro_scores(outcomes: np.ndarray) -> dict[str, dict]:
    """Averages the scores over words, those left out that have no such score.

    The mean of the precisions is the paper's mPA. (The released code divides by how
    often a word is in the references, which makes it a mean recall.)

    Args:
        outcomes: See `word_outcomes`.

    Returns:
        For mPA, recall and f1: the "mean", NaN if no word has the score, its
        "interval" over images, and the number of words that have it.
    """
    names = {"mPA": "precision", "recall": "recall", "f1": "f1"}

    def means(drawn: np.ndarray) -> list[float]:
        found = word_scores(drawn.sum(axis=0))
        return [_mean_of_known(found[name]) for name in names.values()]

    ends = bootstrap_interval(outcomes[:, None], means)
    low, high = (np.broadcast_to(end, len(names)).tolist() for end in ends)
    of_words = word_scores(outcomes.sum(axis=0))
    return {
        label: {
            "mean": mean,
            "interval": (low[k], high[k]),
            "num_words": int(np.isfinite(of_words[names[label]]).sum()),
        }
        for k, (label, mean) in enumerate(zip(names, means(outcomes), strict=True))
    }


def _mean_of_known(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def summarize_captions(
    captions: Sequence[str],
    images: Sequence[CaptionedImage],
    words: Sequence[str],
    object_names: Mapping[str, str],
) -> dict[str, dict]:
    """Returns the scores of captions.

    Args:
        captions: One of each image, lower case, its words divided by blanks.
        images: With their references and, for CHAIR, their boxes.
        words: The object words of mPA, recall and F1.
        object_names: What counts as an object in CHAIR; see `object_lookup`.

    Returns:
        "scores": see `macro_scores` and `chair_scores`; "words": how often each word
        is which of OUTCOMES.
    """
    references = [words_of(image.captions) for image in images]
    outcomes = word_outcomes([text.split() for text in captions], references, words)
    counts = zip(words, outcomes.sum(axis=0).tolist(), strict=True)
    lookup = object_lookup(object_names)
    chair = chair_scores(*named_and_shown(captions, images, lookup))
    return {
        "scores": macro_scores(outcomes) | chair,
        "words": {word: dict(zip(OUTCOMES, row, strict=True)) for word, row in counts},
    }
