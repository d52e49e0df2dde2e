"""The convolutional network that turns a photograph into a grid of features."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from config import Config
from dataset.images import IMAGE_SIZE

CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR


@dataclass(frozen=True)
class EncoderKind:
    """How one architecture is built and fed.

    Attributes:
        build: A constructor of `keras.applications`.
        feature_layer: The layer whose output, after its ReLU, is the features.
        mean: What is subtracted from BGR pixels in [0, 255].
    """

    build: Callable
    feature_layer: str
    mean: tuple[float, float, float]


ENCODERS = {
    "vgg16": EncoderKind(keras.applications.VGG16, "block5_conv3", CAFFE_MEAN),
}


def build_encoder(config: Config, weights: str | Path | None = None) -> keras.Model:
    """Builds the encoder up to its last feature map.

    Args:
        config: Names the architecture and the factor on its features.
        weights: None for random weights, "imagenet" for Keras' download, or a
            weights file of the architecture without its classifier.

    Returns:
        A functional model from preprocessed images (B, 224, 224, 3) to features
        (B, h, w, D), nonnegative.

    Raises:
        ValueError: The weights cannot be read or downloaded.
    """
    kind = ENCODERS[config.encoder]
    try:
        base = kind.build(
            include_top=False,
            weights=weights if weights is None else str(weights),
            input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3),
        )
    except Exception as error:  # nothing narrower comes from a failed download
        reason = " ".join(str(error).split())
        raise ValueError(
            f"The encoder's weights {str(weights)!r} cannot be loaded: {reason} "
            "Name a file of them with --encoder-weights."
        ) from error
    features = base.get_layer(kind.feature_layer).output
    if config.feature_scale != 1.0:
        features = keras.layers.Rescaling(config.feature_scale, name="scale")(features)
    return keras.Model(base.input, features, name="encoder")


def preprocess(images: np.ndarray, encoder: str) -> np.ndarray:
    """Turns RGB pixels in [0, 255] (..., 3) into the encoder's float32 input."""
    mean = np.asarray(ENCODERS[encoder].mean, "float32")
    return np.asarray(images, "float32")[..., ::-1] - mean


def restore_pixels(inputs: np.ndarray, encoder: str) -> np.ndarray:
    """Turns encoder input (..., 3) back into RGB pixels, float32 in [0, 255]."""
    mean = np.asarray(ENCODERS[encoder].mean, "float32")
    return np.clip(inputs + mean, 0.0, 255.0)[..., ::-1]


def split_encoder(
    encoder: keras.Model, trainable_from: str
) -> tuple[keras.Model, keras.Model | None]:
    """Cuts the encoder before its first trained layer.

    Args:
        encoder: The whole encoder.
        trainable_from: A layer's name, or "" to train nothing.

    Returns:
        (frozen part, trained part), sharing the encoder's layers. The trained part
        is None if nothing is trained.

    Raises:
        ValueError: The encoder has no such layer.
    """
    if trainable_from == "":
        return encoder, None
    names = [layer.name for layer in encoder.layers]
    if trainable_from not in names[1:]:
        raise ValueError(
            f"trainable_from must name a layer of the encoder: {', '.join(names[1:])}; "
            f"received {trainable_from!r}."
        )
    cut = encoder.get_layer(trainable_from).input
    return keras.Model(encoder.input, cut), keras.Model(cut, encoder.output)


def flatten_grid(features):
    """Reshapes (B, h, w, D) to (B, L, D) with L = h w."""
    batch, height, width, channels = ops.shape(features)
    return ops.reshape(features, (batch, height * width, channels))
