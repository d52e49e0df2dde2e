"""The methods of explanation: from a decoder's stage to relevance of the pixels."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_lrp import LRP, PRECISIONS, PRESETS
from keras_lrp.operations import GradientOperations, Operations, RelevanceOperations
from models.captioner import Captioner
from models.encoders import preprocess
from models.explainers.decoder_stage import DecoderStage, few_sizes
from models.explainers.explanation import PRECISION
from models.explainers.occlusion import occlude_image, occlude_words

RELEVANCE = RelevanceOperations()
GRADIENT = GradientOperations()
ALL = "all"  # stands for every method but the extras
LRP_PRESET = "alpha1_beta0"  # the paper's
LRP_PRESETS = tuple(n for n in PRESETS if n not in ("gradient", "guided_backprop"))


class Maps(NamedTuple):
    """What a method finds for R words; NaN where it says nothing.

    Attributes:
        pixels: Of the encoder's input, (R, H, W, 3).
        features: Of the encoder's features, (R, h, w, D).
        words: Of what the decoder read, (R, T).
    """

    pixels: np.ndarray
    features: np.ndarray
    words: np.ndarray


@dataclass(frozen=True)
class Method:
    """One way to explain.

    Attributes:
        summary: One sentence for the reader.
        operations: How the decoder is differentiated.
        explain: (captioner, encoder input (1, H, W, 3), decoder stage) -> Maps.
        is_balanced: Whether words, features and pixels share out the logit.
        is_extra: Whether "all" leaves it out: it is slow, or a part of another method.
        shows_attention: Whether the decoder must have attention maps.
        passes_encoder: Whether it takes relevance or a gradient back through the
            encoder, which has a precision.
    """

    summary: str
    operations: Operations
    explain: Callable
    is_balanced: bool = False
    is_extra: bool = False
    shows_attention: bool = False
    passes_encoder: bool = False

    def fits(self, captioner: Captioner) -> bool:
        """Tells whether the method has a meaning for a captioner."""
        return not self.shows_attention or bool(captioner.decoder.attention_maps)

    def precision_of(self, asked: str) -> str:
        """Returns the precision of its way back, which it takes or not."""
        return asked if self.passes_encoder else PRECISION


def choose_method(
    name: str, lrp_preset: str = LRP_PRESET, precision: str = PRECISION
) -> Method:
    """Returns a method, LRP with the rules of a preset.

    Args:
        name: From METHODS.
        lrp_preset: One of LRP_PRESETS; counts in the method lrp alone.
        precision: One of PRECISIONS; counts in methods that pass the encoder.

    Raises:
        ValueError: There is no such method, preset or precision.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(
            f"Unknown method {name!r}; expected one of {', '.join(METHODS)}."
        )
    if lrp_preset not in LRP_PRESETS:
        raise ValueError(
            f"Unknown LRP preset {lrp_preset!r}; expected one of "
            f"{', '.join(LRP_PRESETS)}."
        )
    if precision not in PRECISIONS:
        raise ValueError(
            f"Unknown precision {precision!r}; expected one of {', '.join(PRECISIONS)}."
        )
    method = METHODS[name]
    chosen = {"preset": lrp_preset} if name == "lrp" else {}
    chosen |= {"precision": precision} if method.passes_encoder else {}
    return replace(method, explain=functools.partial(method.explain, **chosen))


def choose_methods(names: str, captioner: Captioner) -> list[str]:
    """Returns the methods of "lrp,attention"; of "all", those that fit but the extras.

    Raises:
        ValueError: There is no such method, or it has no meaning for the captioner.
    """
    fitting = [name for name, m in METHODS.items() if m.fits(captioner)]
    fast = [name for name in fitting if name not in EXTRAS]
    meant = [fast if name == ALL else [name] for name in split_methods(names)]
    chosen = list(dict.fromkeys(itertools.chain(*meant)))
    refuse_methods(chosen, captioner)
    return chosen


def split_methods(names: str) -> list[str]:
    """Returns the names in "lrp,attention"; "all" stays as it is.

    Raises:
        ValueError: There is no such method.
    """
    split = [name.strip() for name in names.split(",")]
    for name in split:
        if name != ALL:
            choose_method(name)
    return split


def refuse_methods(names: Sequence[str], captioner: Captioner) -> None:
    """Refuses methods that are unknown or have no meaning for a captioner.

    Raises:
        ValueError: Which method, and the way out.
    """
    for name in names:
        if not choose_method(name).fits(captioner):
            raise ValueError(
                f"The method {name} shows attention, and the decoder "
                f"{captioner.config.decoder} has none. Choose another method."
            )


def choose_each(
    names: Sequence[str], lrp_preset: str = LRP_PRESET, precision: str = PRECISION
) -> dict[str, Method]:
    """Returns several methods by name; see `choose_method`.

    Raises:
        ValueError: One is unknown, or none has a use for the precision.
    """
    methods = {name: choose_method(name, lrp_preset, precision) for name in names}
    refuse_precision(names, precision)
    return methods


def refuse_precision(names: Sequence[str], precision: str) -> None:
    """Refuses a precision that none of the methods computes in.

    Raises:
        ValueError: Which methods, and the way out.
    """
    passing = [name for name, method in METHODS.items() if method.passes_encoder]
    if precision != PRECISION and not set(passing) & set(names):
        raise ValueError(
            f"The precision {precision} is one of the way back through the encoder, "
            f"which only {', '.join(passing)} take; received {', '.join(names)}. Leave "
            "the precision out, or add one of these methods."
        )


