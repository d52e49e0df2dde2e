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
from conftest import IS_TORCH, randomize, set_precision
from held import gradient
from keras import layers, ops

from keras_lrp import LRP, PRESETS, class_relevance
from keras_lrp.backend import compiled
from keras_lrp.forward import ForwardCheck
from keras_lrp.layers import ENTRIES
from keras_lrp.rules import AlphaBeta, Epsilon

pytestmark = pytest.mark.usefixtures("double")


# vgg19 and resnet101 have the layers of these, only more of them
DISTINCT = ("vgg16", "resnet50", "inception_v3")


@pytest.mark.parametrize("name", DISTINCT)
def test_relevance_of_the_encoders_is_conserved_without_biases(name):
    model = architecture(name, has_biases=False)
    image = normal(1, *model.input_shape[1:])
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
    image = normal(1, *model.input_shape[1:])
    weights = seeds(model, 1, 1)
    relevance = np.asarray(model(image))[:, None] * weights
    slope = gradient(model, image, weights[:, 0])
    rules = {
        kind: Epsilon(1e-12) if isinstance(rule, Epsilon) else rule
        for kind, rule in PRESETS["epsilon"].items()
    }
    actual = explained(model, rules, image, relevance)[:, 0]
    assert_close(actual, image * slope)
    actual = explained(model, "gradient", image, weights)[:, 0]
    assert_close(actual, slope)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("preset", "outputs_of"),
    [("alpha1_beta0", everything), ("epsilon_gamma_box", residual_block)],
    ids=["alpha1_beta0", "epsilon_gamma_box"],
)
def test_images_and_words_together_are_as_one_by_one(preset, outputs_of):
    model = network(outputs_of)
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    together = explained(model, preset, image, relevance)
    assert together.shape == (2, 3, 6, 8, 3)
    lrp = LRP(model, preset)
    for b, n in np.ndindex(2, 3):
        alone = lrp(image[b : b + 1], relevance=relevance[b : b + 1, n : n + 1])
        assert_close(together[b, n], np.asarray(alone)[0, 0])


@pytest.mark.compiled
def test_gradient_is_the_derivative_of_the_logits():
    model = network(everything)
    last = model.layers[-1]
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    actual = explained(model, "gradient", image, relevance)
    last.activation = keras.activations.linear
    for word in range(3):
        assert_close(actual[:, word], gradient(model, image, relevance[:, word]))


@pytest.mark.compiled
def test_classes_are_explained_by_number():
    model = network(classifier)
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


@pytest.mark.compiled
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


def classifier(x):
    """Two convolutions, a batch-norm that is folded and one that is not."""
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(x))
    x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.BatchNormalization()(layers.Conv2D(5, 2, padding="same")(x))
    x = layers.LayerNormalization()(layers.Activation("silu")(x))
    return layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(x))


@pytest.mark.compiled
def test_one_class_may_be_a_number():
    model, image = network(classifier), normal(2, 6, 8, 3)
    expected = class_relevance(model, image, [1])
    assert_close(class_relevance(model, image, 1), expected)
    assert_close(class_relevance(model, image, np.int64(1)), expected)
    for wrong in (-1, 1.5, [], True, [[1]], "dog"):
        with pytest.raises(ValueError, match=r"from 0 to 3; received .* Give one"):
            class_relevance(model, image, wrong)


def test_wrong_images_are_explained():
    lrp, image = LRP(network(classifier)), normal(2, 6, 8, 3)
    shape = r"shape of the model's input, \(B, 6, 8, 3\); received "
    with pytest.raises(
        ValueError, match=shape + r"\(6, 8, 3\)\. The batch axis is miss"
    ):
        lrp(image[0])
    for wrong in (image[..., :2], image[:, :5], image[:0]):
        with pytest.raises(ValueError, match=shape):
            lrp(wrong)
    with pytest.raises(ValueError, match="array of real numbers; received dtype str"):
        lrp(np.array([["a picture"]]))
    with pytest.raises(ValueError, match="real numbers; received dtype complex"):
        lrp(image.astype("complex64"))
    for number in (np.nan, np.inf):
        image[0, 1, 2, 0] = number
        with pytest.raises(ValueError, match="images must be finite; received NaN or"):
            lrp(image)
    with pytest.raises(
        ValueError, match="precision must be None or one of float32, bfloat16"
    ):
        LRP(lrp.model, precision="float16")


