"""Why the captioner wrote each word: the public face of all explanation methods."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keras import ops

from dataset.images import load_image
from dataset.vocabulary import SPECIAL_TOKENS, START, split_words
from models.captioner import Captioner
from models.decoder_relevance import DecoderStage, explain_decoder, few_sizes
from models.encoder import preprocess
from models.encoder_relevance import relevance_propagator
from models.explanation import Explanation
from models.relevance_rules import GradientOperations, Operations, RelevanceOperations

RELEVANCE = RelevanceOperations()
GRADIENT = GradientOperations()


@dataclass(frozen=True)
class Method:
    """One way to explain.

    Attributes:
        summary: One sentence for the reader.
        operations: How the decoder is differentiated.
        explain: (captioner, encoder input (1, H, W, 3), decoder stage) -> relevance
            of (pixels (R, H, W, 3), features (R, h, w, D)).
        is_balanced: Whether words, features and pixels share out the logit.
        explains_words: Whether it says anything about the preceding words.
    """

    summary: str
    operations: Operations
    explain: Callable
    is_balanced: bool = False
    explains_words: bool = True

    def words(self, relevance: np.ndarray) -> np.ndarray:
        """Returns the relevance of the preceding words, NaN if there is none."""
        return relevance if self.explains_words else np.full_like(relevance, np.nan)


def explain(
    captioner: Captioner,
    image: str | Path | np.ndarray,
    method: str = "lrp",
    caption: str | None = None,
    words: Sequence[str] | None = None,
    contrast: str | None = None,
    beam_size: int | None = None,
) -> Explanation:
    """Explains the words of an image's caption.

    Args:
        captioner: The model.
        image: An image file, or RGB pixels uint8 of the encoder's size (224, 224, 3).
        method: A name from METHODS.
        caption: The text to explain; the captioner's own if None.
        words: Explain only these words of the caption; all if None.
        contrast: Explain why each word and not this one: the difference of the logits.
        beam_size: Of the search for the caption; the captioner's own if None.

    Raises:
        ImageError: The file cannot be read as an image.
        ValueError: The method is unknown, a word is not in the caption or the
            vocabulary, or there is nothing to explain.
    """
    if method not in METHODS:
        raise ValueError(
            f"Unknown method {method!r}; expected one of {', '.join(METHODS)}."
        )
    image = _pixels_of(image, captioner)
    features = captioner.encode(image[None])  # (1, h, w, D)
    if caption is None:
        caption = captioner.caption_features(features, beam_size)[0].text
        if not caption:
            raise ValueError("The captioner found no word for this photo.")
    tokens = known_tokens(captioner, caption)
    steps = _steps(tokens, captioner, words)
    chosen = METHODS[method]
    stage = explain_decoder(
        captioner, chosen.operations, features, tokens, steps, contrast
    )
    inputs = preprocess(image[None], captioner.config.encoder)
    pixels, feature_relevance = chosen.explain(captioner, inputs, stage)
    pixels = pixels[..., ::-1]  # the encoder reads BGR
    names = captioner.vocabulary.words
    lost = np.full((len(steps), 2), np.nan)
    if chosen.is_balanced:
        of_features = feature_relevance.sum((1, 2, 3), dtype="float64")
        lost[:, 0] = stage.logits - stage.preceding_words.sum(1) - of_features
        lost[:, 1] = of_features - pixels.sum((1, 2, 3), dtype="float64")
    return Explanation(
        image=image,
        caption=" ".join(names[token] for token in tokens),
        method=method,
        contrast=contrast,
        words=tuple(names[tokens[step]] for step in steps),
        steps=tuple(int(step) for step in steps),
        inputs=(SPECIAL_TOKENS[START], *(names[token] for token in tokens[:-1])),
        pixels=pixels,
        features=feature_relevance,
        preceding_words=chosen.words(stage.preceding_words),
        attention=stage.attention,
        beta=stage.beta,
        logits=stage.logits,
        log_probabilities=stage.log_probabilities,
        lost=lost,
    )


@functools.lru_cache(maxsize=16)
def _propagator(captioner: Captioner, preset: str) -> Callable:
    return relevance_propagator(captioner.encoder, preset)


def _propagate(captioner: Captioner, preset: str, inputs, relevance) -> np.ndarray:
    rows = len(relevance)
    padding = [(0, few_sizes(rows) - rows)] + [(0, 0)] * (relevance.ndim - 1)
    propagate = _propagator(captioner, preset)
    found = propagate(inputs, np.pad(relevance, padding)[None])
    return ops.convert_to_numpy(found)[0, :rows]


def _lrp(captioner, inputs, stage: DecoderStage):
    features = stage.features * stage.feature_gradient
    return _propagate(captioner, "alpha1_beta0", inputs, features), features


def _gradient(captioner, inputs, stage: DecoderStage):
    gradient = stage.feature_gradient
    return _propagate(captioner, "gradient", inputs, gradient), gradient


def _gradient_x_input(captioner, inputs, stage: DecoderStage):
    pixels, gradient = _gradient(captioner, inputs, stage)
    return inputs * pixels, stage.features * gradient


def _grad_cam(captioner, inputs, stage: DecoderStage):
    features = weigh_channels(stage)
    heat = np.maximum(features.sum(-1), 0)
    return _as_pixels(_upsample(heat, inputs.shape[1:3])), features


def _guided_grad_cam(captioner, inputs, stage: DecoderStage):
    features = weigh_channels(stage)
    heat = _upsample(np.maximum(features.sum(-1), 0), inputs.shape[1:3])
    gradient = stage.feature_gradient
    guided = _propagate(captioner, "guided_backprop", inputs, gradient)
    return heat[..., None] * guided, features


def _attention(captioner, inputs, stage: DecoderStage):
    channels = stage.features.shape[-1]
    features = np.repeat(stage.attention[..., None] / channels, channels, axis=-1)
    return _as_pixels(_upsample(stage.attention, inputs.shape[1:3])), features


def weigh_channels(stage: DecoderStage) -> np.ndarray:
    """Weighs each channel with the mean of its gradient over the positions.

    Returns:
        (R, h, w, D); the rectified sum over the channels is the map of Grad-CAM.

    Source: Selvaraju et al. 2017 (arXiv 1610.02391), equations 1 and 2.
    """
    weights = stage.feature_gradient.mean((1, 2), keepdims=True)  # (R, 1, 1, D)
    return stage.features * weights


def _upsample(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Spreads maps (R, h, w) over pixels (R, H, W), bilinearly; keeps their sums."""
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
    ),
    "gradient": Method(
        "The derivative of the word's logit with respect to each pixel.",
        GRADIENT,
        _gradient,
    ),
    "gradient_x_input": Method(
        "The derivative times the pixel's own value.", GRADIENT, _gradient_x_input
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
    ),
    "attention": Method(
        "Where the decoder attended to when it wrote the word.",
        GRADIENT,
        _attention,
        explains_words=False,
    ),
}


