"""Transformers: attention and blocks, written once for encoders and decoders."""

from models.transformer.attention import KeysValues, MultiHeadAttention
from models.transformer.block import ACTIVATIONS, Block, BlockSizes
from models.transformer.stack import Stack, StackReading

__all__ = [
    "ACTIVATIONS",
    "Block",
    "BlockSizes",
    "KeysValues",
    "MultiHeadAttention",
    "Stack",
    "StackReading",
]
