"""The images, captions and cached features of a training run."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config import Config
from dataset import READERS, CaptionedImage
from dataset.batches import CaptionBatches
from dataset.feature_cache import cache_features
from dataset.images import load_image
from models.captioner import Captioner


@dataclass(frozen=True)
class EncodedImages:
    """Images with their references, and what the encoder's frozen part made of them.

    Attributes:
        images: M images.
        features: (M, h, w, C).
    """

    images: Sequence[CaptionedImage]
    features: np.ndarray


def read_split(config: Config, data_dir: Path, split: str, limit: int | None = None):
    """Reads the first `limit` images of a split of the configured dataset.

    Raises:
        ValueError: There is no reader for the dataset.
        DatasetError: The dataset is not laid out as it should be.
    """
    if config.dataset not in READERS:
        raise ValueError(
            f"The dataset {config.dataset} cannot be read yet; expected one of "
            f"{', '.join(READERS)}."
        )
    return READERS[config.dataset](data_dir, split)[:limit]


def training_batches(
    captioner: Captioner, images: Sequence[CaptionedImage], cache_dir: Path
) -> CaptionBatches:
    """Computes or finds the cached features and builds the training batches."""
    config = captioner.config
    mirrors = (False, True) if config.flip_images else (False,)
    return CaptionBatches(
        images,
        [encode_images(captioner, images, cache_dir, m).features for m in mirrors],
        captioner.vocabulary,
        config.images_per_batch,
        config.captions_per_image,
        config.max_caption_words,
        config.words_per_image,
        config.seed,
    )


def encode_images(
    captioner: Captioner,
    images: Sequence[CaptionedImage],
    cache_dir: Path,
    mirrored: bool = False,
) -> EncodedImages:
    """Computes or finds what the encoder's frozen part makes of images."""

    def encode(paths: Sequence[Path]) -> np.ndarray:
        pixels = np.stack([load_image(path) for path in paths])
        return captioner.freeze_features(pixels[:, :, ::-1] if mirrored else pixels)

    frozen = captioner.frozen_part
    source = f"{_weights_hash(frozen)} mirrored={mirrored}"
    paths = [image.path for image in images]
    shape = frozen.output_shape[1:]
    return EncodedImages(
        images, cache_features(cache_dir, paths, encode, shape, source)
    )


def _weights_hash(model) -> str:
    """Identifies a network by its layers and weights, whatever they are called."""
    layers = [(type(layer).__name__, layer.get_config()) for layer in model.layers]
    for _, settings in layers:
        settings.pop("name")
    digest = hashlib.sha256(json.dumps(layers, default=str).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()
