"""The methods of explanation: from a decoder's stage to relevance of the pixels."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from keras_lrp.operations import RELEVANCE_RULES, GradientOperations, Operations
from models.base_captioner import BaseCaptioner
from models.captioner import LRP_PRESETS
from models.encoders import spread
from models.explainers.decoder_stage import TARGETS, DecoderStage
from models.explainers.encoder_stage import (
    pixel_gradient,
    pixel_relevance,
    propagate,
    roll_out,
)
from models.explainers.explanation import PRECISION
from models.explainers.occlusion import occlude_image, occlude_words
from models.explainers.rules import Rules

RELEVANCE = RELEVANCE_RULES["epsilon"]
GRADIENT = GradientOperations()
LRP_PRESET = LRP_PRESETS[0]  # the paper's


class Maps(NamedTuple):
    """What a method finds for R words; NaN where it says nothing.

    Attributes:
        pixels: Of the encoder's input, (R, H, W, 3).
        features: Of the encoder's features, (R, h, w, D).
        words: Of what the decoder read, (R, T).
        attention: The attention that is shown, shaped as the stage's, (R, h, w);
            None for the stage's first.
    """

    pixels: np.ndarray
    features: np.ndarray
    words: np.ndarray
    attention: np.ndarray | None = None


@dataclass(frozen=True)
class Method:
    """One way to explain.

    Attributes:
        summary: One sentence for the reader.
        operations: How decoder and vision Transformer are differentiated.
        explain: (captioner, encoder input (1, H, W, 3), decoder stage, method) ->
            Maps.
        is_balanced: Whether words, features and pixels share out the logit, by rules.
        is_additive: Whether the map of a phrase is the sum of its words' maps.
        is_extra: Whether "all" leaves it out: it is slow, or a part of another method.
        passes_encoder: Whether it takes relevance or a gradient back through the
            encoder, which has a precision.
        attention: The map of attention that it shows; None for another method, "" for
            the decoder's first.
        follows: Whether it follows the attention through a vision Transformer.
        is_guided: Whether it needs rectifiers in the encoder.
        preset: The encoder's rules of LRP; None for other methods, and for encoders
            that have none of their own.
        precision: Of the way back through the encoder.
        target: What of the word is explained, one of TARGETS.
        is_centred: Whether what is the same at all positions is taken away before the
            way back through a CNN.
    """

    summary: str
    operations: Operations
    explain: Callable
    is_balanced: bool = False
    is_additive: bool = False
    is_extra: bool = False
    passes_encoder: bool = False
    attention: str | None = None
    follows: bool = False
    is_guided: bool = False
    preset: str | None = None
    precision: str = PRECISION
    target: str = TARGETS[0]
    is_centred: bool = False

    def misfit(self, captioner: BaseCaptioner) -> str:
        """Says why the method has no meaning for a captioner; "" if it has."""
        maps = captioner.decoder.attention_maps
        name = captioner.config.decoder
        if self.attention is not None and not maps:
            return f"shows attention, and the decoder {name} has none"
        if self.follows and captioner.vision_transformer is None:
            return (
                "follows the attention of a vision Transformer, and the encoder is none"
            )
        if self.attention and self.attention not in maps:
            return (
                f"shows the {self.attention} attention of several layers, and the "
                f"decoder {name} has one"
            )
        if self.is_centred and captioner.vision_transformer is not None:
            return "centres the features of a CNN, and the encoder is none"
        if self.is_guided and captioner.vision_transformer is not None:
            return "guides rectifiers, and the encoder has none"
        return ""

    def under(self, rules: Rules, precision: str = PRECISION) -> "Method":
        """Returns the method with a precision, and LRP with the rules."""
        chosen = self.own(precision=precision)
        if self.is_balanced:
            chosen["operations"] = RELEVANCE_RULES[rules.decoder]
            chosen["preset"] = rules.encoder
        return replace(self, **chosen)

    def takes(self, choice: str) -> bool:
        """Tells whether it takes lrp_preset, decoder_rules or precision."""
        if choice == "precision":
            return self.passes_encoder
        return self.is_balanced and (self.passes_encoder or choice == "decoder_rules")

    def own(self, **choices) -> dict:
        """Returns those of the choices that it takes."""
        return {name: choice for name, choice in choices.items() if self.takes(name)}


def choose_method(name: str) -> Method:
    """Returns a method.

    Raises:
        ValueError: There is no such method.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(
            f"Unknown method {name!r}; expected one of {', '.join(METHODS)}."
        )
    return METHODS[name]


def _lrp(captioner, encoder_input, stage: DecoderStage, method: Method) -> Maps:
    features = stage.features * stage.feature_gradient
    pixels = pixel_relevance(
        captioner,
        method.operations,
        method.preset,
        encoder_input,
        stage,
        method.precision,
    )
    return Maps(pixels, features, stage.preceding_words)


def _centred_lrp(captioner, encoder_input, stage: DecoderStage, method: Method) -> Maps:
    features = stage.features * stage.feature_gradient
    pixels = propagate(
        captioner,
        method.preset,
        encoder_input,
        centre(features),
        method.precision,
    )
    return Maps(pixels, features, stage.preceding_words)


def centre(relevance: np.ndarray) -> np.ndarray:
    """Takes from relevance (R, h, w, D) its mean over the positions, in each channel.

    What is the same everywhere says nothing of where; a channel's rest sums to 0.
    """
    return relevance - relevance.mean((1, 2), keepdims=True)


def _decoder_lrp(captioner, encoder_input, stage: DecoderStage, method) -> Maps:
    features = stage.features * stage.feature_gradient
    positions, size = captioner.lay_out(features.sum(-1)), encoder_input.shape[1:3]
    positive, negative = (
        spread(np.maximum(part, 0), size) for part in (positions, -positions)
    )
    return Maps(_as_pixels(positive - negative), features, stage.preceding_words)


