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
from report.canvas import QUIET, blank_page, png, show_at, shrink, text_at
from report.overlays import heatmaps, overlay

KIND = "efficientnet_lite2"
TILE, GAP, MARGIN, LABEL = 1.3, 0.06, 0.3, 0.5  # inches


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
    width = 2 * MARGIN + (len(found) + 1) * (TILE + GAP) - GAP
    height = 2 * MARGIN + LABEL + len(photos) * (TILE + GAP)
    figure = blank_page(width, height)
    for column, (preset, pixels) in enumerate(found.items(), start=1):
        left = MARGIN + column * (TILE + GAP)
        top = height - MARGIN - LABEL
        name = text_at(figure, left, top + 0.24, preset, size=10, weight="bold")
        shrink(figure, name, TILE)
        taken = f"of 1 arrives {pixels.sum((1, 2, 3)).mean():.2f}"
        if PRESETS[preset]["convolution"] == Gradient():
            taken = "the logit's derivative"
        text_at(figure, left, top + 0.08, taken, size=8, color=QUIET)
        for row, heat in enumerate(heatmaps(pixels)):
            bottom = top - (row + 1) * (TILE + GAP) + GAP
            show_at(figure, overlay(photos[row], heat), left, bottom, (TILE, TILE))
    for row, photo in enumerate(photos):
        bottom = height - MARGIN - LABEL - (row + 1) * (TILE + GAP) + GAP
        show_at(figure, photo, MARGIN, bottom, (TILE, TILE))
        best = int(scores[row].argmax())
        label = f"class {best}, p {scores[row, best]:.2f}"
        style = {"size": 7, "color": "white", "backgroundcolor": "#00000080"}
        text_at(figure, MARGIN + 0.05, bottom + 0.06, label, **style)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("presets", lambda: print_paths(draw(parse(argv))), ANEW)


if __name__ == "__main__":
    sys.exit(main())
