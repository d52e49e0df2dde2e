"""Colours for relevance and attention, laid over a photo.

Values become levels, levels become RGBA colours by a table. Figures blend the colours
with the faded photo; the HTML report stores the levels as a palette PNG and lets the
browser blend the same colours with the same faded photo.
"""

from io import BytesIO

import numpy as np
from PIL import Image

SUPPORTS = (208, 16, 36)
OPPOSES = (24, 72, 216)
PHOTO_STRENGTH = 0.4
CLIPPED_PERCENTILE = 99.5
SMOOTHING = 0.008

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_ZERO_LEVEL = 63


def transparent_at_zero(colours: np.ndarray) -> np.ndarray:
    """Adds alpha to a table of colours (127, 3): it grows with the absolute level.

    Positive levels have odd alpha and negative ones even alpha, so that a level can be
    read from the alpha alone, whatever the colours are: the page adds maps up so.
    """
    strength = np.linspace(-1, 1, 2 * _ZERO_LEVEL + 1)
    alpha = (230 * np.abs(strength) ** 0.8).round().astype(np.uint8)
    alpha = np.where(strength > 0, alpha | 1, alpha & 254)
    return np.column_stack([colours, alpha]).astype(np.uint8)


def _relevance_colours() -> np.ndarray:
    """Tables blue, transparent, red."""
    level = np.arange(2 * _ZERO_LEVEL + 1)[:, None]
    return transparent_at_zero(np.where(level > _ZERO_LEVEL, SUPPORTS, OPPOSES))


def _attention_colours() -> np.ndarray:
    """Tables transparent, light green, dark green."""
    anchors = [0, 0.25, 0.6, 1]
    channels = [
        (229, 174, 38, 0),
        (245, 224, 150, 70),
        (200, 140, 120, 50),
        (0, 120, 175, 205),
    ]
    positions = np.linspace(0, 1, 2 * _ZERO_LEVEL + 1)
    columns = [np.interp(positions, anchors, channel) for channel in channels]
    return np.column_stack(columns).round().astype(np.uint8)


RELEVANCE_COLOURS = _relevance_colours()  # (127, 4), zero relevance at 63
ATTENTION_COLOURS = _attention_colours()  # (127, 4), no attention at 0


def heatmaps(pixels: np.ndarray) -> np.ndarray:
    """Sums the relevance of each pixel's channels and smooths it lightly.

    A Gaussian of 0.8 % of the side (1.8 pixels of 224) takes away the grain that
    max-pooling leaves; the values serve for drawing only.

    Args:
        pixels: Signed relevance (..., H, W, 3).

    Returns:
        Signed relevance (..., H, W).
    """
    relevance = np.asarray(pixels, dtype=np.float64).sum(axis=-1)  # (..., H, W)
    height, width = relevance.shape[-2:]
    return _blur_matrix(height) @ relevance @ _blur_matrix(width).T


def _blur_matrix(length: int) -> np.ndarray:
    """Returns the (length, length) matrix of a Gaussian blur; rows sum to 1."""
    position = np.arange(length)
    distance = (position[:, None] - position) / max(SMOOTHING * length, 1e-2)
    weights = np.exp(-0.5 * distance**2)
    return weights / weights.sum(axis=1, keepdims=True)


def relevance_limit(relevance: np.ndarray) -> float:
    """Returns the absolute relevance at full colour, the same for both signs.

    The 99.5th percentile, so that a few pixels do not make the others pale; the
    maximum where the relevance is so sparse that the percentile is 0.
    """
    strength = np.abs(relevance)
    return float(np.percentile(strength, CLIPPED_PERCENTILE) or strength.max())


def relevance_levels(relevance: np.ndarray, limit: float | None = None) -> np.ndarray:
    """Turns signed relevance into rows of `RELEVANCE_COLOURS`.

    Args:
        relevance: Signed relevance (H, W).
        limit: Absolute relevance at full colour; by default `relevance_limit`.

    Returns:
        Levels (H, W), uint8: 63 for zero, 126 for `limit` and more, 0 for `-limit`
        and less.

    Raises:
        ValueError: If the relevance is not finite.
    """
    if not np.isfinite(relevance).all():
        raise ValueError(
            "Expected finite relevance to draw, received NaN or infinity. Check the "
            "logits of the explained word: a diverged model explains nothing."
        )
    limit = relevance_limit(relevance) if limit is None else limit
    scaled = np.clip(relevance / limit, -1, 1) if limit else np.zeros_like(relevance)
    return np.rint(_ZERO_LEVEL * (1 + scaled)).astype(np.uint8)


