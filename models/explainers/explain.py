"""Why the captioner wrote each word: the public face of all explanation methods."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset.vocabulary import SPECIAL_TOKENS, START, split_words
from models.base_captioner import BaseCaptioner, EncodedImage
from models.explainers.choices import choose_ways, refuse_methods
from models.explainers.decoder_stage import DecoderStage, explain_decoder
from models.explainers.explanation import PRECISION, Explanation
from models.explainers.methods import METHODS, Method
from models.generation.beam_search import check_search
from models.sentence import Sentence


def explain(
    captioner: BaseCaptioner,
    image: str | Path | np.ndarray,
    method: str = "lrp",
    caption: str | None = None,
    words: Sequence[str] | None = None,
    contrast: str | None = None,
    beam_size: int | None = None,
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
    precision: str = PRECISION,
) -> Explanation:
    """Explains the words of an image's caption.

    Args:
        captioner: The model.
        image: An image file, or RGB pixels uint8: of the encoder's size (224, 224, 3),
            of any size for a published captioner.
        method: A name from METHODS.
        caption: The text to explain; the captioner's own if None.
        words: Explain only these words of the caption; all if None. Those that the
            caption lacks are left out, with a warning.
        contrast: Explain why each word and not this one: the difference of the logits.
            Where the caption has this word, it is left out, with a warning.
        beam_size: Of the search for the caption; the captioner's own if None.
        lrp_preset: The encoder's rules in the method lrp, one of LRP_PRESETS; None for
            the paper's, and for encoders that follow the decoder's.
        decoder_rules: The rules of decoder and vision Transformer in LRP, a key of
            RELEVANCE_RULES; None for the decoder's own.
        precision: Of the way back through a convolutional encoder, one of PRECISIONS.
            Methods that do not take this way ignore it.

    Raises:
        ImageError: The file cannot be read as an image.
        ValueError: The method is unknown, no word is in the caption, a word is not in
            the vocabulary, there is nothing to explain, or rules or a precision are
            taken by none of the methods.
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
        decoder_rules,
        precision,
    )[0]


def explain_each(
    captioner: BaseCaptioner,
    image: str | Path | np.ndarray,
    methods: Sequence[str],
    caption: str | None = None,
    words: Sequence[str] | None = None,
    contrast: str | None = None,
    beam_size: int | None = None,
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
    precision: str = PRECISION,
) -> list[Explanation]:
    """Explains with several methods, which share what they have in common.

    See `explain`; the explanations come in the order of the methods.
    """
    wanted = _check_call(captioner, methods, words, beam_size)
    choose_ways(captioner, methods, lrp_preset, decoder_rules, precision)
    if isinstance(image, (str, Path)):
        photo = captioner.load_photo(image)
    else:
        photo = captioner.check_photo(image)
    features, (encoded,) = captioner.encode_each([photo])
    if caption is not None:
        tokens = known_tokens(captioner, caption)
    else:
        found = captioner.caption_features(features, beam_size)[0]
        tokens = np.asarray(found.tokens, "int32")
    sentence = captioner.sentence(tokens)
    if not sentence.words:
        raise ValueError("The captioner found no word for this photo.")
    steps = _steps(sentence, wanted)
    if contrast is not None:
        steps = _contrasted(captioner, sentence, steps, contrast)
    return explain_encoded(
        captioner,
        encoded,
        tokens,
        steps,
        methods,
        contrast,
        lrp_preset,
        decoder_rules,
        precision,
    )


