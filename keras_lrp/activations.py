"""Activations: what kind of function one is, told by its values and not by its name."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import activations, layers, ops

from keras_lrp.steps import Call, UnreadableError

GRID = np.concatenate([[0.0], np.linspace(-9.0, 9.0, 1799), [-1e4, -50.0, 50.0, 1e4]])
PROBE = np.resize(GRID, (7, 263)).astype("float32")  # no two axes alike
LARGE = 100.0  # a value that is larger somewhere on the grid has no bound
SQUASHING = (activations.softmax, activations.log_softmax, activations.sigmoid)


@dataclass(frozen=True)
class Activation:
    """What is known of an activation function.

    Attributes:
        kind: "linear", "rectifier" (max(x, 0), perhaps cut above), "activation" (any
            other function of each entry alone), or "softmax".
        interval: Its smallest and its largest value.
        squashes: Whether it is softmax, log-softmax or sigmoid, which turn logits
            into probabilities or their logarithms.
    """

    kind: str
    interval: tuple[float, float]
    squashes: bool = False


def describe_activation(function: Callable) -> Activation | None:
    """Tries a function on numbers from -1e4 to 1e4.

    Args:
        function: Of one array.

    Returns:
        What it is; None if its entries depend on each other (softmax and log-softmax
        aside), or its values do not have the shape of its argument.
    """
    values = _values(function, PROBE)
    if values is None:
        return None
    squashes = any(_equal(values, _values(other, PROBE)) for other in SQUASHING)
    interval = tuple(
        float(end) if abs(end) < LARGE else float(np.copysign(np.inf, end))
        for end in (np.min(values), np.max(values))
    )
    parts = _values(function, PROBE[:2]), _values(function, PROBE[:, :2])
    if not (_equal(values[:2], parts[0]) and _equal(values[:, :2], parts[1])):
        return Activation("softmax", interval, squashes) if squashes else None
    if _equal(values, PROBE):
        return Activation("linear", interval)
    if interval[1] >= 1.0 and _equal(values, np.clip(PROBE, 0.0, interval[1])):
        return Activation("rectifier", interval)
    return Activation("activation", interval, squashes)


def _values(function: Callable, inputs: np.ndarray) -> np.ndarray | None:
    """The function's values; None if it takes no such array or returns another."""
    try:
        values = ops.convert_to_numpy(function(ops.convert_to_tensor(inputs)))
    except Exception:  # a user's function may raise anything
        return None
    values = np.asarray(values, "float64")
    if values.shape != inputs.shape or np.isnan(values).any():
        return None
    return values


def _equal(values, others) -> bool:
    return others is not None and np.allclose(values, others, rtol=1e-5, atol=1e-6)


def append_activation(reader, call: Call, function: Callable | None, sources) -> int:
    """Appends the activation function of a layer to the value it applies to."""
    (source,) = sources
    if function is None:
        return source
    if isinstance(function, layers.Layer):  # Conv2D(activation=LeakyReLU())
        call = Call(function, tuple(sources), call.outputs, call.outputs)
        (output,) = reader.read_call(call)
        return output
    known = reader.describe(function)
    if known is None:
        name = getattr(function, "__name__", type(function).__name__)
        raise UnreadableError(
            f"there is no rule for its activation {name!r}, whose entries depend on "
            "each other"
        )
    if known.kind == "linear":
        return source
    fields = {"interval": known.interval, "squashes": known.squashes}
    if known.kind == "softmax":
        fields["reason"] = "softmax is supported at the end only, and in gates"
    kind = "unknown" if known.kind == "softmax" else known.kind
    return reader.append(kind, call, function, sources, **fields)


def read_activation(reader, call: Call) -> int:
    """Reads the layer that applies a given function."""
    return append_activation(reader, call, call.layer.activation, call.sources)


def read_activation_layer(reader, call: Call) -> int:
    """Reads a layer that is an activation itself, as LeakyReLU."""
    if isinstance(call.layer, layers.PReLU):  # its slopes have the inputs' shape
        return reader.append("activation", call, call.layer.call)
    return append_activation(reader, call, call.layer.call, call.sources)


def read_softmax(reader, call: Call) -> int:
    """Reads the layer that is a softmax."""
    return reader.append(
        "unknown",
        call,
        call.compute,
        interval=(0.0, 1.0),
        squashes=True,
        reason="softmax is supported at the end only, and in gates",
    )