def attention_levels(
    attention: np.ndarray, height: int, width: int, largest: float | None = None
) -> np.ndarray:
    """Turns attention weights into rows of `ATTENTION_COLOURS`.

    Args:
        attention: Weights (h, w), not negative.
        height: Rows of the photo.
        width: Columns of the photo.
        largest: The weight at full colour; by default the largest after interpolation.

    Returns:
        Levels (height, width), uint8, interpolated bicubically: 0 for no attention,
        126 for the largest weight.
    """
    grid = Image.fromarray(np.asarray(attention, dtype=np.float32))
    fine = np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
    largest = fine.max() if largest is None else largest
    scaled = np.clip(fine / largest, 0, 1) if largest > 0 else np.zeros_like(fine)
    return np.rint((len(ATTENTION_COLOURS) - 1) * scaled).astype(np.uint8)


def faded(photo: np.ndarray) -> np.ndarray:
    """Takes a photo's colour away and mixes it with white, float (H, W, 1)."""
    grey = (np.asarray(photo, dtype=np.float32) @ _LUMINANCE)[..., None]
    return 255 - PHOTO_STRENGTH * (255 - grey)


def overlay(
    photo: np.ndarray,
    relevance: np.ndarray,
    limit: float | None = None,
    colours: np.ndarray = RELEVANCE_COLOURS,
) -> np.ndarray:
    """Lays signed relevance over the faded photo.

    Red supports, blue opposes, and the more the stronger; where the relevance is zero
    the photo's own grey shows.

    Args:
        photo: The photo (H, W, 3), uint8.
        relevance: Signed relevance (H, W), of any unit.
        limit: Absolute relevance at full colour; by default `relevance_limit`.
        colours: RGBA of the 127 levels.

    Returns:
        A picture (H, W, 3), uint8.

    Raises:
        ValueError: If the sizes differ or the relevance is not finite.
    """
    if relevance.shape != photo.shape[:2]:
        raise ValueError(
            f"Expected relevance of the photo's size {photo.shape[:2]}, received "
            f"{relevance.shape}. Sum the relevance of pixels over their channels."
        )
    return _blend(photo, colours[relevance_levels(relevance, limit)])


def attention_overlay(
    photo: np.ndarray, attention: np.ndarray, largest: float | None = None
) -> np.ndarray:
    """Lays attention weights over the faded photo, the largest in full colour.

    Args:
        photo: The photo (H, W, 3), uint8.
        attention: Weights (h, w), not negative.
        largest: See `attention_levels`.

    Returns:
        A picture (H, W, 3), uint8.
    """
    levels = attention_levels(attention, *photo.shape[:2], largest)
    return _blend(photo, ATTENTION_COLOURS[levels])


def on_white(colours: np.ndarray) -> np.ndarray:
    """Paints RGBA colours (..., 4) over white, for legends: uint8 (..., 3)."""
    alpha = colours[..., 3:] / 255.0
    return (255 * (1 - alpha) + alpha * colours[..., :3]).round().astype(np.uint8)


def _blend(photo: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Paints RGBA colours (H, W, 4) over the faded photo."""
    alpha = colours[..., 3:] / np.float32(255)  # (H, W, 1)
    blended = (1 - alpha) * faded(photo) + alpha * colours[..., :3]
    return blended.round().astype(np.uint8)


def palette_png(levels: np.ndarray, colours: np.ndarray) -> bytes:
    """Encodes levels (H, W) and their RGBA table as a small transparent PNG."""
    picture = Image.fromarray(levels).convert("P")
    picture.putpalette(colours[:, :3].tobytes())
    file = BytesIO()
    picture.save(
        file, format="PNG", optimize=True, transparency=colours[:, 3].tobytes()
    )
    return file.getvalue()


def stretched(relevance: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Stretches relevance (h, w) over a photo of a size (H, W), bilinearly."""
    values = Image.fromarray(np.asarray(relevance, dtype=np.float32))
    return np.asarray(values.resize(size[::-1], Image.Resampling.BILINEAR))


def photo_of(explanation) -> np.ndarray:
    """Returns the photograph in its own size; as the model saw it if it is not kept."""
    return explanation.image if explanation.photo is None else explanation.photo