def _gradient(captioner, encoder_input, stage: DecoderStage, method) -> Maps:
    pixels = pixel_gradient(
        captioner, method.operations, encoder_input, stage, method.precision
    )
    return Maps(pixels, stage.feature_gradient, stage.preceding_words)


def _gradient_x_input(captioner, encoder_input, stage: DecoderStage, method) -> Maps:
    found = _gradient(captioner, encoder_input, stage, method)
    return Maps(
        encoder_input * found.pixels, stage.features * found.features, found.words
    )


def _grad_cam(captioner, encoder_input, stage: DecoderStage, method) -> Maps:
    features = weigh_channels(
        captioner.lay_out(stage.features[None])[0],
        captioner.lay_out(stage.feature_gradient),
    )
    heat = np.maximum(features.sum(-1), 0)
    pixels = _as_pixels(spread(heat, encoder_input.shape[1:3]))
    return Maps(pixels, features, stage.preceding_words)


def _guided_grad_cam(captioner, encoder_input, stage: DecoderStage, method) -> Maps:
    cam = _grad_cam(captioner, encoder_input, stage, method)
    gradient = stage.feature_gradient
    guided = propagate(
        captioner, "guided_backprop", encoder_input, gradient, method.precision
    )
    return cam._replace(pixels=3.0 * cam.pixels * guided)  # cam is one colour's share


def _attention(captioner, encoder_input, stage: DecoderStage, method) -> Maps:
    channels = stage.features.shape[-1]
    shown = stage.attention[method.attention or next(iter(stage.attention))]
    if method.follows:
        seen = shown.reshape(len(shown), -1)  # (R, L)
        shown = (seen @ roll_out(captioner, encoder_input)).reshape(shown.shape)
    features = np.repeat(shown[..., None] / channels, channels, axis=-1)
    placed = captioner.lay_out(shown)
    pixels = _as_pixels(spread(placed, encoder_input.shape[1:3]))
    return Maps(pixels, features, np.full_like(stage.preceding_words, np.nan), shown)


def _occlusion(captioner, encoder_input, stage: DecoderStage, method) -> Maps:
    heat = occlude_image(captioner, encoder_input, stage)
    nothing = np.full_like(stage.feature_gradient, np.nan)
    return Maps(_as_pixels(heat), nothing, occlude_words(captioner, stage))


def weigh_channels(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Weighs each channel with the mean of its gradient over the positions.

    Args:
        features: (h, w, D).
        gradient: (R, h, w, D).

    Returns:
        (R, h, w, D); the rectified sum over the channels is the map of Grad-CAM.

    Source: Selvaraju et al. 2017 (arXiv 1610.02391), equations 1 and 2.
    """
    return features * gradient.mean((1, 2), keepdims=True)  # mean: (R, 1, 1, D)


def _as_pixels(maps: np.ndarray) -> np.ndarray:
    """Shares maps (R, H, W) out to the three colours (R, H, W, 3)."""
    return np.repeat(maps[..., None] / 3.0, 3, axis=-1)


METHODS = {
    "lrp": Method(
        "Layer-wise relevance propagation through decoder and encoder: shares the "
        "word's logit out to the preceding words and the pixels, with sign.",
        RELEVANCE,
        _lrp,
        is_balanced=True,
        is_additive=True,
        passes_encoder=True,
    ),
    "decoder_lrp": Method(
        "LRP through the decoder alone: the relevance of the encoder's features, "
        "where they lie in the photo.",
        RELEVANCE,
        _decoder_lrp,
        is_balanced=True,
        is_additive=True,
        is_extra=True,
    ),
    "centred_lrp": Method(
        "LRP of how far the word's logit is above the mean logit, without what is the "
        "same at all positions of the photo.",
        RELEVANCE,
        _centred_lrp,
        is_balanced=True,
        is_additive=True,
        is_extra=True,
        passes_encoder=True,
        target="centred_logit",
        is_centred=True,
    ),
    "gradient": Method(
        "The derivative of the word's logit with respect to each pixel.",
        GRADIENT,
        _gradient,
        is_additive=True,
        passes_encoder=True,
    ),
    "gradient_x_input": Method(
        "The derivative times the pixel's own value.",
        GRADIENT,
        _gradient_x_input,
        is_additive=True,
        passes_encoder=True,
    ),
    "grad_cam": Method(
        "Feature maps weighted by their mean derivative: which regions speak for the "
        "word.",
        GRADIENT,
        _grad_cam,
    ),
    "guided_grad_cam": Method(
        "Grad-CAM times guided backpropagation: the fine structure within the regions.",
        GRADIENT,
        _guided_grad_cam,
        passes_encoder=True,
        is_guided=True,
    ),
    "attention": Method(
        "Where the decoder attended to when it wrote the word.",
        GRADIENT,
        _attention,
        attention="",
    ),
    "attention_mean": Method(
        "The attention of a Transformer's decoder, averaged over its layers.",
        GRADIENT,
        _attention,
        is_extra=True,
        attention="mean",
    ),
    "attention_rollout": Method(
        "The averaged attention, followed through the layers of a vision Transformer "
        "to the patches.",
        GRADIENT,
        _attention,
        is_extra=True,
        attention="mean",
        follows=True,
    ),
    "occlusion": Method(
        "How much the word's logit falls when a patch of the photo, or a preceding "
        "word, is removed: slow, and asks nothing of the model.",
        GRADIENT,
        _occlusion,
        is_additive=True,
        is_extra=True,
    ),
}
EXTRAS = tuple(name for name, method in METHODS.items() if method.is_extra)
