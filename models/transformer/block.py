"""The block of a Transformer: self-attention, cross-attention, two linear layers."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import ops

from keras_lrp import Operations
from models.transformer.attention import KeysValues, MultiHeadAttention
from models.transformer.layers import dense, layer_norm, linear, normalize


def _quick_gelu(z):
    return z * ops.sigmoid(1.702 * z)


ACTIVATIONS: dict[str, Callable] = {  # by the names of published configurations
    "gelu": lambda z: ops.gelu(z, approximate=False),
    "gelu_new": lambda z: ops.gelu(z, approximate=True),
    "quick_gelu": _quick_gelu,
    "relu": ops.relu,
}


@dataclass(frozen=True)
class BlockSizes:
    """What the blocks of a Transformer have in common.

    Attributes:
        size: D, of what the blocks hand on.
        heads: Of every attention; divides D.
        inner: Of the layer between the two linear layers.
        depth: The number of blocks.
        norm_first: Whether a part normalizes what it reads (ViT, GPT-2), not the sum
            that it hands on (BERT).
        activation: A key of ACTIVATIONS.
        norm_epsilon: Added to the variance.
        memory_size: Of what cross-attention reads; None for blocks without it.
    """

    size: int
    heads: int
    inner: int
    depth: int
    norm_first: bool
    activation: str = "gelu"
    norm_epsilon: float = 1e-5
    memory_size: int | None = None

    def __post_init__(self):
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"Unknown activation {self.activation!r}; expected one of "
                f"{', '.join(ACTIVATIONS)}."
            )


class Block(keras.layers.Layer):
    """One block; each part reads x and is added to it.

        norm first: x + part(norm(x))        norm last: norm(x + part(x))

    Args:
        sizes: Of this block.
    """

    def __init__(self, sizes: BlockSizes, **kwargs):
        super().__init__(**kwargs)
        self.sizes = sizes
        with keras.name_scope(self.name):  # no two weights have one path
            self._add_parts(sizes)
        self.built = True

    def _add_parts(self, sizes: BlockSizes) -> None:
        size, epsilon = sizes.size, sizes.norm_epsilon
        self.attention = MultiHeadAttention(size, sizes.heads, name="attention")
        self.attention_norm = layer_norm(size, epsilon, "attention_norm")
        self.cross = self.cross_norm = None
        if sizes.memory_size is not None:
            self.cross = MultiHeadAttention(
                size, sizes.heads, sizes.memory_size, name="cross"
            )
            self.cross_norm = layer_norm(size, epsilon, "cross_norm")
        self.inner = dense(size, sizes.inner, "inner")
        self.outer = dense(sizes.inner, size, "outer")
        self.outer_norm = layer_norm(size, epsilon, "outer_norm")

    def attend_self(
        self, operations: Operations, x, recall: Callable, visible=None
    ) -> tuple:
        """Adds self-attention.

        Args:
            operations: The interpretation.
            x: (B, T, D).
            recall: From the keys and values of x to those that are attended to.
            visible: See `MultiHeadAttention.attend`.

        Returns:
            (B, T, D), and the weights (B, T, M).
        """

        def part(x):
            own = self.attention.project(operations, x)
            return self.attention.attend(operations, x, recall(own), visible)

        x, _, weights = self._add(operations, self.attention_norm, x, part)
        return x, weights

    def attend_memory(self, operations: Operations, x, memory: KeysValues) -> tuple:
        """Adds cross-attention.

        Returns:
            (B, T, D), what was added to it (B, T, D), and the weights (B, T, M).
        """

        def part(x):
            return self.cross.attend(operations, x, memory)

        return self._add(operations, self.cross_norm, x, part)

    def think(self, operations: Operations, x):
        """Adds the two linear layers with the activation between them."""
        activation = ACTIVATIONS[self.sizes.activation]

        def part(x):
            z = operations.activation(linear(operations, self.inner, x), activation)
            return linear(operations, self.outer, z), None

        return self._add(operations, self.outer_norm, x, part)[0]

    def _add(self, operations: Operations, norm, x, part: Callable) -> tuple:
        if self.sizes.norm_first:
            y, weights = part(normalize(operations, norm, x))
            return operations.sum(x + y), y, weights
        y, weights = part(x)
        return normalize(operations, norm, operations.sum(x + y)), y, weights
