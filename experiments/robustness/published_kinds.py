"""Files of published captioners: settings and tokenizers."""

import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiments.robustness.kinds import (
    REFUSED,
    Edit,
    Kind,
    line,
    made,
    missing,
    put,
    split_lines,
    whole,
)
from experiments.robustness.mutations import wrong_value
from models.published.generation import Generation, read_generation
from models.published.pieces import load_pieces
from models.published.preprocessing import read_preprocessing
from models.published.settings import read_config

WEIGHTS_BYTES = 40_000
SIZES = {"hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2}
CONFIG = {
    "model_type": "blip",
    "vision_config": SIZES | {"image_size": 32, "patch_size": 16, "hidden_act": "gelu"},
    "text_config": SIZES | {"vocab_size": 17, "num_hidden_layers": 2},
}
SHAPES = tuple(f"vision_config.{name}" for name in (*SIZES, "image_size", "patch_size"))
SHAPES += tuple(f"text_config.{name}" for name in (*SIZES, "vocab_size"))


def not_null(names: str, *more: object) -> Edit:
    """Puts a wrong value in a place where null says nothing; see `kinds.wrong`."""

    def make(_, generator: np.random.Generator) -> object:
        if more and generator.random() < 0.4:
            return more[generator.integers(0, len(more))]
        value = None
        while value is None:
            value = wrong_value(generator)
        return value

    return made(names, make)


def small(value: object, generator: np.random.Generator) -> int:
    """Returns another size."""
    return int(generator.integers(1, 9))


PUBLISHED_CONFIG = Kind(
    "published config",
    "config.json",
    lambda folder: put(folder, "config.json", json.dumps(CONFIG)),
    lambda folder: read_config(folder, WEIGHTS_BYTES),
    lambda found: isinstance(found["model_type"], str),
    json.loads,
    (
        *(not_null(name, 0, "8", 8.0, 10**9) for name in SHAPES),
        not_null("text_config.num_hidden_layers", 0, 300),
        not_null("vision_config.hidden_act", 3),
        made("vision_config", lambda *_: [1]),
        made("text_config.vocab_size", lambda *_: 1_000_000),  # the weights have less
        made("vision_config.image_size", lambda *_: 4096),
        missing("model_type"),
        made("text_config.hidden_size", small, lambda old, place, new: new),
        made("text_config.vocab_size", small, lambda old, place, new: new),
        made("model_type", lambda *_: "llava", lambda old, place, new: new),
    ),
)

SEARCH = {
    "num_beams": 3,
    "max_length": 16,
    "min_length": 2,
    "length_penalty": 0.5,
    "no_repeat_ngram_size": 2,
    "repetition_penalty": 1.5,
    "early_stopping": True,
    "do_sample": False,
}
COUNTS = ("num_beams", "max_length", "min_length", "no_repeat_ngram_size")


def read_search(folder: Path) -> Generation:
    """Reads the settings of the search."""
    return read_generation(folder, "git", {}, (1, 2, 0), 512)


def searched(content: dict) -> Generation:
    """Returns what is right of good settings."""
    return Generation(
        "git",
        1,
        (2,),
        0,
        content["num_beams"],
        content["length_penalty"],
        content["max_length"] - 1,
        content["min_length"] - 1,
        content["repetition_penalty"],
        content["no_repeat_ngram_size"],
        content["early_stopping"],
    )


GENERATION = Kind(
    "generation settings",
    "generation_config.json",
    lambda folder: put(folder, "generation_config.json", json.dumps(SEARCH)),
    read_search,
    lambda found: found.beam_size > 0 and math.isfinite(found.length_penalty),
    json.loads,
    (
        *(not_null(name, "3", 1.5, 10**9) for name in COUNTS),
        made("length_penalty", lambda *_: float("nan")),
        made("length_penalty", lambda *_: "1"),
        made("repetition_penalty", lambda *_: 0),
        made("early_stopping", lambda *_: "always"),
        made("do_sample", lambda *_: "no"),
        made("*", lambda *_: {"a": 1}),
        made("num_beams", small, lambda old, place, new: searched(new)),
        made("length_penalty", small, lambda old, place, new: searched(new)),
        made("early_stopping", lambda *_: "never", lambda o, p, new: searched(new)),
    ),
)

PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 32, "width": 32},
    "resample": 2,
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 0.5,
    "image_mean": [0.5, 0.25, 0.125],
    "image_std": [0.5, 1.0, 2.0],
}


def read_processor(folder: Path) -> tuple:
    """Reads size, filter, scale, mean and deviation."""
    found = read_preprocessing(folder, 32, "ViT")
    return found.size, found.resample, found.scale, found.mean, found.deviation


def prepared(content: dict) -> tuple:
    """Returns what is right of good settings."""
    colours = tuple(map(tuple, (content["image_mean"], content["image_std"])))
    return (32, 32), content["resample"], content["rescale_factor"], *colours


