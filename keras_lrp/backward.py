"""The backward pass of a graph, for all targets of an image together."""

from collections.abc import Callable, Mapping

from keras import ops

from keras_lrp.backend import vector_jacobian_product
from keras_lrp.division import (
    LinearLayer,
    Relevance,
    differentiate,
    pull_back,
    total,
)
from keras_lrp.forward import run_steps
from keras_lrp.graph import Graph
from keras_lrp.rules import Box, LinearRule, SignalTakesAll
from keras_lrp.steps import Step


class Backward:
    """One backward pass: relevance of the output to relevance of the input.

    Args:
        graph: The network.
        rules: By kind of step.
        weights: (kernel, bias) by output value.
        values: All values of the forward pass.
        precision: See `LRP`.
    """

    def __init__(
        self,
        graph: Graph,
        rules: Mapping,
        weights: Mapping,
        values: Mapping,
        precision: str | None = None,
    ):
        self.graph = graph
        self.rules = rules
        self.weights = weights
        self.values = values
        self.precision = precision
        self.nonnegative = graph.nonnegative_values()
        self.raw = graph.raw_values()
        self.bounds = self._bounds()

    def run(self, relevance):
        """Walks through the steps from the last to the first."""
        arrived = {self.graph.output: [Relevance(relevance)]}
        for step in reversed(self.graph.steps):
            if step.output not in arrived:  # a gate's
                continue
            parts = self._step(step, total(arrived.pop(step.output)))
            for source, part in zip(step.sources, parts, strict=True):
                if part is not None:
                    arrived.setdefault(source, []).append(part)
        images = self.values[0]
        if 0 not in arrived:
            shape = (*relevance.shape[:2], *images.shape[1:])
            return ops.zeros(shape, images.dtype)
        return ops.cast(total(arrived[0]).array(), images.dtype)

    def _step(self, step: Step, relevance: Relevance) -> list:
        """Returns the relevance of each input of one step; None for a gate."""
        inputs = [self.values[source] for source in step.sources]
        rule = self._rule(step)
        if isinstance(rule, LinearRule):
            return [rule.apply(v, relevance) for v in self._linear_layers(step, inputs)]
        if isinstance(rule, SignalTakesAll):
            signal = inputs[1 - step.gate]
            parts = [rule.apply(signal, relevance), None]
            return parts[::-1] if step.gate == 0 else parts
        if step.kind in ("rectifier", "activation", "rescaling"):
            return [rule.apply(step.call, *inputs, relevance)]
        if step.kind == "max_pool":
            return [_max_pool(step, *inputs, relevance)]
        if step.kind == "concatenate":
            return _split(step, inputs, relevance)
        if step.kind == "reshape":
            shape = inputs[0].shape[1:]
            values = ops.cast(relevance.array(), inputs[0].dtype)
            return [Relevance(pull_back(step.call, shape, values))]
        return differentiate(step.call, inputs, relevance)

    def _rule(self, step: Step):
        rule = self.rules.get(step.kind)
        if step.weights is not None and self.raw.issuperset(step.sources):
            return self.rules.get("first", rule)
        return rule

    def _linear_layers(self, step: Step, inputs: list) -> list[LinearLayer]:
        """Sees a step as one linear layer for each of its inputs."""
        kernel, bias = self.weights.get(step.output, (None, None))
        outputs = self.values[step.output]
        return [
            LinearLayer(
                call=_call_on_one(step, index, values, outputs.shape[1:]),
                inputs=values,
                kernel=kernel,
                bias=bias,
                outputs=outputs,
                nonnegative=source in self.nonnegative,
                stackable=step.stackable,
                bounds=self.bounds.get(source),
                precision=self.precision,
            )
            for index, (source, values) in enumerate(
                zip(step.sources, inputs, strict=True)
            )
        ]

    def _bounds(self) -> dict:
        """Carries the box rule's pixel range to the first layers' inputs."""
        if not isinstance(self.rules.get("first"), Box):
            return {}
        steps = [s for s in self.graph.steps if s.output in self.raw]
        ends = [
            run_steps(steps, {}, {0: bound})
            for bound in self.rules["first"].bounds(self.values[0])
        ]
        return {  # a negative factor swaps the ends
            value: (
                ops.minimum(ends[0][value], ends[1][value]),
                ops.maximum(ends[0][value], ends[1][value]),
            )
            for value in ends[0]
        }


def _call_on_one(step: Step, index: int, inputs, shape: tuple) -> Callable:
    """The call of a linear step as a function of one input and the kernel."""
    if step.kind == "layer_normalization":
        centre, scale, _ = step.held(inputs)

        def call(x, _):  # the rows of N targets lie together
            return centre(x) * ops.repeat(scale, x.shape[0] // scale.shape[0], axis=0)

        return call
    if step.kind == "average_pool":
        return lambda x, _: step.call(x)
    if step.kind == "sum":
        coefficient = step.coefficients[index]
        return lambda x, _: coefficient * ops.broadcast_to(x, (x.shape[0], *shape))
    return step.call


def _max_pool(step: Step, inputs, relevance: Relevance) -> Relevance:
    """The first winner takes all."""
    if step.window is not None and _tiles(step.window, inputs.shape[1:3]):
        return _tiled_max_pool(step, inputs, relevance)
    return differentiate(step.call, [inputs], relevance)[0]


def _tiled_max_pool(step: Step, inputs, relevance: Relevance) -> Relevance:
    """The same where windows tile the image: enlarge, then mask."""
    pooled = step.call(inputs)
    _, _, (winners,) = vector_jacobian_product(
        lambda x: (step.call(x), ()), [inputs], ops.ones_like(pooled)
    )
    height, width, channels = inputs.shape[1:]
    batch, targets, *small = relevance.values.shape

    def enlarged(values):
        return ops.image.resize(
            values,
            (height, width),
            interpolation="nearest",
            data_format="channels_last",
        )

    values = enlarged(ops.reshape(relevance.values, (batch * targets, *small)))
    values = ops.reshape(values, (batch, targets, height, width, channels))
    if relevance.factor is not None:
        winners = winners * enlarged(relevance.factor)
    return Relevance(values, winners)


def _tiles(window: tuple[int, int], size: tuple[int, int]) -> bool:
    return all(length % step == 0 for length, step in zip(size, window, strict=True))


def _split(step: Step, inputs: list, relevance: Relevance) -> list[Relevance]:
    """Cuts the relevance of a concatenation into the relevance of its inputs."""
    axis = step.axis % len(inputs[0].shape)
    ends = []
    for values in inputs[:-1]:
        ends.append(values.shape[axis] + (ends[-1] if ends else 0))
    parts = ops.split(relevance.values, ends, axis=axis + 1)
    if relevance.factor is None:
        return [Relevance(part) for part in parts]
    factors = ops.split(relevance.factor, ends, axis=axis)
    return [Relevance(*pair) for pair in zip(parts, factors, strict=True)]
