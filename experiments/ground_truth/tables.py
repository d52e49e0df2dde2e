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
    yield "\n".join(_check_table(checks))
    for name, of_kinds in scores.items():
        for score, shown in SHOWN.items():
            head = f"{name}: {shown}"
            kinds = {kind: of_kinds[kind] for kind in ABOUT if kind in of_kinds}
            yield "\n".join(_score_table(head, kinds, score))
    yield "\n".join(_doubtful_table(scores))


def _check_table(checks: Mapping[str, Mapping]) -> Iterator[str]:
    yield _row("captioner", "words about", *CHECKED)
    yield _row(*["---"] * (2 + len(CHECKED)))
    for name, kinds in checks.items():
        for kind, found in kinds.items():
            shares = (f"{found[column]:.3f}" for column in CHECKED[1:])
            yield _row(name, kind, str(found["words"]), *shares)


def _score_table(head: str, kinds: Mapping[str, Mapping], score: str) -> Iterator[str]:
    """Writes a row for each method and a column for each kind of word."""
    yield _row(head, *kinds)
    yield _row(*["---"] * (1 + len(kinds)))
    for method in next(iter(kinds.values()), ()):
        yield _row(method, *(_cell(kinds[kind][method][score]) for kind in kinds))


def _doubtful_table(scores: Mapping[str, Mapping]) -> Iterator[str]:
    """Writes where the heat of the first colour's word lies, object or badge."""
    yield _row("captioner", "method", "evidence", "the other", "evidence is shown")
    yield _row(*["---"] * 5)
    for name, kinds in scores.items():
        for method, found in kinds.get("first colour", {}).items():
            cells = (_cell(found[score]) for score in (MASS, OTHER, MORE))
            yield _row(name, method, *cells)


def _cell(found: Mapping) -> str:
    low, high = found["interval"]
    return f"{found['mean']:.3f} [{low:.3f}, {high:.3f}]"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
