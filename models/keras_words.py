"""The words of a Keras 2 tokenizer, as our vocabulary has them."""

import collections
import logging
from dataclasses import dataclass
from pathlib import Path

from dataset.vocabulary import END, START, Vocabulary, split_words
from files.messages import shortened
from files.reading import parse_json, read_bytes

LOGGER = logging.getLogger(__name__)
SPECIAL_WORDS = {START: "szeros", END: "zeros"}


@dataclass(frozen=True)
class KerasWords:
    """The tokenizer's words and where they are in ours.

    Attributes:
        vocabulary: Ours.
        places: For each id of ours from START on, the word's place in the tokenizer's
            order: its row of the embedding and its column of the predictor.
        total: The number of the tokenizer's words, with the special ones.
    """

    vocabulary: Vocabulary
    places: tuple[int, ...]
    total: int


def read_words(path: str | Path) -> list[str]:
    """Reads the tokenizer's words in the order of their numbers.

    Args:
        path: A JSON file of the words in order (word number k + 1 at place k), of the
            mapping from word to number (`Tokenizer.word_index`), or of what
            `Tokenizer.to_json` returns.

    Raises:
        ValueError: The file is none of these.
    """
    content = read_bytes(Path(path), "Name the JSON file of the tokenizer's words.")
    try:
        content = _parse(parse_json(content))
        if isinstance(content, dict) and isinstance(content.get("config"), dict):
            content = _parse(content["config"].get("word_index"))
    except ValueError as error:
        raise ValueError(
            f"{path} is not JSON. A pickled tokenizer is not read, because a pickle "
            "can run any program: load it where it was made and write its word_index "
            f"with json.dump. What is wrong: {error}."
        ) from error
    if isinstance(content, dict):
        return _in_order(path, content)
    if not isinstance(content, list) or not all(isinstance(w, str) for w in content):
        raise ValueError(
            f"{path} must hold a JSON list of words or a mapping from word to number; "
            f"received {type(content).__name__}."
        )
    if len(set(content)) < len(content):
        twice = sorted(w for w, n in collections.Counter(content).items() if n > 1)
        raise ValueError(f"{path}: words appear twice: {twice[:5]}.")
    return content


def _parse(content):
    """Parses a text once more: `json.dump` of `to_json` makes JSON of JSON."""
    return parse_json(content) if isinstance(content, str) else content


def _in_order(path, numbers: dict) -> list[str]:
    values = list(numbers.values())
    others = [value for value in values if type(value) is not int]
    if others or sorted(values) != [*range(1, len(values) + 1)]:
        received = shortened(others[0]) if others else _span(values)
        raise ValueError(
            f"{path} must give its {len(values)} words the numbers 1 to {len(values)}, "
            f"each once, as Tokenizer.word_index does; received {received}."
        )
    return sorted(numbers, key=numbers.get)


def _span(values: list[int]) -> str:
    return f"{shortened(min(values))} to {shortened(max(values))}" if values else "none"


def arrange_words(words: list[str]) -> KerasWords:
    """Gives the tokenizer's words their ids, in its order after the special ones.

    The tokenizer keeps apostrophes at a word's edges and stray signs. Such a word gets
    the spelling that `split_words` makes of it; of words that come to read the same,
    the first (most frequent) stays.

    Raises:
        ValueError: The start or the end token is missing.
    """
    special = [SPECIAL_WORDS[token] for token in (START, END)]
    missing = [word for word in special if word not in words]
    if missing:
        raise ValueError(
            f"The vocabulary lacks {' and '.join(missing)}: expected all words of the "
            "original's tokenizer, with szeros (start) and zeros (end)."
        )
    places, left_out = {word: words.index(word) for word in special}, []
    for place, word in enumerate(words):
        spelling = split_words(word)
        if word in special:
            continue
        if len(spelling) == 1 and spelling[0] not in places:
            places[spelling[0]] = place
        else:
            left_out.append(word)
    changed = [words[place] for word, place in places.items() if words[place] != word]
    _warn("are spelled without the signs at their edges", changed, len(words))
    _warn("are left out, having no spelling of their own", left_out, len(words))
    vocabulary = Vocabulary([*places][len(special) :])
    return KerasWords(vocabulary, tuple(places.values()), len(words))


def _warn(what: str, words: list[str], total: int) -> None:
    if words:
        shown = " ".join(words[:10]) + (" ..." if len(words) > 10 else "")
        LOGGER.warning("%d of %d words %s: %s", len(words), total, what, shown)
