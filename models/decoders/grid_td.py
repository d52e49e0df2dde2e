"""The grid-TD decoder: top-down attention on a grid of features, with a sentinel.

Source: Anderson et al. 2018 (arXiv 1707.07998), section 3.2; arXiv 2001.01037.
"""

from typing import NamedTuple

from keras import ops

from config import Config
from keras_lrp import Operations
from models.decoders.attention import Memory
from models.decoders.decoder import Reading, select
from models.decoders.lstm import build_cell, lstm_step, unroll, zero_state
from models.decoders.sentinel import SentinelDecoder, reading


class GridState(NamedTuple):
    """The states of both LSTMs, arrays (B, N, H)."""

    h1: object
    c1: object
    h2: object
    c2: object


class GridTDDecoder(SentinelDecoder):
    """Two LSTMs; the first attends, the second speaks.

        x1_t = [h2_{t-1}; v_g; e_t]  (h1_t, c1_t) = LSTM1(x1_t, h1_{t-1}, c1_{t-1})
        context_t: of x1, h1 and c1
        x2_t = [context_t; h1_t]     (h2_t, c2_t) = LSTM2(x2_t, h2_{t-1}, c2_{t-1})

    The predictor reads h2 + context. Every step attends before the next one begins;
    what does not depend on the step before is multiplied for all steps at once. See
    `SentinelDecoder`.
    """

    def __init__(self, config: Config, vocabulary_size: int, feature_channels: int):
        super().__init__(config, vocabulary_size, feature_channels)
        hidden, size = config.hidden_size, self.attention_input(config)
        self.topdown_lstm = build_cell(hidden, size, "topdown_lstm")
        self.language_lstm = build_cell(hidden, 2 * hidden, "language_lstm")

    @staticmethod
    def attention_input(config: Config) -> int:
        """Returns the size of x1."""
        return config.hidden_size + 2 * config.embedding_size

    def initial_state(self, rows: int, captions: int) -> GridState:
        """Returns zeros."""
        first = zero_state(self.topdown_lstm, rows, captions)
        return GridState(*first, *zero_state(self.language_lstm, rows, captions))

    def read(
        self,
        operations: Operations,
        memory: Memory,
        embedded,
        state: GridState,
        positions,
        training: bool,
    ) -> Reading:
        """See `Decoder.read`."""
        rows, captions, steps, embedding = ops.shape(embedded)
        hidden = self.language_lstm.units
        # x1 is read by LSTM1 and by the sentinel's gate: (H + 2E, 4H + H)
        kernel = ops.concatenate(
            [self.topdown_lstm.kernel, self.attention.input_kernel], axis=1
        )
        of_state, of_image, of_word = ops.split(
            kernel, [hidden, hidden + embedding], axis=0
        )
        image = ops.matmul(memory.image, of_image)[:, None, None]
        words = ops.matmul(self.dropout(embedded, training=training), of_word)
        mask = ops.ones((rows, captions, steps, 3 * hidden), embedded.dtype)
        mask = self.dropout(mask, training=training)  # of h2; context and h1

        def step(carry, inputs):
            before, _ = carry
            x1, mask = inputs
            x1 = x1 + ops.matmul(before.h2 * mask[..., :hidden], of_state)
            x1, gate = ops.split(x1, [4 * hidden], axis=-1)
            cell = self.topdown_lstm
            first = lstm_step(operations, cell, x1 + cell.bias, before[:2])
            seen = self.attention.attend(operations, memory, gate, before.h1, *first)
            x2 = ops.concatenate([seen[0], first[0]], axis=-1) * mask[..., hidden:]
            cell = self.language_lstm
            x2 = ops.matmul(x2, cell.kernel) + cell.bias
            second = lstm_step(operations, cell, x2, before[2:])
            return GridState(*first, *second), seen

        nothing = (
            ops.zeros_like(state.h2),
            ops.zeros((rows, captions, memory.values.shape[1]), embedded.dtype),
            ops.zeros((rows, captions), embedded.dtype),
        )
        states, seen = unroll(step, (state, nothing), (image + words, mask))
        last = GridState(*(part[:, :, -1] for part in states))
        return reading(*(select(part, positions) for part in (states.h2, *seen)), last)
