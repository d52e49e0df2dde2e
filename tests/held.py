"""A network with gates, f(z) / z and deviations held constant, by Keras' own layers.

Its gradient times its input is LRP-0.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops
from keras.src.applications.convnext import LayerScale

from keras_lrp.backend import run_once, vector_jacobian_product

NORMALIZING = (
    layers.LayerNormalization,
    layers.RMSNormalization,
    layers.GroupNormalization,
    layers.UnitNormalization,
)
ELEMENTWISE = (
    *(layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.Activation),
    *(layers.Rescaling, layers.Normalization, LayerScale),
)
ONE_SIGNAL = ("Multiply", "Add", "Subtract", "TrueDivide", "Divide", "Relu6")


def gradient(function: Callable, image, weights):
    """Differentiates the weighted sum of a network's or another function's outputs."""

    def slopes(image, weights):
        _, _, (result,) = vector_jacobian_product(
            lambda x: (function(x, training=False), ()), [image], weights
        )
        return result

    arrays = [ops.cast(array, keras.config.floatx()) for array in (image, weights)]
    if isinstance(function, keras.Model):
        return np.asarray(run_once(slopes, *arrays, model=function))
    return np.asarray(slopes(*arrays))  # a held network looks at values


def held_model(model: keras.Model) -> Callable:
    """Returns the network as a function, its constants those of its input."""

    def run(x, **options):
        return model._run_through_graph([x], operation_fn=held)

    return run


def held(layer) -> Callable:
    """Returns what a layer computes, with its constants held."""
    if isinstance(layer, keras.Model):
        return held_model(getattr(layer, "_functional", layer))
    if isinstance(layer, layers.SpectralNormalization):
        return held(layer.layer)
    if isinstance(layer, NORMALIZING):
        return lambda x: scaled(layer, x)
    if isinstance(layer, layers.Multiply):
        return lambda values: gated(*values)
    if isinstance(layer, ELEMENTWISE):
        return lambda x, **options: tied(x, layer(x, **options))
    if getattr(layer, "activation", None) is not None:
        return lambda x, **options: activated(layer, x)
    if isinstance(layer, layers.Layer):
        return lambda *values, **options: layer(*values, **options | inference(layer))
    return lambda *values, **options: operation(layer, *values, **options)


def inference(layer) -> dict:
    return {"training": False} if layer._call_has_training_arg else {}


def operation(layer, *values, **options):
    """An operation with one signal is held; so is the gate of a product."""
    name = type(layer).__name__
    signals = [value for value in values if keras.ops.is_tensor(value)]
    if name in ONE_SIGNAL and len(signals) == 1:
        return tied(*signals, layer(*values, **options))
    return gated(*values) if name == "Multiply" else layer(*values, **options)


def tied(x, outputs):
    """Holds outputs / x."""
    factor = ops.where(x == 0, 0.0, outputs / ops.where(x == 0, 1.0, x))
    return x * ops.stop_gradient(factor)


def activated(layer, x):
    """Holds the activation of a layer with weights."""
    function, layer.activation = layer.activation, keras.activations.linear
    try:
        z = layer(x)
    finally:
        layer.activation = function
    function = function if callable(function) else keras.activations.get(function)
    return tied(z, function(z))


def gated(first, second):
    """Holds the smaller factor, else the one that lies in [0, 1]."""
    factors = [first, second]
    sizes = [int(np.prod(factor.shape)) for factor in factors]
    if sizes[0] == sizes[1]:
        low, high = (np.asarray(part) for part in factors)
        is_gate = low.min() >= 0 and low.max() <= 1
        place = 0 if is_gate else 1
        assert is_gate or (high.min() >= 0 and high.max() <= 1)
    else:
        place = int(np.argmin(sizes))
    gate = ops.stop_gradient(factors[place])
    return gate * factors[1 - place]


def scaled(layer, x):
    """Holds the deviation: what is left is x less its mean, times a constant."""
    centred = x
    if isinstance(layer, layers.LayerNormalization):
        centred = x - ops.mean(x, layer.axis, keepdims=True)
    if isinstance(layer, layers.GroupNormalization):
        *rest, channels = x.shape
        grouped = ops.reshape(x, (*rest, layer.groups, channels // layer.groups))
        axes = (*range(1, len(rest)), len(rest) + 1)
        centred = grouped - ops.mean(grouped, axes, keepdims=True)
        centred = ops.reshape(centred, x.shape)
    shift = getattr(layer, "beta", None)
    shift = 0.0 if shift is None else shift
    if getattr(layer, "beta", None) is not None and len(layer.beta.shape) > 1:
        shift = ops.reshape(layer.beta, (1, *x.shape[1:]))
    outputs = layer(x) - shift
    safe = ops.where(centred == 0, 1.0, centred)
    factor = ops.where(centred == 0, 0.0, outputs / safe)
    return centred * ops.stop_gradient(factor) + shift
