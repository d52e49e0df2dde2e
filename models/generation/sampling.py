"""Sampling of captions from any step function."""

from collections.abc import Callable

import numpy as np
from keras import ops


def sample_captions(
    step: Callable,
    state,
    batch_size: int,
    num_samples: int,
    max_steps: int,
    start: int,
    end: int,
    generator: np.random.Generator,
    temperature: float = 1.0,
) -> list[list[np.ndarray]]:
    """Draws captions of several images, each word from the model's distribution.

    Args:
        step: (tokens (B, N), state) -> (log-probabilities (B, N, V), state).
        state: Nested arrays (B, N, ...) before the first token.
        batch_size: B.
        num_samples: N, of each image.
        max_steps: The longest caption in tokens, with the end token.
        start: The token before the first one.
        end: The token after the last one.
        generator: Draws.
        temperature: Divides the log-probabilities.

    Returns:
        For each image its N token arrays, each up to its end token; a caption that
        does not end within `max_steps` is cut there.
    """
    tokens = np.full((batch_size, num_samples, 1), start, "int32")
    for _ in range(max_steps):
        log_probabilities, state = step(ops.convert_to_tensor(tokens[..., -1]), state)
        noise = generator.gumbel(size=log_probabilities.shape)
        drawn = np.argmax(
            ops.convert_to_numpy(log_probabilities) / temperature + noise, -1
        )
        drawn = np.where(tokens[..., -1] == end, end, drawn)
        tokens = np.concatenate([tokens, drawn[..., None].astype("int32")], axis=2)
        if (drawn == end).all():
            break
    return [
        [_cut(caption, end) for caption in of_image] for of_image in tokens[..., 1:]
    ]


def _cut(caption: np.ndarray, end: int) -> np.ndarray:
    """Cuts a caption behind its first end token."""
    (ends,) = np.nonzero(caption == end)
    return caption[: ends[0] + 1] if len(ends) else caption
