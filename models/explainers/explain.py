"""Why the captioner wrote each word: the public face of all explanation methods."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dataset.images import open_image
from dataset.vocabulary import SPECIAL_TOKENS, START
from models.base_captioner import BaseCaptioner, EncodedImage
from models.explainers.choices import choose_ways, refuse_methods
from models.explainers.decoder_stage import DecoderStage, explain_decoder
from models.explainers.difference import align, check_difference, spans_of, subtract
from models.explainers.explanation import PRECISION, Explanation
from models.explainers.methods import METHODS, Method
from models.explainers.spans import Spans, find_spans, read_wanted
from models.generation.beam_search import check_search
from models.sentence import Sentence


def explain(
    captioner: BaseCaptioner,
    image,
    method: str = "lrp",
    caption: str | None = None,
    words: Sequence[str] | None = None,
    contrast: str | None = None,
    beam_size: int | None = None,
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
    precision: str = PRECISION,
    phrases: Sequence[str] | None = None,
    sentence: bool = False,
    against: str | None = None,
) -> Explanation:
    """Explains the words of an image's caption.

    Args:
        captioner: The model.
        image: A file, its bytes, an address (http://...), a picture of Pillow, an array
            or a tensor, of any size; see `dataset.images.open_image`.
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
        phrases: Explain each of these as one, as ["a red shirt"]: the sum of the
            logits of its words. Those that the caption lacks are left out, with a
            warning. With `words`, both are explained.
        sentence: Explain the whole caption as one. With `words` or `phrases`, these
            are explained, too.
        against: Explain why the caption and not this one: the difference of their
            log-probabilities, at the words where they differ. The method must be
            additive: see `Explanation.is_additive`.

    Raises:
        ImageError: It cannot be read as an image.
        ValueError: The method is unknown, no word is in the caption, a word is not in
            the vocabulary, there is nothing to explain, a phrase is to be contrasted,
            the captions do not differ, or rules or a precision are taken by none of
            the methods.
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
        phrases,
        sentence,
        against,
    )[0]


def explain_each(
    captioner: BaseCaptioner,
    image,
    methods: Sequence[str],
    caption: str | None = None,
    words: Sequence[str] | None = None,
    contrast: str | None = None,
    beam_size: int | None = None,
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
    precision: str = PRECISION,
    phrases: Sequence[str] | None = None,
    sentence: bool = False,
    against: str | None = None,
) -> list[Explanation]:
    """Explains with several methods, which share what they have in common.

    See `explain`; the explanations come in the order of the methods.
    """
    _check_call(captioner, methods, beam_size)
    wanted = read_wanted(words, phrases)
    if against is not None:
        check_difference(methods, words, phrases, contrast, sentence)
    choose_ways(captioner, methods, lrp_preset, decoder_rules, precision)
    photograph = open_image(image)
    features, (encoded,) = captioner.encode_each([captioner.load_photo(photograph)])
    encoded = replace(encoded, photo=photograph.pixels)
    if caption is not None:
        tokens = known_tokens(captioner, caption)
    else:
        found = captioner.caption_features(features, beam_size)[0]
        tokens = np.asarray(found.tokens, "int32")
    read = captioner.sentence(tokens)
    if not read.words:
        raise ValueError("The captioner found no word for this photo.")
    ways = (lrp_preset, decoder_rules, precision)
    if against is not None:
        other = known_tokens(captioner, against)
        return explain_difference(captioner, encoded, (tokens, other), methods, *ways)
    spans = find_spans(read, wanted, sentence)
    if contrast is not None and (spans.lengths == 1).all():
        spans = _contrasted(captioner, read, spans, contrast)
    return explain_encoded(captioner, encoded, tokens, spans, methods, contrast, *ways)


