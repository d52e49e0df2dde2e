"""Draws what a real classifier saw in photographs, under every preset of `keras_lrp`.

    python -m experiments.presets --weights FILE.npz --images DIR --output presets.png

The classifier is EfficientNet-Lite2, whose weights `models.encoders.efficientnet_lite`
reads: batch-norms, depthwise convolutions and residual sums, where VGG16 has none. Each
photograph's likeliest class is explained. Below the presets stands how much of the
relevance the biases take, on average over the photographs.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import quiet_start  # noqa: F401
from command_line import (
    ANEW,
    fill_options,
    make_parser,
    positive,
    print_paths,
    run_script,
)
from dataset.images import list_images, load_image
from files.writing import write_whole
from keras_lrp import LRP, PRESETS, Gradient
from models.encoders import preprocess
from models.encoders.efficientnet_lite import build_efficientnet_lite2
from report.canvas import png
from report.grid_figure import grid_figure
from report.overlays import heatmaps, overlay

KIND = "efficientnet_lite2"


@dataclass(frozen=True)
class PresetOptions:
    """What is drawn.

    Attributes:
        weights: Of EfficientNet-Lite2, see `build_efficientnet_lite2`.
        images: The folder of photographs.
        output: The picture to write; ends in .png.
        limit: Of the photographs.
        presets: Keys of PRESETS.
    """

    weights: Path
    images: Path
    output: Path
    limit: int = 10
    presets: tuple[str, ...] = tuple(PRESETS)


def parse(argv: Sequence[str] | None) -> PresetOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m experiments.presets")
    add = parser.add_argument
    add(
        "--weights",
        type=Path,
        required=True,
        metavar="FILE.npz",
        help="weights of EfficientNet-Lite2",
    )
    add("--images", type=Path, required=True, metavar="DIR", help="folder of photos")
    add("--output", type=Path, required=True, metavar="FILE.png", help="the figure")
    add("--limit", type=positive, default=10, metavar="N", help="only the first photos")
    names = list(PRESETS)
    add("--presets", nargs="+", choices=names, default=names, help="presets to compare")
    return fill_options(PresetOptions, parser.parse_args(argv))


def draw(options: PresetOptions) -> Path:
    """Explains the photographs and draws them; returns the picture's path."""
    paths = list_images(options.images)[: options.limit]
    photos = np.stack([load_image(path) for path in paths])  # (B, H, W, 3)
    shape = photos.shape[1:]
    model = build_efficientnet_lite2(weights=options.weights, input_shape=shape)
    images = preprocess(photos, KIND)
    found = {
        preset: np.asarray(LRP(model, preset)(images))[:, 0]
        for preset in options.presets
    }
    scores = np.asarray(model(images))
    figure = picture(photos, found, scores)
    return write_whole(options.output, png(figure))


def picture(photos: np.ndarray, found: dict[str, np.ndarray], scores: np.ndarray):
    """Draws a row for each photograph and a column for each preset.

    Args:
        photos: uint8 RGB (B, H, W, 3).
        found: Relevance of the pixels by preset, (B, H, W, 3) each.
        scores: Of the classes (B, C).
    """
    best = scores.argmax(1)
    labels = [
        f"class {one}, p {row[one]:.2f}" for one, row in zip(best, scores, strict=True)
    ]
    columns = [list(photos)]
    for pixels in found.values():
        pairs = zip(photos, heatmaps(pixels), strict=True)
        columns.append([overlay(photo, heat) for photo, heat in pairs])
    headings = [("photo", ""), *(heading(*one) for one in found.items())]
    return grid_figure(headings, list(zip(*columns, strict=True)), labels)


def heading(preset: str, pixels: np.ndarray) -> tuple[str, str]:
    """Says how much of the relevance reaches the pixels (B, H, W, 3)."""
    if PRESETS[preset]["convolution"] == Gradient():
        return preset, "the logit's derivative"
    return preset, f"of 1 arrives {pixels.sum((1, 2, 3)).mean():.2f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("presets", lambda: print_paths(draw(parse(argv))), ANEW)


if __name__ == "__main__":
    sys.exit(main())
