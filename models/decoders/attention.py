"""Additive attention with a visual sentinel, shared by both decoders."""

from typing import NamedTuple

import keras
from keras import ops

from keras_lrp import Operations
from models.transformer.layers import at_least_single


class Memory(NamedTuple):
    """What a decoder keeps of an image, projected once for all its captions.

    Attributes:
        values: v (B, L, H).
        keys: v W_v (B, L, H), not part of any signal path.
        image: The global feature v_g (B, E).
    """

    values: object
    keys: object
    image: object


class SentinelAttention(keras.layers.Layer):
    """Attends to the image positions and to what the memory cell knows.

        z_i = w . tanh(W_v v_i + W_g h)           alpha = softmax(z)
        s = sigmoid(W_x x + W_h h_before) * tanh(c)
        beta = last entry of softmax([z; w . tanh(W_s s + W_g h)])
        context = beta s + (1 - beta) sum_i alpha_i v_i

    Args:
        hidden_size: H.
        input_size: The size of the LSTM's input x.

    The softmax and beta are computed in float32 in mixed precision too.

    Source: Lu et al. 2017 (arXiv 1612.01887), equations 6-13.
    """

    def __init__(self, hidden_size: int, input_size: int, **kwargs):
        super().__init__(**kwargs)
        square = (hidden_size, hidden_size)
        self.value_kernel = self._matrix("value_kernel", square)
        self.query_kernel = self._matrix("query_kernel", square)
        self.score_kernel = self._matrix("score_kernel", (hidden_size, 1))
        self.input_kernel = self._matrix("input_kernel", (input_size, hidden_size))
        self.state_kernel = self._matrix("state_kernel", square)
        self.sentinel_kernel = self._matrix("sentinel_kernel", square)
        self.built = True

    def _matrix(self, name: str, shape: tuple[int, int]):
        return self.add_weight(shape=shape, initializer="glorot_uniform", name=name)

    def keys(self, values):
        """Returns the keys W_v v (B, L, H) of the values v (B, L, H)."""
        return ops.matmul(values, self.value_kernel)

    def attend(self, operations: Operations, memory: Memory, gate, h_before, h, c):
        """Mixes the image and the sentinel for Q queries of each image.

        Args:
            operations: The interpretation of sums, gates and activations.
            memory: The projected image.
            gate: The share W_x x of the LSTM's input in the sentinel's gate (B, Q, H).
            h_before: Its hidden state before the step (B, Q, H).
            h: Its hidden state (B, Q, H).
            c: Its cell (B, Q, H).

        Returns:
            (context (B, Q, H), alpha (B, Q, L), beta (B, Q)).
        """
        query = ops.matmul(h, self.query_kernel)  # (B, Q, H)
        hidden = ops.tanh(memory.keys[:, None] + query[:, :, None])  # (B, Q, L, H)
        scores = at_least_single(ops.matmul(hidden, self.score_kernel))
        scores = ops.squeeze(scores, -1)  # (B, Q, L)
        alpha = operations.attention(ops.cast(ops.softmax(scores), h.dtype))
        seen = operations.sum(ops.matmul(alpha, memory.values))

        gate = gate + ops.matmul(h_before, self.state_kernel)
        sentinel = operations.attention(ops.sigmoid(gate)) * operations.tanh(c)
        hidden = ops.tanh(ops.matmul(sentinel, self.sentinel_kernel) + query)
        sentinel_score = at_least_single(ops.matmul(hidden, self.score_kernel))
        image_score = ops.logsumexp(scores, axis=-1, keepdims=True)  # (B, Q, 1)
        beta = ops.sigmoid(sentinel_score - image_score)
        beta = operations.attention(ops.cast(beta, h.dtype))
        context = operations.sum(beta * sentinel + (1.0 - beta) * seen)
        return context, alpha, ops.squeeze(beta, -1)
