"""Pieces of words: the vocabulary of a published captioner."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from files.messages import reason_of, shortened
from files.reading import damaged, read_bytes, read_json
from files.values import anything, record, table, whole
from models.published.settings import AGAIN, LARGEST_VOCABULARY
from models.published.settings import TOKENIZER as SETTINGS
from models.run_files import CaptionerError
from models.sentence import Sentence

UNKNOWN = "[UNK]"
TRIAL = "a \u2603"  # with a sign that may be known to none
TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"
TOKENIZER_FILES = (TOKENIZER, "vocab.txt", "vocab.json", "merges.txt", CONFIG)
ODD_BLANKS = tuple((f" {sign}", sign) for sign in (".", "?", "!", ","))
ODD_BLANKS += ((" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"))
ODD_BLANKS += tuple((f" '{end}", f"'{end}") for end in ("s", "ve", "re"))
# A word with its hyphens and apostrophes, or several signs in a row.
_WORD = re.compile(r"[^\W_]+(?:[-'\u2019][^\W_]+)*|[^\w\s]+|_+")


class Pieces:
    """Turns texts into tokens, and tokens into words.

    Args:
        tokenizer: Of the library `tokenizers`.
        size: V, the tokens that the decoder knows.
        start: The token before the first one.
        ends: The tokens after the last one.
        padding: The token that fills up.
        cleans: Whether blanks before signs are taken away.
    """

    def __init__(
        self,
        tokenizer,
        size: int,
        start: int,
        ends: Sequence[int],
        padding: int,
        cleans: bool = True,
    ):
        self._tokenizer, self._size, self._cleans = tokenizer, size, cleans
        self.start, self.ends, self.padding = start, tuple(ends), padding

    def __len__(self) -> int:
        return self._size

    def encode(self, text: str) -> np.ndarray:
        """Returns the tokens (S,) of a text.

        Raises:
            ValueError: A piece of it is not known.
        """
        found = self._tokenizer.encode(text, add_special_tokens=False)
        unknown = self._unknown_token()
        lost = [
            text[start:end]
            for token, (start, end) in zip(found.ids, found.offsets, strict=True)
            if token == unknown or token >= self._size
        ]
        if lost:
            raise ValueError(
                f"The captioner does not know {', '.join(map(repr, lost))}. Use others."
            )
        return np.asarray(found.ids, "int32")

    def _unknown_token(self) -> int | None:
        model = self._tokenizer.model
        token = getattr(model, "unk_token", None)
        return None if token is None else self._tokenizer.token_to_id(token)

    def before_end(self, tokens: Sequence[int]) -> np.ndarray:
        """Returns the tokens up to the end token or to what fills up (-1)."""
        kept = []
        for token in tokens:
            if token in self.ends or token < 0:
                break
            kept.append(int(token))
        return np.asarray(kept, "int32")

    def sentence(self, tokens: Sequence[int]) -> Sentence:
        """Returns the text and the words of tokens without an end.

        A token belongs to the word in which its own text begins; one without a text
        (a special token, a part of a letter) to the word that was begun before.
        """
        tokens = np.asarray(tokens, "int32")
        text, starts = self._decode(tokens)
        spans = [match.span() for match in _WORD.finditer(text)]
        if not spans:
            return Sentence("", (), tokens[:0], tokens[:0])
        ends = [end for _, end in spans]  # a blank is the following word's
        word_of = np.searchsorted(ends, starts, side="right")
        word_of = np.maximum.accumulate(np.minimum(word_of, len(spans) - 1))
        # Where no token begins, a word is a part of the one before it.
        begins = [0, *np.unique(word_of)[1:]]
        pairs = zip(begins, [*begins[1:], len(spans)], strict=True)
        words = tuple(text[spans[a][0] : spans[b - 1][1]] for a, b in pairs)
        word_of = np.searchsorted(begins, word_of, side="right") - 1
        return Sentence(text, words, tokens, word_of)

    def _decode(self, tokens: np.ndarray) -> tuple[str, list[int]]:
        """Returns the text, and where in it each token's own text begins."""
        numbers = tokens.tolist()
        text = self._tokenizer.decode(numbers, skip_special_tokens=True).strip()
        text = _without_odd_blanks(text) if self._cleans else text
        letters = [place for place, letter in enumerate(text) if not letter.isspace()]
        starts = []
        for count in range(len(numbers)):  # blanks may go, letters stay as many
            before = self._tokenizer.decode(numbers[:count], skip_special_tokens=True)
            known = sum(not letter.isspace() for letter in before)
            starts.append(letters[min(known, len(letters) - 1)] if letters else 0)
        return text, starts


