"""A Transformer on a CNN's features (Vaswani et al. 2017, arXiv 1706.03762)."""

from keras import ops

from config import Config
from keras_lrp import Operations
from models.decoders.decoder import Decoder, Reading, select
from models.sentence import few_sizes
from models.transformer import BlockSizes, KeysValues, Stack, StackReading
from models.transformer.layers import dense, layer_norm, linear, normalize
from models.transformer.stack import State

INNER = 2  # the layer within a block, in multiples of H
MAPS = ("last", "mean")  # of the attention to the image, see `image_attention`
RULES = ("attn_lrp", "cp_lrp", "gamma", "epsilon")  # the default first


class TransformerDecoder(Decoder):
    """Blocks that read the words so far, then the image; norms come first.

        m_i = norm(a_i W_a + b_a)          x_t = e_t W_e + b_e + place_t
        each block:  x = x + self-attention(norm(x)), over the words up to t
                     x = x + cross-attention(norm(x), m)
                     x = x + mlp(norm(x))
        parts_t:     context_t, what the last cross-attention adds, and the residual,
                     all the rest of x_t

    See `models.transformer.Block`. The state holds keys and values in caches for the
    longest caption.
    """

    part_names = ("residual", "context")
    attention_maps = MAPS
    relevance_rules = RULES

    def build_image_layers(self, config: Config, feature_channels: int) -> None:
        """See `Decoder.build_image_layers`.

        Raises:
            ValueError: The heads do not divide the hidden size.
        """
        size, heads = config.hidden_size, config.heads
        if size % heads:
            raise ValueError(
                f"heads must divide hidden_size; received heads={heads} and "
                f"hidden_size={size}. Set one of them (--set heads=...)."
            )
        self.image_features = dense(feature_channels, size, "image_features")
        self.words = dense(config.embedding_size, size, "words")
        sizes = BlockSizes(
            size, heads, INNER * size, config.depth, norm_first=True, memory_size=size
        )
        self.image_norm = layer_norm(size, sizes.norm_epsilon, "image_norm")
        # Sentences that are explained are padded to few sizes.
        self.longest = few_sizes(config.max_caption_words + 1)
        self.stack = Stack(sizes, self.longest, False, False, name="stack")

    def project(
        self, operations: Operations, features, training: bool = False
    ) -> list[KeysValues]:
        """Returns the keys and values of features (B, L, D) for each block."""
        image = linear(operations, self.image_features, features)
        image = normalize(operations, self.image_norm, image)
        return self.stack.project(operations, self.dropout(image, training=training))

    def initial_state(self, rows: int, captions: int) -> State:
        """Returns empty caches."""
        return self.stack.initial_state(rows, captions, self.longest)

    def read(
        self,
        operations: Operations,
        memory: list[KeysValues],
        embedded,
        state: State,
        positions,
        training: bool,
    ) -> Reading:
        """See `Decoder.read`."""
        embedded = self.dropout(embedded, training=training)
        words = linear(operations, self.words, embedded)
        seen = self.stack.run(operations, memory, words, state)
        context = select(seen.context, positions)
        residual = select(seen.hidden, positions) - context
        parts = {"residual": residual, "context": context}
        return Reading(parts, image_attention(seen, positions), None, seen.state)


def image_attention(seen: StackReading, positions) -> dict:
    """Returns the attention to the image of the last block, and the mean of all.

    Args:
        seen: What the blocks made of the words.
        positions: See `Decoder.decode`.

    Returns:
        By MAPS, (B, Q, L) each.
    """
    found = (seen.attention[-1], sum(seen.attention) / len(seen.attention))
    shape = (*ops.shape(seen.hidden)[:3], -1)  # (B, N, T, L)
    return {
        name: select(ops.reshape(weights, shape), positions)
        for name, weights in zip(MAPS, found, strict=True)
    }
