"""Files of runs: settings, words, weights."""

import dataclasses
import io
import json
import warnings
from pathlib import Path

import h5py
import keras
import numpy as np

from config import RANGES, Config
from dataset.vocabulary import Vocabulary
from experiments.robustness.kinds import (
    REFUSED,
    Kind,
    instead,
    made,
    missing,
    put,
    wrong,
)
from files.hdf5 import check_structure
from models.keras_words import read_words
from models.weights import load_weights

# Configurations

CONFIG = Config(dataset="scenes", schedule="cosine", warmup_steps=3)
SETTINGS = dataclasses.asdict(CONFIG)


def _out_of_range(content: dict, generator) -> tuple[bytes, object]:
    name = [*RANGES][generator.integers(0, len(RANGES))]
    low, high = RANGES[name].low, RANGES[name].high
    whole_number = isinstance(content[name], int)
    step = 1 if whole_number else 1e-3
    value = [low - step, high + step, 10**400, -high - 1][generator.integers(0, 4)]
    return json.dumps(content | {name: value}).encode(), REFUSED


def _in_range(content: dict, generator) -> tuple[bytes, object]:
    names = ("epochs", "beam_size", "images_per_batch", "seed", "warmup_steps")
    changed = content | {name: int(generator.integers(1, 900)) for name in names}
    changed["learning_rate"] = float(generator.random()) + 1e-6
    return json.dumps(changed).encode(), Config(**changed)


def _twice(content: dict, generator) -> tuple[bytes, object]:
    return json.dumps(content)[:-1].encode() + b', "seed": 0}', REFUSED


CONFIG_FILE = Kind(
    "configuration",
    "config.json",
    lambda folder: put(folder, "config.json", CONFIG.to_json()),
    lambda folder: Config.from_json(folder / "config.json"),
    lambda found: all(r.holds(getattr(found, name)) for name, r in RANGES.items()),
    json.loads,
    (
        wrong("*", REFUSED, ["x"]),
        _out_of_range,
        _in_range,
        made("schedule", lambda value, _: "linear"),
        instead(lambda content, _: content | {"epoch": 3}, REFUSED),
        missing("seed", CONFIG),
        _twice,
    ),
)

# Vocabularies

WORDS = ["a", "dog", "runs", "grass", "isn't", "caf\u00e9", "red", "car"]


def _swapped(words: list, generator) -> tuple[bytes, object]:
    order = [words[place] for place in generator.permutation(len(words))]
    return json.dumps(order).encode(), tuple(order)


VOCABULARY = Kind(
    "vocabulary",
    "vocabulary.json",
    lambda folder: put(folder, "vocabulary.json", json.dumps(WORDS)),
    lambda folder: Vocabulary.load(folder / "vocabulary.json").words[3:],
    lambda found: len(set(found)) == len(found) and all(found),
    json.loads,
    (
        wrong("*", REFUSED, "two words", "Dog", "", "<end>", "!"),
        _swapped,
        instead(lambda words, g: [*words, words[int(g.integers(8))]], REFUSED),
        instead(lambda words, _: [*words, "zebra"], (*WORDS, "zebra")),
        instead(lambda words, _: {"words": words}, REFUSED),
    ),
)
NUMBERS = {word: number for number, word in enumerate(WORDS, start=1)}
KERAS_WORDS = Kind(
    "Keras 2 words",
    "words.json",
    lambda folder: put(folder, "words.json", json.dumps(NUMBERS)),
    lambda folder: read_words(folder / "words.json"),
    lambda found: all(isinstance(word, str) for word in found),
    json.loads,
    (
        wrong("*", REFUSED, 0, 9, 3.0),
        made("*", lambda value, _: value % 8 + 1),
        missing("a"),
        instead(lambda words, _: [*words], WORDS),
        instead(lambda words, _: {"config": {"word_index": words}}, WORDS),
        instead(lambda words, _: [*words, "a"], REFUSED),
    ),
)

# Weights

KERNEL = np.arange(6, dtype="float32").reshape(3, 2) / 7
BIAS = np.array([0.5, -0.25], "float32")
_NETWORK: list[keras.Model] = []


def network() -> keras.Model:
    """Returns a tiny network; it is built once."""
    if not _NETWORK:
        inputs = keras.Input((3,))
        outputs = keras.layers.Dense(2, name="dense")(inputs)
        _NETWORK.append(keras.Model(inputs, outputs, name="network"))
    return _NETWORK[0]


def write_weights(folder: Path) -> None:
    """Writes the weights of the network."""
    folder.mkdir(parents=True, exist_ok=True)
    network().set_weights([KERNEL, BIAS])
    network().save_weights(folder / "network.weights.h5")


def read_weights(folder: Path) -> list:
    """Reads them as a run's are read, in this process."""
    path = folder / "network.weights.h5"
    check_structure(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras tells of groups without weights
        load_weights(network(), path)
    return [weight.numpy().tolist() for weight in network().layers[-1].weights]


def weights_of(kernel: np.ndarray, **more) -> bytes:
    """Returns a file of weights, with other things in it."""
    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        layer = file.create_group("layers/dense/vars")
        layer.attrs["name"] = "dense"
        if kernel is not None:
            layer["0"] = kernel
        layer["1"] = BIAS
        file.create_group("layers/input_layer/vars")
        file.create_group("vars")
        for name, put_in in more.items():
            put_in(file, name)
    return packed.getvalue()


def _other_weights(content, generator) -> tuple[bytes, object]:
    kernel = generator.standard_normal((3, 2)).astype("float32")
    return weights_of(kernel), [kernel.tolist(), BIAS.tolist()]


def _not_finite(content, generator) -> tuple[bytes, object]:
    kernel = KERNEL.copy()
    place = tuple(int(generator.integers(size)) for size in kernel.shape)
    kernel[place] = (np.nan, np.inf, -np.inf)[generator.integers(3)]
    return weights_of(kernel), REFUSED


def _other_shape(content, generator) -> tuple[bytes, object]:
    shape = tuple(int(n) for n in generator.integers(4, 9, generator.integers(1, 4)))
    return weights_of(np.ones(shape, "float32")), REFUSED


def _elsewhere(content, generator) -> tuple[bytes, object]:
    def external(file, name):
        file.create_dataset(name, (4,), "u1", external=[("/etc/hostname", 0, 4)])

    def link(file, name):
        file[name] = h5py.ExternalLink("any.h5", "/")

    def ring(file, name):
        file[name] = file["layers"]

    def huge(file, name):
        file.create_dataset(name, (10**11,), "float32", chunks=(4096,))

    def virtual(file, name):
        layout = h5py.VirtualLayout((6,), "float32")
        layout[:] = h5py.VirtualSource("other.h5", "x", (6,))
        file.create_virtual_dataset(name, layout)

    put_in = (external, link, ring, huge, virtual)[generator.integers(5)]
    return weights_of(KERNEL, more=put_in), REFUSED


WEIGHTS = Kind(
    "weights",
    "network.weights.h5",
    write_weights,
    read_weights,
    lambda found: all(np.isfinite(part).all() for part in found),
    bytes,
    (
        _other_weights,
        _not_finite,
        _other_shape,
        _elsewhere,
        lambda content, _: (weights_of(None), REFUSED),
        lambda content, _: (weights_of(KERNEL.astype("S5")), REFUSED),
    ),
)


KINDS = (CONFIG_FILE, VOCABULARY, KERAS_WORDS, WEIGHTS)
