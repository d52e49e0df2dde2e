"""Folders of tiny published captioners with random weights, as the hub has them."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.published.families import FAMILIES
from models.published.slots import Slots

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]")
WORDS = (
    "a",
    "the",
    "dog",
    "cat",
    "ball",
    "skate",
    "##board",
    "runs",
    "on",
    ".",
    "'",
    "s",
)
START, END, PADDING = 4, 3, 0
SIZE = {"hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2}
VISION = SIZE | {"image_size": 32, "patch_size": 16, "num_hidden_layers": 1}
TEXT = SIZE | {
    "vocab_size": len(SPECIAL + WORDS),
    "num_hidden_layers": 2,
    "max_position_embeddings": 16,
    "bos_token_id": START,
    "pad_token_id": PADDING,
}
GPT2 = {"n_embd": 8, "n_head": 2, "n_layer": 2, "n_positions": 16}
GPT2 |= {"vocab_size": len(SPECIAL + WORDS), "model_type": "gpt2"}
CONFIGS = {
    "blip": {
        "vision_config": VISION,
        "text_config": TEXT
        | {"sep_token_id": END, "hidden_size": 6, "eos_token_id": 2},
    },
    "git": TEXT | {"vision_config": VISION, "eos_token_id": END},
    "vision-encoder-decoder": {
        "encoder": VISION | {"model_type": "vit"},
        "decoder": GPT2 | {"bos_token_id": START, "eos_token_id": END},
        "decoder_start_token_id": START,
        "pad_token_id": PADDING,
    },
}
SQUARE = {"height": 32, "width": 32}
PROCESSORS = {
    "blip": {"image_processor_type": "BlipImageProcessor", "size": SQUARE},
    "git": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 32},
        "crop_size": SQUARE,
    },
    "vision-encoder-decoder": {
        "feature_extractor_type": "ViTFeatureExtractor",
        "size": 32,
        "resample": 2,
    },
}
LAST_NORM_AND_TABLE = {  # of the output
    "blip": (
        "text_decoder.cls.predictions.transform.LayerNorm.bias",
        "text_decoder.bert.embeddings.word_embeddings.weight",
    ),
    "git": ("git.encoder.layer.1.output.LayerNorm.bias", "output.weight"),
    "vision-encoder-decoder": (
        "decoder.transformer.ln_f.bias",
        "decoder.transformer.wte.weight",
    ),
}


def write_captioner(folder: Path, family: str, seed=0, says=None, **generation) -> Path:
    """Writes the files of a captioner, which says one word on and on if asked to."""
    folder.mkdir(parents=True)
    config = {"model_type": family} | CONFIGS[family]
    network = FAMILIES[family](config)
    arrays = random_arrays(network.slots, seed)
    if says is not None:
        norm, table = LAST_NORM_AND_TABLE[family]
        direction = np.sign(arrays[norm] + 1e-9)
        arrays[norm] = 2.0 * direction
        arrays[table][token_of(says)] = 3.0 * direction
    write_safetensors(folder / "model.safetensors", arrays)
    files = {
        "config": config,
        "generation_config": {"max_length": 8} | generation,
        "preprocessor_config": PROCESSORS[family],
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    word_pieces().save(str(folder / "tokenizer.json"))
    return folder


def random_arrays(slots: Slots, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        name: generator.normal(scale=0.5, size=slot.shape).astype("float32")
        for name, slot in slots.items()
    }


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    header, content = {}, b""
    names = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64"}
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": names[array.dtype.name],
            "shape": array.shape,
            "data_offsets": (len(content), len(content) + len(raw)),
        }
        content += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def word_pieces():
    """BERT's tokenizer, with few words; needs requirements-published.txt."""
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {word: number for number, word in enumerate(SPECIAL + WORDS)}
    model = tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]")
    found = tokenizers.Tokenizer(model)
    found.normalizer = tokenizers.normalizers.BertNormalizer()
    found.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    found.decoder = tokenizers.decoders.WordPiece()
    found.add_special_tokens(list(SPECIAL))
    return found


def token_of(word: str) -> int:
    return (SPECIAL + WORDS).index(word)
