"""How each kind of Keras layer becomes the steps of a graph.

A kind of layer is supported by one function here and its entry in `ENTRIES`: it takes
the reader and the call, appends steps, and returns the number of the output value.
Layers are known by their classes. Operations of `keras.ops` have their entries in
keras_operations.py.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from keras_lrp import linear_layers, normalizations
from keras_lrp.activations import (
    read_activation,
    read_activation_layer,
    read_softmax,
)
from keras_lrp.keras_operations import read_operation
from keras_lrp.products import read_product
from keras_lrp.steps import ANY, Call, UnreadableError


def unsupported(layer, reason: str) -> ValueError:
    """Returns the error that names a layer and what is supported."""
    names = sorted({kind.__name__ for kind in ENTRIES})
    return ValueError(
        f"Layer {layer.name!r} ({type(layer).__name__}) cannot be explained: {reason}. "
        f"Supported layers: {', '.join(names)}; the activations of keras.activations "
        "that treat each entry alone, and softmax at the end. Build a keras.Model that "
        "ends before this layer, add its entry in keras_lrp/layers.py, or choose the "
        "preset 'gradient' or 'guided_backprop', which need no rule."
    )


def find_entry(call: Call) -> tuple[Callable | None, str]:
    """Returns the function that reads a call, or None and the reason why none does."""
    layer = call.layer
    if isinstance(layer, keras.Model):
        return None, "it computes in a `call` of its own, which cannot be read"
    if getattr(layer, "quantization_mode", None) is not None:
        return None, f"its kernel is quantised ({layer.quantization_mode})"
    if not isinstance(layer, layers.Layer):
        return read_operation, ""
    if getattr(layer, "data_format", None) not in (None, "channels_last"):
        return None, "only data_format='channels_last' is supported"
    for kind in type(layer).__mro__:
        if kind in ENTRIES:
            if overrides(layer, kind):
                return None, f"it computes otherwise than {kind.__name__}"
            return ENTRIES[kind], ""
    return None, "there is no rule for this type of layer"


def overrides(layer, kind: type) -> bool | None:
    """Whether a layer computes otherwise than its kind; None: it is not of the kind."""
    if not isinstance(layer, kind):
        return None
    return any(
        getattr(type(layer), name, None) is not getattr(kind, name, None)
        for name in ("call", "__call__", "convolution_op")
    )


def _scaled(factor_of: Callable, interval_of: Callable | None = None) -> Callable:
    """Reads layers that compute factor * input + offset, entry by entry.

    Args:
        factor_of: (layer, dtype) -> (factor, offset).
        interval_of: (interval of the inputs, layer) -> interval of the outputs.
    """

    def read(reader, call: Call) -> int:
        def function(x):
            factor, offset = factor_of(call.layer, x.dtype)
            return x * factor + offset

        known = reader.intervals[call.sources[0]]
        interval = interval_of(known, call.layer) if interval_of else ANY
        return reader.append("rescaling", call, function, interval=interval)

    return read


def _rescaling(layer, dtype) -> tuple:
    return ops.cast(layer.scale, dtype), ops.cast(layer.offset, dtype)


def _rescaled_interval(interval, layer) -> tuple[float, float]:
    scale, offset = np.asarray(layer.scale), np.asarray(layer.offset)
    if np.any(scale <= 0):
        return ANY
    low, high = interval
    return float(np.min(low * scale + offset)), float(np.max(high * scale + offset))


def _max_pool(reader, call: Call) -> int:
    layer = call.layer
    window = tuple(layer.pool_size)
    tiles = len(window) == 2 and window == tuple(layer.strides)
    return reader.append(
        "max_pool",
        call,
        call.compute,
        interval=reader.hull(call.sources),
        window=window if tiles else None,
    )


def _global_max_pool(reader, call: Call) -> int:
    layer = call.layer

    def function(x):
        # One window as large as the image: of equals, ops.max would reward all.
        size = tuple(x.shape[1:-1])
        pooled = ops.max_pool(x, size, size, data_format="channels_last")
        axes = tuple(range(1, len(size) + 1))
        return pooled if layer.keepdims else ops.squeeze(pooled, axes)

    interval = reader.hull(call.sources)
    return reader.append("max_pool", call, function, interval=interval)


def _center_crop(reader, call: Call) -> int:
    size = call.layer.height, call.layer.width

    def function(x):
        missing = [now - wanted for now, wanted in zip(x.shape[1:3], size, strict=True)]
        if min(missing) < 0:
            resize = keras.preprocessing.image.smart_resize
            return ops.cast(resize(x, size, data_format="channels_last"), x.dtype)
        top, left = (length // 2 for length in missing)
        return x[:, top : top + size[0], left : left + size[1]]

    interval = reader.hull(call.sources)
    return reader.append("average_pool", call, function, interval=interval)


def _resizing(reader, call: Call) -> int:
    layer = call.layer
    names = ("interpolation", "antialias", "fill_mode", "fill_value", "data_format")
    ratios = ("crop_to_aspect_ratio", "pad_to_aspect_ratio")
    options = {name: getattr(layer, name) for name in (*names, *ratios)}
    size = layer.height, layer.width
    overshoots = layer.interpolation not in ("nearest", "bilinear", "area")
    return reader.append(
        "average_pool",
        call,
        lambda x: ops.image.resize(x, size, **options),
        interval=ANY if overshoots else reader.hull(call.sources, layer.fill_value),
    )


def _sum(coefficients_of: Callable) -> Callable:
    """Reads layers that add their inputs, each times a coefficient."""

    def read(reader, call: Call) -> int:
        coefficients = coefficients_of(call)

        def function(*values):
            pairs = zip(coefficients, values, strict=True)
            return sum(v if c == 1.0 else c * v for c, v in pairs)

        return reader.append(
            "sum",
            call,
            function,
            coefficients=coefficients,
            interval=reader.sign_of(call.sources) if min(coefficients) > 0 else ANY,
        )

    return read


def _concatenate(reader, call: Call) -> int:
    axis = call.layer.axis
    if axis % len(call.tensors[0].shape) == 0:
        raise UnreadableError("it mixes the images of a batch")
    return reader.append(
        "concatenate",
        call,
        lambda *values: ops.concatenate(values, axis=axis),
        interval=reader.hull(call.sources),
        axis=axis,
    )


def _one_step(kind: str, *others: float) -> Callable:
    """Reads layers that are one step; `others`: what they add to the values."""
    return lambda reader, call: reader.append(
        kind, call, call.compute, interval=reader.hull(call.sources, *others)
    )


def _up_sampling(reader, call: Call) -> int:
    nearest = getattr(call.layer, "interpolation", "nearest") == "nearest"
    kind = "reshape" if nearest else "average_pool"
    overshoots = not nearest and call.layer.interpolation != "bilinear"
    interval = ANY if overshoots else reader.hull(call.sources)
    return reader.append(kind, call, call.compute, interval=interval)


def _nothing(reader, call: Call) -> int:
    return call.sources[0]


def _wrapped(reader, call: Call) -> int:
    inner = Call(call.layer.layer, call.sources, call.tensors, call.outputs)
    (output,) = reader.read_call(inner)
    return output


def _in_dimensions(name: str, entry: Callable) -> dict:
    """The entry for the kinds of a layer for one, two and three dimensions."""
    kinds = (getattr(layers, name.format(n), None) for n in (1, 2, 3))
    return {kind: entry for kind in kinds if kind is not None}


AT_TRAINING_ONLY = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    *("Identity", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter"),
    *("RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing"),
    *("RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue"),
    *("RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation"),
    *("RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation"),
    *("RandomZoom", "AugMix", "CutMix", "MixUp", "RandAugment"),
)
ENTRIES = {
    **_in_dimensions("Conv{}D", linear_layers.read_convolution),
    **_in_dimensions("DepthwiseConv{}D", linear_layers.read_depthwise_convolution),
    **_in_dimensions("SeparableConv{}D", linear_layers.read_separable_convolution),
    **_in_dimensions("Conv{}DTranspose", linear_layers.read_transposed_convolution),
    layers.Dense: linear_layers.read_dense,
    layers.EinsumDense: linear_layers.read_einsum_dense,
    layers.SpectralNormalization: _wrapped,
    layers.BatchNormalization: normalizations.read_batch_normalization,
    layers.LayerNormalization: normalizations.read_layer_normalization,
    layers.RMSNormalization: normalizations.read_layer_normalization,
    layers.GroupNormalization: normalizations.read_group_normalization,
    layers.UnitNormalization: normalizations.read_unit_normalization,
    layers.Normalization: normalizations.read_normalization,
    layers.Activation: read_activation,
    **dict.fromkeys(
        (layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU), read_activation_layer
    ),
    layers.Softmax: read_softmax,
    layers.Rescaling: _scaled(_rescaling, _rescaled_interval),
    LayerScale: _scaled(lambda layer, dtype: (ops.cast(layer.gamma, dtype), 0.0)),
    **_in_dimensions("MaxPooling{}D", _max_pool),
    **_in_dimensions("GlobalMaxPooling{}D", _global_max_pool),
    **_in_dimensions("AdaptiveMaxPooling{}D", _one_step("max_pool")),
    **_in_dimensions("AveragePooling{}D", _one_step("average_pool")),
    **_in_dimensions("GlobalAveragePooling{}D", _one_step("average_pool")),
    **_in_dimensions("AdaptiveAveragePooling{}D", _one_step("average_pool")),
    **_in_dimensions("ZeroPadding{}D", _one_step("reshape", 0.0)),
    **_in_dimensions("Cropping{}D", _one_step("reshape")),
    **_in_dimensions("UpSampling{}D", _up_sampling),
    **dict.fromkeys(
        (layers.Flatten, layers.Reshape, layers.Permute, layers.RepeatVector),
        _one_step("reshape"),
    ),
    layers.Resizing: _resizing,
    layers.CenterCrop: _center_crop,
    StochasticDepth: _nothing,
    **{
        getattr(layers, name): _nothing
        for name in AT_TRAINING_ONLY
        if hasattr(layers, name)
    },
    layers.Add: _sum(lambda call: (1.0,) * len(call.sources)),
    layers.Average: _sum(lambda call: (1.0 / len(call.sources),) * len(call.sources)),
    layers.Subtract: _sum(lambda call: (1.0, -1.0)),
    CustomScaleLayer: _sum(lambda call: (1.0, float(call.layer.scale))),
    layers.Multiply: read_product,
    layers.Concatenate: _concatenate,
}