@pytest.mark.parametrize("preset", ["alpha2_beta1", "epsilon_alpha2_beta1"])
def test_outputs_with_summands_of_one_sign_make_no_relevance(preset):
    """Ten batch-norms in a row, each with one summand: zennit's rule gives 2^10."""

    def stack(x):
        x = layers.Conv2D(4, 3, use_bias=False, activation="relu")(x)
        for _ in range(10):
            x = layers.ReLU()(layers.BatchNormalization(epsilon=1e-3)(x))
        x = layers.Conv2D(4, 3, use_bias=False, activation="relu")(x)
        return layers.Dense(1, use_bias=False)(layers.GlobalAveragePooling2D()(x))

    inputs = keras.Input((8, 8, 3))
    keras.utils.set_random_seed(0)
    model = keras.Model(inputs, stack(inputs))
    image = normal(1, 8, 8, 3)
    found = np.asarray(class_relevance(model, image, 0, preset)).sum()
    assert abs(found - 1.0) < 2e-3  # the stabilizer of the dense layer
    zennit = np.asarray(class_relevance(model, image, 0, "alpha2_beta1_zennit")).sum()
    assert abs(zennit - 1024.0) < 2e-3 * 1024


@pytest.mark.parametrize(
    "last", ["sigmoid", "softmax", "log_softmax", "layer", "operation", "reshaped"]
)
def test_what_turns_logits_into_probabilities_is_left_out(last):
    def stack(x):
        x = layers.Conv2D(4, 3, activation="relu")(x)
        return layers.GlobalAveragePooling2D()(x)

    def squashed(x):
        if last == "operation":
            return ops.sigmoid(x)
        if last == "layer":
            return layers.Softmax()(x)
        x = layers.Activation("softmax" if last == "reshaped" else last)(x)
        return layers.Reshape((2,))(x) if last == "reshaped" else x

    inputs = keras.Input((6, 8, 3))
    head = layers.Dense(2)
    logits = head(stack(inputs))
    model, plain = keras.Model(inputs, squashed(logits)), keras.Model(inputs, logits)
    head.bias.assign(np.full(2, 30.0))
    image = normal(2, 6, 8, 3)
    for preset in ("gradient", "epsilon_plus"):
        expected = LRP(plain, preset)(image, classes=[0, 1])
        assert np.abs(np.asarray(expected)).max() > 0
        assert_close(LRP(model, preset)(image, classes=[0, 1]), expected)


@pytest.mark.parametrize("preset", ["alpha1_beta0", "epsilon_plus", "alpha2_beta1"])
def test_a_head_with_small_logits_keeps_its_relevance(preset):
    def stack(x):
        x = layers.Conv2D(4, 3, use_bias=False, activation="relu")(x)
        return layers.Dense(3, use_bias=False)(layers.GlobalAveragePooling2D()(x))

    model, image = network(stack), normal(2, 6, 8, 3)
    expected = np.asarray(class_relevance(model, image, [0, 1, 2], preset))
    for layer in (model.layers[1], model.layers[-1]):
        layer.kernel.assign(1e-4 * np.asarray(layer.kernel))
    found = class_relevance(model, image, [0, 1, 2], preset)
    assert_close(found, expected)
    sums = np.asarray(found).sum((2, 3, 4))
    assert np.abs(sums - 1.0).max() < 2e-2


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_any_precision_is_explained_in_float32(policy):
    set_precision("float32")
    single = network(classifier)
    keras.config.set_dtype_policy(policy)
    half = network(classifier)
    set_precision("float32")
    if "mixed" not in policy:  # its weights are rounded
        single.set_weights([np.asarray(w, "float32") for w in half.get_weights()])
    image = normal(2, 6, 8, 3).astype("float32")
    for preset in ("alpha1_beta0", "epsilon_gamma_box", "gradient"):
        found = np.asarray(LRP(half, preset)(image, classes=[2]))
        assert found.dtype == np.float32
        expected = np.asarray(LRP(single, preset)(image, classes=[2]))
        assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)


class Doubled(layers.Conv2D):
    """Seems a convolution, and reads another kernel than it computes with."""

    is_doubled = False

    def call(self, inputs):
        outputs = super().call(inputs)
        return 2.0 * outputs if self.is_doubled else outputs


