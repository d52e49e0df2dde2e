"""The contract of a decoder: what captioning, training and explaining ask of it."""

import random
from typing import NamedTuple

import keras
from keras import ops

from config import Config
from keras_lrp import Operations
from models.transformer.layers import at_least_single


class Reading(NamedTuple):
    """What a decoder has made of Q words before it predicts what follows each.

    Attributes:
        parts: The summands of what the predictor reads, by name, (B, Q, H) each.
        attention: Its attention maps by name, the one to show first, (B, Q, L) each;
            not negative, with sum 1. Empty for a decoder without any.
        beta: The share of what it attends to that is not the image (B, Q); None for
            a decoder without a sentinel.
        state: What the next step needs, nested arrays (B, N, ...) of fixed size.
    """

    parts: dict
    attention: dict
    beta: object
    state: object


class DecoderOutput(NamedTuple):
    """What a decoder computes for Q words of each image.

    Attributes:
        logits: (B, Q, V).
        attention: See `Reading`.
        beta: See `Reading`.
        state: See `Reading`.
    """

    logits: object
    attention: dict
    beta: object
    state: object


class Decoder(keras.Model):
    """Predicts the words of a caption from an image and the preceding words.

        logits_t = W_p (sum of the parts) + b_p

    A decoder of one's own gives `build_image_layers`, `project`, `initial_state` and
    `read`, and combines its signals by the operations alone: so it has every method
    of explanation. Called as a layer it computes in the precision that config trains
    in; its methods, in that of their arguments.

    Args:
        config: Gives the sizes and the dropout.
        vocabulary_size: V, with the special tokens.
        feature_channels: D, the channels of the encoder's features.

    Attributes:
        part_names: The names of the parts that `read` hands over.
        attention_maps: The names of its attention maps.
        relevance_rules: Keys of `RELEVANCE_RULES` that explain it, the default first.
        rows_at_once: Words that are explained in one call, which bounds the memory;
            None for all.
        reads_mean: Whether it reads the mean feature of the image, and `project` takes
            it as a signal of its own, whose relevance can be told apart.
    """

    part_names: tuple[str, ...] = ()
    attention_maps: tuple[str, ...] = ()
    relevance_rules: tuple[str, ...] = ("epsilon",)
    rows_at_once: int | None = None
    reads_mean: bool = False

    def __init__(self, config: Config, vocabulary_size: int, feature_channels: int):
        super().__init__(name="decoder", dtype=config.dtype_policy)
        self.embedding = keras.layers.Embedding(
            vocabulary_size, config.embedding_size, name="embedding"
        )
        self.build_image_layers(config, feature_channels)
        self.predictor = keras.layers.Dense(vocabulary_size, name="predictor")
        # Without a seed, torch draws from a state that no backup of a run holds.
        seed = random.randint(1, 10**9)
        self.dropout = keras.layers.Dropout(config.dropout, seed=seed)
        self.dropout.autocast = False  # its precision is that of its input
        self.embedding.build()
        self.predictor.build((None, config.hidden_size))
        self.built = True

    def build_image_layers(self, config: Config, feature_channels: int) -> None:
        """Adds the layers that read the image; see the class for the arguments."""

    def project(self, operations: Operations, features, training: bool = False):
        """Turns features (B, L, D) into nested arrays (B, ...), once for all words."""
        raise NotImplementedError

    def initial_state(self, rows: int, captions: int):
        """Returns the state before the first word, nested arrays (B, N, ...)."""
        raise NotImplementedError

    def read(
        self,
        operations: Operations,
        memory,
        embedded,
        state,
        positions,
        training: bool,
    ) -> Reading:
        """Reads T words of N captions of each image; see `decode` for the arguments."""
        raise NotImplementedError

    def call(self, features, tokens, positions, training=False):
        embedded = self.embed(tokens)
        memory = self.project(Operations(), features, training)
        output = self.decode(Operations(), memory, embedded, None, positions, training)
        return output.logits

    def embed(self, tokens):
        """Looks tokens (...) up: (..., E).

        The product makes the gradient dense. Of a sparse one Keras' Adam counts every
        occurrence of a word apart, and frequent words take too large steps.
        """
        return ops.take(1.0 * self.embedding.embeddings, tokens, axis=0)

    def decode(
        self,
        operations: Operations,
        memory,
        embedded,
        state=None,
        positions=None,
        training: bool = False,
    ) -> DecoderOutput:
        """Reads T words and predicts what follows each.

        Args:
            operations: The interpretation: the model, its gradient, its relevance.
            memory: From `project`.
            embedded: The preceding words (B, N, T, E) of N captions of each image.
            state: As `initial_state`, before the first word; None for that.
            positions: Which of the N T words to predict from, int (B, Q); None for
                all, Q = N T.
            training: Whether units are dropped.
        """
        if state is None:
            state = self.initial_state(*ops.shape(embedded)[:2])
        seen = self.read(operations, memory, embedded, state, positions, training)
        mixed = operations.sum(total(seen.parts.values()))
        logits = self.predict_words(operations, self.dropout(mixed, training=training))
        return DecoderOutput(logits, seen.attention, seen.beta, seen.state)

    def predict_words(self, operations: Operations, mixed):
        """Turns the sum of the parts (B, Q, H) into logits (B, Q, V), in float32."""
        parts = (mixed, self.predictor.kernel, self.predictor.bias)
        return operations.linear(*map(at_least_single, parts))


def total(parts):
    """Adds arrays of one shape."""
    first, *others = parts
    return sum(others, first)


def select(sequence, positions=None):
    """Turns (B, N, T, ...) into the chosen rows (B, Q, ...) of each image's N T."""
    batch, captions, steps, *rest = ops.shape(sequence)
    rows = ops.reshape(sequence, (batch, captions * steps, *rest))
    if positions is None:
        return rows
    index = ops.reshape(positions, (*ops.shape(positions), *[1] * len(rest)))
    return ops.take_along_axis(rows, index, axis=1)
