"""What is computed for the live page: captions, explanations of one word, reports."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dataset.images import ImageError, Photograph, open_image
from files.pictures import shrunk
from files.values import optional, record, text, whole
from models import METHODS, BaseCaptioner, Caption, explain_encoded
from models.explainers.choices import refuse_methods
from models.explainers.difference import check_difference
from models.explainers.explain import explain_difference, known_tokens
from models.explainers.spans import Spans
from report import photo_record, report_page
from report.html_report import LONGEST_SIDE
from report.wording import METHOD_LABELS
from web.captioners import Captioners
from web.photos import Photo, Seen
from web.turns import Say

LONGEST = 1000  # characters of a text
CHECK = record(
    {"photo": text, "captioner": text},
    caption=optional(text),
    place=whole(0, LONGEST),
    count=whole(1, LONGEST),
    method=text,
    contrast=optional(text),
    against=optional(text),
)


@dataclass(frozen=True)
class Question:
    """What the page asks.

    Attributes:
        photo: The key of the photograph.
        captioner: The name of the captioner on the page.
        caption: The text to explain; the captioner's own if None.
        place: Of the first word to explain, from 0.
        count: How many words from there are explained as one.
        method: Of METHODS.
        contrast: The word that it is compared with, if any.
        against: The caption that the caption is compared with, if any; then all words
            where they differ are explained.
    """

    photo: str
    captioner: str
    caption: str | None = None
    place: int = 0
    count: int = 1
    method: str = "lrp"
    contrast: str | None = None
    against: str | None = None

    @classmethod
    def read(cls, content: object) -> "Question":
        """Checks what a request holds.

        Raises:
            ValueError: It is no question.
        """
        found = CHECK(content)
        return cls(
            **{name: found[name] for name in cls.__annotations__ if name in found}
        )


def see(captioners: Captioners, photo: Photo, name: str, say: Say) -> Seen:
    """Describes a photograph, unless this captioner has done so already.

    Every step of the search reports the best caption so far, {"caption": text}.

    Args:
        captioners: Those of the page.
        photo: Keeps what is found.
        name: Of the captioner.
        say: Reports events.
    """
    if name in photo.seen:
        return photo.seen[name]
    if not captioners.has(name):
        say({"loading": name})
    captioner = captioners.get(name)
    photograph = _open(photo)
    features, (encoded,) = captioner.encode_each([captioner.load_photo(photograph)])
    encoded = replace(encoded, photo=shrunk(photograph.pixels, LONGEST_SIDE))

    def watch(beams: list[list[Caption]]) -> None:
        say({"caption": beams[0][0].text})

    found = captioner.rank_captions(features, watch=watch)[0][0]
    photo.seen[name] = Seen(encoded, found)
    return photo.seen[name]


def find_caption(
    captioners: Captioners, photo: Photo, question: Question, say: Say
) -> dict:
    """Returns the words of a caption, and the methods that can explain them."""
    seen = see(captioners, photo, question.captioner, say)
    captioner = captioners.get(question.captioner)
    tokens = _tokens(captioner, seen, question.caption)
    sentence = captioner.sentence(tokens)
    return {
        "caption": sentence.text,
        "words": sentence.words,
        "methods": [
            {
                "name": name,
                "label": METHOD_LABELS.get(name, name),
                "summary": method.summary,
            }
            for name, method in METHODS.items()
            if not method.misfit(captioner)
        ],
    }


def explain_words(
    captioners: Captioners, photo: Photo, question: Question, say: Say
) -> dict:
    """Explains a word or a phrase; returns what the report's page shows of it."""

    def spans(num_words: int) -> Spans:
        end = question.place + question.count
        if end > num_words:
            raise ValueError(
                f"The caption has {num_words} words; there is no word number {end}."
            )
        return Spans(np.array([question.place]), np.array([question.count]))

    explanations = _explain(captioners, photo, question, say, spans)
    return photo_record(explanations, question.captioner)


def explain_caption(
    captioners: Captioners, photo: Photo, question: Question, say: Say
) -> str:
    """Explains every word; returns the report's page."""
    explanations = _explain(captioners, photo, question, say, np.arange)
    return report_page([explanations], question.captioner)


def _explain(
    captioners: Captioners,
    photo: Photo,
    question: Question,
    say: Say,
    choose: Callable[[int], Spans | np.ndarray],
) -> list:
    """Explains what `choose` takes of so many words, or why not the other caption."""
    seen = see(captioners, photo, question.captioner, say)
    captioner = captioners.get(question.captioner)
    refuse_methods([question.method], captioner)
    tokens = _tokens(captioner, seen, question.caption)
    methods = [question.method]
    if question.against is not None:
        check_difference(methods)
        other = known_tokens(captioner, question.against)
        return explain_difference(captioner, seen.encoded, (tokens, other), methods)
    spans = choose(len(captioner.sentence(tokens).words))
    return explain_encoded(
        captioner,
        seen.encoded,
        tokens,
        spans,
        methods,
        question.contrast or None,
    )


def _tokens(captioner: BaseCaptioner, seen: Seen, caption: str | None) -> np.ndarray:
    """Returns the tokens of a text, of the captioner's own caption those it wrote."""
    if caption is not None and caption != seen.caption.text:
        return known_tokens(captioner, caption)
    if not seen.caption.tokens:
        raise ValueError("The captioner found no word for this photograph.")
    return np.asarray(seen.caption.tokens, "int32")


def _open(photo: Photo) -> Photograph:
    """Reads a photograph; an error has the name of its file."""
    try:
        return open_image(photo.content)
    except ImageError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise ImageError(f"{photo.name}: {reason}") from error
