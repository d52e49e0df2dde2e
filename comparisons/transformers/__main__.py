"""Compares logits and captions of published captioners with transformers'.

Both sides read the same random models, whose settings of the search differ. The library
lives in an environment of its own, built at the first run.

    python -m comparisons.transformers [--models 20] [--output FILE.json]
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
from keras import ops

from benchmarks.published import Numbers
from command_line import make_parser, positive
from comparisons.environment import ask_worker, build_environment
from comparisons.findings import report_findings
from keras_lrp import Operations
from models.published.array_files import find_weights, read_arrays
from models.published.captioner import PublishedCaptioner
from models.published.families import FAMILIES
from models.published.generation import read_generation
from models.published.preprocessing import Preprocessing
from models.published.settings import read_config
from models.published.slots import fill

BAR = 1e-4  # of the largest logit
FOLDER = Path(__file__).parent
BEAM = 3


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m comparisons.transformers")
    parser.add_argument("--models", type=positive, default=20, help="of each family")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    return parser.parse_args(argv)


def load(folder: Path) -> PublishedCaptioner:
    """Loads a model that has no tokenizer."""
    config = read_config(folder, sum(p.stat().st_size for p in find_weights(folder)))
    family = config["model_type"]
    network = FAMILIES[family](config)
    fill(network.slots, read_arrays(folder), network.has_no_use_for, network.copies)
    specials = (network.start, network.end, network.padding)
    places = network.decoder.stack.num_places
    generation = read_generation(folder, family, {}, specials, places)
    size = (network.encoder.image_size,) * 2
    nothing = Preprocessing(size, 3, None, 1.0, (0.0,) * 3, (1.0,) * 3)
    words = Numbers(network.decoder.vocabulary_size)
    return PublishedCaptioner(network, generation, words, nothing)


def compare(captioner: PublishedCaptioner, theirs: Mapping) -> dict:
    """Compares one model: the difference of the logits, and whether captions agree."""
    decoder = captioner.decoder
    features = captioner.encode_inputs(theirs["pixels"])
    tokens = ops.convert_to_tensor(theirs["tokens"][None, None].astype("int32"))
    memory = decoder.project(Operations(), features[:, 0])
    found = decoder.decode(Operations(), memory, decoder.embed(tokens)).logits[0]
    difference = np.abs(np.asarray(found) - theirs["logits"]).max()
    result = {"logits": float(difference / np.abs(theirs["logits"]).max())}
    for name, size in (("greedy", 1), ("beam", BEAM)):
        written = until_end(captioner.search(features, size).tokens[0, 0], captioner)
        result[name] = written == until_end(theirs[name], captioner)
        result[f"{name} ends early"] = len(written) < captioner.config.max_tokens
    return result


def until_end(tokens, captioner: PublishedCaptioner) -> list[int]:
    """Returns a caption's tokens up to the first end token."""
    listed = [int(token) for token in tokens if token >= 0]
    ends = [n for n, token in enumerate(listed) if token in captioner.config.end]
    return listed[: ends[0] + 1] if ends else listed


def find(num_models: int) -> dict:
    """Compares the models of all families."""
    python = build_environment(FOLDER)
    by_family = {}
    with tempfile.TemporaryDirectory() as folder:
        count = {"count": np.array(num_models)}
        answer = ask_worker(python, FOLDER, count, folder)
        for family in FAMILIES:
            results = []
            for seed in range(num_models):
                name = f"{family}-{seed}"
                keys = ("pixels", "tokens", "logits", "greedy", "beam")
                theirs = {key: answer[f"{name}.{key}"] for key in keys}
                results.append(compare(load(Path(folder) / name), theirs))
                keras.utils.clear_session()
            by_family[family] = summary(results)
    agrees = all(
        found["logits"] < BAR and found["greedy"] == found["beam"] == num_models
        for found in by_family.values()
    )
    return {
        "library": f"transformers {answer['version']}",
        "backend": keras.backend.backend(),
        "models": num_models,
        "bar": BAR,
        "agrees": agrees,
        "families": by_family,
    }


def summary(results: Sequence[dict]) -> dict:
    """Returns the largest difference and how many captions agree and end early."""
    counted = ("greedy", "beam", "greedy ends early", "beam ends early")
    found = {name: sum(result[name] for result in results) for name in counted}
    return {"logits": max(result["logits"] for result in results)} | found


def table(findings: Mapping) -> list[str]:
    """Returns the lines that the command prints."""
    count = findings["models"]
    lines = [
        f"{findings['library']} and ours on {findings['backend']}, {count} random "
        "models of each family, float32",
        f"{'':24}{'logits: largest':>16}{'greedy equal':>14}{'beam equal':>12}"
        f"{'end early':>11}",
    ]
    for family, found in findings["families"].items():
        lines.append(
            f"{family:24}{found['logits']:16.1e}{found['greedy']:14}{found['beam']:12}"
            f"{found['beam ends early']:11}"
        )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command."""
    arguments = parse(argv)
    return report_findings(
        "comparisons.transformers",
        lambda: find(arguments.models),
        table,
        arguments.output,
    )


if __name__ == "__main__":
    sys.exit(main())
