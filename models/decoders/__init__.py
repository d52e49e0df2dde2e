"""Decoders: networks that write a caption word by word from a grid of features."""

from models.decoders.adaptive_attention import AdaptiveAttentionDecoder
from models.decoders.grid_td import GridTDDecoder

DECODERS = {"adaptive_attention": AdaptiveAttentionDecoder, "grid_td": GridTDDecoder}
