"""Compares AttnLRP of published captioners with lxt's: pixels and words.

Both sides read the same random models. lxt lives in an environment of its own, built
at the first run. The largest value is that of an explained word's pixels, of a
caption's logits, and of its relevance of words.

    python -m comparisons.lxt [--models 4] [--output FILE.json]
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import quiet_start  # noqa: F401

# isort: split
import keras
import numpy as np

from benchmarks.published import Numbers
from command_line import make_parser, positive
from comparisons.environment import ask_worker, build_environment
from comparisons.external import largest_difference, precision
from comparisons.findings import report_findings
from comparisons.transformers.__main__ import load
from keras_lrp import RELEVANCE_RULES
from models.explainers.decoder_stage import explain_decoder
from models.explainers.encoder_stage import pixel_relevance
from models.explainers.explanation import PRECISION
from models.published.captioner import PublishedCaptioner
from models.published.families import FAMILIES

BARS = {"float32": 1e-5, "float64": 1e-6}
COMPARED = ("logits", "pixels", "words")
FOLDER = Path(__file__).parent


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m comparisons.lxt")
    parser.add_argument("--models", type=positive, default=4, help="of each family")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    return parser.parse_args(argv)


def relevance(captioner: PublishedCaptioner, pixels, tokens) -> dict[str, np.ndarray]:
    """Explains every token of a caption, by the way that explanations go.

    Args:
        captioner: Ours.
        pixels: Preprocessed (1, H, W, 3).
        tokens: The caption (T,).

    Returns:
        The explained logits (T,), and the relevance of pixels and words.
    """
    rules, steps = RELEVANCE_RULES["attn_lrp"], np.arange(len(tokens))
    features = captioner.encode_inputs(pixels)
    stage = explain_decoder(captioner, rules, features, tokens, steps)
    found = pixel_relevance(captioner, rules, None, pixels, stage, PRECISION)
    return {"logits": stage.logits, "pixels": found, "words": stage.preceding_words}


def compare(folder: Path, dtype: str, theirs: Mapping) -> dict[str, float]:
    """Returns the largest differences of one model in a precision.

    Args:
        folder: Of the model.
        dtype: A key of BARS.
        theirs: What the worker answers about the model.
    """
    tokens = theirs["tokens"].astype("int32")
    with precision(dtype):
        ours = relevance(load(folder), theirs["input"].astype(dtype), tokens)
    if str(ours["pixels"].dtype) != dtype:
        raise ValueError(
            f"{keras.backend.backend()} computed in {ours['pixels'].dtype}; expected "
            f"{dtype}. Set KERAS_BACKEND=tensorflow."
        )
    expected = {name: theirs[f"{dtype}.{name}"] for name in COMPARED}
    expected["logits"] = expected["logits"][np.arange(len(tokens)), tokens]
    for side in (ours, expected):
        side |= {name: side[name][None] for name in ("logits", "words")}
    return {name: largest_difference(ours[name], expected[name]) for name in COMPARED}


def find(num_models: int) -> dict:
    """Compares the models of all families."""
    python = build_environment(FOLDER)
    given = {"count": np.array(num_models), "start": np.array(Numbers.start)}
    by_family = {}
    with tempfile.TemporaryDirectory() as folder:
        answer = ask_worker(python, FOLDER, given, folder)
        for family in FAMILIES:
            by_family[family] = {dtype: {} for dtype in BARS}
            for seed in range(num_models):
                name = f"{family}-{seed}"
                theirs = part_of(answer, f"{name}.")
                for dtype, worst in by_family[family].items():
                    found = compare(Path(folder) / name, dtype, theirs)
                    for key, value in found.items():
                        worst[key] = max(value, worst.get(key, 0.0))
                    keras.utils.clear_session()
    agrees = all(
        difference < BARS[dtype]
        for by_dtype in by_family.values()
        for dtype, worst in by_dtype.items()
        for difference in worst.values()
    )
    return {
        "libraries": list(map(str, answer["versions"])),
        "backend": keras.backend.backend(),
        "models": num_models,
        "bars": BARS,
        "agrees": agrees,
        "families": by_family,
    }


def part_of(answer: Mapping, prefix: str) -> dict:
    """Returns the arrays whose names begin so, without the beginning."""
    return {
        name.removeprefix(prefix): array
        for name, array in answer.items()
        if name.startswith(prefix)
    }


def table(findings: Mapping) -> list[str]:
    """Returns the lines that the command prints."""
    lines = [
        f"{', '.join(findings['libraries'])} and ours on {findings['backend']}: "
        f"AttnLRP of {findings['models']} random models of each family",
        "",
        f"{'largest difference / largest value':36}"
        + "".join(f"{name:>10}" for name in (*COMPARED, "bar")),
    ]
    for family, by_dtype in findings["families"].items():
        for dtype, worst in by_dtype.items():
            bar = findings["bars"][dtype]
            kept = "agrees" if max(worst.values()) < bar else "DOES NOT AGREE"
            figures = "".join(f"{worst[name]:10.1e}" for name in COMPARED)
            lines.append(f"{family:26}{dtype:10}{figures}{bar:10.0e}  {kept}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command."""
    arguments = parse(argv)
    return report_findings(
        "comparisons.lxt", lambda: find(arguments.models), table, arguments.output
    )


if __name__ == "__main__":
    sys.exit(main())
