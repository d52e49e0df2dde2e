"""Words, their ids and the file that keeps them."""

import json
from pathlib import Path

import numpy as np
import pytest

from dataset.vocabulary import (
    END,
    PADDING,
    SPECIAL_TOKENS,
    START,
    Vocabulary,
    split_words,
)

CAPTIONS = ("A dog, a cat.", "The dog & the bird!", "a DOG <end>")


def test_split_words():
    text = (
        "Two T-shirts isn't 'quoted' -- rock\u2019n\u2019roll, caf\u00e9 snake_case 3!"
    )
    assert split_words(text) == [
        *("two", "t-shirts", "isn't", "quoted", "rock\u2019n\u2019roll"),
        *("caf\u00e9", "snake", "case", "3"),
    ]
    assert split_words(" .,!? -_- ") == []


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("\u090f\u0915 \u0915\u0941\u0924\u094d\u0924\u093e", None),  # Hindi
        ("\u098f\u0995\u099f\u09bf \u0995\u09c1\u0995\u09c1\u09b0", None),  # Bengali
        (
            "\u0ba8\u0bbe\u0baf\u0bcd \u0b93\u0b9f\u0bc1\u0b95\u0bbf\u0bb1\u0ba4\u0bc1",
            None,
        ),
        ("\u0e2a\u0e38\u0e19\u0e31\u0e02 \u0e27\u0e34\u0e48\u0e07", None),  # Thai
        ("\u06a9\u064f\u062a\u0651\u0627 \u06c1\u06d2", None),  # Urdu
        (
            "\u0643\u064e\u0644\u0652\u0628\u064c \u064a\u064e\u062c\u0652\u0631\u0650",
            None,
        ),
        ("\u0645\u06cc\u200c\u0631\u0648\u062f", None),  # Persian, not joined inside
        ("\u0915\u094d\u200d\u0937", None),  # a half form
        ("\u0924\u094d\u200d \u0915", None),  # a joiner after the last virama
        ("un garc\u0327on", ["un", "gar\u00e7on"]),
        ("CAFE\u0301!", ["caf\u00e9"]),
        ("\u0130stanbul", ["i\u0307stanbul"]),
        ("foot\u00adball \u2764\ufe0f dog\u200d", ["football", "dog"]),
        ("\u0301 \u200d - a\u200bb", ["a", "b"]),
    ],
    ids=ascii,
)
def test_marks_and_joiners_belong_to_the_word(caption, words):
    expected = caption.split() if words is None else words
    assert split_words(caption) == expected
    assert split_words(f'"{caption}", _') == expected
    vocabulary = Vocabulary.from_captions([caption], 1)
    assert sorted(vocabulary.words[3:]) == sorted(set(expected))


def test_ascii_words_are_those_of_letters_and_digits():
    characters = "aZ9-'_ .\n\x1c"
    for numbers in np.random.default_rng(0).integers(0, len(characters), (300, 12)):
        text = "".join(characters[n] for n in numbers)
        assert split_words(text + "\u2003") == split_words(text)


def test_shipped_vocabularies_split_to_themselves():
    paths = list(Path(__file__).parents[1].glob("models/pretrained/*/vocabulary.json"))
    assert paths
    for path in paths:
        words = json.loads(path.read_text("utf-8"))
        assert [split_words(word) for word in words] == [[word] for word in words]
        assert Vocabulary.load(path).words[3:] == tuple(words)


def test_earlier_vocabularies_load():
    """With bare letters of an Indic script and a letter that NFC replaces."""
    vocabulary = Vocabulary(["\u0915", "\u0924", "\uf900"])
    assert vocabulary.id_of("\uf900") == vocabulary.id_of("\u8c48") == 5
    assert vocabulary.decode([5]) == ["\uf900"] and len(vocabulary) == 6


def test_captions_are_a_list():
    with pytest.raises(ValueError, match="several captions; received 'a dog'"):
        Vocabulary.from_captions("a dog", 1)


@pytest.mark.parametrize(
    ("min_count", "words"),
    [
        # Counts: a 3, dog 3, the 2, then one each; equal counts by the alphabet.
        (1, ["a", "dog", "the", "bird", "cat", "end"]),
        (2, ["a", "dog", "the"]),
        (3, ["a", "dog"]),
    ],
)
def test_from_captions_keeps_frequent_words_in_order(min_count, words):
    vocabulary = Vocabulary.from_captions(CAPTIONS, min_count)
    assert vocabulary.words == (*SPECIAL_TOKENS, *words)
    assert len(vocabulary) == 3 + len(words)
    assert [vocabulary.id_of(word) for word in words] == [*range(3, 3 + len(words))]


@pytest.mark.parametrize("captions", [CAPTIONS, [], ["...", ""]])
def test_from_captions_without_words(captions):
    with pytest.raises(ValueError, match="No word appears 4 times in the captions"):
        Vocabulary.from_captions(captions, 4)


def test_special_tokens_are_no_words():
    vocabulary = Vocabulary(["dog", "end"])
    for token in SPECIAL_TOKENS:
        assert token not in vocabulary
        with pytest.raises(KeyError, match=f"The word '{token}' is not in"):
            vocabulary.id_of(token)
    tokens = vocabulary.encode("<padding> <start> dog <end>", 9)
    assert vocabulary.decode(tokens) == ["dog", "end"]
    assert (PADDING, START, END) == (0, 1, 2)


def test_encode_and_decode():
    vocabulary = Vocabulary(["a", "dog", "runs"])
    tokens = vocabulary.encode("A dog quickly runs.", 9)
    np.testing.assert_array_equal(tokens, [3, 4, 5, END])
    assert tokens.dtype == np.int32
    # Unknown words do not count among the words that are kept.
    np.testing.assert_array_equal(vocabulary.encode("Quickly a dog runs", 2), [3, 4, 2])
    np.testing.assert_array_equal(vocabulary.encode("quickly", 2), [END])
    tokens = np.array([START, 5, PADDING, 3, END, 4])
    assert vocabulary.decode(tokens) == ["runs", "a"]
    assert vocabulary.decode([]) == []


def test_unknown_words():
    vocabulary = Vocabulary(["a", "dog"])
    assert vocabulary.unknown_words("A red dog, a red cat") == ["red", "red", "cat"]
    assert vocabulary.unknown_words("a dog") == []
    assert "a" in vocabulary and "red" not in vocabulary


def test_save_and_load(tmp_path):
    vocabulary = Vocabulary(["caf\u00e9", "dog", "isn't", "rock\u2019n"])
    vocabulary.save(tmp_path / "vocabulary.json")
    loaded = Vocabulary.load(tmp_path / "vocabulary.json")
    assert loaded.words == vocabulary.words
    text = (tmp_path / "vocabulary.json").read_text(encoding="utf-8")
    assert text == '["caf\u00e9", "dog", "isn\'t", "rock\u2019n"]\n'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dog", "cat", "dog"], r"appear twice in the vocabulary: \['dog'\]"),
        (["dog", "<end>"], r"no single lower-case words: \['<end>'\]"),
        (["two words", "", "Dog"], r"words: \['two words', '', 'Dog'\]"),
    ],
)
def test_unusable_words(tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["dog"', "is no JSON"),
        ('{"dog": 3}', "Expected a JSON list of words"),
        ('["dog", 3]', "Expected a JSON list of words"),
        ('["dog", "dog"]', "appear twice"),
        ('["<start>"]', "no single lower-case words"),
    ],
)
def test_damaged_file(tmp_path, text, message):
    path = tmp_path / "vocabulary.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"vocabulary.json.*{message}"):
        Vocabulary.load(path)
