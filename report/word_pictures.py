"""The photo under the relevance or the attention of a word."""

import numpy as np

from report.look import Look
from report.overlays import attention_overlay, heatmaps, overlay, stretched

SMALL = 480  # pixels of the longer side, where many pictures stand in a figure


class WordPictures:
    """The pictures of every word of an explanation, over one photo.

    Args:
        explanation: Has the words.
        photo: Of any size, uint8 RGB (H, W, 3).
        look: How they are coloured.
    """

    def __init__(self, explanation, photo: np.ndarray, look: Look):
        self._photo, self._look = photo, look
        self._heat = heatmaps(explanation.pixels)  # (R, h, w)
        self._limits = look.limits(self._heat)
        self._attention = explanation.attention
        has_any = self._attention is not None
        self._largest = look.largest(self._attention) if has_any else None

    def relevance(self, row: int) -> np.ndarray:
        """Returns the photo under the relevance of a word."""
        heat = stretched(self._heat[row], self._photo.shape[:2])
        return overlay(self._photo, heat, self._limits[row], self._look.colours)

    def attention(self, row: int) -> np.ndarray:
        """Returns the photo under the attention of a word."""
        return attention_overlay(self._photo, self._attention[row], self._largest)
