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
from conftest import CONVOLUTIONAL, randomize
from held import gradient
from keras import layers, ops

from keras_lrp import LRP
from keras_lrp.backend import compiled
from keras_lrp.graph import Graph, read_graph

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


@pytest.mark.parametrize("name", sorted({*CONVOLUTIONAL} - {"vgg19", "resnet101"}))
def test_graphs_of_the_encoders_are_the_encoders(name):
    """vgg19 and resnet101 have the layers of others, only more of them."""
    model = architecture(name, has_biases=True)
    graph = read_graph(model)
    image = normal(1, *model.input_shape[1:]).astype(keras.config.floatx())
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


def classifier(x, activation=None):
    x = layers.Conv2D(4, 3, activation="relu")(x)
    return layers.Dense(3, activation=activation)(layers.GlobalAveragePooling2D()(x))


class OwnGraph(keras.Model):
    """Functional, by a subclass."""

    def __init__(self):
        inputs = keras.Input((6, 8, 3))
        super().__init__(inputs, classifier(inputs))


class OwnCall(keras.Model):
    """Computes in its own `call`; it has no configuration."""

    def __init__(self, refuses_symbols: bool = False):
        super().__init__()
        self.refuses_symbols = refuses_symbols
        self.convolution = layers.Conv2D(4, 3, activation="relu")
        self.dropout = layers.Dropout(0.5)
        self.dense = layers.Dense(3, activation="softmax")

    def call(self, x, training=False):
        if self.refuses_symbols and isinstance(x, keras.KerasTensor):
            raise RuntimeError("no symbols")
        x = self.dropout(self.convolution(x), training=training)
        return self.dense(ops.mean(x, (1, 2)))

    def get_config(self):
        raise NotImplementedError


def plain_copy(model, weights_of=None) -> keras.Model:
    """The same classifier as a functional model."""
    copy = network(classifier)
    copy.set_weights((weights_of or model).get_weights())
    return copy


def test_nested_models_may_end_a_model():
    inner = network(classifier)
    inputs = keras.Input((6, 8, 3))
    outer = keras.Model(inputs, inner(layers.Rescaling(1 / 255.0)(inputs)))
    image, relevance = normal(2, 6, 8, 3), seeds(inner)
    expected = explained(inner, "epsilon_plus", image, relevance)
    found = explained(outer, "epsilon_plus", 255.0 * image, relevance)
    assert_close(found, expected)


def test_dicts_and_lists_of_one_are_one():
    inputs = keras.Input((6, 8, 3), name="x")
    model = keras.Model({"x": inputs}, {"scores": classifier(inputs)})
    outer = keras.Model([inputs], [model({"x": inputs})["scores"]])
    image, relevance = normal(2, 6, 8, 3), seeds(outer)
    expected = explained(plain_copy(model), "epsilon", image, relevance)
    for one, images in ((model, image), (model, {"x": image}), (outer, image)):
        assert_close(explained(one, "epsilon", images, relevance), expected)
    assert LRP(model)(image).shape == (2, 1, 6, 8, 3)


def test_several_inputs_and_outputs_are_named():
    inputs = keras.Input((6, 8, 3), name="x")
    outputs = {"a": classifier(inputs), "b": layers.ReLU(name="second")(inputs)}
    with pytest.raises(ValueError, match=r"must have one output; received 2: .*Make a"):
        LRP(keras.Model(inputs, outputs))


def test_subclasses_of_functional_models_are_explained():
    model = OwnGraph()
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    expected = explained(plain_copy(model), "epsilon_plus", image, relevance)
    assert_close(explained(model, "epsilon_plus", image, relevance), expected)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match=r"Expected a keras\.Model; received str\."):
        LRP("model.keras")


def test_models_with_a_call_of_their_own_are_read_by_calling_them():
    model, image = OwnCall(), normal(2, 6, 8, 3)
    with pytest.raises(ValueError, match="it has no weights yet; call it on an input"):
        LRP(model)
    model(image)
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    relevance = normal(2, 2, 3)
    for preset in ("epsilon_plus", "gradient", "guided_backprop"):
        expected = explained(plain_copy(model), preset, image, relevance)
        assert_close(explained(model, preset, image, relevance), expected)
    assert nodes == [len(layer._inbound_nodes) for layer in model.layers]
    inputs = keras.Input((6, 8, 3))
    outer = keras.Model(inputs, model(layers.Rescaling(2.0)(inputs)))
    expected = explained(plain_copy(model), "epsilon_plus", image, relevance)
    assert_close(explained(outer, "epsilon_plus", image / 2, relevance), expected)


def test_what_cannot_be_called_on_symbols_has_a_gradient_only():
    model, image = OwnCall(refuses_symbols=True), normal(2, 6, 8, 3)
    model(image)
    with pytest.raises(ValueError, match="it computes in a `call` of its own"):
        LRP(model)
    weights = normal(2, 1, 3)
    found = explained(model, "gradient", image, weights)[:, 0]
    assert_close(found, gradient(model, image, weights[:, 0]))


def test_a_wrapped_model_and_a_sequential_one_are_alike():
    base = network(residual_block)
    sequential = keras.Sequential([keras.Input((6, 8, 3)), base, layers.Flatten()])
    inputs = keras.Input((6, 8, 3))
    wrapped = keras.Model(inputs, sequential(inputs))
    image, relevance = normal(2, 6, 8, 3), seeds(base)
    expected = explained(base, "alpha1_beta0", image, relevance)
    flat = relevance.reshape(2, 3, -1)
    for model in (sequential, wrapped):
        assert_close(explained(model, "alpha1_beta0", image, flat), expected)
