"""Captions photographs and shows, word by word, what the captioner saw.

python explain_image.py photo.jpg
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras starts it

import numpy as np
from tqdm import tqdm

import report
from dataset.images import list_images, load_image
from models import METHODS, Captioner, Explanation, explain, load_captioner

DEFAULT_MODEL = "flickr8k-adaptive-attention"


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Captions photographs and shows what the captioner saw."
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or folder")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or run directory")
    parser.add_argument("--method", choices=[*METHODS, "all"], default="lrp")
    parser.add_argument("--caption", metavar="TEXT", help="explain this text instead")
    parser.add_argument("--words", metavar="WORD,...", help="explain only these")
    parser.add_argument("--contrast", metavar="WORD", help="why not this word?")
    parser.add_argument("--beam-size", type=positive, default=3)
    parser.add_argument("--output", type=Path, default=Path("explanations"))
    return parser.parse_args(argv)


def positive(text: str) -> int:
    """Reads a whole number above 0."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected 1, 2, 3, ...; received {text!r}")
    return int(text)


def image_folders(images: list[str], output: Path) -> Iterator[tuple[Path, Path]]:
    """Yields every image file with the folder of its explanation."""
    taken: set[str] = set()
    for name in images:
        path = Path(name)
        for image in list_images(path) if path.is_dir() else [path]:
            folder, number = image.stem, 2
            while folder in taken:
                folder, number = f"{image.stem}-{number}", number + 1
            taken.add(folder)
            yield image, output / folder


def explain_photo(
    captioner: Captioner, image: np.ndarray, arguments: argparse.Namespace
) -> list[Explanation]:
    """Explains one photo with each of the chosen methods."""
    methods = list(METHODS) if arguments.method == "all" else [arguments.method]
    words = arguments.words.split(",") if arguments.words else None
    caption = arguments.caption
    explanations = []
    for method in methods:
        explanation = explain(
            captioner,
            image,
            method,
            caption,
            words,
            arguments.contrast,
            arguments.beam_size,
        )
        caption = explanation.caption
        explanations.append(explanation)
    return explanations


def write(explanations: list[Explanation], folder: Path) -> list[Path]:
    """Writes the data, the pictures and the report of one photo."""
    paths = []
    for explanation in explanations:
        several = len(explanations) > 1
        paths += explanation.save(folder / explanation.method if several else folder)
    return paths + report.write(explanations, folder)


def explain_photos(
    captioner: Captioner,
    photos: list[tuple[Path, Path]],
    arguments: argparse.Namespace,
) -> tuple[list[Path], list[str]]:
    """Explains every photo that can be; returns the paths written and the problems."""
    paths, cards, problems = [], [], []
    for photo, folder in tqdm(photos, unit="photo", disable=len(photos) == 1):
        try:
            image = load_image(photo)
            explanations = explain_photo(captioner, image, arguments)
        except ValueError as error:
            problems.append(str(error))
            continue
        caption = explanations[0].caption
        tqdm.write(f"{photo}: {caption}", sys.stdout)
        paths += write(explanations, folder)
        cards.append(report.Card(caption, image, f"{folder.name}/report.html"))
    if len(cards) > 1:
        paths.append(report.write_index(arguments.output / "index.html", cards))
    return paths, problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    arguments = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        photos = list(image_folders(arguments.images, arguments.output))
        captioner = load_captioner(arguments.model)
        paths, problems = explain_photos(captioner, photos, arguments)
    except (ValueError, OSError) as error:
        paths, problems = [], [str(error)]
    for path in paths:
        print(path)
    for problem in problems:
        print(f"explain_image.py: {problem}", file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
