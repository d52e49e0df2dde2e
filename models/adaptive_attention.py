"""The adaptive attention decoder (Lu et al. 2017, arXiv 1612.01887)."""

from typing import NamedTuple

import keras
from keras import ops

from config import Config
from models.attention import Memory, SentinelAttention
from models.lstm import build_cell, lstm_sequence, zero_state
from models.relevance_rules import Operations


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


class AdaptiveAttentionDecoder(keras.Model):
    """Predicts the words of a caption from an image and the preceding words.

        v_i = relu(W_a a_i + b_a)    v_g = relu(W_b mean_i(a_i) + b_b)
        x_t = [e_t; v_g]             (h_t, c_t) = LSTM(x_t, h_{t-1}, c_{t-1})
        context_t: see SentinelAttention
        logits_t = W_p (h_t + context_t) + b_p

    Args:
        config: Gives the sizes and the dropout.
        vocabulary_size: V, with the special tokens.
        feature_channels: D, the channels of the encoder's features.
    """

    def __init__(self, config: Config, vocabulary_size: int, feature_channels: int):
        super().__init__(name="decoder")
        embedding, hidden = config.embedding_size, config.hidden_size
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding)
        self.image_features = keras.layers.Dense(hidden, name="image_features")
        self.global_feature = keras.layers.Dense(embedding, name="global_feature")
        self.lstm = build_cell(hidden, 2 * embedding, "lstm")
        self.attention = SentinelAttention(hidden, 2 * embedding, name="attention")
        self.predictor = keras.layers.Dense(vocabulary_size, name="predictor")
        self.dropout = keras.layers.Dropout(config.dropout)
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

    def initial_state(self, rows: int, captions: int) -> tuple:
        """Returns the state before the first word, (h, c) of zeros (B, N, H)."""
        return zero_state(self.lstm, rows, captions)

    def project(self, operations: Operations, features, training=False) -> Memory:
        """Projects features (B, L, D) once for all words of all captions."""
        image, whole = self.image_features, self.global_feature
        values = operations.linear(features, image.kernel, image.bias)
        values = self.dropout(operations.relu(values), training=training)  # (B, L, H)
        mean = operations.sum(ops.mean(features, axis=1))
        mean = operations.linear(mean, whole.kernel, whole.bias)
        mean = self.dropout(operations.relu(mean), training=training)  # (B, E)
        return Memory(values, self.attention.keys(values), mean)

    def decode(
        self,
        operations: Operations,
        memory: Memory,
        embedded,
        state: tuple | None = None,
        positions=None,
        training: bool = False,
    ) -> DecoderOutput:
        """Runs the recurrence over T words and predicts what follows each.

        Args:
            operations: The interpretation: the model, its gradient, its relevance.
            memory: From `project`.
            embedded: The preceding words (B, N, T, E) of N captions of each image.
            state: (h, c), each (B, N, H), before the first word; None for zeros.
            positions: Which of the N T words to predict from, int (B, Q); None for
                all, Q = N T.
            training: Whether units are dropped.
        """
        rows, captions, steps, _ = ops.shape(embedded)
        if state is None:
            state = self.initial_state(rows, captions)
        size = memory.image.shape[-1]
        image = ops.broadcast_to(
            memory.image[:, None, None], (rows, captions, steps, size)
        )
        x = ops.concatenate([embedded, image], axis=-1)  # (B, N, T, 2E)
        x = self.dropout(x, training=training)
        h, c = lstm_sequence(operations, self.lstm, x, state)
        h_before = ops.concatenate([state[0][:, :, None], h[:, :, :-1]], axis=2)
        state = (h[:, :, -1], c[:, :, -1])
        x, h_before, h, c = (select(part, positions) for part in (x, h_before, h, c))
        context, alpha, beta = self.attention.attend(
            operations, memory, x, h_before, h, c
        )
        mixed = self.dropout(operations.sum(h + context), training=training)
        predictor = self.predictor
        logits = operations.linear(mixed, predictor.kernel, predictor.bias)
        return DecoderOutput(logits, alpha, beta, state)


def select(sequence, positions=None):
    """Turns (B, N, T, H) into the chosen rows (B, Q, H) of each image's N T rows."""
    batch, captions, steps, size = ops.shape(sequence)
    rows = ops.reshape(sequence, (batch, captions * steps, size))
    if positions is None:
        return rows
    return ops.take_along_axis(rows, positions[..., None], axis=1)