def _pixels_of(image: str | Path | np.ndarray, captioner: Captioner) -> np.ndarray:
    if not isinstance(image, np.ndarray):
        return load_image(image)
    expected = captioner.encoder.input_shape[1:]
    if image.dtype != np.uint8 or image.shape != expected:
        raise ValueError(
            f"An image must be uint8 {expected}, or a file; received {image.dtype} "
            f"{image.shape}."
        )
    return image


def known_tokens(captioner: Captioner, text: str) -> np.ndarray:
    """Returns the ids (T,) of a caption's words.

    Raises:
        ValueError: The caption is empty, too long or has words that the captioner
            does not know; all of them are named.
    """
    vocabulary = captioner.vocabulary
    unknown = vocabulary.unknown_words(text)
    if unknown:
        raise ValueError(
            f"The captioner does not know {', '.join(map(repr, unknown))}; its "
            f"vocabulary has {len(vocabulary) - len(SPECIAL_TOKENS)} words. Use others."
        )
    words, longest = split_words(text), captioner.config.max_caption_words
    if not words:
        raise ValueError("There is no word to explain: the caption is empty.")
    if len(words) > longest:
        raise ValueError(f"The caption has {len(words)} words; at most {longest} fit.")
    return vocabulary.encode(text, longest)[:-1]


def _steps(tokens: np.ndarray, captioner: Captioner, words) -> np.ndarray:
    if words is None:
        return np.arange(len(tokens))
    names = [captioner.vocabulary.words[token] for token in tokens]
    words = [words] if isinstance(words, str) else words
    wanted = [part for word in words for part in split_words(word)]
    missing = [word for word in wanted if word not in names]
    if not wanted:
        raise ValueError("No word to explain was named.")
    if missing:
        raise ValueError(
            f"{', '.join(map(repr, missing))} is not in the caption "
            f"{' '.join(names)!r}."
        )
    return np.asarray([step for step, name in enumerate(names) if name in wanted])
