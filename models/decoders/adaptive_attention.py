"""The adaptive attention decoder (Lu et al. 2017, arXiv 1612.01887)."""

from keras import ops

from config import Config
from keras_lrp import Operations
from models.decoders.attention import Memory
from models.decoders.decoder import Reading, select
from models.decoders.lstm import build_cell, lstm_sequence, zero_state
from models.decoders.sentinel import SentinelDecoder, reading


class AdaptiveAttentionDecoder(SentinelDecoder):
    """One LSTM; each word attends with the state that the LSTM reaches at its step.

        x_t = [e_t; v_g]             (h_t, c_t) = LSTM(x_t, h_{t-1}, c_{t-1})

    The recurrence knows nothing of attention, so it runs over the whole sentence
    first and attention over all words at once. See `SentinelDecoder`.
    """

    def __init__(self, config: Config, vocabulary_size: int, feature_channels: int):
        super().__init__(config, vocabulary_size, feature_channels)
        size = self.attention_input(config)
        self.lstm = build_cell(config.hidden_size, size, "lstm")

    @staticmethod
    def attention_input(config: Config) -> int:
        """Returns the size of x."""
        return 2 * config.embedding_size

    def initial_state(self, rows: int, captions: int) -> tuple:
        """Returns (h, c) of zeros (B, N, H)."""
        return zero_state(self.lstm, rows, captions)

    def read(
        self,
        operations: Operations,
        memory: Memory,
        embedded,
        state: tuple,
        positions,
        training: bool,
    ) -> Reading:
        """See `Decoder.read`; the state is (h, c)."""
        rows, captions, steps, _ = ops.shape(embedded)
        size = memory.image.shape[-1]
        image = ops.broadcast_to(
            memory.image[:, None, None], (rows, captions, steps, size)
        )
        x = ops.concatenate([embedded, image], axis=-1)  # (B, N, T, 2E)
        x = self.dropout(x, training=training)
        h, c = lstm_sequence(operations, self.lstm, x, state)
        h_before = ops.concatenate([state[0][:, :, None], h[:, :, :-1]], axis=2)
        state = (h[:, :, -1], c[:, :, -1])
        gate = ops.matmul(select(x, positions), self.attention.input_kernel)
        h_before, h, c = (select(part, positions) for part in (h_before, h, c))
        context, alpha, beta = self.attention.attend(
            operations, memory, gate, h_before, h, c
        )
        return reading(h, context, alpha, beta, state)
