"""The published captioners that are known, by the `model_type` of their config.json."""

from collections.abc import Callable
from dataclasses import dataclass

from files.messages import shortened
from models.encoders.vision_transformer import VisionTransformer
from models.published import block_names as names
from models.published.slots import Slots, linear, norm, patches, whole
from models.published.text_decoder import TextDecoder
from models.run_files import CaptionerError
from models.transformer import BlockSizes

# What config.json leaves out has the value of the library's class.
VISION = {
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
BERT = {
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "max_position_embeddings": 512,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
BLIP_TEXT = (
    BERT
    | {"vocab_size": 30524, "num_attention_heads": 8}
    | {
        "bos_token_id": 30522,
        "sep_token_id": 102,
        "pad_token_id": 0,
    }
)
GIT_TEXT = (
    BERT
    | {"vocab_size": 30522, "num_hidden_layers": 6}
    | {
        "max_position_embeddings": 1024,
        "bos_token_id": 101,
        "eos_token_id": 102,
        "pad_token_id": 0,
    }
)
GPT2 = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": None,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
}


@dataclass(frozen=True)
class Network:
    """A published captioner's networks, and which array fills which weight.

    Attributes:
        encoder: Not yet filled.
        decoder: Not yet filled.
        slots: By published names.
        copies: Names of published copies of other arrays.
        unused: Prefixes and ends of the names of arrays without use here.
        start: The token before the first one.
        end: The token after the last one.
        padding: The token that fills up.
        generation: The part of the configuration that says how captions are written.
        processor: How photographs are prepared where their file names nothing; a key
            of `PROCESSORS`.
    """

    encoder: VisionTransformer
    decoder: TextDecoder
    slots: Slots
    copies: dict[str, str]
    unused: tuple[str, ...]
    start: int
    end: int
    padding: int
    generation: dict
    processor: str

    def has_no_use_for(self, name: str) -> bool:
        """Tells whether a published array belongs to something else."""
        return name.startswith(self.unused) or name.endswith(self.unused)


def _sizes(config: dict, norm_first: bool, memory_size: int | None = None):
    return BlockSizes(
        config["hidden_size"],
        config["num_attention_heads"],
        config["intermediate_size"],
        config["num_hidden_layers"],
        norm_first,
        config["hidden_act"],
        config["layer_norm_eps"],
        memory_size,
    )


def _vision(config: dict, **changes) -> VisionTransformer:
    sizes = _sizes(config, norm_first=True)
    return VisionTransformer(
        sizes, config["image_size"], config["patch_size"], **changes
    )


def _require(config: dict, part: str, **values) -> None:
    """Refuses settings that change what the network computes in unknown ways."""
    for name, value in values.items():
        if config.get(name, value) != value:
            raise CaptionerError(
                f"config.json has {part}{name} = {shortened(config[name])}; only "
                f"{value!r} is known here."
            )


def build_blip(config: dict) -> Network:
    """Builds BLIP (Li et al. 2022, arXiv 2201.12086)."""
    vision = VISION | {"image_size": 384} | config.get("vision_config", {})
    text = BLIP_TEXT | config.get("text_config", {})
    _require(text, "text_config.", position_embedding_type="absolute")
    encoder = _vision(vision)
    decoder = TextDecoder(
        _sizes(text, norm_first=False, memory_size=vision["hidden_size"]),
        text["vocab_size"],
        text["max_position_embeddings"],
        deep_head=True,
    )
    head, words = "text_decoder.cls.predictions", "text_decoder.bert.embeddings"
    table = f"{words}.word_embeddings.weight"
    slots = (
        _vision_slots(encoder, "vision_model", names.blip_vision_block)
        | _bert_slots(decoder, words, "text_decoder.bert.encoder.layer")
        | linear(decoder.head, f"{head}.transform.dense")
        | norm(decoder.head_norm, f"{head}.transform.LayerNorm")
        | whole(decoder.output_bias, f"{head}.bias")
    )
    copies = {f"{head}.decoder.weight": table, f"{head}.decoder.bias": f"{head}.bias"}
    return Network(
        encoder,
        decoder,
        slots,
        copies,
        (".position_ids",),
        text["bos_token_id"],
        text["sep_token_id"],
        text["pad_token_id"],
        text,
        "Blip",
    )


def build_git(config: dict) -> Network:
    """Builds GIT (Wang et al. 2022, arXiv 2205.14100)."""
    vision = VISION | {"hidden_act": "quick_gelu"} | config.get("vision_config", {})
    text = GIT_TEXT | config
    _require(
        text,
        "",
        num_image_with_embedding=None,
        position_embedding_type="absolute",
        tie_word_embeddings=False,
    )
    encoder = _vision(vision, patch_bias=False, norms_input=True)
    decoder = TextDecoder(
        _sizes(text, norm_first=False),
        text["vocab_size"],
        text["max_position_embeddings"],
        own_output=True,
        projected=(vision["hidden_size"], vision["layer_norm_eps"]),
    )
    model, projection = "git.image_encoder.vision_model", "git.visual_projection"
    slots = (
        _vision_slots(encoder, model, names.clip_block)
        | norm(encoder.input_norm, f"{model}.pre_layrnorm")
        | _bert_slots(decoder, "git.embeddings", "git.encoder.layer")
        | linear(decoder.projection, f"{projection}.visual_projection.0")
        | norm(decoder.projection_norm, f"{projection}.visual_projection.1")
        | whole(decoder.output_words, "output.weight")
        | whole(decoder.output_bias, "output.bias")
    )
    return Network(
        encoder,
        decoder,
        slots,
        {},
        (".position_ids",),
        text["bos_token_id"],
        text["eos_token_id"],
        text["pad_token_id"],
        text,
        "CLIP",
    )


def build_vit_gpt2(config: dict) -> Network:
    """Builds a vision Transformer with GPT-2 (Radford et al. 2019) as its decoder."""
    vision = VISION | {"layer_norm_eps": 1e-12} | config["encoder"]
    text = GPT2 | config["decoder"]
    _require(vision, "encoder.", model_type="vit", qkv_bias=True)
    _require(
        text,
        "decoder.",
        model_type="gpt2",
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        n_embd=vision["hidden_size"],
    )
    size, epsilon = text["n_embd"], text["layer_norm_epsilon"]
    encoder = _vision(vision)
    sizes = BlockSizes(
        size,
        text["n_head"],
        text["n_inner"] or 4 * size,
        text["n_layer"],
        True,
        text["activation_function"],
        epsilon,
        vision["hidden_size"],
    )
    decoder = TextDecoder(
        sizes,
        text["vocab_size"],
        text["n_positions"],
        norms_input=False,
        norms_output=True,
        output_bias=False,
    )
    inside, table = "decoder.transformer", "decoder.transformer.wte.weight"
    slots = _vit_slots(encoder, "encoder") | whole(decoder.words, table)
    slots |= whole(decoder.stack.places, f"{inside}.wpe.weight")
    slots |= norm(decoder.stack.output_norm, f"{inside}.ln_f")
    for number, block in enumerate(decoder.stack.blocks):
        slots |= names.gpt2_block(block, f"{inside}.h.{number}")
    ids = text | {k: v for k, v in config.items() if v is not None}
    return Network(
        encoder,
        decoder,
        slots,
        {"decoder.lm_head.weight": table},
        ("encoder.pooler.", ".attn.bias", ".masked_bias", "attention.bias"),
        ids.get("decoder_start_token_id", ids["bos_token_id"]),
        ids["eos_token_id"],
        ids.get("pad_token_id", ids["eos_token_id"]),
        ids,
        "ViT",
    )


FAMILIES: dict[str, Callable[[dict], Network]] = {
    "blip": build_blip,
    "git": build_git,
    "vision-encoder-decoder": build_vit_gpt2,
}


def _vision_slots(encoder: VisionTransformer, name: str, block_slots) -> Slots:
    """BLIP's and CLIP's vision Transformers."""
    inside, size = f"{name}.embeddings", encoder.patch_size
    slots = patches(encoder.patches, size, f"{inside}.patch_embedding")
    if encoder.input_norm is None:  # BLIP
        slots |= whole(encoder.class_token, f"{inside}.class_embedding")
        slots |= whole(encoder.places, f"{inside}.position_embedding")
    else:
        shape = tuple(encoder.class_token.shape[2:])
        slots |= whole(encoder.class_token, f"{inside}.class_embedding", shape)
        shape = tuple(encoder.places.shape[1:])
        slots |= whole(encoder.places, f"{inside}.position_embedding.weight", shape)
    for number, block in enumerate(encoder.blocks):
        slots |= block_slots(block, f"{name}.encoder.layers.{number}")
    return slots | norm(encoder.output_norm, f"{name}.post_layernorm")


def _vit_slots(encoder: VisionTransformer, name: str) -> Slots:
    inside, size = f"{name}.embeddings", encoder.patch_size
    slots = patches(encoder.patches, size, f"{inside}.patch_embeddings.projection")
    slots |= whole(encoder.class_token, f"{inside}.cls_token")
    slots |= whole(encoder.places, f"{inside}.position_embeddings")
    for number, block in enumerate(encoder.blocks):
        slots |= names.vit_block(block, f"{name}.encoder.layer.{number}")
    return slots | norm(encoder.output_norm, f"{name}.layernorm")


def _bert_slots(decoder: TextDecoder, words: str, blocks: str) -> Slots:
    """What BLIP's text decoder and GIT have in common."""
    stack = decoder.stack
    slots = whole(decoder.words, f"{words}.word_embeddings.weight")
    slots |= whole(stack.places, f"{words}.position_embeddings.weight")
    slots |= norm(stack.input_norm, f"{words}.LayerNorm")
    for number, block in enumerate(stack.blocks):
        slots |= names.bert_block(block, f"{blocks}.{number}")
    return slots
