"""The tables of the benchmark, in Markdown."""

from collections.abc import Iterator, Mapping, Sequence

from dataset.scenes.evidence import ABOUT
from evaluation.score_tables import average_scores
from experiments.ground_truth.scores import (
    MASS,
    MORE,
    OTHER,
    POINTING,
    RANK,
    of_first_colour,
    of_kind,
)
from experiments.workbench import markdown, with_interval

CHECKED = ("words", "right", "changed", "stayed", "rests")
SHOWN = {MASS: "mass", RANK: "rank", POINTING: "pointing"}


def summarize(records: Sequence[dict]) -> dict[str, dict]:
    """Averages the scores of the words of each kind; see `average_scores`."""
    kinds = {about: of_kind(records, about) for about in ABOUT}
    kinds["first colour"] = of_first_colour(records)
    return {
        kind: average_scores(some)
        for kind, some in kinds.items()
        if any(record["words"] for record in some)
    }


def tables(
    checks: Mapping[str, Mapping], scores: Mapping[str, Mapping]
) -> Iterator[str]:
    """Writes what was found.

    Args:
        checks: By captioner what `summarize_checks` returns.
        scores: By captioner what `summarize` returns.
    """
    yield _check_table(checks)
    for name, of_kinds in scores.items():
        for score, shown in SHOWN.items():
            head = f"{name}: {shown}"
            kinds = {kind: of_kinds[kind] for kind in ABOUT if kind in of_kinds}
            yield _score_table(head, kinds, score)
    yield _doubtful_table(scores)


def _check_table(checks: Mapping[str, Mapping]) -> str:
    rows = [
        (name, kind, str(found["words"]), *(f"{found[c]:.3f}" for c in CHECKED[1:]))
        for name, kinds in checks.items()
        for kind, found in kinds.items()
    ]
    return markdown(("captioner", "words about", *CHECKED), rows)


def _score_table(head: str, kinds: Mapping[str, Mapping], score: str) -> str:
    """Writes a row for each method and a column for each kind of word."""
    rows = [
        (method, *(with_interval(kinds[kind][method][score]) for kind in kinds))
        for method in next(iter(kinds.values()), ())
    ]
    return markdown((head, *kinds), rows)


def _doubtful_table(scores: Mapping[str, Mapping]) -> str:
    """Writes where the heat of the first colour's word lies, object or badge."""
    rows = [
        (name, method, *(with_interval(found[score]) for score in (MASS, OTHER, MORE)))
        for name, kinds in scores.items()
        for method, found in kinds.get("first colour", {}).items()
    ]
    head = ("captioner", "method", "evidence", "the other", "evidence is shown")
    return markdown(head, rows)