def explain_difference(
    captioner: BaseCaptioner,
    encoded: EncodedImage,
    captions: tuple[np.ndarray, np.ndarray],
    methods: Sequence[str],
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
    precision: str = PRECISION,
) -> list[Explanation]:
    """Explains why the first of two captions of an encoded image and not the second.

    Args:
        captioner: The model.
        encoded: The image, of `Captioner.encode_each`.
        captions: The ids of each (T,).
        methods: Additive ones, see `check_difference`; the explanations come in their
            order.
        lrp_preset: See `explain`.
        decoder_rules: See `explain`.
        precision: See `explain`.

    Raises:
        ValueError: The captions have the same words.
    """
    sentences = tuple(captioner.sentence(tokens) for tokens in captions)
    alignment = align(*sentences)
    ways = (lrp_preset, decoder_rules, precision)
    found = []
    for place, tokens in enumerate(captions):
        spans = spans_of(alignment.blocks, place)
        given = (captioner, encoded, tokens, spans, methods, None, *ways)
        is_empty = not len(spans.steps)
        found.append(
            [None] * len(methods)
            if is_empty
            else explain_encoded(*given, target="log_probability")
        )
    both = zip(*found, strict=True)
    return [subtract(alignment, sentences, explanations) for explanations in both]


def explain_encoded(
    captioner: BaseCaptioner,
    encoded: EncodedImage,
    tokens: np.ndarray,
    spans: Spans | np.ndarray,
    methods: Sequence[str],
    contrast: str | None = None,
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
    precision: str = PRECISION,
    target: str | None = None,
) -> list[Explanation]:
    """Explains words of a known caption of an image that is encoded already.

    Args:
        captioner: The model.
        encoded: The image, of `Captioner.encode_each`.
        tokens: The caption's ids (T,).
        spans: The places of the words to explain (R,), or words and phrases.
        methods: Names from METHODS; the explanations come in their order.
        contrast: See `explain`.
        lrp_preset: See `explain`.
        decoder_rules: See `explain`.
        precision: See `explain`.
        target: See `explain_decoder`; None for each method's own.

    Raises:
        ValueError: See `explain`.
    """
    spans = Spans.of(spans)
    if contrast is not None and (spans.lengths > 1).any():
        raise ValueError(
            "A phrase cannot be contrasted with a word. Explain its words, or leave "
            "the contrast out."
        )
    rules, chosen = choose_ways(
        captioner, methods, lrp_preset, decoder_rules, precision
    )
    given = (encoded.features, tokens, spans, contrast)
    ways = {name: (m.operations, target or m.target) for name, m in chosen.items()}
    stages = {
        (operations, explained): explain_decoder(
            captioner, operations, *given, explained
        )
        for operations, explained in set(ways.values())
    }
    sentence = captioner.sentence(tokens)
    common = _described(sentence, spans) | {
        "image": encoded.pixels,
        "photo": encoded.photo,
        "contrast": contrast,
    }
    return [
        Explanation(
            method=name,
            lrp_preset=rules.encoder if method.takes("lrp_preset") else None,
            decoder_rules=rules.decoder if method.is_balanced else None,
            precision=method.precision,
            is_additive=method.is_additive,
            **common,
            **_arrays(captioner, encoded, method, stages[ways[name]]),
        )
        for name, method in chosen.items()
    ]


def _described(sentence: Sentence, spans: Spans) -> dict:
    """Returns what an explanation says of a caption and of its explained words."""
    words = sentence.words
    read = words if sentence.has_pieces else words[:-1]
    steps, lengths = (tuple(map(int, values)) for values in spans)
    ends = map(sum, zip(*spans, strict=True))
    explained = (words[step:end] for step, end in zip(steps, ends, strict=True))
    return {
        "caption": sentence.text,
        "words": tuple(map(" ".join, explained)),
        "steps": steps,
        "lengths": None if set(lengths) == {1} else lengths,
        "words_read": (SPECIAL_TOKENS[START], *read),
        "has_pieces": sentence.has_pieces,
    }


def _check_call(captioner: BaseCaptioner, methods, beam_size) -> None:
    """Refuses what cannot be explained before any work."""
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
        "mean_feature": stage.mean_relevance if method.is_balanced else None,
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


def _contrasted(
    captioner: BaseCaptioner, sentence: Sentence, spans: Spans, contrast: str
) -> Spans:
    """Leaves out the words that begin as the one that they are contrasted with."""
    steps = spans.steps
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
    return Spans.of(kept)
