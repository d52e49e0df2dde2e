"""The operations of a decoder, plain and as LRP rules.

A decoder is written once in terms of these operations. With `Operations` it is the
model. With `RelevanceOperations` the same code, differentiated, gives LRP: with gates
and attention weights constant, every activation f(z) = z * const(f(z) / z), and the
result z of every sum carrying the factor const(z / (z + epsilon sign(z))), input times
gradient is exactly the relevance of the epsilon-rule. The forward values stay exact.

Source: Bach et al. 2015 (LRP); Arras et al. 2017 (gates take no relevance); the
decoder rules of arXiv 2001.01037, section 3.
"""

from dataclasses import dataclass

from keras import ops


def stabilizer(z, epsilon: float):
    """Returns epsilon with the sign of z, counting 0 as positive."""
    return ops.where(z >= 0, epsilon, -epsilon)


class Operations:
    """The plain operations: every decoder uses only these to combine its signals."""

    def linear(self, x, kernel, bias=None):
        """Returns x @ kernel + bias."""
        z = ops.matmul(x, kernel)
        return self.sum(z if bias is None else z + bias)

    def sum(self, z):
        """Marks z as a sum whose summands share its relevance proportionally."""
        return z

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


class GradientOperations(Operations):
    """Plain derivatives with the attention held fixed, as the paper computes them."""

    def attention(self, weights):
        """Holds the weights fixed."""
        return ops.stop_gradient(weights)


@dataclass(frozen=True)
class RelevanceOperations(Operations):
    """Operations whose input-times-gradient is the relevance of LRP-epsilon.

    Args:
        epsilon: The stabilizer of the denominators; positive.
    """

    epsilon: float = 1e-7

    def sum(self, z):
        """The epsilon-rule; a bias inside z keeps its share."""
        return _tied(z, z, z / (z + stabilizer(z, self.epsilon)))

    def tanh(self, z):
        """The identity rule."""
        return self._activation(z, ops.tanh(z))

    def relu(self, z):
        """The identity rule."""
        return self._activation(z, ops.relu(z))

    def gate(self, signal, gate):
        """The signal takes all."""
        return signal * ops.stop_gradient(gate)

    def attention(self, weights):
        """Attention weights take nothing."""
        return ops.stop_gradient(weights)

    def _activation(self, z, activated):
        safe = ops.where(z == 0, 1.0, z)
        return _tied(z, activated, ops.where(z == 0, 1.0, activated / safe))


def _tied(z, value, factor):
    """Returns `value` with the derivative `factor` with respect to z."""
    linear = z * ops.stop_gradient(factor)
    return linear + ops.stop_gradient(value - linear)
