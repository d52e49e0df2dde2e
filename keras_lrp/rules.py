"""Rules that take relevance or a gradient backwards through the layers of a CNN.

A rule is data: a frozen dataclass whose parameters name one variant. The rules of
linear layers say which summands divide the relevance; how it is divided is written
once, in `LinearRule.apply`.
"""

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
        return self.values * ops.expand_dims(self.factor, 1)


def total(parts: Sequence[Relevance]) -> Relevance:
    """Adds relevances, keeping a factor that they have in common."""
    first, *others = parts
    if all(part.factor is first.factor for part in others):
        return Relevance(sum((p.values for p in others), first.values), first.factor)
    return Relevance(sum((p.array() for p in others), first.array()))


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


class LinearRule:
    """Divides the relevance of a linear layer's outputs among its inputs."""

    def shares(self, layer: LinearLayer) -> tuple[Share, ...]:
        """Returns the groups of summands that divide the relevance."""
        raise NotImplementedError

    def apply(self, layer: LinearLayer, relevance: Relevance) -> Relevance:
        """Returns the inputs' relevance, given the outputs'."""
        return total([_divide(layer, s, relevance) for s in self.shares(layer)])


@dataclass(frozen=True)
class Epsilon(LinearRule):
    """LRP-epsilon: R_i = sum_j x_i w_ij / (z_j + epsilon sign z_j) R_j.

    Args:
        epsilon: Positive. A large one keeps relevance from outputs near zero.
        relative: Whether epsilon counts in units of the mean |z| of each image's
            outputs, so that outputs of any scale keep the same share.

    Source: Bach et al. 2015, equation 58.
    """

    epsilon: float = STABILIZER
    relative: bool = False

    def shares(self, layer: LinearLayer) -> tuple[Share, ...]:
        """Names the summands."""
        terms = ((layer.inputs, layer.kernel),)
        return (
            Share(
                terms,
                epsilon=self.epsilon,
                relative=self.relative,
                denominator=layer.outputs,
            ),
        )


@dataclass(frozen=True)
class AlphaBeta(LinearRule):
    """LRP-alpha-beta: the positive summands share alpha R, the negative -beta R.

    With alpha 1 and beta 0 it is the z-plus rule, for inputs of any sign.

    Args:
        alpha: At least 1.
        beta: alpha - 1.
        bias: "signed" counts the bias among the summands of its own sign; "whole"
            adds all of it to both denominators, as iNNvestigate does.
        conserves: Whether an output whose summands all have one sign gives them R,
            not alpha R or -beta R, so that none is made or lost. zennit gives alpha R.

    Source: Bach et al. 2015, equation 60.
    """

    alpha: float = 1.0
    beta: float = 0.0
    bias: str = "signed"
    conserves: bool = False

    def __post_init__(self):
        if abs(self.alpha - self.beta - 1.0) > 1e-9:
            raise ValueError(
                "alpha - beta must be 1, or relevance is not conserved; received "
                f"alpha={self.alpha}, beta={self.beta}."
            )
        if self.bias not in ("signed", "whole"):
            raise ValueError(
                f"bias must be 'signed' or 'whole'; received {self.bias!r}."
            )

    def shares(self, layer: LinearLayer) -> tuple[Share, ...]:
        """Names the summands."""
        positive, negative = signed_parts(layer.kernel)
        biases = signed_parts(layer.bias) if self.bias == "signed" else [layer.bias] * 2
        activating = layer.signed_terms(positive, negative)
        shares = (Share(activating, biases[0], self.alpha),)
        if self.beta == 0.0:
            return shares
        inhibiting = layer.signed_terms(negative, positive)
        shares = *shares, Share(inhibiting, biases[1], -self.beta)
        return self._conserving(layer, shares) if self.conserves else shares

    def _conserving(self, layer: LinearLayer, shares: tuple) -> tuple[Share, ...]:
        """Gives all to the side that exists where the other has no summand."""
        sums = [layer.sum_of(share.terms) + share.bias for share in shares]
        large = [ops.abs(z) for z in sums]
        missing = [mine <= 1e-6 * other for mine, other in (large, large[::-1])]
        portions = [
            ops.where(missing[1], 1.0, ops.where(missing[0], 0.0, self.alpha)),
            ops.where(missing[0], 1.0, ops.where(missing[1], 0.0, -self.beta)),
        ]
        return tuple(
            replace(share, denominator=z, portion=ops.cast(portion, z.dtype))
            for share, z, portion in zip(shares, sums, portions, strict=True)
        )


@dataclass(frozen=True)
class Gamma(LinearRule):
    """LRP-gamma: summands of the output's sign count 1 + gamma times.

    Source: Montavon et al. 2019, section 10.2; for inputs and outputs of any sign
    as generalized by Andéol et al. 2021.
    """

    gamma: float = 0.25

    def shares(self, layer: LinearLayer) -> tuple[Share, ...]:
        """Names the summands."""
        raised, lowered = (
            (layer.kernel + self.gamma * kernel, layer.bias + self.gamma * bias)
            for kernel, bias in zip(
                signed_parts(layer.kernel), signed_parts(layer.bias), strict=True
            )
        )
        dtype = layer.outputs.dtype
        return (
            Share(
                layer.signed_terms(raised[0], lowered[0]),
                raised[1],
                ops.cast(layer.outputs > 0, dtype),
            ),
            Share(
                layer.signed_terms(lowered[0], raised[0]),
                lowered[1],
                ops.cast(layer.outputs < 0, dtype),
            ),
        )


