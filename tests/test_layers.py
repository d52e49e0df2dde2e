"""Each kind of layer: its relevance, its derivative, and what is refused."""

import warnings

import keras
import numpy as np
import pytest
from cnn import IS_DOUBLE, assert_close, explained, network, normal, seeds
from conftest import set_precision
from held import gradient, held_model
from keras import layers, ops

from keras_lrp import LRP, PRESETS
from keras_lrp.activations import describe_activation
from keras_lrp.rules import Epsilon

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("double")]
LRP_0 = {
    kind: Epsilon(1e-12) if isinstance(rule, Epsilon) else rule
    for kind, rule in PRESETS["epsilon"].items()
}


def gated(x, kind: str):
    """A signal times a gate, in the ways that networks write it."""
    if kind == "excitation":
        gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Multiply()([x, layers.Dense(3, "sigmoid")(gate)])
    if kind == "hard_sigmoid":
        return ops.relu6(layers.Conv2D(3, 1)(x) + 3.0) * (1.0 / 6.0) * x
    if kind == "softmax":
        return layers.Softmax()(layers.Conv2D(3, 1)(x)) * x
    gate = layers.Conv2D(3, 1, activation="sigmoid")(x)
    return layers.Multiply()([gate, layers.Conv2D(3, 1, activation="tanh")(x)])


def means():
    return np.array([0.5, 1.0, 1.5])


