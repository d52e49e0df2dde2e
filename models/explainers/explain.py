"""Why the captioner wrote each word: the public face of all explanation methods."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset.images import load_image
from dataset.vocabulary import SPECIAL_TOKENS, START, split_words
from models.captioner import Captioner, EncodedImage
from models.encoders import swap_colours
from models.explainers.decoder_stage import DecoderStage, explain_decoder
from models.explainers.explanation import PRECISION, Explanation
from models.explainers.methods import (
    LRP_PRESET,
    METHODS,
    Method,
    choose_each,
    refuse_methods,
)
from models.generation.beam_search import check_search


def explain(
    captioner: Captioner,
    image: str | Path | np.ndarray,
    method: str = "lrp",
    caption: str | None = None,
    words: Sequence[str] | None = None,
    contrast: str | None = None,
    beam_size: int | None = None,
    lrp_preset: str = LRP_PRESET,
    precision: str = PRECISION,
) -> Explanation:
    """Explains the words of an image's caption.

    Args:
        captioner: The model.
        image: An image file, or RGB pixels uint8 of the encoder's size (224, 224, 3).
        method: A name from METHODS.
        caption: The text to explain; the captioner's own if None.
        words: Explain only these words of the caption; all if None. Those that the
            caption lacks are left out, with a warning.
        contrast: Explain why each word and not this one: the difference of the logits.
        beam_size: Of the search for the caption; the captioner's own if None.
        lrp_preset: The encoder's rules in the method lrp, one of LRP_PRESETS.
        precision: Of the way back through the encoder, one of PRECISIONS. Methods
            that do not take this way ignore it.

    Raises:
        ImageError: The file cannot be read as an image.
        ValueError: The method is unknown, no word is in the caption, a word is not in
            the vocabulary, there is nothing to explain, or the precision is that of
            none of the methods.
    """
    return explain_each(
        captioner,
        image,
        [method],
        caption,
        words,
        contrast,
        beam_size,
        lrp_preset,
        precision,
    )[0]


def explain_each(
    captioner: Captioner,
    image: str | Path | np.ndarray,
    methods: Sequence[str],
    caption: str | None = None,
    words: Sequence[str] | None = None,
    contrast: str | None = None,
    beam_size: int | None = None,
    lrp_preset: str = LRP_PRESET,
    precision: str = PRECISION,
) -> list[Explanation]:
    """Explains with several methods, which share what they have in common.

    See `explain`; the explanations come in the order of the methods.
    """
    wanted = _check_call(captioner, methods, words, beam_size)
    choose_each(methods, lrp_preset, precision)
    features, (encoded,) = captioner.encode_each([_pixels_of(image, captioner)])
    if caption is not None:
        tokens = known_tokens(captioner, caption)
    else:
        found = captioner.caption_features(features, beam_size)[0]
        tokens = np.asarray(found.tokens, "int32")
        if not len(tokens):
            raise ValueError("The captioner found no word for this photo.")
    steps = _steps(tokens, captioner, wanted)
    return explain_encoded(
        captioner, encoded, tokens, steps, methods, contrast, lrp_preset, precision
    )


def explain_encoded(
    captioner: Captioner,
    encoded: EncodedImage,
    tokens: np.ndarray,
    steps: np.ndarray,
    methods: Sequence[str],
    contrast: str | None = None,
    lrp_preset: str = LRP_PRESET,
    precision: str = PRECISION,
) -> list[Explanation]:
    """Explains words of a known caption of an image that is encoded already.

    Args:
        captioner: The model.
        encoded: The image, of `Captioner.encode_each`.
        tokens: The caption's ids (T,).
        steps: The places of the words to explain (R,).
        methods: Names from METHODS; the explanations come in their order.
        contrast: See `explain`.
        lrp_preset: See `explain`.
        precision: See `explain`.
    """
    chosen = choose_each(methods, lrp_preset, precision)
    stages = {
        operations: explain_decoder(
            captioner, operations, encoded.features, tokens, steps, contrast
        )
        for operations in {method.operations for method in chosen.values()}
    }
    names = captioner.vocabulary.words
    common = {
        "image": encoded.pixels,
        "caption": " ".join(names[token] for token in tokens),
        "contrast": contrast,
        "words": tuple(names[tokens[step]] for step in steps),
        "steps": tuple(int(step) for step in steps),
        "words_read": (SPECIAL_TOKENS[START], *(names[token] for token in tokens[:-1])),
    }
    return [
        Explanation(
            method=name,
            lrp_preset=lrp_preset if name == "lrp" else None,
            precision=method.precision_of(precision),
            **common,
            **_arrays(captioner, encoded, method, stages[method.operations]),
        )
        for name, method in chosen.items()
    ]


def _check_call(captioner: Captioner, methods, words, beam_size) -> list[str] | None:
    """Refuses what cannot be explained before any work; returns the wanted words."""
    if not isinstance(captioner, Captioner):
        raise ValueError(
            f"captioner must be a Captioner; received {captioner!r}. Load it with "
            "load_captioner."
        )
    if isinstance(methods, str) or not methods:
        raise ValueError(
            f'methods must be a list of names, as ["lrp"]; received {methods!r}. '
            f"There are {', '.join(METHODS)}."
        )
    refuse_methods(methods, captioner)
    check_search(beam_size)
    return None if words is None else _split_wanted(words)


def _split_wanted(words: str | Sequence[str]) -> list[str]:
    given = [words] if isinstance(words, str) else list(words)
    wanted = [part for word in given for part in split_words(str(word))]
    if not wanted:
        raise ValueError(
            "No word to explain was named: words must name some of the caption's; "
            f"received {words!r}. Leave it out to explain all."
        )
    return wanted


def _arrays(
    captioner: Captioner, encoded: EncodedImage, method: Method, stage: DecoderStage
) -> dict[str, np.ndarray | None]:
    """Returns the arrays of one method's explanation."""
    pixels, features, words = method.explain(captioner, encoded.encoder_input, stage)
    lost = np.full((len(pixels), 2), np.nan)
    if method.is_balanced:
        of_features = features.sum((1, 2, 3), dtype="float64")
        lost[:, 0] = stage.logits - words.sum(1) - of_features
        lost[:, 1] = of_features - pixels.sum((1, 2, 3), dtype="float64")
    return {
        "pixels": swap_colours(pixels, captioner.config.encoder),
        "features": features,
        "preceding_words": words,
        "attention": stage.shown_attention,
        "beta": stage.beta,
        "logits": stage.logits,
        "log_probabilities": stage.log_probabilities,
        "lost": lost,
    }


