"""The convolutional network that turns a photograph into a grid of features."""

import contextlib
import re
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

    The input is (pixels - mean) / scale, of pixels in [0, 255].

    Attributes:
        build: A constructor of `keras.applications`.
        feature_layer: The layer whose output, after its ReLU, is the features.
        mean: For each colour, in the order the network reads them.
        scale: For all colours.
        reads_bgr: Whether the network reads blue first, not red.
    """

    build: Callable
    feature_layer: str
    mean: tuple[float, float, float]
    scale: float = 1.0
    reads_bgr: bool = True


def build_inception_v3(**settings) -> keras.Model:
    """Builds Keras' InceptionV3 with layer names that last.

    Keras numbers its unnamed layers through all models of a process; here they have
    the names of the first, so that `trainable_from` means the same layer everywhere.
    """
    model = keras.applications.InceptionV3(**settings)
    unnamed = [layer for layer in model.layers if not layer.name.startswith("mixed")]
    for kind in {type(layer) for layer in unnamed}:
        alike = sorted((x for x in unnamed if type(x) is kind), key=_number)
        prefix = re.sub(r"_\d+$", "", alike[0].name)
        for number, layer in enumerate(alike):
            layer.name = f"{prefix}_{number}" if number else prefix
    return model


def _number(layer: keras.layers.Layer) -> int:
    found = re.search(r"_(\d+)$", layer.name)
    return int(found[1]) if found else 0


_APPLICATIONS = keras.applications
ENCODERS = {
    "vgg16": EncoderKind(_APPLICATIONS.VGG16, "block5_conv3", CAFFE_MEAN),
    "vgg19": EncoderKind(_APPLICATIONS.VGG19, "block5_conv4", CAFFE_MEAN),
    "resnet50": EncoderKind(_APPLICATIONS.ResNet50, "conv5_block3_out", CAFFE_MEAN),
    "resnet101": EncoderKind(_APPLICATIONS.ResNet101, "conv5_block3_out", CAFFE_MEAN),
    "inception_v3": EncoderKind(
        build_inception_v3, "mixed10", (127.5, 127.5, 127.5), 127.5, reads_bgr=False
    ),
}


def build_encoder(config: Config, weights: str | Path | None = None) -> keras.Model:
    """Builds the encoder up to its last feature map.

    Batch-norms keep the statistics and weights they come with, also where the encoder
    is trained: the few images of a batch are too few to estimate new ones.

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
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    features = base.get_layer(kind.feature_layer).output
    if config.feature_scale != 1.0:
        features = keras.layers.Rescaling(config.feature_scale, name="scale")(features)
    return keras.Model(base.input, features, name="encoder")


def preprocess(images: np.ndarray, encoder: str) -> np.ndarray:
    """Turns RGB pixels in [0, 255] (..., 3) into the encoder's float32 input."""
    kind = ENCODERS[encoder]
    mean, scale = np.asarray(kind.mean, "float32"), np.float32(kind.scale)
    return (swap_colours(np.asarray(images, "float32"), encoder) - mean) / scale


def restore_pixels(inputs: np.ndarray, encoder: str) -> np.ndarray:
    """Turns encoder input (..., 3) back into RGB pixels, float32 in [0, 255]."""
    kind = ENCODERS[encoder]
    mean, scale = np.asarray(kind.mean, "float32"), np.float32(kind.scale)
    return np.clip(swap_colours(inputs * scale + mean, encoder), 0.0, 255.0)


def swap_colours(values: np.ndarray, encoder: str) -> np.ndarray:
    """Turns RGB into the order of colours the encoder reads, and that into RGB.

    Args:
        values: Pixels, encoder input or relevance of it, (..., 3).
        encoder: A key of `ENCODERS`.
    """
    return values[..., ::-1] if ENCODERS[encoder].reads_bgr else values


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
        ValueError: The encoder has no such layer, or cannot be cut before it.
    """
    if trainable_from == "":
        return encoder, None
    possible = cut_layers(encoder)
    if trainable_from not in possible:
        raise ValueError(
            f"trainable_from must name a layer of the encoder: {', '.join(possible)}; "
            f"received {trainable_from!r}. Only before these it falls into two parts."
        )
    cut = encoder.get_layer(trainable_from).input
    return keras.Model(encoder.input, cut), keras.Model(cut, encoder.output)


@contextlib.contextmanager
def computing_in(policy: keras.dtype_policies.DTypePolicy, model: keras.Model):
    """Lets the layers of a model compute in another precision for a while.

    A layer belongs to the whole encoder too, which stays in its own precision.
    """
    before = {layer: layer.dtype_policy for layer in model.layers}
    try:
        for layer in before:
            layer.dtype_policy = policy
        yield
    finally:
        for layer, own in before.items():
            layer.dtype_policy = own


def cut_layers(encoder: keras.Model) -> list[str]:
    """Names the layers before which the encoder can be cut.

    What such a layer reads must be all that the rest of the encoder reads: within a
    residual block another path leads past. Where branches begin, the first layer of
    each names the same cut, before all of them.
    """
    first, *others = encoder.layers  # in the order of computation
    numbers = {id(first.output): 0}
    bypassed = set()
    for number, layer in enumerate(others, start=1):
        numbers[id(layer.output)] = number
        for source in keras.tree.flatten(layer.input):
            bypassed.update(range(numbers[id(source)] + 1, number))
    inputs = {layer.name: keras.tree.flatten(layer.input) for layer in others}
    return [
        name
        for name, sources in inputs.items()
        if len(sources) == 1 and numbers[id(sources[0])] not in bypassed
    ]


def flatten_grid(features):
    """Reshapes (B, h, w, D) to (B, L, D) with L = h w."""
    batch, height, width, channels = ops.shape(features)
    return ops.reshape(features, (batch, height * width, channels))
