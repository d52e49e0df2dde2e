"""The images, captions and cached features of a training run."""

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config import Config, choose
from dataset import DATASETS, CaptionedImage
from dataset.batches import CaptionBatches
from dataset.feature_cache import (
    FeatureCache,
    ShardedArray,
    cache_features,
    check_cache_room,
)
from dataset.images import load_image
from dataset.problems import all_of
from models.captioner import Captioner
from models.encoders import preprocess


@dataclass(frozen=True)
class EncodedImages:
    """Images with their references, and what the encoder's frozen part made of them.

    Attributes:
        images: M images.
        features: (M, h, w, C).
    """

    images: Sequence[CaptionedImage]
    features: ShardedArray


def read_split(config: Config, data_dir: Path, split: str, limit: int | None = None):
    """Reads the first `limit` images of a split of the configured dataset.

    Raises:
        DatasetError: The dataset is not laid out as it should be.
    """
    dataset = choose("dataset", config.dataset, DATASETS)
    return dataset.read(data_dir, split)[:limit]


def read_training(config: Config, data_dir: Path, limit: int | None = None):
    """Reads the first images of train and of dev.

    Raises:
        DatasetError: What is wrong with either, all at once.
    """
    return all_of(
        lambda: read_split(config, data_dir, "train", limit),
        lambda: read_split(config, data_dir, "dev", limit),
    )


def training_batches(
    captioner: Captioner, images: Sequence[CaptionedImage], cache_dir: Path
) -> CaptionBatches:
    """Computes or finds the cached features and builds the training batches."""
    config, size = captioner.config, captioner.image_size
    mirrors = _mirrors(config)
    variants = [
        encode_images(captioner, images, cache_dir, mirrored).features
        for mirrored in mirrors
    ]

    def read_image(number: int, variant: int) -> np.ndarray:
        pixels = _read_pixels(size, mirrors[variant], images[number].path)
        return preprocess(pixels, config.encoder)

    return CaptionBatches(
        images,
        variants,
        captioner.vocabulary,
        config.images_per_batch,
        config.captions_per_image,
        config.max_caption_words,
        config.words_per_image,
        config.seed,
        config.window_share,
        read_image if config.trains_on_pixels else None,
    )


def check_disk(
    captioner: Captioner,
    images: Sequence[CaptionedImage],
    validation_images: Sequence[CaptionedImage],
    cache_dir: Path,
) -> None:
    """Refuses a disk too small for all features that a training will compute.

    Raises:
        OSError: The disk has too little room.
    """
    wanted = [(images, mirrored) for mirrored in _mirrors(captioner.config)]
    shape, needed = captioner.frozen_part.output_shape[1:], 0
    for some, mirrored in (*wanted, (validation_images, False)):
        paths, source = [image.path for image in some], _source(captioner, mirrored)
        needed += FeatureCache.of(cache_dir, paths, shape, source).missing_bytes
    check_cache_room(cache_dir, needed)


def encode_images(
    captioner: Captioner,
    images: Sequence[CaptionedImage],
    cache_dir: Path,
    mirrored: bool = False,
) -> EncodedImages:
    """Computes or finds what the encoder's frozen part makes of images."""
    features = cache_features(
        cache_dir,
        [image.path for image in images],
        functools.partial(_read_pixels, captioner.image_size, mirrored),
        captioner.freeze_features,
        captioner.frozen_part.output_shape[1:],
        _source(captioner, mirrored),
    )
    return EncodedImages(images, features)


def _read_pixels(size: tuple[int, int], mirrored: bool, path: Path) -> np.ndarray:
    pixels = load_image(path, size)
    return pixels[:, ::-1] if mirrored else pixels


def _mirrors(config: Config) -> tuple[bool, ...]:
    return (False, True) if config.flip_images else (False,)


def _source(captioner: Captioner, mirrored: bool) -> str:
    return f"{_weights_hash(captioner.frozen_part)} mirrored={mirrored}"


def _weights_hash(model) -> str:
    """Identifies a network by its layers and weights, whatever they are called."""
    layers = [(type(layer).__name__, layer.get_config()) for layer in model.layers]
    for _, settings in layers:
        settings.pop("name")
    digest = hashlib.sha256(json.dumps(layers, default=str).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()
