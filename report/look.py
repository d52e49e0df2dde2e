"""How relevance is coloured: which colours, and on which scale."""

import difflib
from dataclasses import dataclass
from functools import cached_property

import matplotlib
import numpy as np

from report.overlays import (
    RELEVANCE_COLOURS,
    relevance_limit,
    transparent_at_zero,
)

SCALES = ("word", "caption")


@dataclass(frozen=True)
class Look:
    """How heatmaps look.

    Attributes:
        scale: "word": each word's strongest relevance has full colour; "caption": that
            of all words together, so that a word which hardly reads the photo is pale.
        colour_map: A name of matplotlib's, whose middle is no relevance and whose end
            supports the word; None for blue and red.

    Raises:
        ValueError: There is no such scale or colour map.
    """

    scale: str = SCALES[0]
    colour_map: str | None = None

    def __post_init__(self):
        if self.scale not in SCALES:
            raise ValueError(
                f"Unknown scale {self.scale!r}; expected one of {', '.join(SCALES)}."
            )
        known = list(matplotlib.colormaps)
        if self.colour_map is not None and self.colour_map not in known:
            close = difflib.get_close_matches(str(self.colour_map), known)
            meant = ", ".join(close or ("RdBu_r", "PuOr_r", "seismic", "coolwarm"))
            raise ValueError(
                f"Unknown colour map {self.colour_map!r}; expected a name of "
                f"matplotlib's, as {meant}."
            )

    @property
    def is_shared(self) -> bool:
        """Whether all words have one scale."""
        return self.scale == "caption"

    @cached_property
    def colours(self) -> np.ndarray:
        """RGBA (127, 4), uint8: opposes the most, no relevance at 63, supports."""
        if self.colour_map is None:
            return RELEVANCE_COLOURS
        places = np.linspace(0, 1, len(RELEVANCE_COLOURS))
        colours = matplotlib.colormaps[self.colour_map](places, bytes=True)
        return transparent_at_zero(colours[:, :3])

    def limits(self, relevance: np.ndarray) -> np.ndarray:
        """Returns the absolute relevance at full colour of each word, (R,).

        Args:
            relevance: Signed, (R, H, W).
        """
        limits = np.array([relevance_limit(word) for word in relevance])
        return np.full_like(limits, limits.max()) if self.is_shared else limits

    def largest(self, attention: np.ndarray) -> float | None:
        """Returns the attention at full colour; None for each word's own largest.

        Args:
            attention: Weights (R, h, w), not negative.
        """
        return float(attention.max()) if self.is_shared else None


USUAL = Look()
