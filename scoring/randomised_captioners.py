"""Captioners whose learned weights are lost, from the words back to the image.

What explains a captioner must depend on what it has learned.

Source: Adebayo et al. 2018 (arXiv 1810.03292), section 4.1.
"""

from collections.abc import Iterator, Sequence

import quiet_start  # noqa: F401

# isort: split
import keras
import numpy as np

from models.base_captioner import BaseCaptioner
from models.captioner import Captioner

LAST_CONVOLUTIONS = 3  # in VGG16 the last block
LEVELS = ("decoder", "last convolutions", "everything")


def randomised_captioners(
    captioner: Captioner, generator: np.random.Generator
) -> Iterator[tuple[str, Captioner]]:
    """Yields a copy of a captioner, of which more and more weights are shuffled.

    First the decoder's, then also those of the encoder from its third last convolution
    on, then all. The captioner itself stays as it is. It is one copy that changes, so
    what is compiled for it stays of use; explain with it before asking for the next.

    Args:
        captioner: The original.
        generator: Shuffles.

    Yields:
        The names of LEVELS, each with the copy.
    """
    copy = copy_captioner(captioner)
    layers = copy.encoder.layers
    last = _last_convolutions(layers)
    parts = ([copy.decoder], layers[last:], layers[:last])
    for level, part in zip(LEVELS, parts, strict=True):
        shuffle_weights(part, generator)
        yield level, copy


def copy_captioner(captioner: Captioner) -> Captioner:
    """Returns a captioner with the same weights, none of them shared.

    Raises:
        ValueError: It was not trained here.
    """
    check_trained_here(captioner)
    encoder = keras.models.clone_model(captioner.encoder)
    copy = Captioner(captioner.config, captioner.vocabulary, encoder)
    copy.take_weights(captioner)
    return copy


def check_trained_here(captioner: BaseCaptioner) -> None:
    """Refuses a captioner whose weights cannot be shuffled.

    Raises:
        ValueError: It was not trained here, or its encoder has no convolutions.
    """
    if not isinstance(captioner, Captioner) or (
        captioner.vision_transformer is not None
    ):
        raise ValueError(
            "Weights are shuffled in convolutional encoders; received a captioner of "
            f"the kind {captioner.config.decoder} whose encoder is none. Choose a run "
            "of yours with one."
        )


def shuffle_weights(
    layers: Sequence[keras.layers.Layer], generator: np.random.Generator
) -> None:
    """Shuffles the entries of each weight array.

    What was learned is lost, the distribution of the values stays: activations keep
    about their size and variances of batch-norms stay positive.
    """
    for layer in layers:
        weights = layer.get_weights()
        layer.set_weights([_shuffled(values, generator) for values in weights])


def _shuffled(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.permutation(values.ravel()).reshape(values.shape)


def _last_convolutions(layers: Sequence[keras.layers.Layer]) -> int:
    convolutions = [
        number
        for number, layer in enumerate(layers)
        if isinstance(layer, keras.layers.Conv2D)
    ]
    return convolutions[-LAST_CONVOLUTIONS:][0]
