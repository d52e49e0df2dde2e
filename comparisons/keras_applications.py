"""Explains every network of keras.applications: which preset works, what is conserved.

The weights are random, the statistics of batch-norms too; biases, betas and means are
zero, so that nothing but an epsilon, or an output without a summand of the rule's
sign, takes relevance. One class has relevance 1; the error is what the pixels' sum
lacks of 1. Each network runs in a process of its own.

    python -m comparisons.keras_applications [--models VGG16 ResNet50] [--output FILE]
"""

import argparse
import inspect
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from command_line import make_parser
from files.writing import write_whole

TRIED = ("alpha1_beta0", "alpha2_beta1", "epsilon_plus", "epsilon", "gradient")
GIGABYTES = 8
SIZES = (64, 96, 128, 224, 331)
SECONDS = 1800


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; writes the figures if asked."""
    arguments = parse(argv)
    if arguments.worker:
        (name,) = arguments.models
        print(json.dumps(measure(name, arguments.presets)))
        return 0
    found = {}
    print(row("network", arguments.presets))
    for name in arguments.models or network_names():
        found[name] = run_apart(name, arguments.presets)
        print(row(name, [cell(found[name], preset) for preset in arguments.presets]))
        sys.stdout.flush()
    for name, figures in found.items():
        for preset, figure in figures.get("presets", {}).items():
            if "refused" in figure:
                print(f"{name}, {preset}: {figure['refused']}")
        if "not run" in figures:
            print(f"{name}: {figures['not run']}")
    if arguments.output:
        content = json.dumps(found, indent=1) + "\n"
        print(write_whole(arguments.output, content.encode()))
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m comparisons.keras_applications")
    add = parser.add_argument
    add("--models", nargs="+", metavar="NAME", help="functions; default: all")
    add("--presets", nargs="+", default=TRIED, metavar="NAME", help="of keras_lrp")
    add("--output", type=Path, metavar="FILE", help="a JSON file for the figures")
    add("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def network_names() -> list[str]:
    """The functions of keras.applications that build a network."""
    import keras

    names = dir(keras.applications)
    functions = {name: getattr(keras.applications, name) for name in names}
    return [name for name, function in functions.items() if is_builder(function)]


def is_builder(function) -> bool:
    """Whether a member of keras.applications builds a network."""
    is_function = inspect.isfunction(function)
    return is_function and "weights" in inspect.signature(function).parameters


def run_apart(name: str, presets: Sequence[str]) -> dict:
    """Measures one network in a process with limited memory.

    Returns:
        Its figures, or {"not run": reason}.
    """
    module = "comparisons.keras_applications"
    command = [sys.executable, "-m", module, "--worker", "--models", name]
    try:
        result = subprocess.run(
            [*command, "--presets", *presets],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            preexec_fn=limit_memory,
        )
    except subprocess.TimeoutExpired:
        return {"not run": f"more than {SECONDS} s"}
    if result.returncode == 0:
        return json.loads(result.stdout.splitlines()[-1])
    last = (result.stderr.strip().splitlines() or [""])[-1]
    return {
        "not run": f"more than {GIGABYTES} GB of memory, or: "
        f"exit {result.returncode}, {last[:200]}"
    }


def limit_memory() -> None:
    """Lets a process have no more memory than GIGABYTES."""
    size = GIGABYTES * 2**30
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def measure(name: str, presets: Sequence[str]) -> dict:
    """Explains one class of a network with random weights by each preset."""
    import numpy as np

    from keras_lrp import LRP
    from keras_lrp.backend import compilation

    model = build(name)
    randomize(model)
    size = model.input_shape[1:]
    images = np.random.default_rng(0).uniform(0, 255, (1, *size)).astype("float32")
    found = {}
    for preset in presets:
        begun = time.perf_counter()
        try:
            with compilation(False):
                explained = LRP(model, preset)(images, classes=[1])
            relevance = np.asarray(explained, "float64")
        except ValueError as error:
            reason = str(error).partition(". Supported layers")[0]
            found[preset] = {"refused": reason}
            continue
        found[preset] = {
            "error": abs(float(relevance.sum()) - 1.0),
            "finite": bool(np.isfinite(relevance).all()),
            "seconds": time.perf_counter() - begun,
        }
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"size": size[0], "gigabytes": memory, "presets": found}


def build(name: str):
    """Builds a network with its classifier, for the smallest images it takes."""
    import keras

    function = getattr(keras.applications, name)
    for size in SIZES:
        try:
            return function(weights=None, input_shape=(size, size, 3))
        except ValueError:
            continue
    raise ValueError(f"{name}: no size of {SIZES} is accepted.")


def randomize(model, with_biases: bool = False, seed: int = 0) -> None:
    """Draws the weights of a network so that its values neither grow nor vanish.

    Args:
        model: Of keras.applications.
        with_biases: Whether biases, betas and means are drawn too, or are zero.
        seed: Of the draw.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean", "bias"):
            shift = generator.normal(0.0, 0.1, weight.shape)
            weight.assign(shift if with_biases else 0.0 * shift)
        elif weight.name.endswith("kernel"):
            fan_in = np.prod(weight.shape[:-1])
            if "depthwise" in weight.path:  # each output sees one channel
                fan_in = np.prod(weight.shape[:2])
            scale = np.sqrt(2.0 / fan_in)
            weight.assign(generator.normal(0.0, scale, weight.shape))


def row(name: str, cells: Sequence[str]) -> str:
    """One line of the table."""
    return f"{name:20}" + "".join(f"{text:>16}" for text in cells)


def cell(figures: dict, preset: str) -> str:
    """What a network and a preset came to."""
    if "not run" in figures:
        return "not run"
    figure = figures["presets"][preset]
    if "refused" in figure:
        return "refused"
    if not figure["finite"]:
        return "not finite"
    return "explained" if preset == "gradient" else f"{figure['error']:.1e}"


if __name__ == "__main__":
    sys.exit(main())
