"""What the settings of a published captioner may be: config.json and its neighbours."""

from collections.abc import Mapping
from pathlib import Path

from files.reading import read_json
from files.values import (
    Check,
    either,
    filled,
    flag,
    items,
    one_of,
    optional,
    record,
    table,
    text,
    whole,
    within,
)
from models.run_files import CaptionerError

# Far above what is published; beyond them a number is a fault or an attack.
LARGEST_SIZE = 65_536  # of what blocks hand on, and of their inner layers
MOST_HEADS = 1_024
MOST_BLOCKS = 256
LARGEST_VOCABULARY = 2_000_000
MOST_PLACES = 1_000_000  # of a sentence
LARGEST_IMAGE = 4_096  # pixels, height and width
LARGEST_BEAM = 1_000
FEWEST_BYTES = 1  # of a number in a file of weights
AGAIN = "Get the captioner's files again."

_size, _token = whole(1, LARGEST_SIZE), whole(0, LARGEST_VOCABULARY - 1)
_heads, _depth = whole(1, MOST_HEADS), whole(1, MOST_BLOCKS)
_places, _epsilon = whole(1, MOST_PLACES), within(0.0, 1.0)
SIZES: dict[str, Check] = {
    "hidden_size": _size,
    "n_embd": _size,
    "intermediate_size": _size,
    "n_inner": _size,
    "num_attention_heads": _heads,
    "n_head": _heads,
    "num_hidden_layers": _depth,
    "n_layer": _depth,
    "vocab_size": whole(1, LARGEST_VOCABULARY),
    "max_position_embeddings": _places,
    "n_positions": _places,
    "image_size": whole(1, LARGEST_IMAGE),
    "patch_size": whole(1, LARGEST_IMAGE),
    "layer_norm_eps": _epsilon,
    "layer_norm_epsilon": _epsilon,
    "hidden_act": text,
    "activation_function": text,
    "bos_token_id": _token,
    "decoder_start_token_id": _token,
    "sep_token_id": _token,
    "eos_token_id": either("a token, or a list of them", _token, items(_token, 1, 99)),
    "pad_token_id": _token,
}
SEARCH: dict[str, Check] = {
    "num_beams": whole(1, LARGEST_BEAM),
    "num_beam_groups": whole(1, LARGEST_BEAM),
    "length_penalty": within(-100, 100),
    "max_length": _places,
    "max_new_tokens": _places,
    "min_length": whole(0, MOST_PLACES),
    "min_new_tokens": whole(0, MOST_PLACES),
    "repetition_penalty": within(0.001, 1000),
    "no_repeat_ngram_size": whole(0, MOST_PLACES),
    "early_stopping": either('true, false or "never"', flag, one_of("never")),
    "do_sample": flag,
}
_optional = {name: optional(check) for name, check in (SIZES | SEARCH).items()}
PARTS = ("vision_config", "text_config", "encoder", "decoder")
GENERATION = record({}, **{name: optional(check) for name, check in SEARCH.items()})
CONFIG = record(
    {"model_type": text},
    **dict.fromkeys(PARTS, optional(record({}, **_optional))),
    **_optional,
)
_side = whole(1, LARGEST_IMAGE)
_pixels = f"a number of pixels up to {LARGEST_IMAGE:,}, or height and width"
_area = record({"height": _side, "width": _side})
_edge = record({"shortest_edge": _side})
PROCESSOR = record(
    {},
    size=optional(either(f"{_pixels}, or shortest_edge", _side, _area, _edge)),
    crop_size=optional(either(_pixels, _side, _area)),
    resample=optional(whole(0, 5)),
    rescale_factor=optional(within(1e-9, 1e9)),
    image_mean=optional(items(within(-1e6, 1e6), 3, 3)),
    image_std=optional(items(within(1e-6, 1e6), 3, 3)),
    image_processor_type=optional(text),
    feature_extractor_type=optional(text),
    **dict.fromkeys(
        ("do_resize", "do_center_crop", "do_rescale", "do_normalize"), optional(flag)
    ),
)
TOKENIZER = record(
    {},
    clean_up_tokenization_spaces=optional(flag),
    do_lower_case=optional(flag),
)
INDEX = record({"weight_map": table(filled)})


def read_config(folder: Path, num_bytes: int) -> dict:
    """Reads config.json; what is null counts as not said.

    Args:
        folder: With the file.
        num_bytes: Of the files of weights, which must hold what it describes.

    Raises:
        CaptionerError: The weights cannot hold so many numbers.
        FileError: The file is missing or damaged.
    """
    path = Path(folder) / "config.json"
    config = _without_nulls(read_json(path, CONFIG, AGAIN))
    least = _least_numbers(config)
    if least * FEWEST_BYTES > num_bytes:
        raise CaptionerError(
            f"{path} describes a captioner of at least {least:,} numbers; its files of "
            f"weights have {num_bytes:,} bytes. {AGAIN}"
        )
    return config


def _without_nulls(config: Mapping) -> dict:
    return {
        name: _without_nulls(value) if name in PARTS else value
        for name, value in config.items()
        if value is not None
    }


def _least_numbers(config: Mapping) -> int:
    """Returns a lower bound of the numbers of a captioner's weights."""
    parts = [config[name] for name in PARTS if name in config]
    parts += [config] if "vocab_size" in config or not parts else []
    return sum(map(_least_of_part, parts))


def _least_of_part(part: Mapping) -> int:
    size = part.get("hidden_size", part.get("n_embd", 768))
    depth = part.get("num_hidden_layers", part.get("n_layer", 1))
    inner = part.get("intermediate_size", part.get("n_inner", 1))
    words = part.get("vocab_size", 1)
    places = part.get("max_position_embeddings", part.get("n_positions", 1))
    patches = (part.get("image_size", 1) // part.get("patch_size", 16)) ** 2
    return size * (words + places + patches + depth * (4 * size + 2 * inner))
