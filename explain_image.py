"""Captions photographs and shows, word by word, what the captioner saw.

python explain_image.py photo.jpg
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras starts it

from tqdm import tqdm

import report
from command_line import WHOLE, part, positive, run_script
from dataset.images import ImageError, list_images, load_image
from models import LRP_PRESETS, METHODS, Captioner, explain_each, load_captioner
from models.explainers.decoder_stage import contrast_token
from models.explainers.explain import known_tokens
from models.explainers.methods import EXTRAS, LRP_PRESET, choose_methods

DEFAULT_MODEL = "flickr8k-adaptive-attention"
SETTINGS = "model method lrp_preset caption words contrast beam_size"


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Captions photographs and shows what the captioner saw."
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or folder")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or run directory")
    parser.add_argument(
        "--method",
        choices=[*METHODS, "all"],
        default="lrp",
        help=f"all: every one but {' and '.join(EXTRAS)}",
    )
    parser.add_argument("--caption", metavar="TEXT", help="explain this text instead")
    parser.add_argument("--words", metavar="WORD,...", help="explain only these")
    parser.add_argument("--contrast", metavar="WORD", help="why not this word?")
    parser.add_argument("--beam-size", type=positive, help="default: the model's own")
    parser.add_argument(
        "--lrp-preset",
        choices=LRP_PRESETS,
        default=LRP_PRESET,
        help="the encoder's rules in the method lrp",
    )
    parser.add_argument(
        "--resume", action="store_true", help="skip photos explained the same way"
    )
    parser.add_argument(
        "--shard",
        type=part,
        default=WHOLE,
        metavar="INDEX/COUNT",
        help="only a part of the photos; the whole with --resume then adds the index",
    )
    parser.add_argument("--output", type=Path, default=Path("explanations"))
    return parser.parse_args(argv)


def list_photos(images: list[str]) -> tuple[list[Path], list[str]]:
    """Returns the image files, those of folders too, and the problems."""
    photos, problems = [], []
    for path in map(Path, images):
        try:
            photos += list_images(path) if path.is_dir() else [path]
        except (ImageError, OSError) as error:
            problems.append(str(error))
    return photos, problems


def check_words(captioner: Captioner, arguments: argparse.Namespace) -> None:
    """Refuses texts that no photo can be explained with."""
    if arguments.caption is not None:
        known_tokens(captioner, arguments.caption)
    if arguments.contrast is not None:
        contrast_token(captioner, arguments.contrast)


def explain_photos(
    captioner: Captioner,
    photos: list[Path],
    arguments: argparse.Namespace,
) -> tuple[list[Path], list[str]]:
    """Explains every photo that can be; returns the paths written and the problems."""
    paths, cards, problems = [], [], []
    folders = report.name_folders(photos, arguments.output)
    pairs = arguments.shard.of(list(zip(photos, folders, strict=True)))
    progress = tqdm(pairs, unit="photo", disable=len(pairs) == 1)
    for photo, folder in progress:
        try:
            caption, written = explain_photo(captioner, photo, folder, arguments)
        except (ValueError, OSError) as error:
            named = isinstance(error, ImageError)
            problems.append(str(error) if named else f"{photo}: {error}")
            continue
        paths += written
        tqdm.write(f"{photo}: {caption}", sys.stdout)
        cards.append(report.Card(caption, folder.name))
    if len(cards) > 1 and arguments.shard == WHOLE:
        paths.append(report.write_index(arguments.output / "index.html", cards))
    return paths, problems


def explain_photo(
    captioner: Captioner, photo: Path, folder: Path, arguments: argparse.Namespace
) -> tuple[str, list[Path]]:
    """Explains a photo unless it is to be resumed and is whole; returns its caption."""
    image = load_image(photo)
    chosen = {name: getattr(arguments, name) for name in SETTINGS.split()}
    settings = chosen | {"photo": str(photo), "bytes": photo.stat().st_size}
    caption = report.finished_caption(folder, settings)
    if arguments.resume and caption is not None:
        return caption, []
    explanations = explain_each(
        captioner,
        image,
        choose_methods(arguments.method, captioner),
        arguments.caption,
        None if arguments.words is None else arguments.words.split(","),
        arguments.contrast,
        arguments.beam_size,
        arguments.lrp_preset,
    )
    paths = report.write_photo(folder, explanations, settings)
    return explanations[0].caption, paths


def run(arguments: argparse.Namespace) -> Iterator[str]:
    """Explains the photos and prints the paths written; yields the problems."""
    photos, problems = list_photos(arguments.images)
    yield from problems
    captioner = load_captioner(arguments.model)
    check_words(captioner, arguments)
    paths, problems = explain_photos(captioner, photos, arguments)
    for path in paths:
        print(path)
    yield from problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("explain_image.py", lambda: run(parse(argv)), resumes=True)


if __name__ == "__main__":
    sys.exit(main())