def _without_odd_blanks(text: str) -> str:
    """Takes away the blanks before signs, as the library of the publishers does."""
    for odd, even in ODD_BLANKS:
        text = text.replace(odd, even)
    return text


def load_pieces(
    folder: Path, size: int, start: int, ends: Sequence[int], padding: int
) -> Pieces:
    """Reads the tokenizer of a published captioner.

    Args:
        folder: With tokenizer.json, or vocab.txt (WordPiece), or vocab.json and
            merges.txt (byte-level BPE).
        size: See `Pieces`.
        start: See `Pieces`.
        ends: See `Pieces`.
        padding: See `Pieces`.

    Raises:
        CaptionerError: The library is not installed, or no file is there.
        FileError: A file is damaged.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise CaptionerError(
            "Published captioners need the package tokenizers. Install it with pip "
            "install -r requirements-published.txt."
        ) from error
    folder = Path(folder)
    tokenizer = _read(tokenizers, folder)
    if tokenizer is None:
        raise CaptionerError(
            f"{folder} has no tokenizer: expected {TOKENIZER}, or vocab.txt, or "
            "vocab.json and merges.txt."
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    cleans = _settings(folder).get("clean_up_tokenization_spaces")
    return Pieces(tokenizer, size, start, ends, padding, cleans is not False)


def _settings(folder: Path) -> dict:
    path = folder / CONFIG
    return read_json(path, SETTINGS, AGAIN) if path.is_file() else {}


def _read(tokenizers, folder: Path):
    """Builds the tokenizer of the files that are there, or None."""
    path, words, pairs = (folder / n for n in (TOKENIZER, "vocab.txt", "vocab.json"))
    if path.is_file():
        read_json(path, record({"model": table(anything)}), AGAIN)
        text = read_bytes(path, AGAIN).decode("utf-8-sig")
        found = _built(path, lambda: tokenizers.Tokenizer.from_str(text))
        _built(path, lambda: found.decode(found.encode(TRIAL).ids))
        return found
    if words.is_file():
        return _word_pieces(tokenizers, words)
    if pairs.is_file() and (folder / "merges.txt").is_file():
        return _byte_pairs(tokenizers, pairs)
    return None


def _built(path: Path, build: Callable):
    """Calls the library, whose errors are of no narrower kind than all errors.

    Raises:
        FileError: It cannot read the file.
    """
    try:
        return build()
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        reason = f"the library tokenizers says: {reason_of(error)}"
        raise damaged(path, ValueError(reason), AGAIN) from None


def _lines(path: Path) -> list[str]:
    """Returns the lines of a text, whatever else Unicode knows as their ends."""
    try:
        text = read_bytes(path, AGAIN).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise damaged(path, error, AGAIN) from None
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _word_pieces(tokenizers, path: Path):
    """Builds BERT's tokenizer."""
    words = _lines(path)
    vocabulary = {word: number for number, word in enumerate(words)}
    twice = [word for number, word in enumerate(words) if vocabulary[word] != number]
    if twice or UNKNOWN not in vocabulary:
        reason = f"{shortened(twice[0])} is there twice" if twice else f"no {UNKNOWN}"
        raise damaged(path, ValueError(reason), AGAIN)
    lower = _settings(path.parent).get("do_lower_case") is not False
    model = tokenizers.models.WordPiece(vocabulary, unk_token=UNKNOWN)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    special = [w for w in words if re.fullmatch(r"\[(PAD|UNK|CLS|SEP|MASK)\]", w)]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _byte_pairs(tokenizers, path: Path):
    """Builds GPT-2's tokenizer."""
    vocabulary = read_json(path, _numbered, AGAIN)
    merges = path.with_name("merges.txt")
    lines = [line for line in _lines(merges) if not line.startswith("#version")]
    pairs = [tuple(line.split(" ")) for line in lines if line]
    for pair in pairs:
        if len(pair) != 2 or not {*pair, "".join(pair)} <= vocabulary.keys():
            reason = f"{shortened(' '.join(pair))} is no pair of {path.name}"
            raise damaged(merges, ValueError(reason), AGAIN)
    model = _built(merges, lambda: tokenizers.models.BPE(vocabulary, pairs))
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def _numbered(value: object) -> dict[str, int]:
    """Takes words with a number of its own each."""
    found = table(whole(0, LARGEST_VOCABULARY - 1))(value)
    if len(set(found.values())) < len(found):
        raise ValueError("two words have the same number")
    return found
