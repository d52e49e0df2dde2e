"""Tables of the scores of words: means with intervals, rows, best and worst.

The records are those of a journal, {"image_id": ..., "caption": ..., "words": [{"step":
..., "word": ..., "boxes": ..., "scores": {method: {score: value}}}]}; every word has
the same methods, and all of them have the same scores. Some scores may be those of a
part of the words, then all of that part: those by exact pixels, which not all objects
have.
"""

import csv
import functools
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.intervals import bootstrap_interval
from evaluation.localization import CHANCE

LARGEST_SHARE = 0.5  # of the image, that an example's object fills
COLUMNS = ("image_id", "step", "word", "method", "score", "value")


class ScoredWord(NamedTuple):
    """One word of a record."""

    record: dict
    word: dict


def all_words(records: Sequence[dict]) -> list[ScoredWord]:
    """Returns the words of all records in order, each with its record."""
    return [ScoredWord(record, word) for record in records for word in record["words"]]


def average_scores(
    records: Sequence[dict], baseline: str | None = None
) -> dict[str, dict[str, dict]]:
    """Averages the scores of each method over all words.

    Args:
        records: With at least one word.
        baseline: A method to subtract from all others, word by word.

    Returns:
        {method: {score: {"mean": ..., "interval": [low, high]}}}, the interval over
        images; without the baseline.
    """
    words = [record["words"] for record in records if record["words"]]
    first = words[0][0]["scores"]
    return {
        method: _average(words, method, baseline)
        for method in first
        if method != baseline
    }


def _average(words: list[list[dict]], method: str, baseline: str | None) -> dict:
    return {
        name: found
        for names in _families(words, method)
        for name, found in _average_family(words, method, baseline, names)
    }


def _families(words: list[list[dict]], method: str) -> list[list[str]]:
    """Returns the names of the scores, together those that the same words have."""
    holders: dict[str, list[int]] = {}
    for number, word in enumerate(word for image in words for word in image):
        for name in word["scores"][method]:
            holders.setdefault(name, []).append(number)
    families: dict[tuple[int, ...], list[str]] = {}
    for name, numbers in holders.items():
        families.setdefault(tuple(numbers), []).append(name)
    return list(families.values())


def _average_family(
    words: list[list[dict]], method: str, baseline: str | None, names: list[str]
) -> Iterator[tuple[str, dict]]:
    groups = [_values(image, method, names) for image in words]  # (N, S) of each image
    if baseline is not None:
        others = [_values(image, baseline, names) for image in words]
        groups = [g - o for g, o in zip(groups, others, strict=True)]
    mean = functools.partial(np.mean, axis=0)
    ends = np.transpose(bootstrap_interval(groups, mean))  # (S, 2)
    means = mean(np.concatenate(groups))
    for name, m, interval in zip(names, means.tolist(), ends.tolist(), strict=True):
        yield name, {"mean": m, "interval": interval}


def _values(words: list[dict], method: str, names: list[str]) -> np.ndarray:
    scores = [word["scores"][method] for word in words]
    having = [[of_word[n] for n in names] for of_word in scores if names[0] in of_word]
    return np.reshape(having, (-1, len(names)))


def count_words(records: Sequence[dict], score: str) -> int:
    """Returns how many words have a score."""
    words = (word for _, word in all_words(records))
    return sum(score in next(iter(word["scores"].values())) for word in words)


def to_csv(records: Sequence[dict]) -> bytes:
    """Writes a row for every image, word, method and score."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record, word in all_words(records):
        place = (record["image_id"], word["step"], word["word"])
        for method, scores in word["scores"].items():
            for name, value in scores.items():
                writer.writerow((*place, method, name, f"{value:.6g}"))
    return file.getvalue().encode()


def table_lines(summary: dict, names: Sequence[str]) -> list[str]:
    """Writes some scores of a summary as a table, a line for each method."""
    lines = [" " * 18 + "".join(f"{name:>24}" for name in names)]
    for method, scores in summary.items():
        cells = [_cell(**scores[name]) for name in names]
        lines.append(f"{method:18}" + "".join(f"{cell:>24}" for cell in cells))
    return lines


def _cell(mean: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def curves(summary: dict, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the mean, low and high of S scores by method, (3, S)."""
    return {
        method: np.transpose(
            [[scores[name]["mean"], *scores[name]["interval"]] for name in names]
        )
        for method, scores in summary.items()
    }


def choose_examples(
    records: Sequence[dict], method: str, score: str, count: int
) -> tuple[list[ScoredWord], list[ScoredWord]]:
    """Returns a method's best and worst words, one of each image at most.

    They are ranked by how far their score is above chance. Objects that fill most of
    the image, which every map finds, are left out where there are others.
    """

    def above_chance(scored: ScoredWord) -> float:
        scores = scored.word["scores"]
        return scores[method][score] - scores[CHANCE][score]

    words = all_words(records)
    small = [one for one in words if one.word["scores"][CHANCE][score] <= LARGEST_SHARE]
    ranked = sorted(small or words, key=above_chance)
    best_of_image = {scored.record["image_id"]: scored for scored in ranked}
    best = sorted(best_of_image.values(), key=above_chance, reverse=True)[:count]
    left = [scored for scored in ranked if scored not in best]
    worst_of_image = {scored.record["image_id"]: scored for scored in reversed(left)}
    return best, sorted(worst_of_image.values(), key=above_chance)[:count]