@dataclass(frozen=True)
class Box(LinearRule):
    """The z^B rule of the first layer, for inputs known to lie in [low, high].

    The summands are x w - low w+ - high w-; the bias is left out.

    Args:
        low: The smallest input, one number or one per channel; None for each
            image's own smallest value per channel.
        high: The largest, likewise.

    Source: Montavon et al. 2017 (deep Taylor decomposition), table 1.
    """

    low: float | tuple[float, ...] | None = None
    high: float | tuple[float, ...] | None = None

    def bounds(self, images) -> tuple:
        """Returns the smallest and largest possible images, (B, ..., C) each."""
        axes = tuple(range(1, len(images.shape) - 1))
        low = ops.min(images, axes, keepdims=True) if self.low is None else self.low
        high = ops.max(images, axes, keepdims=True) if self.high is None else self.high
        ones = ops.ones_like(images)
        return tuple(ones * ops.cast(bound, images.dtype) for bound in (low, high))

    def shares(self, layer: LinearLayer) -> tuple[Share, ...]:
        """Names the summands."""
        positive, negative = signed_parts(layer.kernel)
        low, high = layer.bounds
        terms = (layer.inputs, layer.kernel), (-low, positive), (-high, negative)
        return (Share(terms),)


@dataclass(frozen=True)
class Flat(LinearRule):
    """Every input of an output gets the same, whatever inputs and weights."""

    def shares(self, layer: LinearLayer) -> tuple[Share, ...]:
        """Names the summands."""
        ones = ops.ones_like(layer.inputs), ops.ones_like(layer.kernel)
        return (Share((ones,)),)


@dataclass(frozen=True)
class WSquare(LinearRule):
    """Inputs share in proportion to their squared weights, whatever their values.

    Source: Montavon et al. 2017, table 1.
    """

    def shares(self, layer: LinearLayer) -> tuple[Share, ...]:
        """Names the summands."""
        terms = ((ops.ones_like(layer.inputs), ops.square(layer.kernel)),)
        return (Share(terms),)


@dataclass(frozen=True)
class Gradient(LinearRule):
    """The plain derivative of a linear layer, in place of relevance."""

    def apply(self, layer: LinearLayer, relevance: Relevance) -> Relevance:
        """Applies the transpose of the layer."""
        return Relevance(_pull_back(layer, layer.kernel, layer.inputs, relevance))


@dataclass(frozen=True)
class SignalTakesAll:
    """Of a product of a signal and a gate, the gate takes nothing.

    Source: Arras et al. 2017.
    """

    def apply(self, signal, relevance: Relevance) -> Relevance:
        """Returns the signal's relevance; where it was spread, the sum."""
        values, shape = relevance.array(), tuple(signal.shape)
        extra = len(values.shape) - 1 - len(shape)
        values = ops.sum(values, tuple(range(2, 2 + extra))) if extra else values
        axes = tuple(
            axis + 1
            for axis, length in enumerate(shape)
            if axis and length == 1 and values.shape[axis + 1] != 1
        )
        return Relevance(ops.sum(values, axes, keepdims=True) if axes else values)


@dataclass(frozen=True)
class PassThrough:
    """Elementwise operations hand relevance through, whatever they do."""

    def apply(self, call: Callable, inputs, relevance: Relevance) -> Relevance:
        """Returns the relevance or gradient of the inputs of `call`."""
        return relevance


@dataclass(frozen=True)
class Derivative:
    """The derivative of an elementwise operation.

    Args:
        guided: Whether negative gradients are dropped first (guided backprop,
            Springenberg et al. 2015).
    """

    guided: bool = False

    def apply(self, call: Callable, inputs, relevance: Relevance) -> Relevance:
        """Returns the relevance or gradient of the inputs of `call`."""
        _, _, (derivative,) = vector_jacobian_product(
            lambda x: (call(x), ()), [inputs], ops.ones_like
        )
        if self.guided:
            relevance = Relevance(ops.relu(relevance.array()))
        return relevance.scaled(derivative)


def signed_parts(values) -> tuple:
    """Returns the positive and the negative part."""
    return ops.maximum(values, 0), ops.minimum(values, 0)


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
    values = relevance.array()
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


def _pull_back(layer: LinearLayer, kernel, inputs, relevance: Relevance):
    values = relevance.array()
    if layer.precision is None or kernel is None:
        return pull_back(lambda x: layer.call(x, kernel), inputs.shape[1:], values)
    kernel = ops.cast(kernel, layer.precision)
    result = pull_back(
        lambda x: layer.call(x, kernel),
        inputs.shape[1:],
        ops.cast(values, layer.precision),
    )
    return ops.cast(result, inputs.dtype)


def _divide(layer: LinearLayer, share: Share, relevance: Relevance) -> Relevance:
    """Divides the portion of one share among the inputs."""
    if layer.stackable and len(share.terms) > 1:
        return _divide_stacked(layer, share, relevance)
    quotient = Relevance(relevance.scaled(_quotient(layer, share)).array())
    return total(
        [
            Relevance(_pull_back(layer, kernel, inputs, quotient), inputs)
            for inputs, kernel in share.terms
        ]
    )


def _divide_stacked(layer: LinearLayer, share: Share, relevance: Relevance):
    """Takes all terms in one product, their inputs side by side as channels."""
    joint = replace(share, terms=(stacked(share.terms),))
    result = _divide(layer, joint, relevance).array()
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
