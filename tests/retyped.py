"""Parts of a Transformer, retyped in slow float64 from docs/architecture.md."""

import numpy as np
from keras import ops


def array(weight):
    return ops.convert_to_numpy(weight).astype("float64")


def slow_dense(layer, x):
    return x @ array(layer.kernel) + array(layer.bias)


def slow_norm(layer, x):
    """(X3)."""
    deviation = np.sqrt(x.var(-1, keepdims=True) + layer.epsilon)
    normal = (x - x.mean(-1, keepdims=True)) / deviation
    return normal * array(layer.gamma) + array(layer.beta)


def slow_heads(attention, x, memory, visible):
    """(X1) and (X2) of what each place may see."""
    parts = ((attention.query, x), (attention.key, memory), (attention.value, memory))
    heads = zip(
        *(np.split(slow_dense(*part), 2, axis=1) for part in parts), strict=True
    )
    mixed = []
    for query, key, value in heads:
        weights = np.exp(query @ key.T / np.sqrt(query.shape[1])) * visible
        mixed.append(weights / weights.sum(1, keepdims=True) @ value)
    return slow_dense(attention.mixed, np.concatenate(mixed, axis=1))
