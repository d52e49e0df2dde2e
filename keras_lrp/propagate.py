"""LRP, gradients and guided backprop through any Keras functional CNN.

The network is read as a list of steps, computed once for each image, and walked
backwards for all targets of the image together. A preset names one rule for each kind
of step.

Source: Bach et al. 2015 (LRP); Kohlbrenner et al. 2020 (rules by kind of layer).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import keras
from keras import ops

from keras_lrp.backend import compiled, vector_jacobian_product
from keras_lrp.graph import Graph, Step, read_graph
from keras_lrp.rules import (
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


class LRP:
    """Relevance of a network's input, by the rules of a preset.

    The network is read once; a call is compiled once for each shape of its arguments.
    The weights are read at every call. The final softmax of a classifier is left out:
    its logits are explained.

    Args:
        model: A functional or Sequential CNN with one input and one output.
        preset: A key of `PRESETS`, or a mapping of the same form: kind of step to
            rule, where "first" replaces the rule of the layers that see the image.
        pixel_range: Smallest and largest preprocessed pixel, each one number or one
            per channel, for the box rule. By default each image's own range.

    Raises:
        ValueError: The preset is unknown, or a layer has no rule.

    Example:
        >>> lrp = LRP(keras.applications.VGG16(), "epsilon_plus")
        >>> lrp(images).shape  # of each image's likeliest class
        (8, 1, 224, 224, 3)
        >>> lrp(images, classes=[243, 281]).shape
        (8, 2, 224, 224, 3)
    """

    def __init__(
        self,
        model: keras.Model,
        preset: str | Mapping = "alpha1_beta0",
        pixel_range: tuple | None = None,
    ):
        self.model = model
        self._rules = _rules(preset, pixel_range)
        self._graph = read_graph(model)
        self._propagate = compiled(self._walk, model)

    def __call__(self, images, classes: Sequence[int] | None = None, relevance=None):
        """Explains N targets of each image.

        Args:
            images: Preprocessed (B, H, W, channels).
            classes: N numbers in [0, C), the targets of every image; each class's
                logit has relevance 1. By default each image's class of the largest
                score.
            relevance: Instead of classes: of the model's output, (B, N, ...).

        Returns:
            The relevance of the images, (B, N, H, W, channels). LRP shares out the
            relevance of the output, less what the biases take; the presets
            `gradient` and `guided_backprop` give derivatives.

        Raises:
            ValueError: The model is no classifier and classes are asked for, has no
                such class, or the relevance does not fit its output.
        """
        if relevance is None:
            relevance = self._seeds(images, classes)
        elif classes is not None:
            raise ValueError("Give classes or relevance, not both.")
        return self._propagate(images, relevance)

    def _seeds(self, images, classes: Sequence[int] | None):
        """Returns relevance 1 of the chosen classes (B, N, C)."""
        shape = self.model.output_shape
        if len(shape) != 2:
            raise ValueError(
                "classes need a classifier with scores (B, C); received outputs "
                f"{shape}. Give the relevance of the output instead."
            )
        num_classes = shape[-1]
        if classes is None:
            chosen = ops.argmax(self.model(images), -1)[:, None]  # (B, 1)
        elif all(0 <= number < num_classes for number in classes):
            chosen = ops.convert_to_tensor([list(classes)])
            chosen = ops.tile(chosen, (len(images), 1))
        else:
            raise ValueError(
                f"classes must be numbers from 0 to {num_classes - 1}; received "
                f"{classes}."
            )
        return ops.one_hot(chosen, num_classes)

    def _walk(self, images, relevance):
        dtype = self.model.compute_dtype
        images, relevance = ops.cast(images, dtype), ops.cast(relevance, dtype)
        steps = self._graph.steps
        weights = {s.output: s.weights() for s in steps if s.weights is not None}
        values = _forward(steps, weights, {0: images})
        _check_relevance(relevance, values[self._graph.output])
        return _Backward(self._graph, self._rules, weights, values).run(relevance)


def class_relevance(
    model: keras.Model,
    images,
    classes: Sequence[int] | None = None,
    preset: str | Mapping = "alpha1_beta0",
):
    """Explains classes of a classifier once; `LRP` keeps what is compiled.

    Args:
        model: See `LRP`; with scores (B, C), softmax or not.
        images: Preprocessed (B, H, W, channels).
        classes: See `LRP.__call__`.
        preset: See `LRP`.

    Returns:
        The relevance of the images, (B, N, H, W, channels).

    Raises:
        ValueError: The model cannot be explained, or has no such class.

    Example:
        >>> class_relevance(keras.applications.ResNet50(), images).shape
        (8, 1, 224, 224, 3)
    """
    return LRP(model, preset)(images, classes)


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
            f"targets after the batch, {expected}; received {received}."
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
    batch, targets, *pooled = values.shape
    repeated = ops.repeat(inputs, targets, axis=0)
    _, _, (result,) = vector_jacobian_product(
        lambda x: (step.call(x), ()),
        [repeated],
        ops.reshape(values, (batch * targets, *pooled)),
    )
    return Relevance(ops.reshape(result, (batch, targets, *inputs.shape[1:])))


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
    axis = step.layer.axis % len(inputs[0].shape)
    ends = []
    for values in inputs[:-1]:
        ends.append(values.shape[axis] + (ends[-1] if ends else 0))
    parts = ops.split(relevance.values, ends, axis=axis + 1)
    if relevance.factor is None:
        return [Relevance(part) for part in parts]
    factors = ops.split(relevance.factor, ends, axis=axis)
    return [Relevance(*pair) for pair in zip(parts, factors, strict=True)]