def _pixels_of(image: str | Path | np.ndarray, captioner: Captioner) -> np.ndarray:
    if isinstance(image, (str, Path)):
        return load_image(image, captioner.image_size)
    expected = captioner.encoder.input_shape[1:]
    if not isinstance(image, np.ndarray):
        received = repr(image)
    elif image.dtype != np.uint8 or image.shape != expected:
        received = f"{image.dtype} {image.shape}"
    else:
        return image
    raise ValueError(
        f"An image must be uint8 {expected}, or a file; received {received}."
    )


def known_tokens(captioner: Captioner, text: str) -> np.ndarray:
    """Returns the ids (T,) of a caption's words.

    Raises:
        ValueError: The caption is empty, too long or has words that the captioner
            does not know; all of them are named.
    """
    if not isinstance(text, str):
        raise ValueError(f"A caption must be a text; received {text!r}.")
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


def _steps(
    tokens: np.ndarray, captioner: Captioner, wanted: list[str] | None
) -> np.ndarray:
    """Returns the places of the wanted words; names those that are not there."""
    if wanted is None:
        return np.arange(len(tokens))
    names = [captioner.vocabulary.words[token] for token in tokens]
    missing = [word for word in dict.fromkeys(wanted) if word not in names]
    listed, verb = ", ".join(map(repr, missing)), "are" if missing[1:] else "is"
    lacks = f"{listed} {verb} not in the caption {' '.join(names)!r}"
    if not set(wanted) & set(names):
        raise ValueError(f"{lacks}. Name words of it.")
    if missing:
        logging.warning("%s; the other words are explained.", lacks)
    return np.asarray([step for step, name in enumerate(names) if name in wanted])
