"""A decoder of another kind: no LSTM, no sentinel, no attention.

It adds up the words so far and looks at the mean of the image.
"""

import keras
from keras import ops

from config import Config
from models.decoders import Decoder, Reading, select


class BagDecoder(Decoder):
    """logits_t = W_p (tanh(W_w sum_{j<=t} e_j) + relu(W_i mean_i(a_i))) + b_p."""

    part_names = ("words", "image")

    def build_image_layers(self, config: Config, feature_channels: int) -> None:
        self.words = keras.layers.Dense(config.hidden_size, name="words")
        self.image = keras.layers.Dense(config.hidden_size, name="image")
        self.words.build((None, config.embedding_size))
        self.image.build((None, feature_channels))

    def project(self, operations, features, training=False):
        mean = operations.sum(ops.mean(features, axis=1))
        mean = operations.linear(mean, self.image.kernel, self.image.bias)
        return self.dropout(operations.relu(mean), training=training)  # (B, H)

    def initial_state(self, rows, captions):
        size = self.embedding.output_dim
        return ops.zeros((rows, captions, size), self.words.kernel.dtype)

    def read(self, operations, memory, embedded, state, positions, training):
        heard = operations.sum(state[:, :, None] + ops.cumsum(embedded, axis=2))
        words = operations.linear(heard, self.words.kernel, self.words.bias)
        words = operations.tanh(words)  # (B, N, T, H)
        image = ops.broadcast_to(memory[:, None, None], ops.shape(words))
        parts = {"words": select(words, positions), "image": select(image, positions)}
        return Reading(parts, {}, None, heard[:, :, -1])
