"""The blocks of a text decoder, over whole sentences or word by word."""

from typing import NamedTuple

import keras
from keras import ops

from keras_lrp import Operations
from models.transformer.attention import KeysValues, remember
from models.transformer.block import Block, BlockSizes
from models.transformer.layers import layer_norm, normalize


class State(NamedTuple):
    """What was read before, in caches of fixed size.

    Attributes:
        caches: Of each block, keys and values (B, N, heads, M, d).
        count: Words read so far, int (B, N).
    """

    caches: tuple
    count: object


class StackReading(NamedTuple):
    """What the blocks make of T words of N captions of each image.

    Attributes:
        hidden: (B, N, T, D).
        context: What the last block's cross-attention adds (B, N, T, D); None in
            blocks without it.
        attention: The weights on the image of each block, (B, N T, L) each.
        state: What the next words need; None where whole sentences were read.
    """

    hidden: object
    context: object
    attention: list
    state: State | None


class Stack(keras.layers.Layer):
    """Reads words: adds their places, then block after block.

    The image is read by cross-attention; in blocks without it, the image's tokens
    stand before the words, see only each other, and are seen by all words.

    Args:
        sizes: Of the blocks.
        places: The longest sentence.
        norms_input: Whether words and places are normalized before the first block.
        norms_output: Whether the last block's output is.
    """

    def __init__(
        self,
        sizes: BlockSizes,
        places: int,
        norms_input: bool,
        norms_output: bool,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.sizes, self.num_places = sizes, places
        self.places = self.add_weight(
            shape=(places, sizes.size), initializer="random_normal", name="places"
        )
        self.blocks = [Block(sizes, name=f"block_{i}") for i in range(sizes.depth)]
        epsilon = sizes.norm_epsilon
        self.input_norm = self.output_norm = None
        if norms_input:
            self.input_norm = layer_norm(sizes.size, epsilon, "input_norm")
        if norms_output:
            self.output_norm = layer_norm(sizes.size, epsilon, "output_norm")
        self.built = True

    def project(self, operations: Operations, features) -> list[KeysValues]:
        """Returns what each block attends to of an image (B, L, D)."""
        if self.sizes.memory_size is not None:
            return [block.cross.project(operations, features) for block in self.blocks]
        memory = []

        def recall(own):
            memory.append(own)
            return own

        for block in self.blocks:
            features, _ = block.attend_self(operations, features, recall)
            features = block.think(operations, features)
        return memory

    def initial_state(self, rows: int, captions: int, length: int) -> State:
        """Returns empty caches for sentences of at most `length` words."""
        heads, size = self.sizes.heads, self.sizes.size // self.sizes.heads
        dtype = self.places.dtype
        zeros = ops.zeros((rows, captions, heads, length, size), dtype)
        caches = tuple(KeysValues(zeros, zeros) for _ in self.blocks)
        return State(caches, ops.zeros((rows, captions), "int32"))

    def run(
        self,
        operations: Operations,
        memory: list[KeysValues],
        embedded,
        state: State | None = None,
    ) -> StackReading:
        """Reads T words of N captions of each image.

        Args:
            operations: The interpretation.
            memory: From `project`.
            embedded: The words (B, N, T, D).
            state: What was read before; None for whole sentences, of which no state
                is kept.
        """
        rows, captions, length, size = ops.shape(embedded)
        count = None if state is None else ops.reshape(state.count, (rows * captions,))
        x = ops.reshape(embedded, (rows * captions, length, size))
        x = operations.sum(x + self._places(length, count))
        if self.input_norm is not None:
            x = normalize(operations, self.input_norm, x)
        size_of_cache = length if state is None else state.caches[0].keys.shape[3]
        visible = _visible(length, size_of_cache, count)
        attention, caches = [], []
        for number, block in enumerate(self.blocks):
            cache = None if state is None else state.caches[number]
            reader = _BlockReader(block, memory[number], captions, cache, count)
            x, context, weights = reader.run(operations, x, visible)
            attention.append(weights)
            caches.append(reader.cache)
        if self.output_norm is not None:
            x = normalize(operations, self.output_norm, x)
        if state is not None:
            state = State(tuple(caches), state.count + length)
        shape = (rows, captions, length, ops.shape(x)[-1])
        context = None if context is None else ops.reshape(context, shape)
        return StackReading(ops.reshape(x, shape), context, attention, state)

    def _places(self, length: int, count):
        """Returns the vectors of T places, (T, D) or (B N, T, D) from a count on."""
        if count is None:
            return self.places[:length]
        return ops.take(
            self.places, count[:, None] + ops.arange(length, dtype="int32"), axis=0
        )


class _BlockReader:
    """One block on words of several captions of an image.

    Args:
        block: The block.
        memory: What it attends to of the image (B, heads, L, d).
        captions: N, of each image.
        cache: What it read before (B, N, heads, M, d), or None.
        count: How much that is (B N,), or None.
    """

    def __init__(self, block: Block, memory: KeysValues, captions: int, cache, count):
        self.block, self.memory, self.captions = block, memory, captions
        self.cache, self.count = cache, count

    def run(self, operations: Operations, x, visible) -> tuple:
        """Returns (B N, T, D), what the image adds, and its weights (B, N T, L)."""
        block, places = self.block, self.memory.keys.shape[2]
        if block.cross is not None:
            x, _ = block.attend_self(operations, x, self._recall, visible)
            shape = ops.shape(x)
            x, context, weights = block.attend_memory(
                operations, self._by_image(x), self.memory
            )
            x = ops.reshape(x, shape)
            return block.think(operations, x), context, weights
        image = ops.ones((*visible.shape[:-1], places), "bool")
        visible = ops.concatenate([image, visible], axis=-1)
        x, weights = block.attend_self(operations, x, self._recall_all, visible)
        weights = self._by_image(weights[..., :places])
        return block.think(operations, x), None, weights

    def _by_image(self, x):
        """Turns (B N, T, ...) into (B, N T, ...)."""
        rows, length, size = ops.shape(x)
        return ops.reshape(x, (rows // self.captions, self.captions * length, size))

    def _recall(self, own: KeysValues) -> KeysValues:
        """Returns what was read before and what is read now; keeps both."""
        if self.cache is None:
            return own
        rows, length = ops.shape(own.keys)[0], self.cache.keys.shape[3]
        heads, size = own.keys.shape[1], own.keys.shape[3]
        known = (ops.reshape(c, (rows, heads, length, size)) for c in self.cache)
        found = remember(KeysValues(*known), own, self.count)
        kept = (ops.reshape(part, ops.shape(self.cache.keys)) for part in found)
        self.cache = KeysValues(*kept)
        return found

    def _recall_all(self, own: KeysValues) -> KeysValues:
        """Returns the image and the words."""
        image = (ops.repeat(part, self.captions, axis=0) for part in self.memory)
        pairs = zip(image, self._recall(own), strict=True)
        return KeysValues(*(ops.concatenate(pair, axis=2) for pair in pairs))


def _visible(length: int, size: int, count):
    """Says which of M places each of T words may see: those up to its own.

    Returns:
        bool, (1, 1, T, M) or (B N, 1, T, M).
    """
    place = ops.arange(length, dtype="int32")[None, :, None]  # (1, T, 1)
    if count is not None:
        place = place + count[:, None, None]
    return (ops.arange(size, dtype="int32") <= place)[:, None]
