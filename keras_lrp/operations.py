"""The operations of decoders and Transformers, plain and as LRP rules.

A network is written once in terms of these operations. With `Operations` it is the
model. With `RelevanceOperations` the same code, differentiated, gives LRP: with gates
and attention weights constant, every activation f(z) = z * const(f(z) / z), and the
result z of every sum carrying the factor const(z / (z + epsilon sign(z))), input times
gradient is exactly the relevance of the epsilon-rule. The forward values stay exact.

Source: Bach et al. 2015 (LRP); Arras et al. 2017 (gates take no relevance); the
decoder rules of arXiv 2001.01037, section 3; for Transformers Ali et al. 2022 (arXiv
2202.07304) and Achtibat et al. 2024 (arXiv 2402.05602).
"""

from dataclasses import dataclass

from keras import ops


def stabilizer(z, epsilon: float):
    """Returns epsilon with the sign of z, counting 0 as positive."""
    return ops.where(z >= 0, epsilon, -epsilon)


class Operations:
    """The plain operations: a network uses only these to combine its signals."""

    def linear(self, x, kernel, bias=None):
        """Returns x @ kernel + bias."""
        z = ops.matmul(x, kernel)
        return self.sum(z if bias is None else z + bias)

    def patches(self, x, kernel, bias=None):
        """Applies the linear layer of a vision Transformer that sees the pixels."""
        return self.linear(x, kernel, bias)

    def sum(self, z):
        """Marks z as a sum whose summands share its relevance proportionally."""
        return z

    def activation(self, z, function):
        """Applies a function of single values on the signal path."""
        return function(z)

    def tanh(self, z):
        """Applies tanh on the signal path."""
        return ops.tanh(z)

    def relu(self, z):
        """Applies the rectifier on the signal path."""
        return ops.relu(z)

    def gate(self, signal, gate):
        """Multiplies a signal by an LSTM gate."""
        return signal * gate

    def attention(self, weights):
        """Marks attention weights, the sentinel's share and the sentinel's gate."""
        return weights

    def softmax(self, scores):
        """Turns the scores of a Transformer's attention into weights."""
        return ops.softmax(scores)

    def product(self, first, second):
        """Multiplies the matrices of two signals: scores, and weights times values."""
        return self.sum(ops.matmul(first, second))

    def normalize(self, x, gamma, beta, epsilon: float):
        """Normalizes the last axis: gamma (x - mean) / deviation + beta."""
        centred = self.sum(x - ops.mean(x, axis=-1, keepdims=True))
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        scale = self.scale(ops.rsqrt(variance + epsilon))
        return self.sum(centred * scale * gamma + beta)

    def scale(self, factor):
        """Marks the factor 1 / deviation of a normalization."""
        return factor


class GradientOperations(Operations):
    """Plain derivatives with the attention held fixed, as the paper computes them."""

    def attention(self, weights):
        """Holds the weights fixed."""
        return ops.stop_gradient(weights)


@dataclass(frozen=True)
class RelevanceOperations(Operations):
    """Operations whose input-times-gradient is the relevance of LRP-epsilon.

    With epsilon 0 it is CP-LRP: all sums share in exact proportion, and attention
    weights are constants, so that nothing but biases takes relevance.

    Args:
        epsilon: The stabilizer of the denominators; 0 for none.
    """

    epsilon: float = 1e-7

    def sum(self, z):
        """The epsilon-rule; a bias inside z keeps its share."""
        if self.epsilon == 0.0:
            return z
        return _tied(z, z, z / (z + stabilizer(z, self.epsilon)))

    def tanh(self, z):
        """The identity rule."""
        return self._activation(z, ops.tanh(z))

    def relu(self, z):
        """The identity rule."""
        return self._activation(z, ops.relu(z))

    def activation(self, z, function):
        """The identity rule."""
        return self._activation(z, function(z))

    def gate(self, signal, gate):
        """The signal takes all."""
        return signal * ops.stop_gradient(gate)

    def attention(self, weights):
        """Attention weights take nothing."""
        return ops.stop_gradient(weights)

    def softmax(self, scores):
        """Attention weights take nothing; what they weigh takes all."""
        return ops.stop_gradient(ops.softmax(scores))

    def scale(self, factor):
        """A deviation takes nothing."""
        return ops.stop_gradient(factor)

    def _activation(self, z, activated):
        safe = ops.where(z == 0, 1.0, z)
        return _tied(z, activated, ops.where(z == 0, 1.0, activated / safe))


@dataclass(frozen=True)
class AttentionOperations(RelevanceOperations):
    """AttnLRP: attention weights are signals too.

    The factors of a product take half each, and the softmax hands relevance on by
    its plain derivative, whose constant part is lost.

    Source: Achtibat et al. 2024 (arXiv 2402.05602), propositions 3.1 and 3.3.
    """

    epsilon: float = 0.0

    def softmax(self, scores):
        """The plain derivative."""
        return ops.softmax(scores)

    def product(self, first, second):
        """Each factor takes half."""
        z = self.sum(ops.matmul(first, second))
        return 0.5 * z + ops.stop_gradient(0.5 * z)


@dataclass(frozen=True)
class GammaOperations(AttentionOperations):
    """AttnLRP with the gamma-rule in linear layers, which favours the output's sign.

    The summands of an output z count 1 + gamma times where they have its sign. Their
    sum is z + gamma (z + sign(z) sum |summands|) / 2, so that one more product is
    needed, of absolute values.

    Args:
        gamma: Of linear layers.
        pixel_gamma: Of the layer that sees the pixels.

    Source: Montavon et al. 2019; for both signs Andéol et al. 2021.
    """

    gamma: float = 0.05
    pixel_gamma: float = 0.25

    def linear(self, x, kernel, bias=None):
        """The gamma-rule; a bias counts as a summand."""
        return _favoured(x, kernel, bias, self.gamma)

    def patches(self, x, kernel, bias=None):
        """The gamma-rule of the pixels."""
        return _favoured(x, kernel, bias, self.pixel_gamma)


def _favoured(x, kernel, bias, gamma: float):
    z = ops.matmul(x, kernel)
    absolute = ops.matmul(ops.abs(x), ops.abs(kernel))
    if bias is not None:
        z, absolute = z + bias, absolute + ops.abs(bias)
    sign = ops.stop_gradient(ops.where(z >= 0, 1.0, -1.0))
    raised = z + 0.5 * gamma * (z + sign * absolute)
    safe = ops.where(raised == 0, 1.0, raised)
    factor = ops.stop_gradient(ops.where(raised == 0, 0.0, z / safe))
    linear = raised * factor
    return linear + ops.stop_gradient(z - linear)


RELEVANCE_RULES: dict[str, RelevanceOperations] = {
    "epsilon": RelevanceOperations(),
    "attn_lrp": AttentionOperations(),
    "cp_lrp": RelevanceOperations(epsilon=0.0),
    "gamma": GammaOperations(),
}


def _tied(z, value, factor):
    """Returns `value` with the derivative `factor` with respect to z."""
    linear = z * ops.stop_gradient(factor)
    return linear + ops.stop_gradient(value - linear)
