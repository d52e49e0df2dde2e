"""Compares our scores of explanations with Quantus' on random arrays.

    python -m comparisons.quantus [--cases 200] [--output FIGURES.json]

Quantus lives in an environment of its own, built at the first run. `comparisons` says
what is compared, and where Quantus differs by choice.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from command_line import make_parser, positive
from comparisons.environment import ask_worker, build_environment
from comparisons.findings import report_findings
from comparisons.quantus.comparisons import Comparison, draw_comparisons

FOLDER = Path(__file__).parent
BAR = 1e-6


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 for a difference."""
    arguments = parse(argv)

    def find() -> dict:
        python = build_environment(FOLDER)
        comparisons = draw_comparisons(arguments.cases)
        return figures_of(comparisons, ask_quantus(python, comparisons))

    return report_findings("comparisons.quantus", find, table, arguments.output)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m comparisons.quantus")
    parser.add_argument("--cases", type=positive, default=200, help="of each kind")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    return parser.parse_args(argv)


def ask_quantus(
    python: Path, comparisons: Sequence[Comparison]
) -> dict[str, np.ndarray]:
    """Returns Quantus' version and its scores by the comparison's number."""
    arrays = {
        f"{number}.{name}": array
        for number, each in enumerate(comparisons)
        for name, array in each.given.items()
    }
    metrics = [each.metric for each in comparisons]
    return ask_worker(python, FOLDER, arrays, *metrics)


def figures_of(comparisons: Sequence[Comparison], answer: Mapping) -> dict:
    """Returns the figures: what the JSON file holds."""
    rows = [
        {
            "ours": each.quantity,
            "theirs": each.metric,
            "maps": each.maps,
            "numbers": each.ours.size,
            "difference": difference(each, answer[str(number)]),
        }
        for number, each in enumerate(comparisons)
    ]
    return {
        "library": f"Quantus {answer['version']}",
        "bar": BAR,
        "agrees": all(row["difference"] < BAR for row in rows),
        "comparisons": rows,
    }


def difference(comparison: Comparison, scores: np.ndarray) -> float:
    """Returns max |ours - theirs|; NaN where one of them is."""
    theirs = comparison.convert(scores)
    if theirs.shape != comparison.ours.shape:
        raise ValueError(
            f"{comparison.metric}: expected scores {comparison.ours.shape}, received "
            f"{theirs.shape}. Quantus changed; see requirements-no-deps.txt."
        )
    return float(np.abs(theirs - comparison.ours).max())


def table(findings: Mapping) -> list[str]:
    """Returns the lines that the command prints."""
    bar = findings["bar"]
    lines = [
        f"{findings['library']} and ours on random arrays; bar {bar:.0e}",
        "",
        f"{'ours':22}{'Quantus':25}{'of maps':35}{'numbers':>8}{'difference':>12}",
    ]
    for row in findings["comparisons"]:
        verdict = "" if row["difference"] < bar else "  DOES NOT AGREE"
        lines.append(
            f"{row['ours']:22}{row['theirs']:25}{row['maps']:35}"
            f"{row['numbers']:8}{row['difference']:12.1e}{verdict}"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
