"""How relevance is divided among the summands of a linear layer."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from keras import ops

from keras_lrp.backend import transpose, vector_jacobian_product
from keras_lrp.operations import stabilizer

STABILIZER = 1e-9
SMALLEST = 1e-30  # of denominators, far below what float32 can hold


@dataclass(frozen=True)
class Relevance:
    """Relevance of N targets at one place of a network: factor * values.

    What is the same for all targets stays apart, so that it is multiplied once for an
    image and not once for every target.

    Attributes:
        values: (B, N, ...).
        factor: (B, ...), or None for ones.
    """

    values: object
    factor: object = None

    def scaled(self, factor) -> "Relevance":
        """Multiplies by a factor (B, ...) common to the targets."""
        known = self.factor
        return Relevance(self.values, factor if known is None else known * factor)

    def array(self):
        """Multiplies out: (B, N, ...)."""
        if self.factor is None:
            return self.values
        factor = ops.cast(self.factor, self.values.dtype)
        return self.values * ops.expand_dims(factor, 1)


def total(parts: Sequence[Relevance]) -> Relevance:
    """Adds relevances, keeping a factor that they have in common."""
    factor = parts[0].factor
    if all(part.factor is factor for part in parts):
        return Relevance(_sum([part.values for part in parts]), factor)
    return Relevance(_sum([part.array() for part in parts]))


def _sum(arrays: Sequence):
    return functools.reduce(ops.add, arrays)  # in the larger precision


@dataclass(frozen=True)
class LinearLayer:
    """A linear layer at the inputs it met: outputs = call(inputs, kernel) + bias.

    Attributes:
        call: Linear in both arguments.
        inputs: (B, ...).
        kernel: Weights, or None where the layer has none.
        bias: Broadcasts to the outputs.
        outputs: (B, ...), before any activation.
        nonnegative: Whether the inputs are known to have no negative entry.
        stackable: Whether inputs and kernels may be concatenated along the input
            channels, axis -1 of the inputs and -2 of the kernel.
        bounds: Smallest and largest possible inputs, for the first layer.
        precision: Of the products that are taken back; None for the inputs' own.
    """

    call: Callable
    inputs: object
    kernel: object
    bias: object
    outputs: object
    nonnegative: bool = False
    stackable: bool = False
    bounds: tuple | None = None
    precision: str | None = None

    def sum_of(self, terms: Sequence):
        """Adds the layer's outputs of (inputs, kernel) pairs: one product if it can."""
        if self.stackable and len(terms) > 1:
            terms = [stacked(terms)]
        return sum(self.call(inputs, kernel) for inputs, kernel in terms)

    def signed_terms(self, with_positive, with_negative) -> tuple:
        """Pairs the inputs' positive part with a kernel, the negative with another."""
        if self.nonnegative:
            return ((self.inputs, with_positive),)
        positive, negative = signed_parts(self.inputs)
        return (positive, with_positive), (negative, with_negative)


@dataclass(frozen=True)
class Share:
    """Summands that divide a portion of the outputs' relevance in proportion.

    Attributes:
        terms: (inputs, kernel) pairs; the summands are their products.
        bias: Added to the denominator, its share is lost; None for nothing.
        portion: Factor on the outputs' relevance.
        epsilon: Stabilizer of the denominator.
        relative: Whether epsilon counts in units of each image's mean |denominator|.
        denominator: The sum of the summands and the bias where it is known already.
    """

    terms: tuple
    bias: object = None
    portion: object = 1.0
    epsilon: float = STABILIZER
    relative: bool = True
    denominator: object = None


def signed_parts(values) -> tuple:
    """Returns the positive and the negative part."""
    return ops.relu(values), -ops.relu(-values)  # torch keeps float64 so


def pull_back(function: Callable, shape: Sequence[int], values):
    """Applies the transpose of a linear function to the values of N targets.

    Args:
        function: From arrays (M, *shape) to arrays (M, ...), linear.
        shape: Of one argument, without the batch axis.
        values: (B, N, ...), shaped like the results.

    Returns:
        (B, N, *shape).
    """
    batch, targets, *rest = values.shape
    flat = ops.reshape(values, (batch * targets, *rest))
    result = transpose(function, (batch * targets, *shape), flat)
    return ops.reshape(result, (batch, targets, *shape))


def differentiate(function: Callable, inputs: Sequence, relevance: Relevance) -> list:
    """Pulls the values of N targets back through a function of any kind.

    Args:
        function: From arrays (M, ...) to one array (M, ...), row by row.
        inputs: Its arguments, (B, ...) each.
        relevance: Or a gradient, of its result.

    Returns:
        One Relevance for each argument.
    """
    values = ops.cast(relevance.array(), inputs[0].dtype)
    batch, targets, *rest = values.shape
    repeated = [ops.repeat(value, targets, axis=0) for value in inputs]
    _, _, results = vector_jacobian_product(
        lambda *arrays: (function(*arrays), ()),
        repeated,
        ops.reshape(values, (batch * targets, *rest)),
    )
    return [
        Relevance(ops.reshape(result, (batch, targets, *value.shape[1:])))
        for result, value in zip(results, inputs, strict=True)
    ]


def stacked(terms: Sequence) -> tuple:
    """Lays the inputs of (inputs, kernel) pairs side by side as channels."""
    inputs, kernels = zip(*terms, strict=True)
    return ops.concatenate(inputs, -1), ops.concatenate(kernels, -2)


def take_back(layer: LinearLayer, kernel, inputs, relevance: Relevance):
    """Applies the transpose of a layer with some kernel; the result has its precision.

    A layer without a kernel has that of its inputs.
    """
    dtype = inputs.dtype
    if kernel is not None:
        dtype = layer.precision or dtype
        kernel = ops.cast(kernel, dtype)
    values = ops.cast(relevance.array(), dtype)
    return pull_back(lambda x: layer.call(x, kernel), inputs.shape[1:], values)


def divide(layer: LinearLayer, share: Share, relevance: Relevance) -> Relevance:
    """Divides the portion of one share among the inputs."""
    if layer.stackable and len(share.terms) > 1:
        return _divide_stacked(layer, share, relevance)
    quotient = Relevance(relevance.scaled(_quotient(layer, share)).array())
    return total(
        [
            Relevance(take_back(layer, kernel, inputs, quotient), inputs)
            for inputs, kernel in share.terms
        ]
    )


def _divide_stacked(layer: LinearLayer, share: Share, relevance: Relevance):
    """Takes all terms in one product, their inputs side by side as channels."""
    joint = replace(share, terms=(stacked(share.terms),))
    result = divide(layer, joint, relevance).array()
    shape = (*result.shape[:-1], len(share.terms), layer.inputs.shape[-1])
    return Relevance(ops.sum(ops.reshape(result, shape), -2))


def _quotient(layer: LinearLayer, share: Share):
    """Returns portion / denominator, (B, ...)."""
    z = share.denominator
    if z is None:
        z = sum(layer.call(inputs, kernel) for inputs, kernel in share.terms)
        z = z if share.bias is None else z + share.bias
    epsilon = share.epsilon
    if share.relative:
        axes = tuple(range(1, len(z.shape)))
        scale = ops.mean(ops.abs(z), axes, keepdims=True)
        epsilon = ops.maximum(epsilon * scale, SMALLEST)
    return share.portion / (z + stabilizer(z, epsilon))
