"""Small CNNs with random weights, and comparisons of their relevance."""

import functools

import keras
import numpy as np
from conftest import IS_DOUBLE, randomize
from keras import layers

from keras_lrp import LRP, PRESETS
from models.encoders import ENCODERS

# Until every kind of block was met, of images as small as Keras allows, odd ones too.
CUTS = {
    "resnet50": ("conv3_block2_out", 33),
    "inception_v3": ("mixed9", 75),
}
LRP_PRESETS = [name for name in PRESETS if name not in ("gradient", "guided_backprop")]


def assert_close(actual, expected, tolerance: float = 1e-6) -> None:
    """Compares by the l2 norm.

    In float64 to 1e-6: on JAX, Keras' batch-norm computes in float32 even then. In
    float32 to 1e-3: near-tied max-pool winners flip.
    """
    tolerance = tolerance if IS_DOUBLE else 1e-3
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= tolerance * np.linalg.norm(expected)


def normal(*shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def network(outputs_of, shape=(6, 8, 3), scale: float = 0.5, seed: int = 1):
    """A functional model with random weights: outputs_of(inputs)."""
    inputs = keras.Input(shape)
    model = keras.Model(inputs, outputs_of(inputs))
    randomize(model, seed, scale)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            variance = layer.moving_variance
            variance.assign(1.0 + np.abs(normal(*variance.shape, seed=seed)))
    return model


def explained(model, preset, inputs, relevance, **options) -> np.ndarray:
    return np.asarray(LRP(model, preset, **options)(inputs, relevance=relevance))


def seeds(model, batch: int = 2, words: int = 3) -> np.ndarray:
    return normal(batch, words, *model.output_shape[1:], seed=7)


def residual_block(x, kernel_size: int = 1):
    """conv-bn-relu-conv-bn plus a strided convolution with batch-norm."""
    y = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    y = layers.Activation("relu")(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(5, 3, padding="same")(y))
    shortcut = layers.Conv2D(5, kernel_size, strides=2, padding="same")(x)
    shortcut = layers.BatchNormalization()(shortcut)
    return layers.ReLU()(layers.Add()([y, shortcut]))


def inception_block(x, kernel_size: int = 1):
    """Two convolutions, an average pool and an overlapping max-pool, side by side."""
    pooled = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    branches = [
        layers.Conv2D(4, kernel_size, padding="same", activation="relu")(x),
        layers.Conv2D(2, (3, 4), padding="same", activation="relu")(x),
        layers.Conv2D(3, kernel_size, padding="same", activation="relu")(pooled),
        layers.MaxPooling2D(3, strides=1, padding="same")(x),
    ]
    return layers.Concatenate()(branches)


def everything(x):
    """A classifier with most kinds of layers."""
    x = layers.Rescaling(0.5, offset=0.1)(x)
    x = layers.ZeroPadding2D(((1, 0), (0, 2)))(x)
    x = layers.Conv2D(6, 3, padding="same", dilation_rate=2, activation="relu")(x)
    x = layers.Conv2D(4, 2, groups=2)(x)
    x = layers.BatchNormalization()(layers.LeakyReLU()(x))
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, activation="relu6")(x)
    x = layers.SeparableConv2D(5, 2, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.5)(inception_block(residual_block(x)))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.Flatten()(x)])
    x = layers.BatchNormalization()(layers.Dense(9)(x))
    return layers.Dense(4, activation="softmax")(layers.Activation("tanh")(x))


def architecture(name: str, has_biases: bool) -> keras.Model:
    """One of the encoders for small images, with random weights and batch-norms."""
    model = small_encoder(name, keras.config.floatx())
    generator = np.random.default_rng(5)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean", "bias"):
            shift = generator.normal(scale=0.1, size=weight.shape)
            weight.assign(shift if has_biases else 0 * shift)
    return model


@functools.cache
def small_encoder(name: str, precision: str) -> keras.Model:
    """One of the encoders, or its first blocks, built once in a precision."""
    keras.utils.set_random_seed(4)
    kind = ENCODERS[name]
    last, size = CUTS.get(name, (kind.feature_layer, 33))
    base = kind.build(include_top=False, weights=None, input_shape=(size, size, 3))
    assert base.dtype_policy.compute_dtype == precision
    return keras.Model(base.input, base.get_layer(last).output)
