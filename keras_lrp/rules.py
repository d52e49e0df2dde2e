"""Rules that take relevance or a gradient backwards through the layers of a CNN.

A rule is data: a frozen dataclass whose parameters name one variant. The rules of
linear layers say which summands divide the relevance; how it is divided is written
once, in division.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from keras import ops

from keras_lrp.backend import vector_jacobian_product
from keras_lrp.division import (
    STABILIZER,
    LinearLayer,
    Relevance,
    Share,
    divide,
    signed_parts,
    take_back,
    total,
)


class LinearRule:
    """Divides the relevance of a linear layer's outputs among its inputs."""

    def shares(self, layer: LinearLayer) -> tuple[Share, ...]:
        """Returns the groups of summands that divide the relevance."""
        raise NotImplementedError

    def apply(self, layer: LinearLayer, relevance: Relevance) -> Relevance:
        """Returns the inputs' relevance, given the outputs'."""
        return total([divide(layer, s, relevance) for s in self.shares(layer)])


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
        return Relevance(take_back(layer, layer.kernel, layer.inputs, relevance))


@dataclass(frozen=True)
class SignalTakesAll:
    """Of a product of a signal and a gate, the gate takes nothing.

    Source: Arras et al. 2017.
    """

    def apply(self, signal, relevance: Relevance) -> Relevance:
        """Returns the signal's relevance; where it was spread, the sum."""
        values, shape = ops.cast(relevance.array(), signal.dtype), tuple(signal.shape)
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
