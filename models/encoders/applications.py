"""Encoders: the networks of `keras.applications`, and two small ones."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras

from config import Config, choose
from files.hdf5 import check_weights
from files.messages import reason_of
from models.encoders.efficientnet_lite import build_efficientnet_lite2
from models.encoders.vision_transformer import build_small, find_transformer
from models.weights import check_finite

CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR


@dataclass(frozen=True)
class EncoderKind:
    """How one architecture is built and fed.

    The input is (pixels - mean) / scale, of pixels in [0, 255].

    Attributes:
        build: A constructor as those of `keras.applications`.
        feature_layer: The layer whose output, in a CNN after its ReLU, is the features.
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
    "efficientnet_lite2": EncoderKind(
        build_efficientnet_lite2, "head_relu", (127.0, 127.0, 127.0), 128.0, False
    ),
    "vision_transformer": EncoderKind(
        build_small, "grid", (127.5, 127.5, 127.5), 127.5, reads_bgr=False
    ),
}


def _check_size(config: Config, build: Callable) -> None:
    """Refuses a size of images that an encoder cannot read."""
    try:
        build(None)
    except ValueError as error:
        raise ValueError(
            f"image_size={config.image_size} does not fit {config.encoder}: "
            f"{reason_of(error).rstrip('.')}. Choose another size."
        ) from error


def _why(weights: str | Path | None, encoder: str, error: Exception) -> str:
    """Returns why an encoder's weights cannot be loaded, in words of ours."""
    path, reason = Path(str(weights)), reason_of(error).rstrip(".")
    if str(weights) in ("None", "imagenet"):
        return reason
    if not path.is_file():
        return "it is a folder" if path.is_dir() else "there is no such file"
    return f"the file does not fit {encoder} without its classifier ({reason})"


def build_encoder(config: Config, weights: str | Path | None = None) -> keras.Model:
    """Builds the encoder up to its last feature map.

    Batch-norms keep the statistics and weights they come with, also where the encoder
    is trained: the few images of a batch are too few to estimate new ones.

    Args:
        config: Names the architecture, the size of its images and the factor on its
            features.
        weights: None for random weights, "imagenet" for Keras' download, or a
            weights file of the architecture without its classifier.

    Returns:
        A functional model from preprocessed images (B, S, S, 3) to features
        (B, h, w, D), those of a CNN nonnegative.

    Raises:
        ValueError: There is no such encoder, it cannot read images of this size, its
            weights cannot be read or downloaded, or its features have no factor.
    """
    kind = choose("encoder", config.encoder, ENCODERS)
    if weights is not None and h5py.is_hdf5(str(weights)):
        check_weights(Path(weights))

    def build(weights: str | None) -> keras.Model:
        shape = (config.image_size, config.image_size, 3)
        return kind.build(include_top=False, weights=weights, input_shape=shape)

    try:
        base = build(weights if weights is None else str(weights))
    except Exception as error:  # nothing narrower comes from a failed download
        _check_size(config, build)
        raise ValueError(
            f"The encoder's weights {str(weights)!r} cannot be loaded: "
            f"{_why(weights, config.encoder, error)}. Name a file of them with "
            "--encoder-weights."
        ) from error
    if weights is not None:
        check_finite(base, weights)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    features = base.get_layer(kind.feature_layer).output
    if config.feature_scale != 1.0:
        if find_transformer(base) is not None:
            raise ValueError(
                "feature_scale must be 1 for a vision Transformer, whose last norm "
                f"sets the scale; received {config.feature_scale}. Add --set "
                "feature_scale=1."
            )
        features = keras.layers.Rescaling(config.feature_scale, name="scale")(features)
    return keras.Model(base.input, features, name="encoder")
