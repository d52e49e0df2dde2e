"""Families of keras.applications: LRP-0 is gradient x input; relevance is conserved.

Each network is cut where every kind of its blocks has been met, and has random
weights and random statistics of its batch-norms. It is built once and explained once
by each of two presets, which is faster without compiling.
"""

import functools

import keras
import numpy as np
import pytest
from cnn import IS_DOUBLE, assert_close, explained, normal, seeds
from held import gradient, held_model
from keras import layers

from comparisons import keras_applications
from keras_lrp import PRESETS
from keras_lrp.backend import compilation
from keras_lrp.rules import Epsilon

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("double")]
NUM_LAYERS = {  # where to cut, and the size of the images
    "MobileNetV3Small": (75, 32),
    "EfficientNetB0": (60, 32),
    "ConvNeXtTiny": (22, 32),
    "ResNet50V2": (40, 32),
    "DenseNet121": (40, 32),
    "InceptionResNetV2": (62, 75),
    "NASNetMobile": (60, 32),
    "MobileNetV2": (40, 32),
}
needs_double = pytest.mark.skipif(
    not IS_DOUBLE, reason="tiny denominators need float64"
)
PIECEWISE_LINEAR = ("ResNet50V2", "DenseNet121")


def without_large_epsilon(preset: str) -> dict:
    """The rules of a preset without the share that a large epsilon keeps."""
    return {
        kind: Epsilon(1e-12, relative=True) if isinstance(rule, Epsilon) else rule
        for kind, rule in PRESETS[preset].items()
    }


@functools.cache
def cut(name: str) -> keras.Model:
    """The first layers of a network, and the mean of each of its features."""
    last, size = NUM_LAYERS[name]
    build = getattr(keras.applications, name)
    base = build(include_top=False, weights=None, input_shape=(size, size, 3))
    outputs = layers.GlobalAveragePooling2D()(base.layers[last].output)
    return keras.Model(base.input, outputs)


def draw(name: str, with_biases: bool) -> tuple:
    """A network with new weights, an image, and its output (1, 1, D)."""
    model = cut(name)
    keras_applications.randomize(model, with_biases)
    image = 100.0 + 50.0 * normal(1, *model.input_shape[1:])
    return model, image, np.asarray(model(image, training=False))[:, None]


@needs_double
@pytest.mark.parametrize("name", NUM_LAYERS)
def test_epsilon_is_gradient_x_input(name):
    model, image, outputs = draw(name, with_biases=True)
    weights = seeds(model, 1, 1)
    rules = without_large_epsilon("epsilon")
    with compilation(False):
        found = explained(model, rules, image, outputs * weights)
    held = gradient(held_model(model), image, weights[:, 0])
    assert_close(found[:, 0], image * held, 1e-5)
    if name in PIECEWISE_LINEAR:
        assert_close(held, gradient(model, image, weights[:, 0]))


@needs_double
@pytest.mark.parametrize("name", NUM_LAYERS)
def test_relevance_is_conserved_without_biases(name):
    """alpha2_beta1 gives an output whose summands have one sign to that side."""
    model, image, outputs = draw(name, with_biases=False)
    relevance = outputs * (1.0 + seeds(model, 1, 2) ** 2)
    rules = without_large_epsilon("alpha2_beta1")
    with compilation(False):
        found = explained(model, rules, image, relevance)
    assert_close(found.sum((2, 3, 4)), relevance.sum(2), 1e-5)


def test_the_table_of_networks(tmp_path, monkeypatch, capsys):
    networks = {"Tiny": tiny, "Odd": odd}
    monkeypatch.setattr(keras_applications, "build", lambda name: networks[name]())
    monkeypatch.setattr(
        keras_applications,
        "run_apart",
        lambda name, presets: (
            {"not run": "9 GB"}
            if name == "Large"
            else keras_applications.measure(name, presets)
        ),
    )
    output = tmp_path / "figures.json"
    command = ["--models", "Tiny", "Odd", "Large", "--output", str(output)]
    assert keras_applications.main([*command, "--presets", "epsilon", "gradient"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == "Tiny" and lines[1].split()[2] == "explained"
    assert lines[2].split() == ["Odd", "refused", "explained"]
    assert lines[3].split() == ["Large", "not", "run", "not", "run"]
    assert "neither factor" in lines[4]
    assert lines[-1] == str(output)


def tiny() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    return keras.Model(inputs, layers.Dense(3)(x))


def odd() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = layers.Multiply()([inputs, layers.Conv2D(3, 1)(inputs)])
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def test_networks_are_found_by_name():
    names = keras_applications.network_names()
    assert {"VGG16", "MobileNetV3Small", "ConvNeXtTiny"} <= set(names)
    assert "vgg16" not in names
