"""Captions photographs and shows, word by word, what the captioner saw.

python explain_image.py photo.jpg
"""

import functools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import quiet_start  # noqa: F401
import report
from command_line import (
    DEFAULT_MODEL,
    MODEL_HELP,
    WHOLE,
    Part,
    add_existing_options,
    fill_options,
    make_parser,
    messages_about,
    part,
    positive,
    print_beside,
    print_paths,
    run_script,
    some_words,
    split_names,
)
from dataset.images import ImageError, list_images
from dataset.progress import progress
from files.locks import locked, refuse_same
from files.messages import FileError, WriteError, describe
from files.reading import file_hash
from files.writing import check_folder
from models import BaseCaptioner, explain_each, load_captioner
from models.explainers.choices import choose_methods, choose_ways
from models.explainers.decoder_stage import contrast_token
from models.explainers.explain import known_tokens
from models.explainers.explanation import PRECISION
from models.explainers.rules import choose_rules
from models.run_files import model_name
from scoring.captioning import fingerprint
from scoring.options import add_method_option, add_rule_options, way_settings

INDEX = "index.html"  # in the output, of several photos


@dataclass(frozen=True)
class ExplainOptions:
    """Which photos are explained, and how.

    Attributes:
        images: Files and folders.
        model: The captioner, see `load_captioner`.
        method: Names from METHODS separated by commas, or "all"; see
            `choose_methods`.
        lrp_preset: The encoder's rules in the method lrp; None for its own.
        decoder_rules: The decoder's rules in LRP; None for its own.
        precision: Of the way back through the encoder.
        caption: The text to explain; the captioner's own if None.
        words: These of it, separated by commas; all if None. Those that it lacks are
            left out.
        contrast: The word that each is compared with, if any.
        beam_size: Of the search; the captioner's own if None.
        resume: Whether to leave photos alone that are explained the same way.
        overwrite: Whether to replace earlier explanations of the photos.
        shard: The part of the photos that is explained.
        note: A sentence to show below the captions, if any.
        output: The folder to write.
    """

    images: tuple[Path, ...]
    model: str = DEFAULT_MODEL
    method: str = "lrp"
    lrp_preset: str | None = None
    decoder_rules: str | None = None
    precision: str = PRECISION
    caption: str | None = None
    words: str | None = None
    contrast: str | None = None
    beam_size: int | None = None
    resume: bool = False
    overwrite: bool = False
    shard: Part = WHOLE
    note: str | None = None
    output: Path = Path("explanations")

    def settings_of(self, photo: Path, captioner: BaseCaptioner, weights: str) -> dict:
        """Returns what the explanations of a photo depend on, as JSON keeps it.

        Args:
            photo: The file.
            captioner: Is explained.
            weights: Identifies the captioner, see `fingerprint`.
        """
        rules = choose_rules(captioner, self.lrp_preset, self.decoder_rules)
        return {
            "model": model_name(self.model),
            "weights": weights,
            "method": self.method,
            "lrp_preset": rules.encoder,
            **way_settings(rules, self.precision),
            "caption": self.caption,
            "words": self.words,
            "contrast": self.contrast,
            "beam_size": self.beam_size,
            **({} if self.note is None else {"note": self.note}),
            "photo": report.place_of(photo, self.output),
            "bytes": photo.stat().st_size,
            "content": file_hash(photo)[:16],
        }


def parse(argv: list[str] | None) -> ExplainOptions:
    """Reads the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="a file, or a folder: the images in it, without its subfolders",
    )
    add("--model", default=DEFAULT_MODEL, help=MODEL_HELP)
    add_method_option(parser, "method", "lrp")
    add("--caption", metavar="TEXT", help="explain this text, not the captioner's own")
    add(
        "--words",
        type=some_words,
        metavar="WORD,...",
        help="explain only these words; those that a caption lacks are named",
    )
    add("--contrast", metavar="WORD", help="explain why each word and not this one")
    add(
        "--beam-size",
        type=positive,
        metavar="N",
        help="beam size of the search; default: the model's own",
    )
    add_rule_options(parser)
    add("--note", metavar="TEXT", help="a sentence to show below the captions")
    add(
        "--output",
        type=Path,
        default=Path("explanations"),
        metavar="DIR",
        help="a folder; each photo gets its own in it",
    )
    add(
        "--shard",
        type=part,
        default=WHOLE,
        metavar="INDEX/COUNT",
        help="only a part of the photos; the whole with --resume then adds the index",
    )
    add_existing_options(
        parser,
        "skip photos explained the same way, explain the others",
        "replace earlier explanations of these photos",
    )
    return fill_options(ExplainOptions, parser.parse_args(argv))


def list_photos(images: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Returns the image files, those of folders too, and the problems."""
    photos, problems = [], []
    for path in images:
        try:
            photos += list_images(path) if path.is_dir() else [path]
        except (ImageError, OSError) as error:
            problems.append(str(error))
    return list(dict.fromkeys(photos)), problems


