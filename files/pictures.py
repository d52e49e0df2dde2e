"""Photographs made smaller, and as JPEG."""

from io import BytesIO

import numpy as np
from PIL import Image

QUALITY = 92
KEPT_SIDE = 1600  # pixels of a photograph that is kept beside its explanation


def shrunk(photo: np.ndarray, longest: int) -> np.ndarray:
    """Scales a photo (H, W, 3), uint8, down to at most `longest` pixels a side."""
    picture = Image.fromarray(photo)
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def photo_jpeg(photo: np.ndarray) -> bytes:
    """Encodes a photo (H, W, 3), uint8, as JPEG."""
    file = BytesIO()
    Image.fromarray(photo).save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()


def kept_photo(photo: np.ndarray) -> bytes:
    """Encodes a photo (H, W, 3), uint8, as it is kept beside its explanation."""
    return photo_jpeg(shrunk(photo, KEPT_SIDE))
