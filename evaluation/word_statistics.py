"""Numbers that may tell from a word's explanation whether the word is true."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dataset.words import plain_word
from evaluation.hallucination import words_of

QUANTILES = (0.9, 0.95, 0.99)


def map_statistics(relevance: np.ndarray) -> dict[str, float]:
    """Reduces the map of a word to numbers that may tell whether the word is true.

    As in the paper, the map is divided by its largest absolute value: mean,
    positive_mean (of max(R, 0)), absolute_mean (of |R|) and the quantiles do not
    depend on its scale. The maximum and the sum are those of the map as it is: of the
    divided one the former is 1 whenever it is positive, the latter its mean.

    Args:
        relevance: Signed relevance of the pixels, or attention (H, W).
    """
    largest = np.abs(relevance).max()
    scaled = relevance / largest if largest > 0 else relevance
    statistics = {
        "mean": scaled.mean(dtype="float64"),
        "positive_mean": np.maximum(scaled, 0).mean(dtype="float64"),
        "absolute_mean": np.abs(scaled).mean(dtype="float64"),
        "maximum": relevance.max(),
        "sum": relevance.sum(dtype="float64"),
    }
    for quantile, value in zip(QUANTILES, np.quantile(scaled, QUANTILES), strict=True):
        statistics[f"quantile_{quantile}"] = value
    # Six digits: else rounding would put an order into what is constant.
    return {name: float(f"{value:.6g}") for name, value in statistics.items()}


def examine_words(explanations: Sequence, references: Iterable[str]) -> list[dict]:
    """Returns what is to be known of each explained word of a caption.

    Args:
        explanations: One for each method, of the same words; anything with the
            attributes of `models.explainers.explanation.Explanation`.
        references: The reference captions of the image.

    Returns:
        For each word "step", "word", "is_true" and "scores": by method those of
        `map_statistics`, and as "value" of "visual_share" 1 - beta, where there is
        one, and of "probability" that of the word.
    """
    if not explanations:
        return []
    first, known = explanations[0], words_of(references)
    found = []
    for row, (step, word) in enumerate(zip(first.steps, first.words, strict=True)):
        scores = {e.method: map_statistics(_map_of(e, row)) for e in explanations}
        if first.beta is not None:
            scores["visual_share"] = {"value": 1 - float(first.beta[row])}
        scores["probability"] = {"value": float(np.exp(first.log_probabilities[row]))}
        word = plain_word(word)
        found.append(
            {"step": step, "word": word, "is_true": word in known, "scores": scores}
        )
    return found


def _map_of(explanation, row: int) -> np.ndarray:
    if explanation.method.startswith("attention"):
        return explanation.attention[row]  # as it is, not spread over pixels
    return explanation.pixels[row].sum(axis=-1)


def statistics_csv(records: Iterable[Mapping]) -> bytes:
    """Writes a row for each word and method: whether it is true, and the statistics.

    Args:
        records: {"image_id": ..., "words": those of `examine_words`}.
    """
    columns = ("image_id", "step", "word", "is_true", "method")
    rows = [
        {"image_id": record["image_id"]}
        | {name: word[name] for name in columns[1:4]}
        | {"method": method, **statistics}
        for record in records
        for word in record["words"]
        for method, statistics in word["scores"].items()
    ]
    file = io.StringIO()
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()
