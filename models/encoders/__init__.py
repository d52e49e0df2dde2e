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
)
from models.encoders.pixels import preprocess, restore_pixels, swap_colours

__all__ = [
    "CAFFE_MEAN",
    "ENCODERS",
    "EncoderKind",
    "build_encoder",
    "computing_in",
    "cut_layers",
    "flatten_grid",
    "preprocess",
    "restore_pixels",
    "split_encoder",
    "swap_colours",
]
