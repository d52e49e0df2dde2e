"""Attention with several heads, and the cache of what was attended to."""

from typing import NamedTuple

import keras
from keras import ops

from keras_lrp import Operations
from models.transformer.layers import at_least_single, dense, linear

HIDDEN = -1e9  # the score of what may not be attended to


class KeysValues(NamedTuple):
    """What is attended to, split into heads.

    Attributes:
        keys: (B, heads, M, d).
        values: (B, heads, M, d).
    """

    keys: object
    values: object


class MultiHeadAttention(keras.layers.Layer):
    """Attends from T places to M places.

        q = x W_q + b_q   k = m W_k + b_k   v = m W_v + b_v
        a = softmax(q k' / sqrt(d))         y = (a v) W_o + b_o

    Args:
        size: D, of what attends; d = D / heads.
        heads: Divides D.
        memory_size: Of what is attended to; D if None.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2.
    """

    def __init__(self, size: int, heads: int, memory_size: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if size % heads:
            raise ValueError(
                f"The heads must divide the size; received size {size} and {heads} "
                "heads."
            )
        self.heads, self.head_size = heads, size // heads
        with keras.name_scope(self.name):  # no two weights have one path
            self.query = dense(size, size, "query")
            self.key = dense(memory_size or size, size, "key")
            self.value = dense(memory_size or size, size, "value")
            self.mixed = dense(size, size, "mixed")
        self.built = True

    def project(self, operations: Operations, memory) -> KeysValues:
        """Turns what is attended to (B, M, D) into keys and values."""
        return KeysValues(
            self._split(linear(operations, self.key, memory)),
            self._split(linear(operations, self.value, memory)),
        )

    def attend(self, operations: Operations, x, memory: KeysValues, visible=None):
        """Mixes the values for every place.

        Args:
            operations: The interpretation.
            x: (B, T, D).
            memory: M places.
            visible: What may be attended to, bool, broadcasts to (B, heads, T, M);
                None for all.

        Returns:
            (B, T, D), and the weights averaged over the heads (B, T, M).
        """
        queries = self._split(linear(operations, self.query, x))
        scores = operations.product(queries, ops.swapaxes(memory.keys, -1, -2))
        scores = at_least_single(scores * self.head_size**-0.5)  # (B, heads, T, M)
        if visible is not None:
            scores = ops.where(visible, scores, ops.cast(HIDDEN, scores.dtype))
        weights = ops.cast(operations.softmax(scores), x.dtype)
        mixed = operations.product(weights, memory.values)  # (B, heads, T, d)
        batch, heads, length, size = ops.shape(mixed)
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (batch, length, heads * size))
        return linear(operations, self.mixed, mixed), ops.mean(weights, axis=1)

    def _split(self, x):
        batch, length, _ = ops.shape(x)
        x = ops.reshape(x, (batch, length, self.heads, self.head_size))
        return ops.transpose(x, (0, 2, 1, 3))


def remember(cache: KeysValues, new: KeysValues, count) -> KeysValues:
    """Writes the keys and values of T new places behind those that are known.

    Args:
        cache: Of fixed size (B, heads, M, d).
        new: (B, heads, T, d).
        count: Places known before (B,); at most M - T.
    """
    size, length = cache.keys.shape[2], new.keys.shape[2]
    index = ops.arange(size, dtype="int32") - count[:, None]  # (B, M), of the new
    is_new = ops.logical_and(index >= 0, index < length)[:, None, :, None]
    index = ops.clip(index, 0, length - 1)[:, None, :, None]
    return KeysValues(
        *(
            ops.where(is_new, ops.take_along_axis(part, index, axis=2), known)
            for part, known in zip(new, cache, strict=True)
        )
    )
