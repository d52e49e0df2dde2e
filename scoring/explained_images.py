"""Captions and explains the images of a dataset, one after the other."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from config import whole_number
from dataset.images import ImageError
from dataset.records import CaptionedImage
from dataset.vocabulary import split_words
from models.base_captioner import BaseCaptioner, EncodedImage
from models.explainers.explain import explain_encoded, known_tokens
from models.explainers.explanation import PRECISION, Explanation

ChooseSteps = Callable[[CaptionedImage, tuple[str, ...]], Sequence[int]]


@dataclass(frozen=True)
class ExplainedImage:
    """One image of a dataset, its caption and why some of its words are there.

    Attributes:
        record: The image.
        words: Of its caption, as they are compared with others (T,).
        explanations: One for each method, all of the same words; none where no word
            was chosen.
        encoded: What was explained; None where nothing was.
        tokens: The caption's ids (T,); None where nothing was explained.
        problem: Why the image or its caption cannot be used; else None.
        text: The caption.
    """

    record: CaptionedImage
    words: tuple[str, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    encoded: EncodedImage | None = None
    tokens: np.ndarray | None = None
    problem: str | None = None
    text: str = ""


def explain_images(
    captioner: BaseCaptioner,
    records: Sequence[CaptionedImage],
    choose_steps: ChooseSteps,
    methods: Sequence[str],
    batch_size: int = 8,
    lrp_preset: str | None = None,
    captions: Mapping[str, str] | None = None,
    decoder_rules: str | None = None,
    precision: str = PRECISION,
) -> Iterator[ExplainedImage]:
    """Explains chosen words of every image's caption; each image is encoded once.

    An image that cannot be read or explained does not stop the others.

    Args:
        captioner: Describes the images, and is explained.
        records: The images.
        choose_steps: (record, words of its caption (T,)) -> the places of the words to
            explain, ascending; none leaves the image unexplained.
        methods: Names from METHODS; the explanations come in their order.
        batch_size: Images encoded and described together.
        lrp_preset: See `explain`.
        captions: A text to explain for every image id; the captioner's own if None.
        decoder_rules: See `explain`.
        precision: See `explain`.

    Yields:
        Every image, in order.
    """
    whole_number("batch_size", batch_size)
    explain = functools.partial(
        explain_encoded,
        captioner,
        methods=methods,
        lrp_preset=lrp_preset,
        decoder_rules=decoder_rules,
        precision=precision,
    )
    for start in range(0, len(records), batch_size):
        batch = records[start : start + batch_size]
        images, problems = _load(captioner, batch)
        described = _describe(captioner, images, captions)
        for record in batch:
            key = record.image_id
            if key in problems:
                yield ExplainedImage(record, problem=problems[key])
            else:
                yield _explain(record, described[key], choose_steps, explain)


class Described(NamedTuple):
    """An encoded image and its caption.

    Attributes:
        encoded: The image.
        text: The caption.
        words: See `ExplainedImage`.
        tokens: The caption's ids; None where the captioner cannot write it.
        problem: Why it cannot.
    """

    encoded: EncodedImage
    text: str
    words: tuple[str, ...]
    tokens: np.ndarray | None
    problem: str = ""


def _explain(
    record: CaptionedImage,
    described: Described,
    choose_steps: ChooseSteps,
    explain: Callable[..., list[Explanation]],
) -> ExplainedImage:
    """Explains the chosen words of one caption."""
    encoded, text, words, tokens, problem = described
    steps = np.asarray(choose_steps(record, words), "int64")
    if not len(steps):
        return ExplainedImage(record, words, text=text)
    if tokens is None:
        return ExplainedImage(record, words, problem=f"{record.path}: {problem}")
    found = tuple(explain(encoded, tokens, steps))
    return ExplainedImage(record, words, found, encoded, tokens, text=text)


def _load(
    captioner: BaseCaptioner,
    records: Sequence[CaptionedImage],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Returns the pixels of the images, or what is wrong with them, by id."""
    images, problems = {}, {}
    for record in records:
        try:
            images[record.image_id] = captioner.load_photo(record.path)
        except ImageError as error:
            problems[record.image_id] = str(error)
    return images, problems


def _describe(
    captioner: BaseCaptioner,
    images: Mapping[str, np.ndarray],
    captions: Mapping[str, str] | None,
) -> dict[str, Described]:
    """Encodes images by id and finds their captions."""
    if not images:
        return {}
    features, encoded = captioner.encode_each(list(images.values()))
    if captions is None:
        found = captioner.caption_features(features)
        texts = [_own_text(captioner, np.asarray(c.tokens, "int32")) for c in found]
    else:
        texts = [_given_text(captioner, captions[key]) for key in images]
    rows = zip(images, encoded, texts, strict=True)
    return {key: Described(one, *text) for key, one, text in rows}


def _own_text(captioner: BaseCaptioner, tokens: np.ndarray) -> tuple:
    """Returns the text, the words and the ids of a caption."""
    sentence = captioner.sentence(tokens)
    return sentence.text, sentence.plain_words, sentence.tokens


def _given_text(captioner: BaseCaptioner, text: str) -> tuple:
    """Returns the same of a text, or why the captioner cannot write it."""
    try:
        return _own_text(captioner, known_tokens(captioner, text))
    except ValueError as error:
        words = tuple(split_words(text))
        return " ".join(words), words, None, str(error)