PREPROCESSING = Kind(
    "preprocessor settings",
    "preprocessor_config.json",
    lambda folder: put(folder, "preprocessor_config.json", json.dumps(PROCESSOR)),
    read_processor,
    lambda found: np.isfinite(found[2]) and min(found[4]) > 0,
    json.loads,
    (
        not_null("resample", 6, "2"),
        not_null("size", 31, "32", {"height": 32}, {"height": 0, "width": 32}),
        not_null("image_mean", [0.5], 0.5, [1, 2, "3"]),
        not_null("image_std", [0, 1, 1], [1, -1, 1]),
        made("rescale_factor", lambda _, g: [0, -1, float("inf")][g.integers(3)]),
        made("do_resize", lambda *_: False),
        made("image_processor_type", lambda *_: "DonutImageProcessor"),
        made("image_mean.*", lambda *_: float("nan")),
        made("image_mean.*", small, lambda old, place, new: prepared(new)),
        made("image_std.*", small, lambda old, place, new: prepared(new)),
        made("size", lambda *_: 32, lambda old, place, new: prepared(new)),
    ),
)

# Tokenizers

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "runs", "##ning", "ball"]
TEXT = "a dog runs"
BY_TEXT = [4, 5, 6]


def read_tokens(folder: Path) -> object:
    """Returns the tokens of a text, or the message that it is not known."""
    pieces = load_pieces(folder, 20, 2, (3,), 0)
    try:
        return pieces.encode(TEXT).tolist()
    except ValueError as error:
        return str(error)


def is_tokens(found: object) -> bool:
    """Whether tokens are of the decoder's vocabulary."""
    return isinstance(found, str) or all(0 <= token < 20 for token in found)


TOKENIZER = {
    "version": "1.0",
    "added_tokens": [],
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {word: number for number, word in enumerate(WORDS)},
    },
}


def _twice(content: dict, generator: np.random.Generator) -> tuple[bytes, object]:
    text = json.dumps(content).replace('"dog": 5', '"dog": 5, "dog": 6')
    return text.encode(), REFUSED


def _same(make: Callable[[str], str]) -> Edit:
    def edit(content: dict, generator: np.random.Generator) -> tuple[bytes, object]:
        return make(json.dumps(content)).encode(), BY_TEXT

    return edit


TOKENIZER_FILE = Kind(
    "tokenizer.json",
    "tokenizer.json",
    lambda folder: put(folder, "tokenizer.json", json.dumps(TOKENIZER)),
    read_tokens,
    is_tokens,
    json.loads,
    (
        not_null("model", "x"),
        not_null("model.vocab", "x"),
        not_null("model.unk_token", 3),
        made("model.type", lambda *_: "Other"),
        made("model.vocab.dog", lambda *_: -1),
        made("model.vocab.dog", lambda *_: 2**40),
        missing("model"),
        missing("model.vocab"),
        _twice,
        _same(lambda text: f"\ufeff{text}"),
        _same(lambda text: text.replace("##ning", "##ned")),
        made("model.vocab.dog", lambda *_: 9, [4, 9, 6]),
    ),
)


def _without(lines: list, place: int, changed: list) -> object:
    words = [word for number, word in enumerate(WORDS) if number != place]
    if place == WORDS.index("[UNK]"):
        return REFUSED
    unknown = [word for word in TEXT.split() if word not in words]
    names = ", ".join(map(repr, unknown))
    if unknown:
        return f"The captioner does not know {names}. Use others."
    return [words.index(word) for word in TEXT.split()]


VOCABULARY = Kind(
    "vocab.txt",
    "vocab.txt",
    lambda folder: put(folder, "vocab.txt", "".join(f"{w}\n" for w in WORDS)),
    read_tokens,
    is_tokens,
    split_lines,
    (
        line(lambda one: f"{one}\n{one}"),
        line(lambda one: f"{one}\udcff"),
        line(lambda one: None, _without),
        whole(lambda content: b"\xef\xbb\xbf" + content, BY_TEXT),
        whole(lambda content: content.replace(b"\n", b"\r\n"), BY_TEXT),
        whole(lambda content: content + "\u2028\n\x85\n".encode(), BY_TEXT),
        whole(lambda content: content.replace(b"[UNK]", b"[unk]"), REFUSED),
    ),
)

PAIRS = {"a": 0, "b": 1, "ab": 2, "Ġa": 3, "Ġ": 4, "d": 5}


def write_pairs(folder: Path) -> None:
    """Writes the two files of byte pairs."""
    put(folder, "vocab.json", json.dumps(PAIRS))
    put(folder, "merges.txt", "#version: 0.2\na b\nĠ a\n")


def read_pairs(folder: Path) -> object:
    """Returns the tokens of a text, or the message that it is not known."""
    pieces = load_pieces(folder, 20, 2, (3,), 0)
    try:
        return pieces.encode("ab a").tolist()
    except ValueError as error:
        return str(error)


BYTE_PAIRS = Kind(
    "vocab.json",
    "vocab.json",
    write_pairs,
    read_pairs,
    is_tokens,
    json.loads,
    (
        not_null("*", -1, "3", 2.0, 10**9),
        made("a", lambda *_: 1),
        made("ab", lambda *_: 7, [7, 3]),
        missing("ab"),
        missing("b"),
        missing("d", [2, 3]),
    ),
)

HAS_TOKENIZERS = importlib.util.find_spec("tokenizers") is not None
KINDS = (PUBLISHED_CONFIG, GENERATION, PREPROCESSING)
KINDS += (TOKENIZER_FILE, VOCABULARY, BYTE_PAIRS) if HAS_TOKENIZERS else ()
