"""LRP, gradients and guided backprop through any Keras functional CNN.

The network is read as a list of steps, computed once for each image, and walked
backwards for all words of the image together. A preset names one rule for each kind
of step.

Source: Bach et al. 2015 (LRP); Kohlbrenner et al. 2020 (rules by kind of layer).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import keras
from keras import ops

from models.gradients import compiled, vector_jacobian_product
from models.layer_graph import Graph, Step, read_graph
from models.layer_rules import (
    AlphaBeta,
    Box,
    Derivative,
    Epsilon,
    Gamma,
    Gradient,
    LinearLayer,
    PassThrough,
    Relevance,
    pull_back,
    total,
)

DENSE = Epsilon(0.01)


def _relevance_preset(convolution, dense=DENSE, **others) -> dict:
    """Rules that divide relevance in proportion."""
    return {
        "convolution": convolution,
        "dense": dense,
        "normalization": convolution,
        "average_pool": Epsilon(),
        "sum": Epsilon(),
        "rectifier": PassThrough(),
        "activation": PassThrough(),
        "rescaling": PassThrough(),
        **others,
    }


GRADIENT = {
    **dict.fromkeys(
        ("convolution", "dense", "normalization", "average_pool", "sum"), Gradient()
    ),
    **dict.fromkeys(("rectifier", "activation", "rescaling"), Derivative()),
}

PRESETS = {
    "alpha1_beta0": _relevance_preset(AlphaBeta(1.0, 0.0)),
    "alpha1_beta0_innvestigate": _relevance_preset(AlphaBeta(1.0, 0.0, bias="whole")),
    "alpha2_beta1": _relevance_preset(AlphaBeta(2.0, 1.0)),
    "z_plus": _relevance_preset(AlphaBeta(1.0, 0.0), dense=AlphaBeta(1.0, 0.0)),
    "epsilon": _relevance_preset(Epsilon(0.01)),
    "epsilon_plus": _relevance_preset(AlphaBeta(1.0, 0.0), dense=Epsilon(1e-6)),
    "epsilon_alpha2_beta1": _relevance_preset(AlphaBeta(2.0, 1.0), dense=Epsilon(1e-6)),
    "epsilon_gamma_box": _relevance_preset(
        Gamma(0.25), dense=Epsilon(1e-6), first=Box()
    ),
    "gradient": GRADIENT,
    "guided_backprop": {**GRADIENT, "rectifier": Derivative(guided=True)},
}


def relevance_propagator(
    model: keras.Model,
    preset: str | Mapping = "alpha1_beta0",
    pixel_range: tuple | None = None,
) -> Callable:
    """Prepares the backward pass of a network from its output to its input.

    The final softmax of a classifier is left out: its logits are explained.

    Args:
        model: A functional or Sequential CNN with one input and one output.
        preset: A key of `PRESETS`, or a mapping of the same form: kind of step to
            rule, where "first" replaces the rule of the layers that see the image.
        pixel_range: Smallest and largest preprocessed pixel, each one number or one
            per channel, for the box rule. By default each image's own range.

    Returns:
        A compiled function (inputs (B, H, W, C), relevance (B, N, ...)) -> relevance
        of the inputs (B, N, H, W, C), for N words of each image. The weights are
        read at every call. It is compiled once for each shape of its arguments.

    Raises:
        ValueError: The preset is unknown, or a layer has no rule.
    """
    rules = _rules(preset, pixel_range)
    graph = read_graph(model)

    def propagate(inputs, relevance):
        inputs = ops.cast(inputs, model.compute_dtype)
        relevance = ops.cast(relevance, model.compute_dtype)
        weights = {s.output: s.weights() for s in graph.steps if s.weights is not None}
        values = _forward(graph.steps, weights, {0: inputs})
        _check_relevance(relevance, values[graph.output])
        return _Backward(graph, rules, weights, values).run(relevance)

    return compiled(propagate, model)


def encoder_relevance(
    model: keras.Model, inputs, relevance, preset: str | Mapping = "alpha1_beta0"
):
    """Explains once; `relevance_propagator` keeps what is compiled for many times.

    Args:
        model: A functional or Sequential CNN.
        inputs: Preprocessed images (B, H, W, C).
        relevance: Of the model's output, (B, N, ...) for N words of each image.
        preset: A key of `PRESETS` or a mapping of the same form.

    Returns:
        The relevance of the inputs, (B, N, H, W, C).
    """
    return relevance_propagator(model, preset)(inputs, relevance)


def class_relevance(
    model: keras.Model,
    inputs,
    classes: Sequence[int] | None = None,
    preset: str | Mapping = "alpha1_beta0",
):
    """Explains classes of a classifier; each class's logit has relevance 1.

    LRP then shares out 1 (less what the biases take), and the gradient presets give
    the derivative of the logit.

    Args:
        model: A functional or Sequential CNN with scores (B, C), softmax or not.
        inputs: Preprocessed images (B, H, W, channels).
        classes: N numbers in [0, C), explained for every image; by default each
            image's class of the largest score.
        preset: A key of `PRESETS` or a mapping of the same form.

    Returns:
        The relevance of the inputs, (B, N, H, W, channels).

    Raises:
        ValueError: The model is no classifier, or has no such class.
    """
    if len(model.output_shape) != 2:
        raise ValueError(
            "class_relevance needs a classifier with scores (B, C); received outputs "
            f"{model.output_shape}. Use encoder_relevance for other networks."
        )
    num_classes = model.output_shape[-1]
    if classes is None:
        chosen = ops.argmax(model(inputs), -1)[:, None]  # (B, 1)
    elif all(0 <= number < num_classes for number in classes):
        chosen = ops.tile(ops.convert_to_tensor([list(classes)]), (len(inputs), 1))
    else:
        raise ValueError(
            f"classes must be numbers from 0 to {num_classes - 1}; received {classes}."
        )
    return encoder_relevance(model, inputs, ops.one_hot(chosen, num_classes), preset)


def _rules(preset: str | Mapping, pixel_range: tuple | None) -> dict:
    if isinstance(preset, str) and preset not in PRESETS:
        raise ValueError(
            f"preset must be one of {', '.join(PRESETS)}, or a mapping of rules; "
            f"received {preset!r}."
        )
    rules = dict(PRESETS[preset] if isinstance(preset, str) else preset)
    if rules.keys() - {"first"} != GRADIENT.keys():
        raise ValueError(
            f"A mapping of rules needs the keys {', '.join(GRADIENT)}, and may have "
            f"'first'; received {', '.join(rules)}. Start from one of PRESETS."
        )
    if pixel_range is not None:
        if not isinstance(rules.get("first"), Box):
            raise ValueError(
                "pixel_range is used by the box rule only, and this preset has none; "
                "leave it out, or choose 'epsilon_gamma_box'."
            )
        low, high = pixel_range
        rules["first"] = replace(rules["first"], low=low, high=high)
    return rules


def _check_relevance(relevance, output) -> None:
    expected = (output.shape[0], "N", *output.shape[1:])
    received = tuple(relevance.shape)
    if len(received) < 2 or (received[0], *received[2:]) != tuple(output.shape):
        raise ValueError(
            "relevance must have the shape of the model's output with an axis of N "
            f"words after the batch, {expected}; received {received}."
        )


def _forward(steps, weights: dict, values: dict) -> dict:
    """Adds the value of every step whose sources are known."""
    values = dict(values)
    for step in steps:
        if not all(source in values for source in step.sources):
            continue
        inputs = [values[source] for source in step.sources]
        if step.weights is None:
            values[step.output] = step.call(*inputs)
        elif step.output in weights:
            kernel, bias = weights[step.output]
            values[step.output] = step.call(*inputs, kernel) + bias
    return values


class _Backward:
    """One backward pass: relevance of the output to relevance of the input."""

    def __init__(self, graph: Graph, rules: dict, weights: dict, values: dict):
        self.graph = graph
        self.rules = rules
        self.weights = weights
        self.values = values
        self.nonnegative = graph.nonnegative_values()
        self.raw = graph.raw_values()
        self.bounds = self._bounds()

    def run(self, relevance):
        """Walks through the steps from the last to the first."""
        arrived = {self.graph.output: [Relevance(relevance)]}
        for step in reversed(self.graph.steps):
            parts = self._step(step, total(arrived.pop(step.output)))
            for source, part in zip(step.sources, parts, strict=True):
                arrived.setdefault(source, []).append(part)
        return total(arrived[0]).array()

    def _step(self, step: Step, relevance: Relevance) -> list[Relevance]:
        """Returns the relevance of each input of one step."""
        inputs = [self.values[source] for source in step.sources]
        if step.weights is not None or step.kind in ("average_pool", "sum"):
            rule = self._rule(step)
            return [rule.apply(v, relevance) for v in self._linear_layers(step, inputs)]
        if step.kind in ("rectifier", "activation", "rescaling"):
            return [self._rule(step).apply(step.call, *inputs, relevance)]
        if step.kind == "max_pool":
            return [_max_pool(step, *inputs, relevance)]
        if step.kind == "concatenate":
            return _split(step, inputs, relevance)
        shape = inputs[0].shape[1:]
        return [Relevance(pull_back(step.call, shape, relevance.array()))]

    def _rule(self, step: Step):
        if step.weights is not None and self.raw.issuperset(step.sources):
            return self.rules.get("first", self.rules[step.kind])
        return self.rules[step.kind]

    def _linear_layers(self, step: Step, inputs: list) -> list[LinearLayer]:
        """Sees a step as one linear layer for each of its inputs."""
        kernel, bias = self.weights.get(step.output, (None, None))
        outputs = self.values[step.output]
        return [
            LinearLayer(
                call=_call_on_one(step, index, outputs.shape[1:]),
                inputs=values,
                kernel=kernel,
                bias=bias,
                outputs=outputs,
                nonnegative=source in self.nonnegative,
                stackable=step.stackable,
                bounds=self.bounds.get(source),
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
        low, high = (
            _forward(steps, {}, {0: bound})
            for bound in self.rules["first"].bounds(self.values[0])
        )
        return {value: (low[value], high[value]) for value in low}


def _call_on_one(step: Step, index: int, shape: tuple) -> Callable:
    """The call of a linear step as a function of one input and the kernel."""
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
    values = relevance.array()
    batch, words, *pooled = values.shape
    repeated = ops.repeat(inputs, words, axis=0)
    _, _, (result,) = vector_jacobian_product(
        lambda x: (step.call(x), ()),
        [repeated],
        ops.reshape(values, (batch * words, *pooled)),
    )
    return Relevance(ops.reshape(result, (batch, words, *inputs.shape[1:])))


def _tiled_max_pool(step: Step, inputs, relevance: Relevance) -> Relevance:
    """The same where windows tile the image: enlarge, then mask."""
    pooled = step.call(inputs)
    _, _, (winners,) = vector_jacobian_product(
        lambda x: (step.call(x), ()), [inputs], ops.ones_like(pooled)
    )
    height, width, channels = inputs.shape[1:]
    batch, words, *small = relevance.values.shape

    def enlarged(values):
        return ops.image.resize(
            values,
            (height, width),
            interpolation="nearest",
            data_format="channels_last",
        )

    values = enlarged(ops.reshape(relevance.values, (batch * words, *small)))
    values = ops.reshape(values, (batch, words, height, width, channels))
    if relevance.factor is not None:
        winners = winners * enlarged(relevance.factor)
    return Relevance(values, winners)


def _tiles(window: tuple[int, int], size: tuple[int, int]) -> bool:
    return all(length % step == 0 for length, step in zip(size, window, strict=True))


def _split(step: Step, inputs: list, relevance: Relevance) -> list[Relevance]:
    """Cuts the relevance of a concatenation into the relevance of its inputs."""
    axis = step.layer.axis % len(inputs[0].shape)
    ends = []
    for values in inputs[:-1]:
        ends.append(values.shape[axis] + (ends[-1] if ends else 0))
    parts = ops.split(relevance.values, ends, axis=axis + 1)
    if relevance.factor is None:
        return [Relevance(part) for part in parts]
    factors = ops.split(relevance.factor, ends, axis=axis)
    return [Relevance(*pair) for pair in zip(parts, factors, strict=True)]
