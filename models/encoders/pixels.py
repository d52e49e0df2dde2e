"""The pixels of a photograph and the input of the encoder that reads it."""

import numpy as np

from config import choose
from models.encoders.applications import ENCODERS


def preprocess(images: np.ndarray, encoder: str) -> np.ndarray:
    """Turns RGB pixels in [0, 255] (..., 3) into the encoder's float32 input."""
    kind = choose("encoder", encoder, ENCODERS)
    mean, scale = np.asarray(kind.mean, "float32"), np.float32(kind.scale)
    return (swap_colours(np.asarray(images, "float32"), encoder) - mean) / scale


def restore_pixels(inputs: np.ndarray, encoder: str) -> np.ndarray:
    """Turns encoder input (..., 3) back into RGB pixels, float32 in [0, 255]."""
    kind = choose("encoder", encoder, ENCODERS)
    mean, scale = np.asarray(kind.mean, "float32"), np.float32(kind.scale)
    return np.clip(swap_colours(inputs * scale + mean, encoder), 0.0, 255.0)


def swap_colours(values: np.ndarray, encoder: str) -> np.ndarray:
    """Turns RGB into the order of colours the encoder reads, and that into RGB.

    Args:
        values: Pixels, encoder input or relevance of it, (..., 3).
        encoder: A key of `ENCODERS`.
    """
    kind = choose("encoder", encoder, ENCODERS)
    return values[..., ::-1] if kind.reads_bgr else values
