"""Captions photographs and shows, word by word, what the captioner saw.

python explain_image.py photo.jpg
"""

import argparse
import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras starts it

import numpy as np
from tqdm import tqdm

import report
from command_line import positive
from dataset.images import ImageError, list_images, load_image
from models import METHODS, Captioner, Explanation, explain, load_captioner
from models.decoder_relevance import contrast_token
from models.explainers import known_tokens

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
    parser.add_argument("--beam-size", type=positive, help="default: the model's own")
    parser.add_argument("--output", type=Path, default=Path("explanations"))
    return parser.parse_args(argv)


def image_folders(
    images: list[str], output: Path
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Returns every image file with the folder of its explanation, and problems."""
    photos, problems = [], []
    taken: set[str] = set()
    for name in images:
        path = Path(name)
        try:
            files = list_images(path) if path.is_dir() else [path]
        except (ImageError, OSError) as error:
            problems.append(str(error))
            continue
        for file in files:
            stem = file.stem.strip(". ") or "photo"
            folder, number = stem, 2
            while folder.casefold() in taken:
                folder, number = f"{stem}-{number}", number + 1
            taken.add(folder.casefold())
            photos.append((file, output / folder))
    return photos, problems


def explain_photo(
    captioner: Captioner, image: np.ndarray, arguments: argparse.Namespace
) -> list[Explanation]:
    """Explains one photo with each of the chosen methods."""
    methods = list(METHODS) if arguments.method == "all" else [arguments.method]
    words = None if arguments.words is None else arguments.words.split(",")
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
    """Writes data, pictures and report of one photo, several methods in subfolders."""
    paths = []
    for explanation in explanations:
        below = folder / explanation.method if len(explanations) > 1 else folder
        paths += explanation.save(below)
        paths += report.write_pictures(explanation, below)
    return [*paths, report.write_report(folder / "report.html", [explanations])]


def check_words(captioner: Captioner, arguments: argparse.Namespace) -> None:
    """Refuses texts that no photo can be explained with."""
    if arguments.caption is not None:
        known_tokens(captioner, arguments.caption)
    if arguments.contrast is not None:
        contrast_token(captioner, arguments.contrast)


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
            paths += write(explanations, folder)
        except (ValueError, OSError) as error:
            named = isinstance(error, ImageError)
            problems.append(str(error) if named else f"{photo}: {error}")
            continue
        caption = explanations[0].caption
        tqdm.write(f"{photo}: {caption}", sys.stdout)
        cards.append(report.Card(caption, image, f"{folder.name}/report.html"))
    if len(cards) > 1:
        paths.append(report.write_index(arguments.output / "index.html", cards))
    return paths, problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    arguments = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    photos, problems = image_folders(arguments.images, arguments.output)
    paths: list[Path] = []
    try:
        captioner = load_captioner(arguments.model)
        check_words(captioner, arguments)
        paths, more = explain_photos(captioner, photos, arguments)
        problems += more
    except (ValueError, OSError) as error:
        problems.append(str(error))
    for path in paths:
        print(path)
    for problem in problems:
        print(f"explain_image.py: {problem}", file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
