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
class TrainingData:
    """What `fit` and the validation read.

    Attributes:
        batches: Of the training images.
        validation_images: With their references.
        validation_features: (M, h, w, C) of the frozen part of the encoder.
    """

    batches: CaptionBatches
    validation_images: list[CaptionedImage]
    validation_features: np.ndarray


def read_split(config: Config, data_dir: Path, split: str, limit: int | None):
    """Reads the first `limit` images of a split of the configured dataset."""
    return READERS[config.dataset](data_dir, split)[:limit]


def prepare_data(
    captioner: Captioner,
    train_images: Sequence[CaptionedImage],
    validation_images: Sequence[CaptionedImage],
    cache_dir: Path,
) -> TrainingData:
    """Computes or finds the cached features and builds the training batches."""
    config = captioner.config
    mirrors = (False, True) if config.flip_images else (False,)
    variants = [
        _cached(captioner, train_images, cache_dir, mirrored) for mirrored in mirrors
    ]
    batches = CaptionBatches(
        train_images,
        variants,
        captioner.vocabulary,
        config.images_per_batch,
        config.captions_per_image,
        config.max_caption_words,
        config.words_per_image,
        config.seed,
    )
    validation_features = _cached(captioner, validation_images, cache_dir, False)
    return TrainingData(batches, list(validation_images), validation_features)


def _cached(
    captioner: Captioner,
    images: Sequence[CaptionedImage],
    cache_dir: Path,
    mirrored: bool,
) -> np.ndarray:
    def encode(paths: Sequence[Path]) -> np.ndarray:
        pixels = np.stack([load_image(path) for path in paths])
        return captioner.freeze_features(pixels[:, :, ::-1] if mirrored else pixels)

    frozen = captioner.frozen_part
    source = f"{_weights_hash(frozen)} mirrored={mirrored}"
    paths = [image.path for image in images]
    return cache_features(cache_dir, paths, encode, frozen.output_shape[1:], source)


def _weights_hash(model) -> str:
    """Identifies a network by its layers and weights, whatever they are called."""
    layers = [(type(layer).__name__, layer.get_config()) for layer in model.layers]
    for _, settings in layers:
        settings.pop("name")
    digest = hashlib.sha256(json.dumps(layers, default=str).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()
