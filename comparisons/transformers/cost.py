"""Times the explanation of a caption's words against plain passes in PyTorch.

PyTorch computes one forward pass of the model of the library transformers and a plain
backward pass for each word, in the environment of `comparisons.transformers`; then ours
explains as many words of a model of the same sizes, all in one run. Sizes are the
published ones, weights are random. Processor seconds are compared, which other
processes disturb least. Both sides use the threads that they choose.

    python -m comparisons.transformers.cost [--family blip] [--words 12]
"""

import json
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import quiet_start  # noqa: F401

# isort: split
import keras
import numpy as np

from benchmarks import peak_memory, published
from command_line import make_parser
from comparisons.environment import ask_worker, build_environment
from comparisons.findings import report_findings

BUDGET = 0.5  # of PyTorch's processor seconds, ours once it is compiled
FOLDER = Path(__file__).parent


def find(family: str, num_words: int, rules: str) -> dict:
    """Times both sides.

    Args:
        family: A key of `published.CONFIGS`.
        num_words: Of the caption.
        rules: Of ours.
    """
    python = build_environment(FOLDER)
    given = {"words": np.array(num_words)}
    settings = json.dumps(published.CONFIGS[family])
    theirs = ask_worker(python, FOLDER, given, family, settings, name="cost_worker")
    ours = published.time_explanation(family, num_words, rules)
    spent = sum(second[1] for _, second in ours.values())
    ratio = spent / float(theirs["seconds"][1])
    return {
        "library": str(theirs["version"]),
        "backend": keras.backend.backend(),
        "family": family,
        "words": num_words,
        "rules": rules,
        "theirs": {
            "wall": float(theirs["seconds"][0]),
            "processor": float(theirs["seconds"][1]),
            "peak": float(theirs["peak"]),
        },
        "ours": ours,
        "peak": peak_memory(resource.RUSAGE_SELF),
        "ratio": ratio,
        "budget": BUDGET,
        "agrees": ratio <= BUDGET,
    }


def table(findings: Mapping) -> list[str]:
    """Returns the lines that the command prints."""
    keys = ("theirs", "ratio", "budget", "words")
    theirs, ratio, budget, words = (findings[key] for key in keys)
    kept = "within" if findings["agrees"] else "ABOVE"
    return [
        f"{findings['family']}, {words} words, {findings['rules']}, ours on "
        f"{findings['backend']}",
        *published.lines(findings["ours"]),
        f"peak memory {findings['peak']:.2f} GB",
        f"{findings['library']}: one forward and {words} backward passes "
        f"{theirs['wall']:.1f} s wall, {theirs['processor']:.1f} processor, peak "
        f"memory {theirs['peak']:.2f} GB",
        f"ours then / theirs, processor: {ratio:.2f}, {kept} the budget of {budget}",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command."""
    name = "comparisons.transformers.cost"
    parser = make_parser(__doc__, f"python -m {name}")
    published.add_options(parser)
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args(argv)
    asked = (arguments.family, arguments.words, arguments.rules)
    return report_findings(name, lambda: find(*asked), table, arguments.output)


if __name__ == "__main__":
    sys.exit(main())
