"""The model that both sides ask; needs nothing but NumPy."""

import numpy as np


def probabilities(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns softmax_v(Σ_n x_n w_nv).

    Args:
        images: N patches of each, (B, ...).
        weights: (N, V).

    Returns:
        (B, V).
    """
    grown = np.exp(images.reshape(len(images), -1) @ weights)
    return grown / grown.sum(axis=-1, keepdims=True)
