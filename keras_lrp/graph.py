"""A Keras network as a flat list of steps, which an explanation can walk backwards.

The network is read from the nodes and tensors that Keras keeps of it, not from its
configuration. Each step is one operation of a few kinds. A layer is split from its
activation and a separable convolution into its two convolutions; a batch-norm that
directly follows a convolution or a dense layer is folded into it; nested models are
unrolled. What cannot be read is a step of the kind "unknown", which has a derivative
and no rule.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf

import keras
from keras import ops, tree
from keras.src.models import Functional

from keras_lrp.activations import Activation, describe_activation
from keras_lrp.layers import find_entry, overrides, unsupported
from keras_lrp.steps import ANY, Call, Section, Step, UnreadableError


@dataclass(frozen=True)
class Graph:
    """The steps of a network in the order of computation, and its output value.

    Attributes:
        steps: What an explanation walks through.
        output: The number of the value that is explained.
        sections: The calls of the network, before batch-norms are folded.
        input_shape: (None, ...), or None where it is not known.
        output_shape: Likewise.
        input_dtype: What the network converts its input to, where it is known.
    """

    steps: tuple[Step, ...]
    output: int
    sections: tuple[Section, ...] = ()
    input_shape: tuple | None = None
    output_shape: tuple | None = None
    input_dtype: str | None = None

    def nonnegative_values(self) -> frozenset[int]:
        """The values that have no negative entry, whatever the network's input."""
        return frozenset(step.output for step in self.steps if step.interval[0] >= 0)

    def raw_values(self) -> frozenset[int]:
        """The values that no layer with weights has touched yet."""
        raw = {0}
        for step in self.steps:
            if (
                step.weights is None
                and step.held is None
                and step.kind not in ("unknown", "product")
                and raw.issuperset(step.sources)
            ):
                raw.add(step.output)
        return frozenset(raw)

    def walked(self) -> list[Step]:
        """The steps that relevance reaches; a gate takes none."""
        reached, steps = {self.output}, []
        for step in reversed(self.steps):
            if step.output in reached:
                steps.append(step)
                reached.update(
                    source
                    for index, source in enumerate(step.sources)
                    if step.gate is None or index != step.gate
                )
        return steps[::-1]


