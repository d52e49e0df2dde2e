"""The second stage of an explanation: from features to the encoder's input."""

import numpy as np
from keras import ops

from keras_lrp import LRP
from keras_lrp.backend import compiled, recorded
from keras_lrp.operations import Operations
from models.base_captioner import BaseCaptioner
from models.encoders import flatten_grid
from models.explainers.decoder_stage import DecoderStage
from models.explainers.explanation import PRECISION
from models.sentence import few_sizes


def pixel_gradient(
    captioner: BaseCaptioner,
    operations: Operations,
    encoder_input: np.ndarray,
    stage: DecoderStage,
    precision: str,
) -> np.ndarray:
    """Returns the gradient of the encoder's input for each word, (R, H, W, 3).

    Args:
        captioner: The model.
        operations: How an encoder that is written in operations is differentiated.
        encoder_input: (1, H, W, 3).
        stage: Has the gradient of the features.
        precision: Of the way back through a convolutional encoder.
    """
    if captioner.vision_transformer is None:
        gradient = stage.feature_gradient
        return propagate(captioner, "gradient", encoder_input, gradient, precision)
    function = captioner.make_once(
        ("encoder stage", operations), lambda: _compiled_stage(captioner, operations)
    )
    return _pad_words(function, encoder_input, stage.feature_gradient)


def pixel_relevance(
    captioner: BaseCaptioner,
    operations: Operations,
    preset: str | None,
    encoder_input: np.ndarray,
    stage: DecoderStage,
    precision: str,
) -> np.ndarray:
    """Returns the relevance of the encoder's input for each word, (R, H, W, 3).

    Args:
        captioner: The model.
        operations: Those of the decoder's rules, which a vision Transformer follows.
        preset: The rules of a convolutional encoder.
        encoder_input: (1, H, W, 3).
        stage: Has the gradient of the features.
        precision: Of the way back through a convolutional encoder.
    """
    if captioner.vision_transformer is not None:
        gradient = pixel_gradient(
            captioner, operations, encoder_input, stage, precision
        )
        return encoder_input * gradient
    relevance = stage.features * stage.feature_gradient
    return propagate(captioner, preset, encoder_input, relevance, precision)


def _compiled_stage(captioner: BaseCaptioner, operations: Operations):
    """Computes the tokens once, and pulls back word after word, to save memory."""
    encoder = captioner.vision_transformer

    def differentiate(pixels, gradients):
        gradients = flatten_grid(gradients)[:, None]  # (R, 1, L, D)
        _, pull_back = recorded(lambda x: encoder.run(operations, x)[0], pixels)
        return pull_back(gradients)[:, 0]

    return compiled(differentiate, captioner)


def propagate(
    captioner: BaseCaptioner, preset: str, encoder_input, relevance, precision: str
) -> np.ndarray:
    """Takes relevance or a gradient (R, h, w, D) back through the layers of a CNN."""
    lrp = encoder_lrp(captioner, preset, precision)

    def run(encoder_input, relevance):
        return lrp(encoder_input, relevance=relevance[None])[0]

    return _pad_words(run, encoder_input, relevance)


def _pad_words(function, encoder_input, values: np.ndarray) -> np.ndarray:
    """Calls a function with values (R, ...) of one of few numbers of words."""
    rows = len(values)
    padding = [(0, few_sizes(rows) - rows)] + [(0, 0)] * (values.ndim - 1)
    found = function(encoder_input, np.pad(values, padding))
    return ops.convert_to_numpy(found)[:rows]


def encoder_lrp(
    captioner: BaseCaptioner, preset: str, precision: str = PRECISION
) -> LRP:
    """Returns the explanation of a captioner's encoder.

    It is made once for each preset and precision.
    """
    return captioner.make_once(
        ("encoder lrp", preset, precision),
        lambda: _make_encoder_lrp(captioner, preset, precision),
    )


def _make_encoder_lrp(captioner: BaseCaptioner, preset: str, precision: str) -> LRP:
    pixel_range = None
    if preset == "epsilon_gamma_box":
        darkest_and_lightest = np.array([[0.0] * 3, [255.0] * 3])
        ends = captioner.prepare(darkest_and_lightest)
        pixel_range = tuple(map(tuple, ends.tolist()))
    return LRP(captioner.encoder, preset, pixel_range, precision)


def roll_out(captioner: BaseCaptioner, encoder_input: np.ndarray) -> np.ndarray:
    """Follows the attention of a vision Transformer from its output to its input.

        A = (A_n + 1) / 2 ... (A_1 + 1) / 2

    Args:
        captioner: The model.
        encoder_input: (1, H, W, 3).

    Returns:
        (L, L): how much of each output token comes from each input token.

    Source: Abnar and Zuidema 2020 (arXiv 2005.00928), equation 1.
    """
    encoder = captioner.vision_transformer
    attend = captioner.make_once(
        "encoder attention",
        lambda: compiled(
            lambda pixels: encoder.run(Operations(), pixels)[1], captioner
        ),
    )
    found = None
    for weights in attend(encoder_input):
        mixed = ops.convert_to_numpy(weights)[0]
        mixed = (mixed + np.eye(len(mixed), dtype=mixed.dtype)) / 2
        found = mixed if found is None else mixed @ found
    return found
