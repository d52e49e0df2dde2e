"""Encoders: networks that turn a photograph into a grid of features."""

from models.encoders.applications import (
    CAFFE_MEAN,
    ENCODERS,
    EncoderKind,
    build_encoder,
)
from models.encoders.parts import (
    computing_in,
    cut_layers,
    flatten_grid,
    split_encoder,
    spread,
)
from models.encoders.pixels import preprocess, restore_pixels, swap_colours
from models.encoders.vision_transformer import VisionTransformer, find_transformer

__all__ = [
    "CAFFE_MEAN",
    "ENCODERS",
    "EncoderKind",
    "VisionTransformer",
    "build_encoder",
    "computing_in",
    "cut_layers",
    "find_transformer",
    "flatten_grid",
    "preprocess",
    "restore_pixels",
    "split_encoder",
    "spread",
    "swap_colours",
]
