"""How convolutions and dense layers become steps.

Each is linear in its inputs and its kernel; its activation is a step of its own.
"""

from collections.abc import Callable

from keras import ops

from keras_lrp.activations import append_activation
from keras_lrp.steps import Call


def read_convolution(reader, call: Call) -> int:
    """Appends a convolution, perhaps of groups, and its activation."""
    layer = call.layer
    channels = layer.input_spec.axes[-1] if layer.input_spec else None
    function, stackable = _convolve(ops.conv, layer), layer.groups == 1
    if layer.groups > 1 and layer.groups == channels:
        depthwise = _convolve(ops.depthwise_conv, layer)

        def function(inputs, kernel):  # a grouped convolution, much faster
            shape = (*kernel.shape[:-2], channels, kernel.shape[-1] // channels)
            return depthwise(inputs, ops.reshape(kernel, shape))

    return _append(
        reader,
        call,
        "convolution",
        function,
        stackable=stackable,
        fold=lambda kernel, scale: kernel * scale,
    )


def read_depthwise_convolution(reader, call: Call) -> int:
    """Appends a depthwise convolution and its activation."""
    return _append(
        reader,
        call,
        "convolution",
        _convolve(ops.depthwise_conv, call.layer),
        fold=lambda kernel, scale: kernel * ops.reshape(scale, kernel.shape[-2:]),
    )


def read_separable_convolution(reader, call: Call) -> int:
    """Appends a depthwise and a pointwise convolution, and the activation."""
    layer = call.layer
    output = reader.append(
        "convolution",
        call,
        _convolve(ops.depthwise_conv, layer),
        weights=_weights(layer, "depthwise_kernel", None),
    )
    return _append(
        reader,
        call,
        "convolution",
        lambda x, kernel: ops.conv(x, kernel, data_format="channels_last"),
        sources=(output,),
        weights=_weights(layer, "pointwise_kernel"),
        stackable=True,
        fold=lambda kernel, scale: kernel * scale,
    )


def read_transposed_convolution(reader, call: Call) -> int:
    """Appends a transposed convolution and its activation."""
    layer = call.layer

    def function(inputs, kernel):
        return ops.conv_transpose(
            inputs,
            kernel,
            strides=list(layer.strides),
            padding=layer.padding,
            output_padding=layer.output_padding,
            dilation_rate=layer.dilation_rate,
            data_format="channels_last",
        )

    return _append(
        reader,
        call,
        "convolution",
        function,
        fold=lambda kernel, scale: kernel * scale[:, None],
    )


def read_dense(reader, call: Call) -> int:
    """Appends a dense layer and its activation."""
    return _append(
        reader,
        call,
        "dense",
        ops.matmul,
        stackable=True,
        fold=lambda kernel, scale: kernel * scale,
    )


def read_einsum_dense(reader, call: Call) -> int:
    """Appends a dense layer over chosen axes, and its activation."""
    equation = call.layer.equation
    return _append(
        reader, call, "dense", lambda x, kernel: ops.einsum(equation, x, kernel)
    )


def _append(reader, call: Call, kind: str, function: Callable, **fields) -> int:
    """Appends a linear step with the layer's kernel and bias, and the activation."""
    fields = {"weights": _weights(call.layer, "kernel")} | fields
    output = reader.append(kind, call, function, **fields)
    return append_activation(reader, call, call.layer.activation, (output,))


def _convolve(function: Callable, layer) -> Callable:
    padding = layer.padding

    def convolve(inputs, kernel):
        if padding == "causal":  # of one axis
            before = layer.dilation_rate[0] * (kernel.shape[0] - 1)
            inputs = ops.pad(inputs, ((0, 0), (before, 0), (0, 0)))
        return function(
            inputs,
            kernel,
            strides=layer.strides,
            padding="valid" if padding == "causal" else padding,
            data_format="channels_last",
            dilation_rate=layer.dilation_rate,
        )

    return convolve


def _weights(layer, kernel: str, bias: str | None = "bias") -> Callable:
    def weights(dtype=None):
        dtype = dtype or layer.compute_dtype
        values = getattr(layer, bias) if bias else None
        values = ops.zeros(1) if values is None else values
        return ops.cast(getattr(layer, kernel), dtype), ops.cast(values, dtype)

    return weights
