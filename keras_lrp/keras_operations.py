"""How the operations of `keras.ops` become the steps of a graph.

A functional network holds them where it is written as `x / 255.0` or
`keras.ops.concatenate([a, b])`. An operation that is not listed in `ENTRIES` is
supported where it treats each entry alone.
"""

from collections.abc import Callable
from math import inf

import numpy as np
from keras import ops
from keras.src.ops import core, image, nn
from keras.src.ops import numpy as numpy_operations

from keras_lrp.products import read_product
from keras_lrp.steps import ANY, Call, UnreadableError


def read_operation(reader, call: Call) -> int:
    """Appends the steps of an operation."""
    if len(call.outputs) != 1:
        raise UnreadableError("an operation with several outputs has no rule")
    for kind in type(call.layer).__mro__:
        if kind in ENTRIES:
            return ENTRIES[kind](reader, call)
    return _elementwise(reader, call)


def _elementwise(reader, call: Call) -> int:
    known = None
    if len(call.sources) == 1:
        known = reader.describe(call.compute)
    if known is None:
        raise UnreadableError("there is no rule for this operation")
    if known.kind == "linear":
        return call.sources[0]
    fields = {"interval": known.interval, "squashes": known.squashes}
    if known.kind == "softmax":
        fields["reason"] = "softmax is supported at the end only, and in gates"
    kind = "unknown" if known.kind == "softmax" else known.kind
    return reader.append(kind, call, call.compute, **fields)


def _softmax(reader, call: Call) -> int:
    return reader.append(
        "unknown",
        call,
        call.compute,
        interval=(0.0, 1.0) if isinstance(call.layer, nn.Softmax) else ANY,
        squashes=True,
        reason="softmax is supported at the end only, and in gates",
    )


def _sum(*coefficients: float) -> Callable:
    """Reads a sum of two signals, or of a signal and a constant."""

    def read(reader, call: Call) -> int:
        if len(call.sources) == 1:
            return _rescaling(reader, call)
        return reader.append(
            "sum",
            call,
            call.compute,
            coefficients=coefficients,
            interval=reader.sign_of(call.sources) if min(coefficients) > 0 else ANY,
        )

    return read


def _product(reader, call: Call) -> int:
    return (_rescaling if len(call.sources) == 1 else read_product)(reader, call)


def _quotient(reader, call: Call) -> int:
    if len(call.sources) != 1:
        raise UnreadableError("a quotient of two signals has no rule")
    arguments = [*call.arguments.args, *call.arguments.kwargs.values()]
    if arguments[0] is not call.tensors[0]:  # a constant divided by the signal
        return _elementwise(reader, call)
    return _rescaling(reader, call)


def _rescaling(reader, call: Call) -> int:
    """Appends a signal plus, minus, times or divided by a constant, or their reverse.

    A constant that spreads the signal is none.
    """
    if tuple(call.tensors[0].shape)[1:] != tuple(call.outputs[0].shape)[1:]:
        raise UnreadableError("its constant spreads the signal over more entries")
    return reader.append(
        "rescaling", call, call.compute, interval=_image_of(reader, call)
    )


def _image_of(reader, call: Call) -> tuple[float, float]:
    """The interval of the outputs, by the ends of the inputs' interval."""
    interval = reader.intervals[call.sources[0]]
    rank = len(call.tensors[0].shape)
    large = 1e30
    ends = []
    for end in interval:
        value = np.full((1,) * rank, np.clip(end, -large, large), "float32")
        values = ops.convert_to_numpy(call.compute(ops.convert_to_tensor(value)))
        ends += [float(np.min(values)), float(np.max(values))]
    low, high = min(ends), max(ends)
    return (low if low > -1e20 else -inf, high if high < 1e20 else inf)


def _concatenate(reader, call: Call) -> int:
    if call.layer.axis % len(call.tensors[0].shape) == 0:
        raise UnreadableError("it mixes the images of a batch")
    return reader.append(
        "concatenate",
        call,
        call.compute,
        interval=reader.hull(call.sources),
        axis=call.layer.axis,
    )


def _pad(reader, call: Call) -> int:
    if call.layer.mode != "constant":
        raise UnreadableError("only padding with a constant has a rule")
    values = [*call.arguments.args[1:], *call.arguments.kwargs.values()]
    is_zero = all(value is None or value == 0 for value in values)
    interval = reader.hull(call.sources, 0.0) if is_zero else ANY
    return reader.append("reshape", call, call.compute, interval=interval)


def _linear(kind: str, keeps_interval: bool = True) -> Callable:
    """Reads an operation that is linear in its one signal."""

    def read(reader, call: Call) -> int:
        if len(call.sources) != 1:
            raise UnreadableError("it has a rule for one signal only")
        if call.tensors[0].shape[:1] != call.outputs[0].shape[:1]:
            raise UnreadableError("it mixes the images of a batch")
        interval = reader.hull(call.sources) if keeps_interval else ANY
        return reader.append(kind, call, call.compute, interval=interval)

    return read


def _cast(reader, call: Call) -> int:
    if "float" not in str(call.outputs[0].dtype):
        raise UnreadableError("it rounds to whole numbers")
    return call.sources[0]


def _no_gradient(reader, call: Call) -> int:
    raise UnreadableError("no relevance flows through it")


ENTRIES = {
    numpy_operations.Add: _sum(1.0, 1.0),
    numpy_operations.Subtract: _sum(1.0, -1.0),
    numpy_operations.Multiply: _product,
    numpy_operations.TrueDivide: _quotient,
    numpy_operations.Divide: _quotient,
    numpy_operations.Concatenate: _concatenate,
    numpy_operations.Mean: _linear("average_pool"),
    numpy_operations.Sum: _linear("average_pool", keeps_interval=False),
    nn.AveragePool: _linear("average_pool"),
    image.Resize: _linear("average_pool", keeps_interval=False),
    numpy_operations.Pad: _pad,
    **dict.fromkeys(
        (
            numpy_operations.Copy,
            numpy_operations.ExpandDims,
            numpy_operations.Flip,
            numpy_operations.GetItem,
            numpy_operations.Moveaxis,
            numpy_operations.Repeat,
            numpy_operations.Reshape,
            numpy_operations.Roll,
            numpy_operations.Squeeze,
            numpy_operations.Swapaxes,
            numpy_operations.Transpose,
        ),
        _linear("reshape"),
    ),
    nn.MaxPool: _linear("max_pool"),
    nn.Softmax: _softmax,
    nn.LogSoftmax: _softmax,
    core.Cast: _cast,
    core.StopGradient: _no_gradient,
}
