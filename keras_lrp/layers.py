"""How each kind of Keras layer becomes the steps of a graph.

A layer that is not listed in `READERS` is supported by one function here: it takes
the reader, the layer and the numbers of its input values, appends steps, and returns
the number of the output value.
"""

from collections.abc import Callable

import numpy as np
from keras import ops

RECTIFIERS = ("relu", "relu6")
ACTIVATIONS = (
    *RECTIFIERS,
    *("linear", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid"),
)


def unsupported(layer, reason: str) -> ValueError:
    """Returns the error that names a layer and what is supported."""
    return ValueError(
        f"Layer {layer.name!r} ({type(layer).__name__}) cannot be explained: {reason}. "
        f"Supported layers: {', '.join(READERS)}; activations: "
        f"{', '.join(ACTIVATIONS)}, and softmax at the end. Build a keras.Model that "
        "ends before this layer, or add a reader to models/layer_kinds.py."
    )


def _activation(reader, layer, sources) -> int:
    """Appends the activation function of a layer."""
    function = layer.activation
    name = getattr(function, "__name__", "linear" if function is None else "unnamed")
    if name == "linear":
        return sources[0]
    if name == "softmax":
        return reader.append("softmax", layer, sources, function)
    if name not in ACTIVATIONS:
        raise unsupported(layer, f"there is no rule for its activation {name!r}")
    if name in RECTIFIERS:
        return reader.append("rectifier", layer, sources, function, nonnegative=True)
    return reader.append("activation", layer, sources, function)


def _convolution(reader, layer, sources) -> int:
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    output = reader.append(
        "convolution",
        layer,
        sources,
        _convolve(ops.depthwise_conv if depthwise else ops.conv, layer),
        weights=_weights(layer, "kernel"),
        stackable=not depthwise and layer.groups == 1,
    )
    return _activation(reader, layer, (output,))


def _separable_convolution(reader, layer, sources) -> int:
    output = reader.append(
        "convolution",
        layer,
        sources,
        _convolve(ops.depthwise_conv, layer),
        weights=_weights(layer, "depthwise_kernel", None),
    )
    output = reader.append(
        "convolution",
        layer,
        (output,),
        lambda x, kernel: ops.conv(x, kernel, data_format="channels_last"),
        weights=_weights(layer, "pointwise_kernel"),
        stackable=True,
    )
    return _activation(reader, layer, (output,))


def _dense(reader, layer, sources) -> int:
    output = reader.append(
        "dense",
        layer,
        sources,
        ops.matmul,
        weights=_weights(layer, "kernel"),
        stackable=True,
    )
    return _activation(reader, layer, (output,))


def _batch_normalization(reader, layer, sources) -> int:
    if layer.axis not in (-1, len(layer.input.shape) - 1):
        raise unsupported(layer, "it must normalize the last axis")

    def weights():
        scale = 1.0 / ops.sqrt(layer.moving_variance + layer.epsilon)
        scale = scale * layer.gamma if layer.scale else scale
        bias = -layer.moving_mean * scale
        bias = bias + layer.beta if layer.center else bias
        return ops.cast(scale, layer.compute_dtype), ops.cast(bias, layer.compute_dtype)

    return reader.append(
        "normalization", layer, sources, lambda x, scale: x * scale, weights=weights
    )


def _rectifier(reader, layer, sources) -> int:
    if layer.negative_slope:
        return reader.append("activation", layer, sources, layer)
    return reader.append("rectifier", layer, sources, layer, nonnegative=True)


def _rescaling(reader, layer, sources) -> int:
    keeps_sign = np.all(layer.scale >= 0) and np.all(layer.offset >= 0)
    return reader.append("rescaling", layer, sources, layer, keeps_sign=keeps_sign)


def _max_pool(reader, layer, sources) -> int:
    tiles = layer.pool_size == layer.strides
    return reader.append(
        "max_pool",
        layer,
        sources,
        layer,
        keeps_sign=True,
        window=layer.pool_size if tiles else None,
    )


def _global_max_pool(reader, layer, sources) -> int:
    def call(x):
        # One window as large as the image: of equals, ops.max would reward all.
        size = tuple(x.shape[1:3])
        pooled = ops.max_pool(x, size, size, data_format="channels_last")
        return pooled if layer.keepdims else ops.squeeze(pooled, (1, 2))

    return reader.append("max_pool", layer, sources, call, keeps_sign=True)


def _sum(reader, layer, sources) -> int:
    if len(sources) < 2:
        raise unsupported(layer, "a sum with a constant has no rule")
    coefficients = {
        "Add": (1.0,) * len(sources),
        "Subtract": (1.0, -1.0),
        "Average": (1.0 / len(sources),) * len(sources),
    }[type(layer).__name__]
    return reader.append(
        "sum",
        layer,
        sources,
        lambda *values: sum(c * v for c, v in zip(coefficients, values, strict=True)),
        keeps_sign=min(coefficients) > 0,
        coefficients=coefficients,
    )


def _concatenate(reader, layer, sources) -> int:
    return reader.append(
        "concatenate",
        layer,
        sources,
        lambda *values: ops.concatenate(values, axis=layer.axis),
        keeps_sign=True,
    )


def _one_step(kind: str, keeps_sign: bool = True) -> Callable:
    """Reads layers that are one step, computed by the layer itself."""
    return lambda reader, layer, sources: reader.append(
        kind, layer, sources, layer, keeps_sign=keeps_sign
    )


def _nothing(reader, layer, sources) -> int:
    return sources[0]


READERS = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "SeparableConv2D": _separable_convolution,
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "Activation": _activation,
    "ReLU": _rectifier,
    "LeakyReLU": _one_step("activation", keeps_sign=False),
    "ELU": _one_step("activation", keeps_sign=False),
    "Softmax": _one_step("softmax"),
    "Rescaling": _rescaling,
    "MaxPooling2D": _max_pool,
    "GlobalMaxPooling2D": _global_max_pool,
    "AveragePooling2D": _one_step("average_pool"),
    "GlobalAveragePooling2D": _one_step("average_pool"),
    **dict.fromkeys(
        ("ZeroPadding2D", "Cropping2D", "Flatten", "Reshape", "Permute"),
        _one_step("reshape"),
    ),
    **dict.fromkeys(
        ("Dropout", "SpatialDropout2D", "GaussianNoise", "Identity"), _nothing
    ),
    **dict.fromkeys(("Add", "Subtract", "Average"), _sum),
    "Concatenate": _concatenate,
}


def _convolve(function: Callable, layer) -> Callable:
    return lambda inputs, kernel: function(
        inputs,
        kernel,
        strides=layer.strides,
        padding=layer.padding,
        data_format="channels_last",
        dilation_rate=layer.dilation_rate,
    )


def _weights(layer, kernel: str, bias: str | None = "bias") -> Callable:
    def weights():
        dtype = layer.compute_dtype
        values = getattr(layer, bias) if bias and layer.use_bias else ops.zeros(1)
        return ops.cast(getattr(layer, kernel), dtype), ops.cast(values, dtype)

    return weights
