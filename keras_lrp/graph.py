"""A Keras network as a flat list of steps, which an explanation can walk backwards.

Each step is one operation of a few kinds. A layer is split from its activation and a
separable convolution into its two convolutions; a batch-norm that directly follows a
convolution or a dense layer is folded into it; nested models are unrolled.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
from keras import ops

from keras_lrp.layers import READERS, unsupported

FOLDABLE = ("convolution", "dense")


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        kind: "convolution", "dense", "normalization", "average_pool", "sum",
            "rectifier", "activation", "rescaling", "max_pool", "concatenate" or
            "reshape" (anything that only moves or drops entries).
        layer: The layer or operation it comes from.
        sources: The numbers of its input values; value 0 is the network's input.
        output: The number of its output value.
        call: Computes the output from the inputs. A step with weights computes
            `call(inputs, kernel) + bias`, linear in both.
        weights: Reads (kernel, bias) from the layer.
        nonnegative: Whether the output has no negative entry, whatever the input.
        coefficients: Of the summands of a sum.
        stackable: Whether `call` sums over all input channels, axis -2 of the kernel.
        window: The size of max-pool windows that touch and do not overlap.
    """

    kind: str
    layer: keras.layers.Layer
    sources: tuple[int, ...]
    output: int
    call: Callable
    weights: Callable | None = None
    nonnegative: bool = False
    coefficients: tuple[float, ...] = ()
    stackable: bool = False
    window: tuple[int, int] | None = None


@dataclass(frozen=True)
class Graph:
    """The steps of a network in the order of computation, and its output value."""

    steps: tuple[Step, ...]
    output: int

    def nonnegative_values(self) -> frozenset[int]:
        """The values that have no negative entry, whatever the network's input."""
        return frozenset(step.output for step in self.steps if step.nonnegative)

    def raw_values(self) -> frozenset[int]:
        """The values that no layer with weights has touched yet."""
        raw = {0}
        for step in self.steps:
            if step.weights is None and raw.issuperset(step.sources):
                raw.add(step.output)
        return frozenset(raw)


def read_graph(model: keras.Model) -> Graph:
    """Lists the steps of a functional or sequential network.

    A softmax at the very end is left out: what is explained are the logits.

    Args:
        model: With one input and one output, channels last.

    Raises:
        ValueError: Names the layer that is not supported, and what is.
    """
    reader = Reader()
    output = reader.read(model, source=0)
    last = reader.steps[-1] if reader.steps else None
    if last is not None and last.kind == "softmax" and last.output == output:
        reader.steps[-1] = replace(last, kind="reshape", call=lambda x: x)
    for step in reader.steps:
        if step.kind == "softmax":
            raise unsupported(step.layer, "softmax is supported at the end only")
    return Graph(tuple(_folded(reader.steps, output)), output)


class Reader:
    """Collects the steps of a model layer by layer."""

    def __init__(self):
        self.steps: list[Step] = []

    def read(self, model: keras.Model, source: int) -> int:
        """Appends the steps of a model; returns the number of its output value."""
        if not model.built:
            raise unsupported(model, "it has no weights yet; call it on an input once")
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                source = self.add_layer(layer, (source,))
            return source
        config = model.get_config()
        if "input_layers" not in config:
            raise unsupported(model, "it is neither functional nor Sequential")
        first = _only(config["input_layers"], model, "input")
        last = _only(config["output_layers"], model, "output")
        operations = {operation.name: operation for operation in model.operations}
        values = {first: source}
        pending = [
            (entry["name"], index, call)
            for entry in config["layers"]
            for index, call in enumerate(entry["inbound_nodes"])
        ]
        while pending:  # layers that are called twice are listed out of order
            waiting = []
            for name, index, call in pending:
                sources = tuple(values.get(key) for key in _tensors(call))
                if None in sources:
                    waiting.append((name, index, call))
                else:
                    values[name, index] = self.add_layer(operations[name], sources)
            if len(waiting) == len(pending):
                raise unsupported(operations[waiting[0][0]], "its inputs are not known")
            pending = waiting
        return values[last]

    def add_layer(self, layer, sources: tuple[int, ...]) -> int:
        """Appends the steps of a layer; returns the number of its output value."""
        if isinstance(layer, keras.Model):
            if len(sources) != 1:
                raise unsupported(layer, "a nested model may have one input only")
            return self.read(layer, *sources)
        kind = type(layer).__name__
        if kind not in READERS:
            raise unsupported(layer, "there is no rule for this type of layer")
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise unsupported(layer, "only data_format='channels_last' is supported")
        return READERS[kind](self, layer, sources)

    def append(self, kind, layer, sources, call, keeps_sign=False, **fields) -> int:
        """Appends one step; `keeps_sign`: nonnegative inputs give such outputs."""
        if keeps_sign:
            known = Graph(tuple(self.steps), 0).nonnegative_values()
            fields["nonnegative"] = known.issuperset(sources)
        output = len(self.steps) + 1
        self.steps.append(Step(kind, layer, sources, output, call, **fields))
        return output


def _folded(steps: list[Step], output: int) -> list[Step]:
    """Merges every batch-norm into the layer whose only consumer it is."""
    consumers = [source for step in steps for source in step.sources] + [output]
    by_output = {}
    for step in steps:
        previous = by_output.get(step.sources[0])
        if (
            step.kind == "normalization"
            and previous is not None
            and previous.kind in FOLDABLE
            and consumers.count(previous.output) == 1
        ):
            del by_output[previous.output]
            step = replace(
                previous,
                output=step.output,
                weights=_folded_weights(previous, step),
            )
        by_output[step.output] = step
    return list(by_output.values())


def _folded_weights(linear: Step, normalization: Step) -> Callable:
    depthwise = type(linear.layer).__name__ == "DepthwiseConv2D"

    def weights():
        kernel, bias = linear.weights()
        scale, shift = normalization.weights()
        by_output = ops.reshape(scale, kernel.shape[2:]) if depthwise else scale
        return kernel * by_output, bias * scale + shift

    return weights


def _tensors(call) -> list[tuple[str, int]]:
    """Finds (layer name, call number) of every tensor in a serialized call."""
    if isinstance(call, dict):
        if call.get("class_name") == "__keras_tensor__":
            name, index, _ = call["config"]["keras_history"]
            return [(name, index)]
        call = list(call.values())
    if isinstance(call, (list, tuple)):
        return [tensor for part in call for tensor in _tensors(part)]
    return []


def _only(tensors, model: keras.Model, what: str) -> tuple[str, int]:
    """Returns (layer name, call number) of a model's only input or output."""
    while len(tensors) == 1:
        (tensors,) = tensors
    if len(tensors) != 3 or not isinstance(tensors[0], str):
        raise ValueError(
            f"Model {model.name!r} must have one {what}; received {len(tensors)}. "
            f"Make a keras.Model with the one {what} to explain."
        )
    return tensors[0], tensors[1]