def explain_encoded(
    captioner: BaseCaptioner,
    encoded: EncodedImage,
    tokens: np.ndarray,
    steps: np.ndarray,
    methods: Sequence[str],
    contrast: str | None = None,
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
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
        decoder_rules: See `explain`.
        precision: See `explain`.
    """
    rules, chosen = choose_ways(
        captioner, methods, lrp_preset, decoder_rules, precision
    )
    stages = {
        operations: explain_decoder(
            captioner, operations, encoded.features, tokens, steps, contrast
        )
        for operations in {method.operations for method in chosen.values()}
    }
    sentence = captioner.sentence(tokens)
    common = _described(sentence, steps) | {
        "image": encoded.pixels,
        "contrast": contrast,
    }
    return [
        Explanation(
            method=name,
            lrp_preset=rules.encoder if name == "lrp" else None,
            decoder_rules=rules.decoder if method.is_balanced else None,
            precision=method.precision,
            **common,
            **_arrays(captioner, encoded, method, stages[method.operations]),
        )
        for name, method in chosen.items()
    ]


def _described(sentence: Sentence, steps: np.ndarray) -> dict:
    """Returns what an explanation says of a caption and of its explained words."""
    words = sentence.words
    read = words if sentence.has_pieces else words[:-1]
    return {
        "caption": sentence.text,
        "words": tuple(words[step] for step in steps),
        "steps": tuple(int(step) for step in steps),
        "words_read": (SPECIAL_TOKENS[START], *read),
        "has_pieces": sentence.has_pieces,
    }


def _check_call(
    captioner: BaseCaptioner, methods, words, beam_size
) -> list[str] | None:
    """Refuses what cannot be explained before any work; returns the wanted words."""
    if not isinstance(captioner, BaseCaptioner):
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
    captioner: BaseCaptioner, encoded: EncodedImage, method: Method, stage: DecoderStage
) -> dict[str, np.ndarray | None]:
    """Returns the arrays of one method's explanation."""
    maps = method.explain(captioner, encoded.encoder_input, stage, method)
    pixels, features, words = maps.pixels, maps.features, maps.words
    lost = np.full((len(pixels), 2), np.nan)
    if method.is_balanced:
        of_features = features.sum((1, 2, 3), dtype="float64")
        lost[:, 0] = stage.logits - words.sum(1) - of_features
        lost[:, 1] = of_features - pixels.sum((1, 2, 3), dtype="float64")
    shown = stage.shown_attention if maps.attention is None else maps.attention
    if shown is not None:
        shown = captioner.attention_in_photo(shown, encoded)
    return {
        "pixels": captioner.in_photo(pixels, encoded.pixels),
        "features": features,
        "preceding_words": words,
        "attention": shown,
        "beta": stage.beta,
        "logits": stage.logits,
        "log_probabilities": stage.log_probabilities,
        "lost": lost,
    }


def known_tokens(captioner: BaseCaptioner, text: str) -> np.ndarray:
    """Returns the ids (T,) of a caption's words.

    Raises:
        ValueError: The caption is empty, too long or has words that the captioner
            does not know; all of them are named.
    """
    if not isinstance(text, str):
        raise ValueError(f"A caption must be a text; received {text!r}.")
    return captioner.read_text(text)


def _steps(sentence: Sentence, wanted: list[str] | None) -> np.ndarray:
    """Returns the places of the wanted words; names those that are not there."""
    names = sentence.plain_words if sentence.has_pieces else sentence.words
    if wanted is None:
        return np.arange(len(names))
    missing = [word for word in dict.fromkeys(wanted) if word not in names]
    listed, verb = ", ".join(map(repr, missing)), "are" if missing[1:] else "is"
    lacks = f"{listed} {verb} not in the caption {sentence.text!r}"
    if not set(wanted) & set(names):
        raise ValueError(f"{lacks}. Name words of it.")
    if missing:
        logging.warning("%s; the other words are explained.", lacks)
    return np.asarray([step for step, name in enumerate(names) if name in wanted])


def _contrasted(
    captioner: BaseCaptioner, sentence: Sentence, steps: np.ndarray, contrast: str
) -> np.ndarray:
    """Leaves out the words that begin as the one that they are contrasted with."""
    places, rows = sentence.places(steps)
    first = sentence.tokens[places[np.diff(rows, prepend=-1) > 0]]
    can_be = first != captioner.first_token(contrast)
    kept, left_out = steps[can_be], steps[~can_be]
    if not len(kept):
        raise ValueError(
            f"{contrast!r} cannot be contrasted with itself. Contrast another word."
        )
    if len(left_out):
        logging.warning(
            "%s of the caption %r cannot be contrasted with %r and is left out; the "
            "other words are explained.",
            ", ".join(repr(sentence.words[step]) for step in left_out),
            *(sentence.text, contrast),
        )
    return kept
