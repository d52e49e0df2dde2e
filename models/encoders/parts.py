"""The frozen and the trained part of an encoder, and its grid of features."""

import contextlib

import keras
import numpy as np
from keras import ops


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


def spread(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Spreads maps (R, h, w) >= 0 over pixels (R, H, W), bilinearly; keeps sums."""
    large = ops.image.resize(maps[..., None], size, interpolation="bilinear")
    large = ops.convert_to_numpy(large)[..., 0]
    sums = np.maximum(large.sum((1, 2)), np.finfo("float32").tiny)
    return large * (maps.sum((1, 2)) / sums)[:, None, None]
