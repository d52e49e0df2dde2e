"""Compares our LRP of VGG16 with another library's: numbers and time, in one run.

The library lives in an environment of its own, built at the first run. What both
sides explain goes there as a file; its heatmaps and seconds come back as a file.

Numbers are compared in float64, because in float32 near-tied winners of max-pooling
flip. Time is measured in float32, as both are used. The relevance of the features
that a word starts from is the features times attention times channel weights, both
drawn at random: signed for every other word, nonnegative for the rest.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import quiet_start  # noqa: F401

# isort: split
import keras
import numpy as np

from benchmarks import seconds
from command_line import make_parser, positive
from comparisons.environment import ask_worker, build_environment
from comparisons.external_worker import PART
from comparisons.findings import report_findings
from config import Config
from dataset.images import load_image
from keras_lrp import LRP
from models.encoders import build_encoder, preprocess

BAR = 1e-4


@dataclass(frozen=True)
class Library:
    """Another implementation of LRP.

    Attributes:
        name: As its authors write it.
        package: Its folder in `comparisons`, with a worker and requirements.
        methods: Its methods, each with the preset of ours that must agree.
        others: Presets of ours whose distance is shown.
    """

    name: str
    package: str
    methods: Mapping[str, str]
    others: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its worker, requirements and environment lie."""
        return Path(__file__).parent / self.package

    @property
    def presets(self) -> tuple[str, ...]:
        """Ours that it is compared with."""
        return tuple(dict.fromkeys((*self.methods.values(), *self.others)))


@dataclass(frozen=True)
class Task:
    """What both sides explain.

    Attributes:
        image: Encoder input (1, H, W, C), float32.
        relevance: Of the features, for N words (N, h, w, D), float32.
        rounds: How often every call is timed.
        weights: The file that our encoder reads.
    """

    image: np.ndarray
    relevance: np.ndarray
    rounds: int
    weights: Path


@dataclass(frozen=True)
class Measured:
    """One method at work on the task.

    Attributes:
        heatmaps: (N, H, W, C), computed in float64.
        first: Seconds of the first call, for one word.
        one_word: Seconds of a word, later.
        all_words: Seconds of N words, the faster way of those that there are.
    """

    heatmaps: np.ndarray = field(repr=False)
    first: float
    one_word: float
    all_words: float


def compare(library: Library, argv: Sequence[str] | None = None) -> int:
    """Runs the command of a library; returns its exit code, 1 for a difference."""
    arguments = parse(library, argv)

    def find() -> dict:
        task = build_task(
            arguments.weights, arguments.photo, arguments.words, arguments.rounds
        )
        python = build_environment(library.folder)
        our_side = {preset: ours(task, preset) for preset in library.presets}
        version, their_side = theirs(library, python, task)
        findings = figures_of(library, our_side, their_side)
        return {"library": f"{library.name} {version}"} | findings

    name = f"comparisons.{library.package}"
    return report_findings(name, find, table, arguments.output)


