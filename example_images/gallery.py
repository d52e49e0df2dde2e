"""Makes the pictures and the report of docs/ again, from the example images.

    python -m example_images.gallery --output docs

The screenshots are made of them by `tests/picture_pages.py`.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import quiet_start  # noqa: F401
from command_line import ANEW, make_parser, print_paths, run_script
from example_images.__main__ import PHOTOGRAPHS
from files.pictures import shrunk
from files.writing import write_whole
from models import explain_each, load_captioner
from report import (
    heatmap_figure,
    method_figure,
    word_relevance_figure,
    write_report,
)
from report.canvas import png

HERE = Path(__file__).parent
FLICKR, TRANSFORMER = "flickr8k-adaptive-attention", "flickr8k-transformer"
SCENES = "scenes-adaptive-attention"
LONGEST_SIDE = 1000  # pixels of a picture
METHODS = ("lrp", "gradient_x_input", "guided_grad_cam", "grad_cam", "attention")
Draw = Callable[..., Figure]


def _heatmaps(explanations, captioner: str) -> Figure:
    return heatmap_figure(explanations[0], captioner)


def _words(explanations, captioner: str) -> Figure:
    return word_relevance_figure(explanations[0])


def _methods(explanations, captioner: str) -> Figure:
    return method_figure(explanations, explanations[0].words)


@dataclass(frozen=True)
class Exhibit:
    """What is made of an example image.

    Attributes:
        image: Its name.
        captioner: Of those shipped.
        methods: Explain the caption.
        how: Other arguments of `explain`.
        draw: Makes the figure; None: the report.
    """

    image: str
    captioner: str
    methods: tuple[str, ...] = ("lrp",)
    how: Mapping = field(default_factory=dict)
    draw: Draw | None = _heatmaps


EXHIBITS = {  # by the file
    "heatmaps.png": Exhibit("photographer", FLICKR),
    "report.html": Exhibit("photographer", FLICKR, ("lrp", "grad_cam"), draw=None),
    "gallery/methods.png": Exhibit(
        *("photographer", FLICKR, METHODS, {"words": ["man", "shirt", "bench"]}),
        draw=_methods,
    ),
    "gallery/words.png": Exhibit("photographer", FLICKR, draw=_words),
    "gallery/transformer.png": Exhibit("photographer", TRANSFORMER),
    "gallery/cat.png": Exhibit("cat", FLICKR),
    "gallery/beach.png": Exhibit("beach", SCENES),
    "gallery/phrases.png": Exhibit(
        *("lawn", SCENES),
        how={"phrases": ["a house", "a car", "a kite", "the lawn"]},
    ),
    "gallery/against.png": Exhibit(
        *("snow", SCENES), how={"against": "a boat and a kite on the snow"}
    ),
}


def open_example(name: str) -> Image.Image:
    """Returns an example image."""
    for photographs in PHOTOGRAPHS.values():
        if name in photographs:
            return Image.fromarray(photographs[name]()).convert("RGB")
    return Image.open(HERE / f"{name}.png")


def make(exhibit: Exhibit, path: Path) -> Path:
    """Explains an example image, and writes what is made of it."""
    captioner = load_captioner(exhibit.captioner)
    image = open_example(exhibit.image)
    found = explain_each(captioner, image, exhibit.methods, **exhibit.how)
    if exhibit.draw is None:
        return write_report(path, [found], exhibit.captioner)
    return write_whole(path, small_png(exhibit.draw(found, exhibit.captioner)))


def small_png(figure: Figure) -> bytes:
    """Encodes a figure as a page of documentation shows it."""
    picture = np.asarray(Image.open(BytesIO(png(figure))).convert("RGB"))
    small, file = Image.fromarray(shrunk(picture, LONGEST_SIDE)), BytesIO()
    small.save(file, format="PNG", optimize=True)
    return file.getvalue()


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    parser = make_parser(__doc__, "python -m example_images.gallery")
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    add(
        "--only",
        nargs="+",
        choices=EXHIBITS,
        default=list(EXHIBITS),
        metavar="FILE",
        help=f"some of them: {', '.join(EXHIBITS)}",
    )
    options = parser.parse_args(argv)
    work = partial(_make_all, options.only, options.output)
    return run_script("gallery", lambda: print_paths(*work()), ANEW)


def _make_all(names: list[str], output: Path) -> list[Path]:
    return [make(EXHIBITS[name], output / name) for name in names]


if __name__ == "__main__":
    sys.exit(main())
