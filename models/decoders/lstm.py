"""The long short-term memory, one step and a whole sentence."""

from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import ops

from keras_lrp import Operations


class Gates(NamedTuple):
    """The four quarters of z, in Keras' order, (..., H) each."""

    i: object
    f: object
    g: object
    o: object


def build_cell(units: int, input_size: int, name: str) -> keras.layers.LSTMCell:
    """Returns built weights in Keras' layout: gate order i, f, c, o, forget bias 1."""
    cell = keras.layers.LSTMCell(units, name=name)
    cell.build((None, input_size))
    return cell


def zero_state(cell: keras.layers.LSTMCell, *leading: int) -> tuple:
    """Returns (h, c) of zeros, each (*leading, H)."""
    zeros = ops.zeros((*leading, cell.units), dtype=cell.recurrent_kernel.dtype)
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
    gates = Gates(*ops.split(z, 4, axis=-1))
    kept = operations.gate(c, ops.sigmoid(gates.f))
    added = operations.gate(operations.tanh(gates.g), ops.sigmoid(gates.i))
    c = operations.sum(kept + added)
    h = operations.gate(operations.tanh(c), ops.sigmoid(gates.o))
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
    return unroll(
        lambda state, projected_t: lstm_step(operations, cell, projected_t, state),
        state,
        projected,
    )


def unroll(step: Callable, carry, inputs):
    """Runs a recurrence over the words.

    Args:
        step: (carry, inputs of one word (B, N, ...)) -> carry.
        carry: Nested arrays (B, N, ...) before the first word.
        inputs: Nested arrays (B, N, T, ...).

    Returns:
        The carry after every word, nested arrays (B, N, T, ...).
    """
    map_structure = keras.tree.map_structure
    if keras.tree.flatten(inputs)[0].shape[2] == 1:
        carry = step(carry, map_structure(lambda part: part[:, :, 0], inputs))
        return map_structure(lambda part: ops.expand_dims(part, 2), carry)

    def step_twice(carry, inputs):
        carry = step(carry, inputs)
        return carry, carry  # TensorFlow wants outputs shaped like the carry

    inputs = map_structure(lambda part: ops.moveaxis(part, 2, 0), inputs)
    _, carries = ops.scan(step_twice, carry, inputs)
    return map_structure(lambda part: ops.moveaxis(part, 0, 2), carries)