def encoder_lrp(captioner: Captioner, preset: str, precision: str = PRECISION) -> LRP:
    """Returns the explanation of a captioner's encoder.

    It is made once for each preset and precision.
    """
    return captioner.make_once(
        ("encoder lrp", preset, precision),
        lambda: _make_encoder_lrp(captioner, preset, precision),
    )


def _make_encoder_lrp(captioner: Captioner, preset: str, precision: str) -> LRP:
    pixel_range = None
    if preset == "epsilon_gamma_box":
        darkest_and_lightest = np.array([[0.0] * 3, [255.0] * 3])
        ends = preprocess(darkest_and_lightest, captioner.config.encoder)
        pixel_range = tuple(map(tuple, ends.tolist()))
    return LRP(captioner.encoder, preset, pixel_range, precision)


def _propagate(
    captioner: Captioner, preset: str, precision: str, encoder_input, relevance
) -> np.ndarray:
    rows = len(relevance)
    padding = [(0, few_sizes(rows) - rows)] + [(0, 0)] * (relevance.ndim - 1)
    found = encoder_lrp(captioner, preset, precision)(
        encoder_input, relevance=np.pad(relevance, padding)[None]
    )
    return ops.convert_to_numpy(found)[0, :rows]


def _lrp(
    captioner, encoder_input, stage, preset=LRP_PRESET, precision=PRECISION
) -> Maps:
    features = stage.features * stage.feature_gradient
    pixels = _propagate(captioner, preset, precision, encoder_input, features)
    return Maps(pixels, features, stage.preceding_words)


def _decoder_lrp(captioner, encoder_input, stage: DecoderStage) -> Maps:
    features = stage.features * stage.feature_gradient
    positions, size = features.sum(-1), encoder_input.shape[1:3]
    positive, negative = (
        _upsample(np.maximum(part, 0), size) for part in (positions, -positions)
    )
    return Maps(_as_pixels(positive - negative), features, stage.preceding_words)


def _gradient(captioner, encoder_input, stage, precision=PRECISION) -> Maps:
    gradient = stage.feature_gradient
    pixels = _propagate(captioner, "gradient", precision, encoder_input, gradient)
    return Maps(pixels, gradient, stage.preceding_words)


def _gradient_x_input(captioner, encoder_input, stage, precision=PRECISION) -> Maps:
    pixels, gradient, words = _gradient(captioner, encoder_input, stage, precision)
    return Maps(encoder_input * pixels, stage.features * gradient, words)


def _grad_cam(captioner, encoder_input, stage: DecoderStage) -> Maps:
    features = weigh_channels(stage)
    heat = np.maximum(features.sum(-1), 0)
    pixels = _as_pixels(_upsample(heat, encoder_input.shape[1:3]))
    return Maps(pixels, features, stage.preceding_words)


def _guided_grad_cam(captioner, encoder_input, stage, precision=PRECISION) -> Maps:
    cam = _grad_cam(captioner, encoder_input, stage)
    gradient = stage.feature_gradient
    guided = _propagate(
        captioner, "guided_backprop", precision, encoder_input, gradient
    )
    return cam._replace(pixels=3.0 * cam.pixels * guided)  # cam is one colour's share


def _attention(captioner, encoder_input, stage: DecoderStage) -> Maps:
    channels, shown = stage.features.shape[-1], stage.shown_attention
    features = np.repeat(shown[..., None] / channels, channels, axis=-1)
    pixels = _as_pixels(_upsample(shown, encoder_input.shape[1:3]))
    return Maps(pixels, features, np.full_like(stage.preceding_words, np.nan))


def _occlusion(captioner, encoder_input, stage: DecoderStage) -> Maps:
    heat = occlude_image(captioner, encoder_input, stage)
    nothing = np.full_like(stage.feature_gradient, np.nan)
    return Maps(_as_pixels(heat), nothing, occlude_words(captioner, stage))


def weigh_channels(stage: DecoderStage) -> np.ndarray:
    """Weighs each channel with the mean of its gradient over the positions.

    Returns:
        (R, h, w, D); the rectified sum over the channels is the map of Grad-CAM.

    Source: Selvaraju et al. 2017 (arXiv 1610.02391), equations 1 and 2.
    """
    weights = stage.feature_gradient.mean((1, 2), keepdims=True)  # (R, 1, 1, D)
    return stage.features * weights


def _upsample(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Spreads maps (R, h, w) >= 0 over pixels (R, H, W), bilinearly; keeps sums."""
    large = ops.image.resize(maps[..., None], size, interpolation="bilinear")
    large = ops.convert_to_numpy(large)[..., 0]
    sums = np.maximum(large.sum((1, 2)), np.finfo("float32").tiny)
    return large * (maps.sum((1, 2)) / sums)[:, None, None]


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
        passes_encoder=True,
    ),
    "decoder_lrp": Method(
        "LRP through the decoder alone: the relevance of the encoder's features, "
        "where they lie in the photo.",
        RELEVANCE,
        _decoder_lrp,
        is_balanced=True,
        is_extra=True,
    ),
    "gradient": Method(
        "The derivative of the word's logit with respect to each pixel.",
        GRADIENT,
        _gradient,
        passes_encoder=True,
    ),
    "gradient_x_input": Method(
        "The derivative times the pixel's own value.",
        GRADIENT,
        _gradient_x_input,
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
    ),
    "attention": Method(
        "Where the decoder attended to when it wrote the word.",
        GRADIENT,
        _attention,
        shows_attention=True,
    ),
    "occlusion": Method(
        "How much the word's logit falls when a patch of the photo, or a preceding "
        "word, is removed: slow, and asks nothing of the model.",
        GRADIENT,
        _occlusion,
        is_extra=True,
    ),
}
EXTRAS = tuple(name for name, method in METHODS.items() if method.is_extra)
