"""What the decoders share: words, image features, attention and prediction."""

import random
from typing import NamedTuple

import keras
from keras import ops

from config import Config
from keras_lrp.operations import Operations
from models.decoders.attention import Memory, SentinelAttention, at_least_single


class Attended(NamedTuple):
    """What a decoder knows before it predicts Q words of each image.

    Attributes:
        h: The hidden state that speaks (B, Q, H).
        context: What was attended to (B, Q, H).
        attention: alpha (B, Q, L).
        beta: The sentinel's share (B, Q).
        state: What the next step needs, arrays (B, N, H).
    """

    h: object
    context: object
    attention: object
    beta: object
    state: tuple


class DecoderOutput(NamedTuple):
    """What a decoder computes for Q words of each image.

    Attributes:
        logits: (B, Q, V).
        attention: alpha (B, Q, L).
        beta: The sentinel's share (B, Q).
        state: What the next step needs, arrays (B, N, H).
    """

    logits: object
    attention: object
    beta: object
    state: tuple


class Decoder(keras.Model):
    """Predicts the words of a caption from an image and the preceding words.

        v_i = relu(W_a a_i + b_a)    v_g = relu(W_b mean_i(a_i) + b_b)
        context_t: see SentinelAttention
        logits_t = W_p (h_t + context_t) + b_p

    A decoder adds its recurrence: `initial_state` and `attend`. Called as a layer it
    computes in the precision that config trains in; its methods, in that of their
    arguments.

    Args:
        config: Gives the sizes and the dropout.
        vocabulary_size: V, with the special tokens.
        feature_channels: D, the channels of the encoder's features.
        attention_input: The size of the input of the LSTM that attends.
    """

    def __init__(
        self,
        config: Config,
        vocabulary_size: int,
        feature_channels: int,
        attention_input: int,
    ):
        super().__init__(name="decoder", dtype=config.dtype_policy)
        embedding, hidden = config.embedding_size, config.hidden_size
        self.embedding = keras.layers.Embedding(
            vocabulary_size, embedding, name="embedding"
        )
        self.image_features = keras.layers.Dense(hidden, name="image_features")
        self.global_feature = keras.layers.Dense(embedding, name="global_feature")
        self.attention = SentinelAttention(hidden, attention_input, name="attention")
        self.predictor = keras.layers.Dense(vocabulary_size, name="predictor")
        # Without a seed, torch draws from a state that no backup of a run holds.
        seed = random.randint(1, 10**9)
        self.dropout = keras.layers.Dropout(config.dropout, seed=seed)
        self.dropout.autocast = False  # its precision is that of its input
        self.embedding.build()
        self.image_features.build((None, feature_channels))
        self.global_feature.build((None, feature_channels))
        self.predictor.build((None, hidden))
        self.built = True

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

    def project(self, operations: Operations, features, training=False) -> Memory:
        """Projects features (B, L, D) once for all words of all captions."""
        image, whole = self.image_features, self.global_feature
        values = operations.linear(features, image.kernel, image.bias)
        values = self.dropout(operations.relu(values), training=training)  # (B, L, H)
        mean = operations.sum(ops.mean(features, axis=1))
        mean = operations.linear(mean, whole.kernel, whole.bias)
        mean = self.dropout(operations.relu(mean), training=training)  # (B, E)
        return Memory(values, self.attention.keys(values), mean)

    def initial_state(self, rows: int, captions: int) -> tuple:
        """Returns the state before the first word, arrays of zeros (B, N, H)."""
        raise NotImplementedError

    def attend(
        self,
        operations: Operations,
        memory: Memory,
        embedded,
        state: tuple,
        positions,
        training: bool,
    ) -> Attended:
        """Runs the recurrence over T words and attends; see `decode`."""
        raise NotImplementedError

    def decode(
        self,
        operations: Operations,
        memory: Memory,
        embedded,
        state: tuple | None = None,
        positions=None,
        training: bool = False,
    ) -> DecoderOutput:
        """Reads T words and predicts what follows each.

        Args:
            operations: The interpretation: the model, its gradient, its relevance.
            memory: From `project`.
            embedded: The preceding words (B, N, T, E) of N captions of each image.
            state: As `initial_state`, before the first word; None for zeros.
            positions: Which of the N T words to predict from, int (B, Q); None for
                all, Q = N T.
            training: Whether units are dropped.
        """
        if state is None:
            state = self.initial_state(*ops.shape(embedded)[:2])
        h, context, *seen = self.attend(
            operations, memory, embedded, state, positions, training
        )
        mixed = self.dropout(operations.sum(h + context), training=training)
        return DecoderOutput(self.predict_words(operations, mixed), *seen)

    def predict_words(self, operations: Operations, mixed):
        """Turns h + context (B, Q, H) into logits (B, Q, V), at least in float32."""
        parts = (mixed, self.predictor.kernel, self.predictor.bias)
        return operations.linear(*map(at_least_single, parts))


def select(sequence, positions=None):
    """Turns (B, N, T, ...) into the chosen rows (B, Q, ...) of each image's N T."""
    batch, captions, steps, *rest = ops.shape(sequence)
    rows = ops.reshape(sequence, (batch, captions * steps, *rest))
    if positions is None:
        return rows
    index = ops.reshape(positions, (*ops.shape(positions), *[1] * len(rest)))
    return ops.take_along_axis(rows, index, axis=1)
