"""How well the scores of words tell true words from hallucinated ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.intervals import bootstrap_interval

Score = tuple[str, str]  # method and statistic


@dataclass(frozen=True, eq=False)
class Roc:
    """The receiver operating characteristic of one score.

    Attributes:
        area: Under the curve; 0.5 is chance. NaN where one class is missing.
        interval: Of the area, 95%, over images.
        advantage: The area less that of a baseline on the same words.
        advantage_interval: Of the advantage.
        within_words: The area among pairs of the same word alone. A word that is
            always hallucinated has no such pair; a score that knows no more than
            which word it is has 0.5.
        within_words_interval: Of the area within words.
        false_positive_rate: Share of hallucinated words at or above a threshold (N,).
        true_positive_rate: Share of true words at or above it (N,).
    """

    area: float
    interval: tuple[float, float]
    advantage: float
    advantage_interval: tuple[float, float]
    within_words: float
    within_words_interval: tuple[float, float]
    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray


def measure_scores(
    images: Sequence[Sequence[Mapping]], baseline: Score
) -> dict[Score, Roc]:
    """Measures every score of every method.

    Args:
        images: The words of each image: {"word": ..., "is_true": ..., "scores":
            {method: {statistic: value}}}, all with the same scores.
        baseline: What all are compared with.

    Returns:
        One for each method and statistic; none if there is no word.
    """
    words = [word for some in images for word in some]
    if not words:
        return {}
    names = [(m, s) for m, found in words[0]["scores"].items() for s in found]
    table = np.array([[word["scores"][m][s] for m, s in names] for word in words])
    is_true = np.array([word["is_true"] for word in words])
    kinds = np.unique([word["word"] for word in words], return_inverse=True)[1]
    all_places, all_counts = _places(table, np.zeros_like(kinds))
    word_places, word_counts = _places(table, kinds)

    def areas(rows: np.ndarray) -> np.ndarray:
        places, true = np.split(rows[:, :-1], 2, axis=1), rows[:, -1] == 1
        found = _areas(places[0], all_counts, true)
        within = _areas(places[1], word_counts, true)
        return np.stack([found, found - found[names.index(baseline)], within])

    rows = np.column_stack([all_places, word_places, is_true])  # (W, 2 S + 1)
    groups = np.split(rows, np.cumsum([len(some) for some in images])[:-1])
    ends = np.stack(bootstrap_interval(groups, areas))  # (2, 3, S)
    measured = [
        _roc_of(values, intervals, roc_curve(scores, is_true))
        for values, intervals, scores in zip(
            areas(rows).T, ends.T, table.T, strict=True
        )
    ]
    return dict(zip(names, measured, strict=True))


def _roc_of(values: np.ndarray, intervals: np.ndarray, curve: tuple) -> Roc:
    """Puts a score's areas (3,), their intervals (3, 2) and its curve together."""
    area, advantage, within_words = values.tolist()
    of_area, of_advantage, of_within = map(tuple, intervals.tolist())
    false_positive_rate, true_positive_rate = curve
    return Roc(
        area=area,
        interval=of_area,
        advantage=advantage,
        advantage_interval=of_advantage,
        within_words=within_words,
        within_words_interval=of_within,
        false_positive_rate=false_positive_rate,
        true_positive_rate=true_positive_rate,
    )


def best_statistics(rocs: Mapping[Score, Roc]) -> dict[Score, Roc]:
    """Returns of each method the statistic with the largest area.

    It is chosen on the words it is measured on, which flatters it a little.
    """
    best = {}
    for (method, statistic), roc in rocs.items():
        if method not in best or roc.area > rocs[method, best[method]].area:
            best[method] = statistic
    return {score: rocs[score] for score in best.items()}


def to_json(rocs: Mapping[Score, Roc]) -> dict[str, dict[str, dict]]:
    """Returns all but the curves by method and statistic."""
    content = {method: {} for method, _ in rocs}
    for (method, statistic), roc in rocs.items():
        content[method][statistic] = {
            name: value for name, value in vars(roc).items() if "rate" not in name
        }
    return content


def area_under_roc(scores: np.ndarray, is_true: np.ndarray) -> np.ndarray:
    """Returns the chance that a true word scores higher than a hallucinated one.

    AUC = (pairs of a true and a hallucinated word in order + half of the equal ones)
          / all such pairs

    Args:
        scores: S of each word, (W, S).
        is_true: Whether the word is true, not hallucinated (W,).

    Returns:
        In [0, 1], (S,); NaN where one of the classes is missing.

    Source: Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747.
    """
    return _areas(*_places(scores, np.zeros(len(scores), int)), is_true)


def _places(scores: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, tuple]:
    """Tells where each score counts in a table (groups, S, ranks).

    Args:
        scores: (W, S).
        groups: Within which scores are ranked, (W,), from 0.

    Returns:
        The places in the flat table (W, S), and the table's shape.
    """
    ranks = np.zeros(scores.shape, int)
    for group in np.unique(groups):
        rows = groups == group
        columns = [np.unique(c, return_inverse=True)[1] for c in scores[rows].T]
        ranks[rows] = np.stack(columns, axis=-1)
    shape = (groups.max(initial=0) + 1, scores.shape[1], ranks.max(initial=0) + 1)
    numbers = np.arange(scores.shape[1])
    return np.ravel_multi_index((groups[:, None], numbers, ranks), shape), shape


def _areas(places: np.ndarray, shape: tuple, is_true: np.ndarray) -> np.ndarray:
    """Returns the areas (S,) among the pairs of the same group; see `_places`."""
    true, hallucinated = (
        np.bincount(places[rows].ravel(), minlength=np.prod(shape)).reshape(shape)
        for rows in (is_true, ~is_true)
    )
    num_pairs = (true.sum(axis=-1) * hallucinated.sum(axis=-1)).sum(axis=0)  # (S,)
    below = np.cumsum(hallucinated, axis=-1) - hallucinated / 2
    with np.errstate(invalid="ignore"):  # no pairs: 0 / 0
        return (true * below).sum(axis=(0, 2)) / num_pairs


def roc_curve(scores: np.ndarray, is_true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rates of false and of true positives at falling thresholds.

    Args:
        scores: Of each word (W,).
        is_true: Whether the word is true (W,).

    Returns:
        Both rates at infinity and at each distinct score (N,), from 0 to 1; NaN where
        the class is missing.
    """
    order = np.argsort(scores)[::-1]
    scores, is_true = scores[order], is_true[order]
    is_last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]  # of equals
    rates = []
    for of_class in (~is_true, is_true):
        counts = np.append(0, np.cumsum(of_class)[is_last])
        rates.append(counts / of_class.sum() if of_class.any() else counts * np.nan)
    return rates[0], rates[1]
