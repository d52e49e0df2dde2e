"""Photographs made smaller, and as JPEG."""

from io import BytesIO

import numpy as np
from PIL import Image

QUALITY = 92


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
