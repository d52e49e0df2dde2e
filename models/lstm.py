"""The long short-term memory, one step and a whole sentence."""

import keras
from keras import ops

from models.relevance_rules import Operations


def build_cell(units: int, input_size: int, name: str) -> keras.layers.LSTMCell:
    """Returns built weights in Keras' layout: gate order i, f, c, o, forget bias 1."""
    cell = keras.layers.LSTMCell(units, name=name)
    cell.build((None, input_size))
    return cell


def zero_state(cell: keras.layers.LSTMCell, *leading: int) -> tuple:
    """Returns (h, c) of zeros, each (*leading, H)."""
    zeros = ops.zeros((*leading, cell.units), dtype=cell.compute_dtype)
    return zeros, zeros


def lstm_step(operations: Operations, cell, projected, state: tuple) -> tuple:
    """Computes one step.

    Args:
        operations: The interpretation of the sums, gates and activations.
        cell: Weights from `build_cell`.
        projected: x W + b (..., 4H).
        state: (h, c) of the step before, each (..., H).

    Returns:
        (h, c), each (..., H).
    """
    h, c = state
    z = operations.sum(projected + ops.matmul(h, cell.recurrent_kernel))
    i, f, g, o = ops.split(z, 4, axis=-1)
    kept = operations.gate(c, ops.sigmoid(f))
    added = operations.gate(operations.tanh(g), ops.sigmoid(i))
    c = operations.sum(kept + added)
    h = operations.gate(operations.tanh(c), ops.sigmoid(o))
    return h, c


def lstm_sequence(operations: Operations, cell, x, state: tuple) -> tuple:
    """Computes all steps of a sentence; the input's product is one multiplication.

    Args:
        operations: See `lstm_step`.
        cell: See `lstm_step`.
        x: Inputs (B, N, T, X).
        state: (h, c) before the first step, each (B, N, H).

    Returns:
        (h, c), each (B, N, T, H).
    """
    projected = ops.matmul(x, cell.kernel) + cell.bias  # (B, N, T, 4H)
    if projected.shape[2] == 1:
        state = lstm_step(operations, cell, projected[:, :, 0], state)
        return tuple(ops.expand_dims(part, 2) for part in state)

    def step(state, projected_t):
        state = lstm_step(operations, cell, projected_t, state)
        return state, state

    _, states = ops.scan(step, state, ops.moveaxis(projected, 2, 0))
    return tuple(ops.moveaxis(part, 0, 2) for part in states)
