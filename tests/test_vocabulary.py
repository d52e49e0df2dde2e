"""Words, their ids and the file that keeps them."""

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
        ('["dog"', "is not JSON"),
        ('{"dog": 3}', "must hold a JSON list of words"),
        ('["dog", 3]', "must hold a JSON list of words"),
        ('["dog", "dog"]', "appear twice"),
        ('["<start>"]', "no single lower-case words"),
    ],
)
def test_damaged_file(tmp_path, text, message):
    path = tmp_path / "vocabulary.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"vocabulary.json.*{message}"):
        Vocabulary.load(path)
