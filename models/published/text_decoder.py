"""The text decoders of published captioners, as one."""

import keras
from keras import ops

from keras_lrp import Operations
from models.decoders.decoder import DecoderOutput, select
from models.decoders.transformer import MAPS, RULES, image_attention
from models.transformer.block import ACTIVATIONS, BlockSizes
from models.transformer.layers import (
    at_least_single,
    dense,
    layer_norm,
    linear,
    normalize,
)
from models.transformer.stack import Stack, State


class TextDecoder(keras.Model):
    """Predicts the tokens of a caption from an image and the preceding tokens.

        features: norm(a W + b), where they are projected; a else
        hidden:   the blocks' output, where the head is deep norm(f(hidden W + b))
        logits:   hidden Emb' + b, Emb perhaps of its own for the output

    It keeps the contract of `models.decoders.Decoder`.

    Args:
        sizes: Of the blocks; without a memory size the image's tokens stand before
            the words.
        vocabulary_size: V.
        places: The longest sentence in tokens.
        norms_input: Whether the embedded words are normalized (BERT).
        norms_output: Whether the last block's output is (GPT-2).
        deep_head: Whether the head has a layer of its own (BERT).
        output_bias: Whether the logits have a bias.
        own_output: Whether the output has an embedding of its own.
        projected: The size of the features and the epsilon of their norm, where they
            are projected (GIT).

    Attributes:
        relevance_rules: The rules that explain it, the default first.
        longest: Of the captions that are written, in tokens.
        rows_at_once: See `models.decoders.Decoder`.
        reads_mean: See `models.decoders.Decoder`.
    """

    part_names: tuple[str, ...] = ()
    attention_maps = MAPS
    relevance_rules = RULES
    rows_at_once = 12
    reads_mean = False

    def __init__(
        self,
        sizes: BlockSizes,
        vocabulary_size: int,
        places: int,
        norms_input: bool = True,
        norms_output: bool = False,
        deep_head: bool = False,
        output_bias: bool = True,
        own_output: bool = False,
        projected: tuple[int, float] | None = None,
    ):
        super().__init__(name="decoder")
        self.sizes, self.vocabulary_size = sizes, vocabulary_size
        self.longest = places
        table = (vocabulary_size, sizes.size)
        self.words = self.add_weight(shape=table, name="words")
        self.stack = Stack(sizes, places, norms_input, norms_output, name="stack")
        self.head = self.head_norm = self.projection = self.output_bias = None
        if deep_head:
            self.head = dense(sizes.size, sizes.size, "head")
            self.head_norm = layer_norm(sizes.size, sizes.norm_epsilon, "head_norm")
        if output_bias:
            self.output_bias = self.add_weight(
                shape=(vocabulary_size,), name="output_bias"
            )
        self.output_words = self.words
        if own_output:
            self.output_words = self.add_weight(shape=table, name="output_words")
        if projected is not None:
            self.projection = dense(projected[0], sizes.size, "projection")
            self.projection_norm = layer_norm(
                sizes.size, projected[1], "projection_norm"
            )
        self.built = True

    def embed(self, tokens):
        """Looks tokens (...) up: (..., D)."""
        return ops.take(self.words, tokens, axis=0)

    def project(self, operations: Operations, features, training: bool = False):
        """Turns features (B, L, D) into what the blocks attend to."""
        if self.projection is not None:
            features = linear(operations, self.projection, features)
            features = normalize(operations, self.projection_norm, features)
        return self.stack.project(operations, features)

    def initial_state(self, rows: int, captions: int) -> State:
        """Returns the state before the first word."""
        return self.stack.initial_state(rows, captions, self.longest)

    def decode(
        self,
        operations: Operations,
        memory,
        embedded,
        state=None,
        positions=None,
        training: bool = False,
    ) -> DecoderOutput:
        """Reads T tokens and predicts what follows each; see `Decoder.decode`."""
        seen = self.stack.run(operations, memory, embedded, state)
        logits = self.predict_words(operations, select(seen.hidden, positions))
        return DecoderOutput(logits, image_attention(seen, positions), None, seen.state)

    def predict_words(self, operations: Operations, hidden):
        """Turns hidden values (B, Q, D) into logits (B, Q, V)."""
        if self.head is not None:
            activation = ACTIVATIONS[self.sizes.activation]
            hidden = linear(operations, self.head, hidden)
            hidden = operations.activation(hidden, activation)
            hidden = normalize(operations, self.head_norm, hidden)
        return operations.linear(
            at_least_single(hidden),
            ops.transpose(ops.convert_to_tensor(self.output_words)),
            self.output_bias,
        )
