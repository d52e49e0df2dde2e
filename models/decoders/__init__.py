"""Decoders: networks that write a caption word by word from a grid of features."""

from models.decoders.adaptive_attention import AdaptiveAttentionDecoder
from models.decoders.decoder import Decoder, DecoderOutput, Reading, select, total
from models.decoders.grid_td import GridTDDecoder
from models.decoders.transformer import TransformerDecoder

DECODERS: dict[str, type[Decoder]] = {
    "adaptive_attention": AdaptiveAttentionDecoder,
    "grid_td": GridTDDecoder,
    "transformer": TransformerDecoder,
}

__all__ = [
    "DECODERS",
    "Decoder",
    "DecoderOutput",
    "Reading",
    "select",
    "total",
]
