"""Captions photographs and shows, word by word, what the captioner saw.

python explain_image.py photo.jpg
"""

import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import quiet_start  # noqa: F401
import report
from command_line import (
    WHOLE,
    messages_about,
    print_beside,
    print_paths,
    run_script,
    split_names,
)
from dataset.images import ImageError, Photograph, list_images, open_image
from dataset.progress import progress
from explain_options import ExplainOptions, parse
from files.locks import locked, refuse_same
from files.messages import FileError, WriteError, describe
from files.writing import check_folder
from models import BaseCaptioner, Explanation, explain_each, load_captioner
from models.explainers.choices import choose_methods, choose_ways
from models.explainers.decoder_stage import contrast_token
from models.explainers.difference import check_difference
from models.explainers.explain import known_tokens
from scoring.captioning import fingerprint

INDEX = "index.html"  # in the output, of several photos
Captioners = dict[str, BaseCaptioner]  # by name


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
    """Refuses what no photo can be explained with by a captioner."""
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
    if options.against is not None:
        chosen = (options.words, options.phrases, options.contrast, options.sentence)
        check_difference(methods, *chosen)
        known_tokens(captioner, options.against)


def explain_photos(
    captioners: Captioners,
    pairs: list[tuple[Path, Path]],
    options: ExplainOptions,
) -> tuple[list[Path], list[str]]:
    """Explains every photo that can be; returns the paths written and the problems."""
    paths, problems, num_explained = [], [], 0
    weights = ",".join(map(fingerprint, captioners.values()))
    explain = functools.partial(explain_photo, captioners, weights, options)
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
    captioners: Captioners,
    weights: str,
    options: ExplainOptions,
    photo: Path,
    folder: Path,
) -> tuple[str, list[Path]]:
    """Explains a photo unless it is to be resumed and is whole; returns its caption.

    Args:
        captioners: Describe the photo, and are explained.
        weights: Identifies the captioners.
        options: Say how.
        photo: The file.
        folder: Of its explanations.
    """
    image = open_image(photo)
    settings = options.settings_of(photo, next(iter(captioners.values())), weights)
    if options.resume:
        caption = report.finished_caption(folder, settings, str(photo))
        if caption is not None:
            return caption, []
    found = {
        name: explain_by(captioner, image, options)
        for name, captioner in captioners.items()
    }
    with locked(folder, is_folder=True):
        paths = report.write_photo(
            folder, found, settings, options.look, options.figure_format
        )
    return report.joined_captions(found.values()), paths


def explain_by(
    captioner: BaseCaptioner, image: Photograph, options: ExplainOptions
) -> list[Explanation]:
    """Explains a photo by one captioner with every method."""
    return explain_each(
        captioner,
        image,
        choose_methods(options.method, captioner),
        options.caption,
        split_names(options.words),
        options.contrast,
        options.beam_size,
        options.lrp_preset,
        options.decoder_rules,
        options.precision,
        split_names(options.phrases),
        options.sentence,
        options.against,
    )


def run(options: ExplainOptions) -> Iterator[str]:
    """Explains the photos and prints the paths written; yields the problems."""
    photos, problems = list_photos(options.images)
    yield from problems
    pairs = name_pairs(photos, options)
    check_folder(options.output)
    captioners = {name: load_captioner(name) for name in options.models}
    for captioner in captioners.values():
        check_options(captioner, options)
    paths, problems = explain_photos(captioners, pairs, options)
    print_paths(*paths)
    yield from problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("explain_image.py", lambda: run(parse(argv, __doc__)))


if __name__ == "__main__":
    sys.exit(main())
