"""What a word is: letters with all that is written on them, in any script."""

import functools
import re
import sys
import unicodedata

_VIRAMA = 9  # the combining class of signs that join two letters
# Dropped: they show where a line may break or which form of a letter to draw.
_UNSEEN = re.compile("[\u00ad\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Thai, Lao, Tibetan, Myanmar, Khmer; kana, bopomofo and Chinese characters.
_NO_BLANKS = re.compile(
    "[\u0e01-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)


def _ranges(characters: list[str]) -> str:
    """Returns characters as the inside of a class of a regular expression."""
    ranges: list[list[int]] = []
    for code in map(ord, characters):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@functools.cache  # it takes .2 s, and plain captions need none
def _word_pattern() -> re.Pattern:
    """Returns what finds words in a lower-case, composed text."""
    every = list(map(chr, range(0x300, sys.maxunicode + 1)))
    marks = [c for c in every if unicodedata.category(c) in ("Mn", "Mc")]
    viramas = [c for c in marks if unicodedata.combining(c) == _VIRAMA]
    mark, virama = _ranges(marks), _ranges(viramas)
    joiner = "[\u200c\u200d]"  # between letters, or at the end after a virama
    letter = rf"[^\W_](?:[{mark}]|{joiner}(?=[^\W_]|[{mark}])|(?<=[{virama}]){joiner})*"
    return re.compile(rf"(?:{letter})+(?:[-'\u2019](?:{letter})+)*")


_PLAIN = re.compile(r"[^\W_]+(?:[-'\u2019][^\W_]+)*")  # words of letters alone


def compose(text: str) -> str:
    """Returns a text whose letters are one with their accents (NFC)."""
    return unicodedata.normalize("NFC", text)


def split_words(caption: str) -> list[str]:
    """Returns the lower-case words of a caption without its punctuation.

    Hyphens and apostrophes inside a word stay: "t-shirt", "isn't". So do vowel signs,
    accents and joiners, and a letter is one with its accents (NFC).
    """
    if caption.isascii():
        return _PLAIN.findall(caption.lower())
    return _word_pattern().findall(_UNSEEN.sub("", compose(caption.lower())))


def plain_word(word: str) -> str:
    """Returns a word as `split_words` spells it; what is no single word, lower-case."""
    found = split_words(word)
    return found[0] if len(found) == 1 else word.lower()


def is_word(text: str) -> bool:
    """Tells whether a text is one word, now or by the earlier rule of plain letters."""
    return split_words(text) == [text] or (
        text == text.lower() and _PLAIN.fullmatch(text) is not None
    )


def lacks_blanks(caption: str) -> bool:
    """Tells whether a caption is of a script that does not divide words by blanks."""
    return len(_NO_BLANKS.findall(caption)) > len(caption) / 3
