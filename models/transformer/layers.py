"""Weights of Keras' layers, applied by the operations."""

import keras
from keras import ops

from keras_lrp import Operations


def dense(inputs: int, outputs: int, name: str, use_bias: bool = True):
    """Returns a built linear layer."""
    layer = keras.layers.Dense(outputs, use_bias=use_bias, name=name)
    layer.build((None, inputs))
    return layer


def layer_norm(size: int, epsilon: float, name: str):
    """Returns a built layer normalization."""
    layer = keras.layers.LayerNormalization(epsilon=epsilon, name=name)
    layer.build((None, size))
    return layer


def kernel_and_bias(layer: keras.layers.Dense) -> tuple:
    """Returns the weights of a linear layer; the bias is None where it has none."""
    return layer.kernel, layer.bias if layer.use_bias else None


def linear(operations: Operations, layer: keras.layers.Dense, x):
    """Applies a linear layer to (..., I): (..., O)."""
    return operations.linear(x, *kernel_and_bias(layer))


def normalize(operations: Operations, layer: keras.layers.LayerNormalization, x):
    """Applies a layer normalization to (..., D); half precision is too coarse."""
    precise = at_least_single(x)
    found = operations.normalize(precise, layer.gamma, layer.beta, layer.epsilon)
    return ops.cast(found, x.dtype)


def at_least_single(x):
    """Casts half precision to float32; leaves other precisions as they are."""
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
