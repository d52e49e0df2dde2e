"""Breaks inputs and machines, and counts what the project's readers and scripts lose.

Every kind of file that the project reads is broken, half of the inputs with wrong
values whose right treatment is known. Every script is killed, stopped with Ctrl-C,
starved and run twice at once at random moments, gone on with, and compared byte for
byte with an undisturbed run.

    python -m experiments.robustness [--seed S] [--minutes M] [--inputs N]
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from command_line import ANEW, make_parser, not_negative, positive, run_script
from experiments.robustness.faults import Disturbed, try_faults
from experiments.robustness.inputs import KINDS, Tally, try_inputs
from experiments.robustness.scripts import SCRIPTS

SHOWN = 20  # findings of a kind that are printed


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m experiments.robustness")
    add = parser.add_argument
    add("--seed", type=int, default=0, metavar="S", help="decides what is broken")
    add("--minutes", type=positive, default=40, metavar="M", help="at most, for all")
    add("--inputs", type=positive, default=12_000, metavar="N", help="broken inputs")
    add(
        "--moments",
        type=not_negative,
        default=4,
        metavar="N",
        help="how often each script is killed; it is stopped and starved half as "
        "often; 0 breaks inputs alone",
    )
    add(
        "--scripts",
        nargs="+",
        choices=[script.name for script in SCRIPTS],
        metavar="NAME",
        help="disturb only these; default: all",
    )
    names = [kind.name for kind in KINDS]
    add(
        "--kinds",
        nargs="+",
        choices=names,
        default=names,
        metavar="FILE",
        help="break only these kinds of files, by the names of the table; default: all",
    )
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> Iterator[str]:
    """Breaks everything and prints the tables; yields the findings."""
    with tempfile.TemporaryDirectory() as folder:
        place, moments = Path(folder), int(arguments.moments)
        if moments:  # first: its processes are copies of this one, which is still idle
            chosen = [
                script
                for script in SCRIPTS
                if arguments.scripts is None or script.name in arguments.scripts
            ]
            minutes = 0.8 * arguments.minutes
            found = try_faults(
                place / "faults", chosen, moments, arguments.seed, minutes
            )
            print(*fault_lines(found), sep="\n")
            for disturbed in found.values():
                yield from disturbed.findings
        minutes = arguments.minutes * (0.2 if moments else 1.0)
        kinds = [kind for kind in KINDS if kind.name in arguments.kinds]
        given = (arguments.inputs, arguments.seed, minutes, kinds)
        tallies = try_inputs(place / "inputs", *given)
        print(*input_lines(tallies), sep="\n")
        for tally in tallies.values():
            yield from tally.findings[:SHOWN]


def input_lines(tallies: Mapping[str, Tally]) -> list[str]:
    """Returns a table of what became of broken inputs."""
    columns = ("inputs", "wrong values", "refused", "accepted")
    lines, total = table("file", columns, tallies)
    listed = (f"{name} {total[name]}" for name in ("silent", "unexpected", "hang"))
    return [*lines, f"of the findings: {', '.join(listed)}"]


def fault_lines(found: Mapping[str, Disturbed]) -> list[str]:
    """Returns a table of how often each script was disturbed."""
    columns = ("kill", "interrupt", "inject", "fill", "lock_disk", "run_twice")
    return table("script", columns, found)[0]


def table(
    what: str, columns: Sequence[str], found: Mapping[str, Tally | Disturbed]
) -> tuple[list[str], Counter]:
    """Returns a row for each name and one for all, and the counts of all."""
    columns = (*columns, "findings")
    rows = {
        name: one.counts | Counter(findings=len(one.findings))
        for name, one in found.items()
    }
    total = sum(rows.values(), Counter())
    lines = [f"{what:24}" + "".join(f"{name:>13}" for name in columns)]
    for name, counts in (rows | {"all": total}).items():
        lines.append(f"{name:24}" + "".join(f"{counts[c]:13,}" for c in columns))
    return lines, total


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code: 2 where there are findings."""
    return run_script("robustness", lambda: run(parse(argv)), ANEW)


if __name__ == "__main__":
    sys.exit(main())
