"""The published names of the arrays of a block, by the library's kinds of blocks."""

from models.published.slots import Slots, convolved, fused, linear, norm
from models.transformer import Block, MultiHeadAttention


def bert_block(block: Block, name: str) -> Slots:
    """BERT's: BLIP's text decoder and GIT."""
    slots = _bert_attention(block.attention, f"{name}.attention")
    slots |= norm(block.attention_norm, f"{name}.attention.output.LayerNorm")
    if block.cross is not None:
        slots |= _bert_attention(block.cross, f"{name}.crossattention")
        slots |= norm(block.cross_norm, f"{name}.crossattention.output.LayerNorm")
    return (
        slots
        | linear(block.inner, f"{name}.intermediate.dense")
        | linear(block.outer, f"{name}.output.dense")
        | norm(block.outer_norm, f"{name}.output.LayerNorm")
    )


def _bert_attention(attention: MultiHeadAttention, name: str) -> Slots:
    return (
        linear(attention.query, f"{name}.self.query")
        | linear(attention.key, f"{name}.self.key")
        | linear(attention.value, f"{name}.self.value")
        | linear(attention.mixed, f"{name}.output.dense")
    )


def blip_vision_block(block: Block, name: str) -> Slots:
    """BLIP's vision Transformer, with queries, keys and values in one layer."""
    attention = block.attention
    parts = [attention.query, attention.key, attention.value]
    return (
        fused(parts, f"{name}.self_attn.qkv")
        | linear(attention.mixed, f"{name}.self_attn.projection")
        | _clip_rest(block, name)
    )


def clip_block(block: Block, name: str) -> Slots:
    """CLIP's: GIT's vision Transformer."""
    attention = block.attention
    return (
        linear(attention.query, f"{name}.self_attn.q_proj")
        | linear(attention.key, f"{name}.self_attn.k_proj")
        | linear(attention.value, f"{name}.self_attn.v_proj")
        | linear(attention.mixed, f"{name}.self_attn.out_proj")
        | _clip_rest(block, name)
    )


def _clip_rest(block: Block, name: str) -> Slots:
    return (
        norm(block.attention_norm, f"{name}.layer_norm1")
        | norm(block.outer_norm, f"{name}.layer_norm2")
        | linear(block.inner, f"{name}.mlp.fc1")
        | linear(block.outer, f"{name}.mlp.fc2")
    )


def vit_block(block: Block, name: str) -> Slots:
    """The plain vision Transformer's."""
    attention, inside = block.attention, f"{name}.attention.attention"
    return (
        linear(attention.query, f"{inside}.query")
        | linear(attention.key, f"{inside}.key")
        | linear(attention.value, f"{inside}.value")
        | linear(attention.mixed, f"{name}.attention.output.dense")
        | norm(block.attention_norm, f"{name}.layernorm_before")
        | norm(block.outer_norm, f"{name}.layernorm_after")
        | linear(block.inner, f"{name}.intermediate.dense")
        | linear(block.outer, f"{name}.output.dense")
    )


def gpt2_block(block: Block, name: str) -> Slots:
    """GPT-2's, with cross-attention."""
    own, cross = block.attention, block.cross
    return (
        convolved([own.query, own.key, own.value], f"{name}.attn.c_attn")
        | convolved([own.mixed], f"{name}.attn.c_proj")
        | convolved([cross.query], f"{name}.crossattention.q_attn")
        | convolved([cross.key, cross.value], f"{name}.crossattention.c_attn")
        | convolved([cross.mixed], f"{name}.crossattention.c_proj")
        | norm(block.attention_norm, f"{name}.ln_1")
        | norm(block.cross_norm, f"{name}.ln_cross_attn")
        | norm(block.outer_norm, f"{name}.ln_2")
        | convolved([block.inner], f"{name}.mlp.c_fc")
        | convolved([block.outer], f"{name}.mlp.c_proj")
    )
