"""Captions photographs and shows, word by word, what the captioner saw.

python explain_image.py photo.jpg
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

import quiet_start  # noqa: F401
import report
from command_line import WHOLE, Part, fill_options, part, positive, run_script
from dataset.images import ImageError, list_images, load_image
from models import LRP_PRESETS, METHODS, Captioner, explain_each, load_captioner
from models.explainers.decoder_stage import contrast_token
from models.explainers.explain import known_tokens
from models.explainers.methods import EXTRAS, LRP_PRESET, choose_methods

DEFAULT_MODEL = "flickr8k-adaptive-attention"


@dataclass(frozen=True)
class ExplainOptions:
    """Which photos are explained, and how.

    Attributes:
        images: Files and folders.
        model: The captioner, see `load_captioner`.
        method: A name from METHODS, or "all"; see `choose_methods`.
        lrp_preset: The encoder's rules in the method lrp.
        caption: The text to explain; the captioner's own if None.
        words: These of it, separated by commas; all if None.
        contrast: The word that each is compared with, if any.
        beam_size: Of the search; the captioner's own if None.
        resume: Whether to leave photos alone that are explained the same way.
        shard: The part of the photos that is explained.
        output: The folder to write.
    """

    images: tuple[str, ...]
    model: str = DEFAULT_MODEL
    method: str = "lrp"
    lrp_preset: str = LRP_PRESET
    caption: str | None = None
    words: str | None = None
    contrast: str | None = None
    beam_size: int | None = None
    resume: bool = False
    shard: Part = WHOLE
    output: Path = Path("explanations")

    def settings_of(self, photo: Path) -> dict:
        """Returns what the explanations of a photo depend on, as JSON keeps it."""
        return {
            "model": self.model,
            "method": self.method,
            "lrp_preset": self.lrp_preset,
            "caption": self.caption,
            "words": self.words,
            "contrast": self.contrast,
            "beam_size": self.beam_size,
            "photo": str(photo),
            "bytes": photo.stat().st_size,
        }


def parse(argv: list[str] | None) -> ExplainOptions:
    """Reads the command line."""
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
    return fill_options(ExplainOptions, parser.parse_args(argv))


def list_photos(images: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Returns the image files, those of folders too, and the problems."""
    photos, problems = [], []
    for path in map(Path, images):
        try:
            photos += list_images(path) if path.is_dir() else [path]
        except (ImageError, OSError) as error:
            problems.append(str(error))
    return photos, problems


def check_words(captioner: Captioner, options: ExplainOptions) -> None:
    """Refuses texts that no photo can be explained with."""
    if options.caption is not None:
        known_tokens(captioner, options.caption)
    if options.contrast is not None:
        contrast_token(captioner, options.contrast)


def explain_photos(
    captioner: Captioner,
    photos: list[Path],
    options: ExplainOptions,
) -> tuple[list[Path], list[str]]:
    """Explains every photo that can be; returns the paths written and the problems."""
    paths, cards, problems = [], [], []
    folders = report.name_folders(photos, options.output)
    pairs = options.shard.of(list(zip(photos, folders, strict=True)))
    progress = tqdm(pairs, unit="photo", disable=len(pairs) == 1)
    for photo, folder in progress:
        try:
            caption, written = explain_photo(captioner, photo, folder, options)
        except (ValueError, OSError) as error:
            named = isinstance(error, ImageError)
            problems.append(str(error) if named else f"{photo}: {error}")
            continue
        paths += written
        tqdm.write(f"{photo}: {caption}", sys.stdout)
        cards.append(report.Card(caption, folder.name))
    if len(cards) > 1 and options.shard == WHOLE:
        paths.append(report.write_index(options.output / "index.html", cards))
    return paths, problems


def explain_photo(
    captioner: Captioner, photo: Path, folder: Path, options: ExplainOptions
) -> tuple[str, list[Path]]:
    """Explains a photo unless it is to be resumed and is whole; returns its caption."""
    image = load_image(photo)
    settings = options.settings_of(photo)
    caption = report.finished_caption(folder, settings)
    if options.resume and caption is not None:
        return caption, []
    explanations = explain_each(
        captioner,
        image,
        choose_methods(options.method, captioner),
        options.caption,
        None if options.words is None else options.words.split(","),
        options.contrast,
        options.beam_size,
        options.lrp_preset,
    )
    paths = report.write_photo(folder, explanations, settings)
    return explanations[0].caption, paths


def run(options: ExplainOptions) -> Iterator[str]:
    """Explains the photos and prints the paths written; yields the problems."""
    photos, problems = list_photos(options.images)
    yield from problems
    captioner = load_captioner(options.model)
    check_words(captioner, options)
    paths, problems = explain_photos(captioner, photos, options)
    for path in paths:
        print(path)
    yield from problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("explain_image.py", lambda: run(parse(argv)), resumes=True)


if __name__ == "__main__":
    sys.exit(main())
