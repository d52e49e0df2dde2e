"""Networks as steps: how they are read, folded, unrolled and refused."""

import keras
import numpy as np
import pytest
from cnn import (
    LRP_PRESETS,
    architecture,
    assert_close,
    explained,
    inception_block,
    network,
    normal,
    residual_block,
    seeds,
)
from conftest import randomize
from keras import layers

from keras_lrp import LRP
from keras_lrp.backend import compiled
from keras_lrp.graph import Graph, read_graph
from models.encoders import ENCODERS

pytestmark = pytest.mark.usefixtures("double")


def test_batch_norm_is_folded_into_its_layer():
    def normalized(x):
        x = layers.Conv2D(4, 3, use_bias=False, name="conv")(x)
        x = layers.ReLU()(layers.BatchNormalization(name="bn1")(x))
        x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depth")(x)
        x = layers.ReLU()(layers.BatchNormalization(scale=False, name="bn2")(x))
        x = layers.Dense(5, name="dense")(layers.Flatten()(x))
        return layers.BatchNormalization(name="bn3")(x)

    def plain(x):
        x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
        x = layers.DepthwiseConv2D(
            2, depth_multiplier=2, activation="relu", name="depth"
        )(x)
        return layers.Dense(5, name="dense")(layers.Flatten()(x))

    model, folded = network(normalized), network(plain)
    for name, normalization in (("conv", "bn1"), ("depth", "bn2"), ("dense", "bn3")):
        layer, bn = model.get_layer(name), model.get_layer(normalization)
        scale = 1 / np.sqrt(np.asarray(bn.moving_variance) + bn.epsilon)
        scale = scale * np.asarray(bn.gamma) if bn.scale else scale
        bias = np.asarray(layer.bias) if layer.use_bias else 0.0
        kernel = np.asarray(layer.kernel)
        shape = kernel.shape[2:] if name == "depth" else (-1,)
        shift = (bias - np.asarray(bn.moving_mean)) * scale + np.asarray(bn.beta)
        folded.get_layer(name).set_weights([kernel * scale.reshape(shape), shift])
    image = normal(2, 6, 8, 3)
    assert_close(model(image), folded(image))
    for preset in LRP_PRESETS:
        relevance = seeds(model)
        expected = explained(folded, preset, image, relevance)
        assert_close(explained(model, preset, image, relevance), expected)


def run_steps(graph: Graph, image) -> dict:
    """The value of every step of a graph, its batch-norms folded."""
    values = {0: image}
    for step in graph.steps:
        inputs = [values[source] for source in step.sources]
        if step.weights is None:
            values[step.output] = step.call(*inputs)
        else:
            kernel, bias = step.weights()
            values[step.output] = step.call(*inputs, kernel) + bias
    return values


@pytest.mark.parametrize("name", ENCODERS)
def test_graphs_of_the_encoders_are_the_encoders(name):
    model = architecture(name, has_biases=True)
    graph = read_graph(model)
    image = normal(1, 75, 75, 3).astype(keras.config.floatx())
    values = compiled(lambda x: run_steps(graph, x), model)(image)
    assert_close(values[graph.output], model.predict(image, verbose=0))
    assert not any(step.kind == "normalization" for step in graph.steps)
    for value in graph.nonnegative_values():
        assert np.min(values[value]) >= 0


def test_known_signs_only_save_work(monkeypatch):
    model = network(lambda x: residual_block(inception_block(layers.ReLU()(x))))
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    presets = ("alpha2_beta1", "epsilon_gamma_box")
    expected = [explained(model, preset, image, relevance) for preset in presets]
    monkeypatch.setattr(Graph, "nonnegative_values", lambda self: frozenset())
    for preset, values in zip(presets, expected, strict=True):
        assert_close(explained(model, preset, image, relevance), values)


def test_nested_sequential_shared_and_cut_models_are_unrolled():
    first = layers.Conv2D(3, 3, padding="same", activation="relu")
    second = layers.Conv2D(3, 1, activation="relu")
    inputs = keras.Input((6, 8, 3))
    flat = keras.Model(inputs, second(first(first(inputs))))
    inner = keras.Input((6, 8, 3))
    nested = keras.Model(inner, first(inner))
    outer = keras.Input((6, 8, 3))
    whole = keras.Model(outer, second(nested(nested(outer))))
    sequential = keras.Sequential([keras.Input((6, 8, 3)), nested, first, second])
    randomize(flat, 3)
    image, relevance = normal(2, 6, 8, 3), seeds(flat)
    expected = explained(flat, "alpha1_beta0", image, relevance)
    for model in (whole, sequential):
        assert_close(explained(model, "alpha1_beta0", image, relevance), expected)
    cut = keras.Model(nested.output, second(nested.output))
    alone = keras.Sequential([keras.Input((6, 8, 3)), second])
    expected = explained(alone, "epsilon", image, relevance)
    assert_close(explained(cut, "epsilon", image, relevance), expected)


def test_unsupported_layers_are_named():
    squeezed = network(lambda x: layers.Multiply(name="scale")([x, x]))
    with pytest.raises(ValueError, match=r"'scale' \(Multiply\).*Supported.*Conv2D"):
        LRP(squeezed)
    softmax = network(lambda x: layers.ReLU()(layers.Softmax(name="soft")(x)))
    with pytest.raises(ValueError, match=r"'soft' \(Softmax\).*at the end only"):
        LRP(softmax)
    strange = network(lambda x: layers.Dense(2, activation="sparsemax", name="odd")(x))
    with pytest.raises(ValueError, match=r"'odd' \(Dense\).*activation 'sparsemax'"):
        LRP(strange)
    spread = network(lambda x: x * np.ones((6, 8, 1, 3)), (1, 8, 1))
    with pytest.raises(ValueError, match="constant spreads the signal over more"):
        LRP(spread)
    inputs = [keras.Input((2, 2, 1)), keras.Input((2, 2, 1))]
    with pytest.raises(ValueError, match="must have one input; received 2"):
        LRP(keras.Model(inputs, layers.Add()(inputs)))
