"""The optimizer and the loss of training."""

import keras
from keras import ops

from keras_lrp.backend import share_of_replica


class Adam(keras.optimizers.Adam):
    """Adam with a factor on the learning rate of some variables.

    Gradients are clipped here and not by Keras, which clips those of each device
    before it sums them.

    Args:
        learning_rate: A number or a schedule.
        factors: One for each trained variable, in their order.
        clip_value: The largest absolute value of a gradient's entry; 0 clips nothing.
        **kwargs: Of `keras.optimizers.Adam`.
    """

    def __init__(
        self, learning_rate, factors: list[float], clip_value: float = 0.0, **kwargs
    ):
        super().__init__(learning_rate, **kwargs)
        self.factors, self.clip_value = factors, clip_value

    def update_step(self, gradient, variable, learning_rate):
        if self.clip_value:
            gradient = ops.clip(gradient, -self.clip_value, self.clip_value)
        factor = self.factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, factor * learning_rate)


class TokenCrossEntropy(keras.losses.Loss):
    """Mean cross-entropy of the tokens with weight, from logits.

    The mean is that of the whole batch, however many devices share it.

    Args:
        smoothing: The share of the target that is spread over the vocabulary.
        temperature: Divides the logits.
        reduction: "mean_with_sample_weight", or "sum_over_batch_size" where weights
            have both signs.
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        temperature: float = 1.0,
        reduction: str = "mean_with_sample_weight",
    ):
        super().__init__(name="token_cross_entropy", reduction=reduction)
        self.smoothing, self.temperature = smoothing, temperature

    def __call__(self, tokens, logits, sample_weight=None):
        loss = super().__call__(tokens, logits, sample_weight)
        return loss if sample_weight is None else loss * share_of_replica(sample_weight)

    def call(self, tokens, logits):
        """Returns the loss (B, Q) of tokens (B, Q) under logits (B, Q, V)."""
        logits = ops.cast(logits, "float32") / self.temperature
        tokens = ops.cast(tokens, "int32")[..., None]
        predicted = ops.squeeze(ops.take_along_axis(logits, tokens, axis=-1), -1)
        expected = (1.0 - self.smoothing) * predicted
        if self.smoothing:
            expected += self.smoothing * ops.mean(logits, axis=-1)
        return ops.logsumexp(logits, axis=-1) - expected


def token_accuracy(tokens, logits):
    """Returns where the likeliest token (B, Q) is the right one."""
    best = ops.cast(ops.argmax(logits, axis=-1), tokens.dtype)
    return ops.cast(best == tokens, "float32")
