"""How normalizing layers become steps.

With the moments of training data they are affine. Where a layer takes the moments of
its own inputs, the deviation is held constant: what is left, to subtract the mean and
to scale, is linear.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from keras_lrp.steps import Call, UnreadableError


def read_batch_normalization(reader, call: Call) -> int:
    """Appends x * scale + bias, with the moving averages."""
    layer = call.layer
    if layer.axis not in (-1, len(call.tensors[0].shape) - 1):
        raise UnreadableError("it must normalize the last axis")

    def weights(dtype=None):
        dtype = dtype or layer.compute_dtype
        variance = ops.cast(layer.moving_variance, dtype)
        scale = 1.0 / ops.sqrt(variance + layer.epsilon)
        scale = scale * ops.cast(layer.gamma, dtype) if layer.scale else scale
        bias = -ops.cast(layer.moving_mean, dtype) * scale
        return scale, bias + ops.cast(layer.beta, dtype) if layer.center else bias

    return reader.append(
        "normalization", call, lambda x, scale: x * scale, weights=weights
    )


def read_normalization(reader, call: Call) -> int:
    """Appends the layer that is adapted to data, entry by entry affine."""
    layer = call.layer

    def function(x):
        mean, variance = _moments(layer, x.dtype)
        deviation = ops.maximum(ops.sqrt(variance), keras.config.epsilon())
        return x * deviation + mean if layer.invert else (x - mean) / deviation

    return reader.append("rescaling", call, function)


def _moments(layer: layers.Normalization, dtype) -> tuple:
    """Reads the moments in full precision, where the layer keeps rounded ones."""
    given = layer.input_mean is not None
    exact = (
        (layer.input_mean, layer.input_variance)
        if given
        else (layer.adapt_mean, layer.adapt_variance)
    )
    rounded = layer.mean, layer.variance
    return tuple(
        ops.broadcast_to(
            ops.reshape(ops.cast(value, dtype), _fitting(value, like)), like.shape
        )
        for value, like in zip(exact, rounded, strict=True)
    )


def _fitting(value, like) -> tuple:
    """The shape of a value with axes of 1 as the other's."""
    shape = np.shape(value) if isinstance(value, list | tuple | float) else value.shape
    if len(shape) == len(like.shape):
        return tuple(shape)
    return tuple(like.shape) if np.prod(shape) > 1 else (1,) * len(like.shape)


def read_layer_normalization(reader, call: Call) -> int:
    """Appends a layer normalization, or one by the root of the mean square."""
    layer = call.layer
    rank = len(call.tensors[0].shape)
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    axes = sorted(axis % rank for axis in axes)
    is_centred = isinstance(layer, layers.LayerNormalization) and not layer.rms_scaling
    of_layer = {name: getattr(layer, name, None) for name in ("gamma", "beta")}
    if isinstance(layer, layers.RMSNormalization):
        of_layer["gamma"] = layer.scale

    def along_axes(weight, x):
        shape = [x.shape[axis] if axis in axes else 1 for axis in range(rank)]
        return ops.reshape(ops.cast(weight, x.dtype), shape)

    def held(x):
        centre = _less_mean(axes) if is_centred else _itself
        squares = ops.mean(ops.square(centre(x)), axes, keepdims=True)
        scale = 1.0 / ops.sqrt(squares + layer.epsilon) * ops.ones_like(x)
        if of_layer["gamma"] is not None:
            scale = scale * along_axes(of_layer["gamma"], x)
        beta = None if of_layer["beta"] is None else along_axes(of_layer["beta"], x)
        return centre, scale, beta

    return _append_held(reader, call, held)


def read_group_normalization(reader, call: Call) -> int:
    """Appends a normalization of groups of channels."""
    layer = call.layer
    rank = len(call.tensors[0].shape)
    if layer.axis % rank != rank - 1:
        raise UnreadableError("it must normalize groups of the last axis")

    def by_group(function):
        def grouped(x):
            *rest, channels = x.shape
            shape = (*rest, layer.groups, channels // layer.groups)
            return ops.reshape(function(ops.reshape(x, shape)), x.shape)

        return grouped

    axes = [*range(1, rank - 1), rank]

    def inverse(x):
        centred = _less_mean(axes)(x)
        variance = ops.mean(ops.square(centred), axes, keepdims=True)
        return 1.0 / ops.sqrt(variance + layer.epsilon) * ops.ones_like(x)

    def held(x):
        scale = by_group(inverse)(x)
        if layer.scale:
            scale = scale * ops.cast(layer.gamma, x.dtype)
        beta = ops.cast(layer.beta, x.dtype) if layer.center else None
        return by_group(_less_mean(axes)), scale, beta

    return _append_held(reader, call, held)


def read_unit_normalization(reader, call: Call) -> int:
    """Appends a division by the norm."""
    axes = call.layer.axis

    def held(x):
        norm = ops.sqrt(ops.sum(ops.square(x), axes, keepdims=True))
        return _itself, ops.ones_like(x) / ops.maximum(norm, 1e-12), None

    return _append_held(reader, call, held)


def _append_held(reader, call: Call, held: Callable) -> int:
    def function(x):
        centre, scale, beta = held(x)
        outputs = centre(x) * scale
        return outputs if beta is None else outputs + beta

    return reader.append("layer_normalization", call, function, held=held)


def _itself(x):
    return x


def _less_mean(axes) -> Callable:
    return lambda x: x - ops.mean(x, axes, keepdims=True)
