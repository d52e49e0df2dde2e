"""LRP of whole networks: what is conserved, what the caller gives, the self-check."""

import keras
import numpy as np
import pytest
from cnn import (
    IS_DOUBLE,
    architecture,
    assert_close,
    everything,
    explained,
    network,
    normal,
    residual_block,
    seeds,
)
from conftest import randomize
from keras import layers

from keras_lrp import LRP, PRESETS, class_relevance
from keras_lrp.backend import vector_jacobian_product
from keras_lrp.rules import AlphaBeta, Epsilon

pytestmark = pytest.mark.usefixtures("double")


# vgg19 and resnet101 have the layers of these, only more of them
DISTINCT = ("vgg16", "resnet50", "inception_v3")


@pytest.mark.parametrize("name", DISTINCT)
def test_relevance_of_the_encoders_is_conserved_without_biases(name):
    model = architecture(name, has_biases=False)
    image = normal(1, 75, 75, 3)
    relevance = np.asarray(model(image))[:, None] * (1 + seeds(model, 1, 2) ** 2)
    for preset in ("alpha1_beta0", "epsilon_gamma_box"):
        actual = explained(model, preset, image, relevance)
        assert np.isfinite(actual).all()
        assert_close(actual.sum(axis=(2, 3, 4)), relevance.sum(axis=(2, 3, 4)), 1e-4)


@pytest.mark.skipif(not IS_DOUBLE, reason="tiny denominators need float64")
@pytest.mark.parametrize("name", DISTINCT)
def test_epsilon_on_the_encoders_is_gradient_x_input(name):
    """Of a rectifier network, by autodiff of the model itself; biases included."""
    model = architecture(name, has_biases=True)
    image = normal(1, 75, 75, 3)
    weights = seeds(model, 1, 1)
    relevance = np.asarray(model(image))[:, None] * weights
    _, _, (gradient,) = vector_jacobian_product(
        lambda x: (model(x), ()), [image], keras.ops.convert_to_tensor(weights[:, 0])
    )
    rules = {
        kind: Epsilon(1e-12) if isinstance(rule, Epsilon) else rule
        for kind, rule in PRESETS["epsilon"].items()
    }
    actual = explained(model, rules, image, relevance)[:, 0]
    assert_close(actual, image * np.asarray(gradient))
    actual = explained(model, "gradient", image, weights)[:, 0]
    assert_close(actual, gradient)


@pytest.mark.parametrize("preset", ["alpha1_beta0", "epsilon_gamma_box"])
def test_images_and_words_together_are_as_one_by_one(preset):
    model = network(everything)
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    together = explained(model, preset, image, relevance)
    assert together.shape == (2, 3, 6, 8, 3)
    lrp = LRP(model, preset)
    for b, n in np.ndindex(2, 3):
        alone = lrp(image[b : b + 1], relevance=relevance[b : b + 1, n : n + 1])
        assert_close(together[b, n], np.asarray(alone)[0, 0])


def test_gradient_is_the_derivative_of_the_logits():
    model = network(everything)
    last = model.layers[-1]
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    actual = explained(model, "gradient", image, relevance)
    last.activation = keras.activations.linear
    for word in range(3):
        _, _, (expected,) = vector_jacobian_product(
            lambda x: (model(x), ()),
            [keras.ops.cast(image, keras.config.floatx())],
            keras.ops.cast(relevance[:, word], keras.config.floatx()),
        )
        assert_close(actual[:, word], expected)


def test_classes_are_explained_by_number():
    model = network(everything)
    image = normal(2, 6, 8, 3)
    one_hot = np.zeros((2, 2, 4))
    one_hot[:, 0, 3] = one_hot[:, 1, 1] = 1.0
    expected = explained(model, "epsilon", image, one_hot)
    assert_close(class_relevance(model, image, [3, 1], "epsilon"), expected)
    best = np.eye(4)[np.asarray(model(image)).argmax(1)][:, None]
    expected = explained(model, "alpha1_beta0", image, best)
    assert_close(class_relevance(model, image), expected)
    with pytest.raises(ValueError, match=r"numbers from 0 to 3; received \[4\]"):
        class_relevance(model, image, [4])
    with pytest.raises(ValueError, match=r"need a classifier .*\(None, 3, 4, 5\)"):
        class_relevance(network(residual_block), image)


def test_weights_are_read_at_every_call():
    model = network(residual_block)
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    lrp = LRP(model)
    before = np.asarray(lrp(image, relevance=relevance))
    randomize(model, seed=5)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(np.ones(layer.moving_variance.shape))
    after = np.asarray(lrp(image, relevance=relevance))
    assert_close(after, LRP(model)(image, relevance=relevance))
    assert np.abs(after - before).max() > 1e-3


def test_wrong_arguments_are_explained():
    model = network(residual_block)
    with pytest.raises(ValueError, match=r"preset must be one of alpha1_beta0.*'lrp'"):
        LRP(model, "lrp")
    with pytest.raises(ValueError, match=r"needs the keys convolution.*received dense"):
        LRP(model, {"dense": Epsilon()})
    with pytest.raises(ValueError, match="pixel_range is used by the box rule only"):
        LRP(model, "epsilon", pixel_range=(0, 1))
    with pytest.raises(ValueError, match=r"\(2, 'N', 3, 4, 5\); received \(2, 3, 4, 5"):
        LRP(model)(normal(2, 6, 8, 3), relevance=normal(2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"alpha - beta must be 1.*alpha=2.0"):
        AlphaBeta(2.0, 0.0)
    with pytest.raises(ValueError, match="bias must be 'signed' or 'whole'"):
        AlphaBeta(bias="none")