def name_pairs(
    photos: Sequence[Path], options: ExplainOptions
) -> list[tuple[Path, Path]]:
    """Returns the photos of the shard, each with its folder.

    Raises:
        ValueError: One was explained before, and may be neither kept nor replaced.
    """
    folders = report.name_folders(photos, options.output, taken=[INDEX])
    for photo, folder in zip(photos, folders, strict=True):
        refuse_same([photo], folder, is_folder=True)
    pairs = options.shard.of(list(zip(photos, folders, strict=True)))
    written = [folder for _, folder in pairs]
    is_new = not report.list_cards(options.output)
    if len(pairs) > 1 and is_new and options.shard == WHOLE:
        written.append(options.output / INDEX)
    found = [] if options.resume or options.overwrite else report.in_use(written)
    if found:
        more = f", as do {len(found) - 1} more" if found[1:] else ""
        raise ValueError(
            f"{found[0]} exists already{more}. Explain what is not yet (--resume), "
            "replace it (--overwrite) or name another folder (--output)."
        )
    return pairs


def check_options(captioner: BaseCaptioner, options: ExplainOptions) -> None:
    """Refuses what no photo can be explained with."""
    methods = choose_methods(options.method, captioner)
    choose_ways(
        captioner,
        methods,
        options.lrp_preset,
        options.decoder_rules,
        options.precision,
    )
    if options.caption is not None:
        known_tokens(captioner, options.caption)
    if options.contrast is not None:
        contrast_token(captioner, options.contrast)


def explain_photos(
    captioner: BaseCaptioner,
    pairs: list[tuple[Path, Path]],
    options: ExplainOptions,
) -> tuple[list[Path], list[str]]:
    """Explains every photo that can be; returns the paths written and the problems."""
    paths, problems, num_explained = [], [], 0
    explain = functools.partial(
        explain_photo, captioner, fingerprint(captioner), options
    )
    for photo, folder in progress(pairs, unit="photo", disable=len(pairs) == 1 or None):
        try:
            with messages_about(photo):
                caption, written = explain(photo, folder)
        except (ValueError, OSError) as error:
            named = isinstance(error, (ImageError, FileError, WriteError))
            problems.append(str(error) if named else f"{photo}: {describe(error)}")
            continue
        paths += written
        num_explained += 1
        print_beside(f"{photo}: {caption}")
    cards = report.list_cards(options.output)
    if num_explained and len(cards) > 1 and options.shard == WHOLE:
        paths.append(report.write_index(options.output / INDEX, cards))
    return paths, problems


def explain_photo(
    captioner: BaseCaptioner,
    weights: str,
    options: ExplainOptions,
    photo: Path,
    folder: Path,
) -> tuple[str, list[Path]]:
    """Explains a photo unless it is to be resumed and is whole; returns its caption.

    Args:
        captioner: Describes the photo, and is explained.
        weights: Identifies the captioner.
        options: Say how.
        photo: The file.
        folder: Of its explanations.
    """
    image = captioner.load_photo(photo)
    settings = options.settings_of(photo, captioner, weights)
    if options.resume:
        caption = report.finished_caption(folder, settings, str(photo))
        if caption is not None:
            return caption, []
    explanations = explain_each(
        captioner,
        image,
        choose_methods(options.method, captioner),
        options.caption,
        None if options.words is None else split_names(options.words),
        options.contrast,
        options.beam_size,
        options.lrp_preset,
        options.decoder_rules,
        options.precision,
    )
    with locked(folder, is_folder=True):
        paths = report.write_photo(folder, explanations, settings)
    return explanations[0].caption, paths


def run(options: ExplainOptions) -> Iterator[str]:
    """Explains the photos and prints the paths written; yields the problems."""
    photos, problems = list_photos(options.images)
    yield from problems
    pairs = name_pairs(photos, options)
    check_folder(options.output)
    captioner = load_captioner(options.model)
    check_options(captioner, options)
    paths, problems = explain_photos(captioner, pairs, options)
    print_paths(*paths)
    yield from problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("explain_image.py", lambda: run(parse(argv)))


if __name__ == "__main__":
    sys.exit(main())