def test_a_network_that_computes_something_else_is_refused(monkeypatch):
    monkeypatch.setitem(ENTRIES, Doubled, ENTRIES[layers.Conv2D])
    model = network(lambda x: layers.ReLU()(Doubled(4, 3, name="odd")(x)))
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    lrp = LRP(model)
    lrp(image, relevance=relevance)
    model.get_layer("odd").is_doubled = True
    lrp(image, relevance=relevance)  # no weights were assigned: not noticed
    kernel = model.get_layer("odd").kernel
    kernel.assign(1.5 * np.asarray(kernel))
    with pytest.raises(ValueError, match=r"'odd' \(Doubled\).*computes something else"):
        lrp(image, relevance=relevance)
    with pytest.raises(ValueError, match=r"'odd' \(Doubled\)"):
        LRP(model, "epsilon")(image, relevance=relevance)


@pytest.mark.compiled
def test_the_check_runs_once_for_the_same_weights(monkeypatch):
    model, image = network(residual_block), normal(2, 6, 8, 3)
    lrp, relevance, runs = LRP(model), seeds(model), []
    compare = ForwardCheck._differences
    monkeypatch.setattr(
        ForwardCheck,
        "_differences",
        lambda self, images: runs.append(images) or compare(self, images),
    )
    for _ in range(2):
        lrp(image, relevance=relevance)
    assert [images.shape[0] for images in runs] == [1]
    weight = model.layers[1].kernel
    values = np.array(weight)
    values[0, 0, 0, 0] += 1e-3
    weight.assign(values)
    lrp(image, relevance=relevance)
    assert len(runs) == 2


@pytest.mark.compiled
def test_a_call_in_a_compiled_function_is_not_checked(monkeypatch):
    model, image = network(residual_block), normal(2, 6, 8, 3)
    lrp, relevance = LRP(model), seeds(model)
    expected = lrp(image, relevance=relevance)
    if not IS_TORCH:  # which compiles nothing
        monkeypatch.setattr(ForwardCheck, "__call__", None)
    dtype = keras.config.floatx()

    def one_by_one(images, relevance):
        return ops.map(
            lambda pair: lrp(pair[0][None], relevance=pair[1][None])[0],
            (images, relevance),
        )

    found = compiled(one_by_one, model)(
        ops.cast(image, dtype), ops.cast(relevance, dtype)
    )
    assert_close(found, expected)


def test_bfloat16_of_the_backward_pass():
    """Balanced within 1 %, and the same order of pixels."""
    set_precision("float32")

    def stack(x):
        x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(residual_block(x, 3))
        return layers.Dense(3)(layers.Flatten()(x))

    model = network(stack, (16, 16, 3))
    for weight in model.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(np.zeros(weight.shape))
    image = normal(2, 16, 16, 3).astype("float32")
    relevance = (
        np.abs(seeds(model, words=2)) * np.abs(np.asarray(model(image)))[:, None]
    )
    for preset in ("alpha1_beta0", "epsilon_plus", "alpha2_beta1"):
        expected = explained(model, preset, image, relevance)
        found = explained(model, preset, image, relevance, precision="bfloat16")
        assert found.dtype == np.float32
        assert not np.array_equal(found, expected)
        sums = found.sum((2, 3, 4)) / expected.sum((2, 3, 4))
        assert np.abs(sums - 1.0).max() < 0.01
        for b, n in np.ndindex(2, 2):
            maps = (values[b, n].sum(-1).ravel() for values in (found, expected))
            ranks = [values.argsort().argsort() for values in maps]
            assert np.corrcoef(*ranks)[0, 1] > 0.999


def test_constants_in_double_leave_single_precision_as_it_is():
    set_precision("float32")
    mean = np.full((1, 1, 1, 3), 0.5)  # float64, as numpy makes it
    model = network(lambda x: layers.Conv2D(2, 3)((x - mean) / 255.0))
    image, relevance = normal(1, 6, 8, 3).astype("float32"), seeds(model, 1, 1)
    found = explained(model, "gradient", image, relevance)
    plain = network(lambda x: layers.Conv2D(2, 3)(x))
    expected = explained(plain, "gradient", image, relevance) / 255.0
    assert found.dtype == np.float32
    assert_close(found, expected, 1e-4)
