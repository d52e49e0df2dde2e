"""What the decoders with a visual sentinel share: image features and attention."""

import keras
from keras import ops

from config import Config
from keras_lrp import Operations
from models.decoders.attention import Memory, SentinelAttention
from models.decoders.decoder import Decoder, Reading


class SentinelDecoder(Decoder):
    """A decoder that attends to the image and to a sentinel of its own memory.

        v_i = relu(W_a a_i + b_a)    v_g = relu(W_b mean_i(a_i) + b_b)
        context_t: see SentinelAttention
        parts_t: h_t and context_t

    A decoder of this kind adds its recurrence: `initial_state` and `read`, and the
    size of what its attending LSTM reads, `attention_input`.
    """

    part_names = ("h", "context")
    attention_maps = ("alpha",)
    reads_mean = True

    @staticmethod
    def attention_input(config: Config) -> int:
        """Returns the size of the input of the LSTM that attends."""
        raise NotImplementedError

    def build_image_layers(self, config: Config, feature_channels: int) -> None:
        """See `Decoder.build_image_layers`."""
        embedding, hidden = config.embedding_size, config.hidden_size
        self.image_features = keras.layers.Dense(hidden, name="image_features")
        self.global_feature = keras.layers.Dense(embedding, name="global_feature")
        self.attention = SentinelAttention(
            hidden, self.attention_input(config), name="attention"
        )
        self.image_features.build((None, feature_channels))
        self.global_feature.build((None, feature_channels))

    def project(
        self, operations: Operations, features, training: bool = False, mean=None
    ) -> Memory:
        """Projects features (B, L, D) once for all words of all captions.

        Their mean (B, D) may be given apart, so that it can be differentiated apart.
        """
        image, whole = self.image_features, self.global_feature
        values = operations.linear(features, image.kernel, image.bias)
        values = self.dropout(operations.relu(values), training=training)  # (B, L, H)
        mean = ops.mean(features, axis=1) if mean is None else mean
        mean = operations.sum(mean)
        mean = operations.linear(mean, whole.kernel, whole.bias)
        mean = self.dropout(operations.relu(mean), training=training)  # (B, E)
        return Memory(values, self.attention.keys(values), mean)


def reading(h, context, alpha, beta, state) -> Reading:
    """Names what a decoder with a sentinel hands over.

    Args:
        h: The hidden state that speaks (B, Q, H).
        context: What was attended to (B, Q, H).
        alpha: The attention (B, Q, L).
        beta: The sentinel's share (B, Q).
        state: See `Reading`.
    """
    return Reading({"h": h, "context": context}, {"alpha": alpha}, beta, state)
