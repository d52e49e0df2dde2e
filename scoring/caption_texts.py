"""Captions as the metrics take them: checked, on one line, split into words."""

import difflib
import html
import numbers
import re
import unicodedata
from collections.abc import Mapping, Sequence

from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, PTBTokenizer

from scoring.java import hear_java

# What ends a line for Unicode or for Java, controls, and halves of a character.
_LINE_ENDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_RARE = re.compile(r"[\U00010000-\U0010ffff]+")  # the tokenizer deletes many of them
_BRACKETS = re.compile(r"-[lr][rcs]b-")  # how the tokenizer spells them
_QUOTES = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'}
_SIGNS = {"\u2026": "...", "\u2013": "--", "\u2014": "--", "\u0964": " \u0964 "}
_ASCII = str.maketrans(_QUOTES | _SIGNS)  # as the Penn Treebank writes them
LEAST_ALIKE = 0.5  # it rewrites fractions and times of day, never half a caption
Texts = dict[int | str, list[str]]


def one_line(text: str) -> str:
    """Returns a text without line separators and controls: each is a blank.

    Programs that read a caption a line then find as many lines as captions. Letters
    are composed with their accents (NFC), so that two spellings are one word.
    """
    return _LINE_ENDS.sub(" ", unicodedata.normalize("NFC", text))


# What is given


def check_captions(
    references: Mapping[int | str, Sequence[str]], candidates: Mapping[int | str, str]
) -> None:
    """Refuses what is not a list of texts and one text for each image.

    Raises:
        ValueError: Something has another type, an image has no reference, or the two
            sets of images differ.
    """
    for name, given in (("references", references), ("candidates", candidates)):
        if not isinstance(given, Mapping):
            raise ValueError(
                f"The {name} must be a dict by image id; received a "
                f"{type(given).__name__}."
            )
    _check_ids(references, candidates)
    if not references or set(references) != set(candidates):
        raise ValueError(
            f"Every image needs references and a caption; {len(references)} have "
            f"references, {len(candidates)} a caption, "
            f"{len(set(references) & set(candidates))} both."
        )
    for key, texts in references.items():
        if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
            raise ValueError(
                f"The references of image {key!r} must be a list of captions; received "
                f"{_shown(texts)}."
            )
        if not texts:
            raise ValueError(f"Image {key!r} has no reference; expected one or more.")
        for text in texts:
            if not isinstance(text, str):
                raise ValueError(
                    f"A reference of image {key!r} must be a text; received "
                    f"{_shown(text)}."
                )
    for key, text in candidates.items():
        if not isinstance(text, str):
            raise ValueError(
                f"The caption of image {key!r} must be one text; received "
                f"{_shown(text)}."
            )


def _check_ids(*given: Mapping) -> None:
    """Refuses ids that are no numbers and no texts, and both at once."""
    kinds = {}
    for key in (key for ids in given for key in ids):
        if isinstance(key, bool) or not isinstance(key, str | numbers.Integral):
            raise ValueError(
                f"Image ids must be whole numbers or texts; received {_shown(key)}."
            )
        kinds.setdefault("text" if isinstance(key, str) else "number", key)
    if len(kinds) > 1:
        raise ValueError(
            "Image ids must be all numbers or all texts, in references and captions "
            f"alike; received {kinds['number']!r} and {kinds['text']!r}."
        )


def _shown(value: object) -> str:
    shown = ascii(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
    return f"{shown} ({type(value).__name__})"


# Words


def ptb_tokenize(captions: Mapping[int | str, Sequence[str]]) -> Texts:
    """Splits captions by the Penn Treebank tokenizer, which runs on Java.

    Raises:
        ValueError: It loses captions, or gives an image those of another.
    """
    sent = {key: [one_line(text) for text in texts] for key, texts in captions.items()}
    rows = {key: [{"caption": text} for text in texts] for key, texts in sent.items()}
    tokenized, written = hear_java(lambda: PTBTokenizer().tokenize(rows))
    expected = {key: len(texts) for key, texts in sent.items()}
    found = {key: len(texts) for key, texts in tokenized.items()}
    if found != expected:
        raise ValueError(
            f"The Penn Treebank tokenizer was given {sum(expected.values())} captions "
            f"of {len(expected)} images; {sum(found.values())} of {len(found)} came "
            f"back. Java wrote: {written or 'nothing'}"
        )
    _check_content(sent, tokenized)
    return tokenized


def nltk_tokenize(captions: Mapping[int | str, Sequence[str]]) -> Texts:
    """Splits captions by the rules of the Penn Treebank in NLTK, without Java.

    Words are in lower case and punctuation is dropped, as `ptb_tokenize` does. The two
    differ where a period ends a sentence within a caption, and in rare signs.
    """
    from nltk.tokenize import TreebankWordTokenizer  # takes a second

    tokenizer = TreebankWordTokenizer()

    def split(text: str) -> str:
        text = one_line(text).translate(_ASCII)
        tokens = tokenizer.tokenize(text, convert_parentheses=True)
        words = (token.lower() for token in tokens)
        return " ".join(word for word in words if word not in PUNCTUATIONS)

    return {key: list(map(split, texts)) for key, texts in captions.items()}


def _check_content(sent: Texts, tokenized: Texts) -> None:
    """Refuses captions that came back as others."""
    known = None
    for key, texts in sent.items():
        for text, words in zip(texts, tokenized[key], strict=True):
            before, after = letters(text), letters(words)
            if before == after:
                continue
            if known is None:
                known = {letters(text) for texts in sent.values() for text in texts}
            if after in known - {""} or not _alike(before, after):
                raise ValueError(
                    f"The Penn Treebank tokenizer was given {_shown(text)} of image "
                    f"{key!r}; {_shown(words)} came back, which is another caption."
                )


def letters(text: str) -> str:
    """Returns the letters and digits of a text, which tokenizers leave alone."""
    text = _RARE.sub("", html.unescape(text))
    text = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, _BRACKETS.sub(" ", text)))


def _alike(before: str, after: str) -> bool:
    """Tells whether a caption may have become the other, with some letters lost."""
    rest = iter(before)
    lost = [c for c in before if not c.isascii()]
    if lost and all(c in rest for c in after):  # scripts that it does not know
        ascii_before = "".join(filter(str.isascii, before))
        return ascii_before == "".join(filter(str.isascii, after))
    return difflib.SequenceMatcher(None, before, after).ratio() >= LEAST_ALIKE