def read_graph(model: keras.Model) -> Graph:
    """Lists the steps of a network.

    A softmax, log-softmax or sigmoid at the very end is left out: what is explained
    are the logits. A network with a `call` of its own is read by calling it on a
    symbolic input; where that fails, it is one step of the kind "unknown".

    Args:
        model: With one input and one output.

    Raises:
        TypeError: It is no Keras model.
        ValueError: The model has several inputs or outputs, or no weights yet.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Expected a keras.Model; received {type(model).__name__}. "
            "keras.models.load_model reads one from a file."
        )
    if not model.built:
        raise unsupported(model, "it has no weights yet; call it on an input once")
    reader = Reader()
    function = nodes_of(model) or trace(model, _built_shape(model))
    if function is None:
        call = Call(model, (0,), (None,), (None,))
        _, reason = find_entry(call)
        reader.unknown(call, reason)
        steps = tuple(reader.steps)
        return Graph(steps, 1, (Section(call, steps, (1,)),))
    for what, tensors in (("input", function.inputs), ("output", function.outputs)):
        if len(tensors) != 1:
            names = ", ".join(repr(tensor.name) for tensor in tensors)
            raise ValueError(
                f"Model {model.name!r} must have one {what}; received {len(tensors)}: "
                f"{names}. Make a keras.Model with the one {what} to explain."
            )
    (output,) = reader.read(function, (0,))
    steps = _without_squashing(reader.steps, output)
    return Graph(
        tuple(_folded(steps, output)),
        output,
        tuple(reader.sections),
        tuple(function.inputs[0].shape),
        tuple(function.outputs[0].shape),
        function.inputs[0].dtype,
    )


def call_model(model: keras.Model, images):
    """Calls a model of one input and one output, whatever holds them."""
    structure = getattr(model, "_inputs_struct", None)
    if structure is not None:
        images = tree.pack_sequence_as(structure, [images])
    outputs = tree.flatten(model(images, training=False))
    if len(outputs) != 1:
        raise ValueError(
            f"Model {model.name!r} must have one output; received {len(outputs)}. "
            "Make a keras.Model with the one output to explain."
        )
    return outputs[0]


def nodes_of(layer) -> keras.Function | None:
    """Returns what has the nodes of a model; None if there are none to trust."""
    if overrides(layer, keras.Sequential) is False:
        return layer._functional  # what a Sequential model calls
    return layer if overrides(layer, Functional) is False else None


def trace(model: keras.Model, shape: Sequence | None) -> keras.Function | None:
    """Calls a model that has a `call` of its own on a symbolic input.

    Args:
        model: Subclassed.
        shape: Of its one input, (B, ...).

    Returns:
        Its nodes; None if it cannot be called so. Its layers do not keep them.
    """
    if shape is None:
        return None
    inputs = keras.Input(shape[1:], dtype=model.input_dtype)
    try:
        takes_training = "training" in inspect.signature(model.call).parameters
        options = {"training": False} if takes_training else {}
        function = keras.Function(inputs, model.call(inputs, **options))
    except Exception:  # a user's code, which knows no symbolic tensors
        return None
    for node in chain(*function._nodes_by_depth.values()):
        if not node.is_input:
            node.operation._inbound_nodes.remove(node)
            for tensor in node.input_tensors:
                tensor._keras_history.operation._outbound_nodes.remove(node)
    return function


def _built_shape(model: keras.Model) -> tuple | None:
    """The shape of the one input that a subclassed model was built with, if known."""
    shape = (model.get_build_config() or {}).get("input_shape")
    is_one = isinstance(shape, list | tuple) and len(shape) > 1
    return tuple(shape) if is_one and all(_is_length(n) for n in shape) else None


def _is_length(number) -> bool:
    return number is None or isinstance(number, int)


class Reader:
    """Collects the steps of a network call by call."""

    def __init__(self):
        self.steps: list[Step] = []
        self.sections: list[Section] = []
        self.intervals: dict[int, tuple[float, float]] = {0: ANY}
        self._activations: dict[int, Activation | None] = {}

    def read(self, function: keras.Function, sources: Sequence[int]) -> list[int]:
        """Appends the steps of a model; returns the numbers of its output values."""
        values = {id(t): s for t, s in zip(function.inputs, sources, strict=True)}
        by_depth = function._nodes_by_depth
        for depth in sorted(by_depth, reverse=True):
            for node in by_depth[depth]:
                if node.is_input:
                    continue
                tensors = tuple(node.input_tensors)
                numbers = tuple(values[id(tensor)] for tensor in tensors)
                call = Call(
                    node.operation,
                    numbers,
                    tensors,
                    tuple(node.outputs),
                    node.arguments,
                )
                outputs = self.add(call)
                values.update(zip(map(id, node.outputs), outputs, strict=True))
        return [values[id(tensor)] for tensor in function.outputs]

    def add(self, call: Call) -> list[int]:
        """Appends the steps of a call; returns the numbers of its output values."""
        function = nodes_of(call.layer)
        if isinstance(call.layer, keras.Model) and len(call.tensors) == 1:
            function = function or trace(call.layer, call.tensors[0].shape)
        if function is not None and len(function.inputs) == len(call.sources):
            return self.read(function, call.sources)
        first = len(self.steps)
        outputs = self.read_call(call)
        steps = tuple(self.steps[first:])
        self.sections.append(Section(call, steps, tuple(outputs)))
        return outputs

    def read_call(self, call: Call) -> list[int]:
        """Appends the steps of one layer or operation by its entry."""
        entry, reason = find_entry(call)
        if entry is None:
            return self.unknown(call, reason)
        first = len(self.steps)
        try:
            return [entry(self, call)]
        except UnreadableError as error:
            del self.steps[first:]
            return self.unknown(call, str(error))

    def unknown(self, call: Call, reason: str) -> list[int]:
        """Appends one step without a rule for each output of a call."""
        return [
            self.append("unknown", call, _output_of(call, index), reason=reason)
            for index in range(len(call.outputs))
        ]

    def append(
        self, kind: str, call: Call, function: Callable, sources=None, **fields
    ) -> int:
        """Appends one step; its sources are the call's unless others are given."""
        sources = call.sources if sources is None else sources
        if "weights" not in fields:
            function = _keeping_dtype(function)
        output = len(self.steps) + 1
        step = Step(kind, call.layer, tuple(sources), output, function, **fields)
        self.steps.append(step)
        self.intervals[output] = step.interval
        return output

    def hull(self, sources: Sequence[int], *others: float) -> tuple[float, float]:
        """The smallest interval with the values of these numbers, and other values."""
        intervals = [self.intervals[source] for source in sources]
        return (
            min([low for low, _ in intervals] + list(others)),
            max([high for _, high in intervals] + list(others)),
        )

    def sign_of(self, sources: Sequence[int]) -> tuple[float, float]:
        """[0, inf] where none of these values has a negative entry, else ANY."""
        return (0.0, inf) if self.hull(sources)[0] >= 0 else ANY

    def describe(self, function: Callable) -> Activation | None:
        """Says what kind of activation a function is; None if it is none."""
        key = id(function)
        if key not in self._activations:
            self._activations[key] = describe_activation(function)
        return self._activations[key]


def _output_of(call: Call, index: int) -> Callable:
    return lambda *values: call.run(*values)[index]


def _keeping_dtype(function: Callable) -> Callable:
    """Makes constants follow the values: a mean in float64 leaves float32 as it is."""
    return lambda *values: ops.cast(function(*values), values[0].dtype)


def _without_squashing(steps: list[Step], output: int) -> list[Step]:
    """Leaves out a final softmax, log-softmax or sigmoid."""
    places = {step.output: place for place, step in enumerate(steps)}
    number = output
    while number in places and steps[places[number]].kind == "reshape":
        (number,) = steps[places[number]].sources
    consumers = [source for step in steps for source in step.sources]
    if number not in places or consumers.count(number) > (number != output):
        return steps
    last = steps[places[number]]
    if not last.squashes:
        return steps
    identity = replace(last, kind="reshape", call=lambda x: x, interval=ANY)
    return [identity if step is last else step for step in steps]


def _folded(steps: list[Step], output: int) -> list[Step]:
    """Merges every batch-norm into the layer whose only consumer it is."""
    consumers = [source for step in steps for source in step.sources] + [output]
    by_output = {}
    for step in steps:
        previous = by_output.get(step.sources[0])
        if (
            step.kind == "normalization"
            and previous is not None
            and previous.fold is not None
            and consumers.count(previous.output) == 1
        ):
            del by_output[previous.output]
            weights = _folded_weights(previous, step)
            step = replace(previous, output=step.output, weights=weights)
        by_output[step.output] = step
    return list(by_output.values())


def _folded_weights(linear: Step, normalization: Step) -> Callable:
    def weights(dtype=None):
        kernel, bias = linear.weights(dtype)
        scale, shift = normalization.weights(dtype)
        return linear.fold(kernel, scale), bias * scale + shift

    return weights
