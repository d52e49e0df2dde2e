"""What a network is read into: calls of layers, and the steps they become."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import keras
from keras import tree

ANY = (-inf, inf)


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        kind: "convolution", "dense", "normalization", "layer_normalization",
            "average_pool" (any linear map without weights that mixes entries), "sum",
            "product", "rectifier", "activation", "rescaling", "max_pool",
            "concatenate", "reshape" (anything that only moves, repeats or drops
            entries) or "unknown".
        layer: The layer or operation it comes from.
        sources: The numbers of its input values; value 0 is the network's input.
        output: The number of its output value.
        call: Computes the output from the inputs. A step with weights computes
            `call(inputs, kernel) + bias`, linear in both.
        weights: Reads (kernel, bias) from the layer, in the precision it is given or
            else in the layer's own.
        interval: The smallest and the largest output, whatever the input.
        coefficients: Of the summands of a sum.
        stackable: Whether `call` sums over all input channels, axis -2 of the kernel.
        window: The size of max-pool windows that touch and do not overlap.
        fold: Scales the outputs by scaling the kernel: (kernel, scale) -> kernel.
        held: Of a layer normalization, with its deviation held constant: inputs ->
            (the linear function that centres, scale, bias).
        axis: Along which a concatenation lays its inputs.
        gate: Which of a product's two inputs is the gate; None if that is not known.
        squashes: Whether it turns logits into probabilities or their logarithms.
        reason: Why there is no rule for it.
    """

    kind: str
    layer: keras.Operation
    sources: tuple[int, ...]
    output: int
    call: Callable
    weights: Callable | None = None
    interval: tuple[float, float] = ANY
    coefficients: tuple[float, ...] = ()
    stackable: bool = False
    window: tuple[int, int] | None = None
    fold: Callable | None = None
    held: Callable | None = None
    axis: int | None = None
    gate: int | None = None
    squashes: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Call:
    """One call of a layer or an operation in the network.

    Attributes:
        layer: What is called.
        sources: The numbers of the values it is called with.
        tensors: The symbolic tensors that stand for them.
        arguments: All its arguments, as Keras keeps them; None for (tensor).
        outputs: The symbolic tensors that it returns.
    """

    layer: keras.Operation
    sources: tuple[int, ...]
    tensors: tuple
    outputs: tuple
    arguments: object = None

    def run(self, *values):
        """Calls the layer as the network does; returns its flat outputs."""
        return self._apply(self.layer, values)

    def compute(self, *values):
        """Computes the same in the precision of the values; returns the output."""
        return self._apply(self.layer.call, values)[0]

    def _apply(self, function: Callable, values) -> list:
        args, kwargs = values, {}
        if self.arguments is not None:
            args, kwargs = self.arguments.fill_in(
                {id(t): v for t, v in zip(self.tensors, values, strict=True)}
            )
        if "training" in inspect.signature(self.layer.call).parameters:
            kwargs = kwargs | {"training": False}  # as `predict` does
        return tree.flatten(function(*args, **kwargs))


@dataclass(frozen=True)
class Section:
    """A call, the steps it became, and the numbers of its outputs."""

    call: Call
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


class UnreadableError(ValueError):
    """Says why a call has no rule."""