KINDS = {
    "normalization": lambda x: layers.Normalization(mean=means(), variance=means())(x),
    "inverted": lambda x: layers.Normalization(
        mean=means(), variance=means(), invert=True
    )(x),
    "rescaling_list": lambda x: layers.Rescaling(
        [0.1, 0.2, 0.3], offset=[0.0, 1.0, 2.0]
    )(x),
    "quotient": lambda x: (x - means()) / 255.0,
    "reversed": lambda x: 1.0 - 2.0 * x,
    "resizing": lambda x: layers.Resizing(9, 7)(x),
    "resizing_bicubic": lambda x: layers.Resizing(9, 7, interpolation="bicubic")(x),
    "resizing_padded": lambda x: layers.Resizing(9, 7, pad_to_aspect_ratio=True)(x),
    "center_crop": lambda x: layers.CenterCrop(5, 6)(x),
    "center_crop_larger": lambda x: layers.CenterCrop(9, 12)(x),
    "random_crop": lambda x: layers.RandomCrop(6, 8)(x),
    "slices": lambda x: ops.pad(x[:, 1:], ((0, 0), (1, 2), (0, 1), (0, 0))),
    "flipped": lambda x: ops.concatenate([ops.flip(x, 1), x], -1),
    "transposed": lambda x: ops.transpose(x, (0, 2, 1, 3)),
    "mean": lambda x: x - ops.mean(x, (1, 2), keepdims=True),
    "up_sampling": lambda x: layers.UpSampling2D(2)(x),
    "up_sampling_bilinear": lambda x: layers.UpSampling2D(2, interpolation="bilinear")(
        x
    ),
    "transposed_convolution": lambda x: layers.BatchNormalization()(
        layers.Conv2DTranspose(4, 3, strides=2)(x)
    ),
    "depthwise_by_groups": lambda x: layers.Conv2D(6, 3, groups=3)(x),
    "einsum_dense": lambda x: layers.EinsumDense("abcd,de->abce", (6, 8, 5))(x),
    "spectral": lambda x: layers.SpectralNormalization(layers.Conv2D(4, 3))(x),
    "layer_normalization": lambda x: layers.LayerNormalization()(x),
    "layer_normalization_of_all": lambda x: layers.LayerNormalization(axis=[1, 2, 3])(
        x
    ),
    "rms_normalization": lambda x: layers.RMSNormalization()(x),
    "group_normalization": lambda x: layers.GroupNormalization(3)(x),
    "instance_normalization": lambda x: layers.GroupNormalization(1)(x),
    "unit_normalization": lambda x: layers.UnitNormalization()(x),
    "activation_layer": lambda x: layers.Conv2D(4, 3, activation=layers.LeakyReLU())(x),
    "prelu": lambda x: layers.PReLU(shared_axes=[1, 2])(x),
    "adaptive_average": lambda x: layers.AdaptiveAveragePooling2D((3, 4))(x),
    "adaptive_max": lambda x: layers.AdaptiveMaxPooling2D((3, 4))(x),
    **{
        f"gate_{kind}": lambda x, kind=kind: gated(x, kind)
        for kind in ("excitation", "hard_sigmoid", "softmax", "two")
    },
    **{
        name: lambda x, name=name: layers.Activation(name)(x)
        for name in ("hard_sigmoid", "hard_swish", "mish", "swish", "celu", "softplus")
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_relevance_and_derivative_of_each_kind(kind):
    """LRP-0 is gradient x input with gates, f(z) / z and deviations held constant."""

    def stack(x):
        return layers.Conv2D(2, 3, activation="relu")(KINDS[kind](x))

    model = network(stack)
    image = 1.0 + normal(2, 6, 8, 3)
    weights = seeds(model, words=2)
    found = explained(model, "gradient", image, weights)
    for target in range(2):
        assert_close(found[:, target], gradient(model, image, weights[:, target]))
    if not IS_DOUBLE:
        return  # tiny denominators need float64
    relevance = weights * np.asarray(model(image, training=False))[:, None]
    found = explained(model, LRP_0, image, relevance)
    for target in range(2):
        held = gradient(held_model(model), image, weights[:, target])
        assert_close(found[:, target], image * held)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_one_and_three_dimensions(dimensions):
    def of(name: str, *arguments, **options):
        kind = getattr(layers, name.format(dimensions))
        return kind(*arguments, **options)

    is_precise = IS_DOUBLE and dimensions == 1
    if dimensions == 3:
        set_precision("float32")  # TensorFlow pools volumes in nothing else on a CPU
    crop = (0, 1) if dimensions == 1 else 0

    def stack(x):
        x = of("Conv{}D", 4, 3)(of("ZeroPadding{}D", 1)(x))
        x = layers.ReLU()(layers.BatchNormalization()(x))
        if dimensions == 1:
            x = layers.DepthwiseConv1D(2, activation="relu")(x)
            x = layers.SeparableConv1D(5, 2, padding="same", activation="relu")(x)
            x = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)(x)
        x = of("AveragePooling{}D", 2, strides=1)(of("MaxPooling{}D", 2)(x))
        x = of("Conv{}DTranspose", 4, 2, strides=2)(of("Cropping{}D", crop)(x))
        x = of("SpatialDropout{}D", 0.5)(of("UpSampling{}D", 2)(x))
        x = ops.concatenate(
            [of("GlobalMaxPooling{}D")(x), of("GlobalAveragePooling{}D")(x)], -1
        )
        return layers.Dense(3)(x)

    model = network(stack, (8,) * dimensions + (2,))
    image = normal(2, *model.input_shape[1:])
    weights = seeds(model, words=1)
    found = explained(model, "gradient", image, weights)[:, 0]
    tolerance = 1e-6 if is_precise else 1e-4
    assert_close(found, gradient(model, image, weights[:, 0]), tolerance)
    if is_precise:
        relevance = weights * np.asarray(model(image))[:, None]
        found = explained(model, LRP_0, image, relevance)[:, 0]
        held = gradient(held_model(model), image, weights[:, 0])
        assert_close(found, image * held)
    for preset in ("epsilon_gamma_box", "alpha2_beta1"):
        assert np.isfinite(explained(model, preset, image, weights)).all()


@pytest.mark.parametrize(
    "name",
    [
        *("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
        *("SpatialDropout2D", "RandomFlip", "RandomRotation", "RandomZoom"),
        *("RandomContrast", "RandomBrightness", "RandomTranslation", "RandomHue"),
        "ActivityRegularization",
    ],
)
def test_what_acts_in_training_only_passes(name):
    options = {
        "ActivityRegularization": {"l1": 0.1},
        "RandomFlip": {},
        "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
        "RandomHue": {"factor": 0.2, "value_range": (0, 1)},
    }.get(name)
    layer = getattr(layers, name)(
        *(() if options is not None else (0.2,)), **options or {}
    )
    convolution = layers.Conv2D(2, 3, activation="relu")
    model = network(lambda x: convolution(layer(x)))
    plain = keras.Sequential([keras.Input((6, 8, 3)), convolution])
    image, relevance = np.abs(normal(2, 6, 8, 3)) % 1.0, seeds(model)
    expected = explained(plain, "alpha1_beta0", image, relevance)
    assert_close(explained(model, "alpha1_beta0", image, relevance), expected)


def test_activations_are_told_by_their_values():
    def kind(function):
        known = describe_activation(function)
        return None if known is None else (known.kind, known.squashes)

    of = keras.activations
    assert kind(of.linear) == ("linear", False)
    for function in (of.relu, of.relu6, ops.relu, lambda x: ops.maximum(x, 0.0)):
        assert kind(function) == ("rectifier", False)
    for function in (of.softmax, of.log_softmax, lambda x: ops.softmax(x, -1)):
        assert kind(function) == ("softmax", True)
    assert kind(of.sigmoid) == ("activation", True)
    for name in ("silu", "tanh", "softsign", "elu", "squareplus", "hard_shrink"):
        assert kind(of.get(name)) == ("activation", False)
    assert kind(of.sparsemax) is None
    assert kind(of.glu) is None
    assert kind(lambda x: x / ops.max(x)) is None
    assert describe_activation(of.relu6).interval == (0.0, 6.0)


class Dropout(layers.Layer):
    """No dropout: a user's layer of that name."""

    def call(self, x):
        return 3.0 * x


class LoudDropout(layers.Dropout):
    """Overrides what a layer of Keras computes."""

    def call(self, inputs, training=False):
        return 3.0 * inputs


class PlainConvolution(layers.Conv2D):
    """Computes what its parent does."""


def test_a_users_layer_is_refused_or_its_kind():
    for layer in (Dropout(name="mine"), LoudDropout(0.5, name="mine")):
        model = network(lambda x, layer=layer: layers.Conv2D(2, 3)(layer(x)))
        with pytest.raises(ValueError, match=r"'mine' .*cannot be explained"):
            LRP(model)
        image, weights = normal(2, 6, 8, 3), seeds(model, words=1)
        found = explained(model, "gradient", image, weights)[:, 0]
        assert_close(found, gradient(model, image, weights[:, 0]))
    same = network(lambda x: PlainConvolution(2, 3)(x))
    plain = network(lambda x: layers.Conv2D(2, 3)(x))
    relevance = seeds(same)
    assert_close(
        explained(same, "epsilon", image, relevance),
        explained(plain, "epsilon", image, relevance),
    )


def test_quantised_kernels_are_refused():
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    model = network(lambda x: layers.Dense(2, name="head")(layers.Flatten()(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.quantize("int8")
    with pytest.raises(ValueError, match=r"'head' .*kernel is quantised \(int8\)"):
        LRP(model)


def test_products_without_a_gate_are_refused():
    two = network(lambda x: layers.Multiply()([x, layers.Conv2D(3, 1)(x)]))
    with pytest.raises(ValueError, match=r"neither factor .* known to be a gate"):
        LRP(two)
    square = network(lambda x: x * x)
    with pytest.raises(ValueError, match="it squares a signal"):
        LRP(square)
    image, weights = normal(2, 6, 8, 3), seeds(square, words=1)
    found = explained(square, "gradient", image, weights)[:, 0]
    assert_close(found, 2 * image * weights[:, 0])


def test_what_mixes_images_is_refused():
    mixed = network(lambda x: ops.concatenate([x, x], axis=0))
    with pytest.raises(ValueError, match="it mixes the images of a batch"):
        LRP(mixed)
    mean = network(lambda x: x - ops.mean(x, axis=0, keepdims=True))
    with pytest.raises(ValueError, match="it mixes the images of a batch"):
        LRP(mean)


def test_a_gate_by_hand():
    """The signal 2 and 3 times the gates 0.5 and 0.25: the signal takes all."""
    inputs = keras.Input((1, 1, 2))
    gates = layers.Conv2D(2, 1, activation="sigmoid", name="gates")(inputs)
    model = keras.Model(inputs, layers.Multiply()([gates, inputs]))
    image = np.array([2.0, 3.0]).reshape(1, 1, 1, 2)
    logit = -np.log(3.0) / 3.0
    kernel = np.array([[0.0, 0.0], [0.0, logit]]).reshape(1, 1, 2, 2)
    model.get_layer("gates").set_weights([kernel, np.zeros(2)])
    assert_close(np.ravel(model(image)), [1.0, 0.75])
    relevance = np.array([4.0, -5.0]).reshape(1, 1, 1, 1, 2)
    found = explained(model, "alpha1_beta0", image, relevance)
    assert_close(found.ravel(), [4.0, -5.0])