def parse(library: Library, argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(
        f"Compares our LRP of VGG16 with {library.name}'s.",
        f"python -m comparisons.{library.package}",
    )
    parser.add_argument(
        "--weights", type=Path, required=True, help="VGG16 weights without top"
    )
    parser.add_argument("--photo", type=Path, required=True, help="what is explained")
    parser.add_argument("--words", type=positive, default=12, help="words to explain")
    parser.add_argument("--rounds", type=positive, default=3, help="timed rounds")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    return parser.parse_args(argv)


def build_task(weights: Path, photo: Path, num_words: int, rounds: int) -> Task:
    """Reads the photo and draws each word's relevance of the features."""
    image = preprocess(load_image(photo), "vgg16")[None]
    features = np.asarray(vgg16(weights)(image))
    return Task(image, draw_relevance(features, num_words), rounds, weights)


def vgg16(weights: Path) -> keras.Model:
    """Builds our encoder up to block5_conv3."""
    if not weights.is_file():
        raise ValueError(
            f"{weights}: no such file; expected the weights of VGG16 without its "
            "classifier, an .h5 file. Name it with --weights."
        )
    try:
        return build_encoder(Config(encoder="vgg16", feature_scale=1.0), weights)
    except ValueError as error:
        raise ValueError(
            f"{weights}: expected the weights of VGG16 without its classifier; Keras "
            f"says: {error.__cause__}. Name another file with --weights."
        ) from error


def draw_relevance(features: np.ndarray, num_words: int) -> np.ndarray:
    """Draws features x attention x channel weights for each word.

    Args:
        features: (1, h, w, D).
        num_words: N. Every other word has channel weights of both signs.

    Returns:
        (N, h, w, D), float32. A word's attention sums to 1.
    """
    random = np.random.default_rng(0)
    _, height, width, channels = features.shape
    attention = np.exp(random.normal(0, 3, (num_words, height, width, 1)))
    attention /= attention.sum((1, 2), keepdims=True)
    by_channel = random.normal(size=(num_words, 1, 1, channels))
    by_channel[1::2] = np.abs(by_channel[1::2])
    return (features * attention * by_channel).astype("float32")


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Makes new layers of this type."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def ours(task: Task, preset: str) -> Measured:
    """Explains with our encoder."""
    with precision("float64"):
        explain = propagator(task, preset)
        heatmaps = explain(len(task.relevance))
    if heatmaps.dtype != np.float64:
        raise ValueError(
            f"numbers are compared in float64; {keras.backend.backend()} computed in "
            f"{heatmaps.dtype}. Set KERAS_BACKEND=tensorflow."
        )
    explain = propagator(task, preset)
    first = seconds(lambda: explain(1))
    explain(len(task.relevance))  # each number of words is compiled once

    def median(num_words: int) -> float:
        timed = [seconds(lambda: explain(num_words)) for _ in range(task.rounds)]
        return statistics.median(timed)

    return Measured(heatmaps, first, median(1), median(len(task.relevance)))


def propagator(task: Task, preset: str) -> Callable[[int], np.ndarray]:
    """Prepares the explanation of the first n words."""
    lrp = LRP(vgg16(task.weights), preset)
    return lambda n: np.asarray(lrp(task.image, relevance=task.relevance[None, :n]))[0]


def theirs(library: Library, python: Path, task: Task) -> tuple[str, dict]:
    """Explains with the library: its version, and what each method did."""
    weights = vgg16(task.weights).get_weights()
    arrays = {f"weight{n:02}": values for n, values in enumerate(weights)}
    arrays |= {name: getattr(task, name) for name in ("image", "relevance", "rounds")}
    answer = ask_worker(python, library.folder, arrays, *library.methods)
    measured = {
        method: read_measured(answer, f"{method}{PART}", len(task.relevance))
        for method in library.methods
    }
    return str(answer["version"]), measured


def read_measured(answer: Mapping, prefix: str, num_words: int) -> Measured:
    """Reads one method from a worker's answer."""
    separate, batch = (
        statistics.median(answer[prefix + name]) for name in ("separate", "batch")
    )
    return Measured(
        heatmaps=answer[f"{prefix}heatmaps"],
        first=float(answer[f"{prefix}first"]),
        one_word=float(separate / num_words),
        all_words=float(min(separate, batch)),
    )


def largest_difference(heatmaps: np.ndarray, reference: np.ndarray) -> float:
    """Returns max |a - b| / max |b| of the word where it is largest, (N, ...) each."""
    words = tuple(range(1, reference.ndim))
    difference = np.abs(heatmaps - reference).max(words)
    return float((difference / np.abs(reference).max(words)).max())


def figures_of(library: Library, our_side: Mapping, their_side: Mapping) -> dict:
    """Returns the figures: what the JSON file holds.

    Args:
        library: Says which presets must agree.
        our_side: Measured, by preset.
        their_side: Measured, by method.
    """
    differences = {
        method: {
            preset: largest_difference(our_side[preset].heatmaps, reference.heatmaps)
            for preset in library.presets
        }
        for method, reference in their_side.items()
    }
    pairs = library.methods.items()
    return {
        "backend": keras.backend.backend(),
        "words": len(next(iter(their_side.values())).heatmaps),
        "bar": BAR,
        "must_agree": dict(library.methods),
        "agrees": all(differences[method][preset] < BAR for method, preset in pairs),
        "differences": differences,
        "seconds": {
            name: {key: value for key, value in vars(side).items() if key != "heatmaps"}
            for name, side in (their_side | our_side).items()
        },
        "times_faster": {
            method: their_side[method].all_words / our_side[preset].all_words
            for method, preset in pairs
        },
    }


def table(findings: Mapping) -> list[str]:
    """Returns the lines that the command prints."""
    words, bar = findings["words"], findings["bar"]
    must_agree = findings["must_agree"]
    lines = [
        f"{findings['library']} and ours on {findings['backend']}: VGG16 to "
        f"block5_conv3, one photo, {words} words",
        "",
        "largest difference / largest value of a word's heatmap, float64",
    ]
    for method, by_preset in findings["differences"].items():
        for preset, difference in by_preset.items():
            verdict = ""
            if must_agree[method] == preset:
                kept = "agrees" if difference < bar else "DOES NOT AGREE"
                verdict = f"  {kept}, bar {bar:.0e}"
            lines.append(f"{method:22}{preset:28}{difference:9.1e}{verdict}")
    header = f"{'seconds, float32':50}{'first':>9}{'1 word':>9}{f'{words} words':>9}"
    lines += ["", header]
    for name, side in findings["seconds"].items():
        figures = (side[key] for key in ("first", "one_word", "all_words"))
        lines.append(f"{name:50}" + "".join(f"{figure:9.2f}" for figure in figures))
    for method, ratio in findings["times_faster"].items():
        pair = f"{method} / {must_agree[method]}"
        lines.append(f"{pair:50}{ratio:27.1f}")
    return lines
