"""Checks a dataset before anything is computed, and prints what a paper would.

python -m dataset.check --dataset coco2017 --data-dir DIR
"""

import functools
import itertools
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from command_line import ANEW, make_parser, run_script
from dataset import DATASETS, CaptionedImage
from dataset.images import ImageError, load_image
from dataset.problems import DatasetError, Problem, all_of
from dataset.progress import progress
from dataset.splits import SPLITS
from dataset.vocabulary import Vocabulary, split_words
from dataset.words import lacks_blanks
from files.messages import printable

Splits = Mapping[str, Sequence[CaptionedImage]]


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("dataset.check", lambda: check(argv), ANEW)


def check(argv: list[str] | None) -> list[str]:
    """Checks and prints; returns the problem in one line, if there is one."""
    parser = make_parser(__doc__, "python -m dataset.check")
    add = parser.add_argument
    add("--dataset", choices=DATASETS, required=True, help="layout to expect")
    add(
        "--data-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the dataset's folder",
    )
    add("--splits", nargs="+", choices=SPLITS, default=SPLITS, help="splits to check")
    parser.add_argument("--objects", action="store_true", help="check boxes too")
    parser.add_argument("--decode", action="store_true", help="open every image")
    arguments = parser.parse_args(argv)
    try:
        splits = read_splits(
            arguments.dataset, arguments.data_dir, arguments.splits, arguments.objects
        )
        check_splits(splits, arguments.decode)
    except DatasetError as error:
        found = [printable(problem.text()) for problem in error.problems]
        print(f"{arguments.dataset} cannot be used:", *found, sep="\n- ")
        print("How to lay the folders out: dataset/README.md")
        return [f"{arguments.dataset} cannot be used; see above."]
    config = DATASETS[arguments.dataset].preset
    print(f"{arguments.dataset} in {arguments.data_dir}")
    print(*describe_splits(splits, arguments.objects), sep="\n")
    if "train" in splits:
        print(
            *describe_words(
                splits["train"], config.min_word_count, config.max_caption_words
            ),
            sep="\n",
        )
    return []


def read_splits(
    dataset: str, data_dir: Path, names: Sequence[str], with_objects: bool = False
) -> Splits:
    """Reads some splits.

    Raises:
        DatasetError: What is wrong with any of them, all at once.
    """
    reader = functools.partial(
        DATASETS[dataset].read, data_dir, with_objects=with_objects
    )
    names = list(dict.fromkeys(names))
    found = all_of(*(functools.partial(reader, name) for name in names))
    return dict(zip(names, found, strict=True))


def check_splits(splits: Splits, decode: bool = False) -> None:
    """Refuses images that lie in two splits and, with `decode`, damaged ones.

    Raises:
        DatasetError: All that is wrong.
    """
    calls = [functools.partial(refuse_overlap, splits)]
    if decode:
        calls.append(functools.partial(refuse_broken, splits))
    all_of(*calls)


def refuse_overlap(splits: Splits) -> None:
    """Refuses images that lie in two splits."""
    problems = []
    for one, other in itertools.combinations(splits, 2):
        both = {i.image_id for i in splits[one]} & {i.image_id for i in splits[other]}
        if both:
            what = f"{len(both):,} images are both in {one} and in {other}"
            problems.append(Problem(what, tuple(sorted(both))))
    if problems:
        raise DatasetError(*problems)


def refuse_broken(splits: Splits) -> None:
    """Opens every image and refuses those that are damaged."""

    def fault(image: CaptionedImage) -> str:
        try:
            load_image(image.path)
        except ImageError as error:
            return str(error)
        return ""

    images = [image for some in splits.values() for image in some]
    with ThreadPoolExecutor() as pool:
        found = pool.map(fault, images)
        faults = list(progress(found, desc="images", total=len(images)))
    faults = tuple(filter(None, faults))
    if faults:
        what = (
            f"{len(faults):,} of {len(images):,} images cannot be read; get them again"
        )
        raise DatasetError(Problem(what, faults))


def describe_splits(splits: Splits, with_objects: bool) -> list[str]:
    """Returns a table of the numbers of images, captions and boxes, if these are read.

    Args:
        splits: The images.
        with_objects: Whether they have their boxes.
    """
    lines = [f"{'split':6} {'images':>8} {'captions':>9} {'per image':>10}"]
    lines[0] += f" {'boxes':>8}" if with_objects else ""
    for split, images in splits.items():
        counts = [len(image.captions) for image in images]
        per_image = "-".join(map(str, sorted({min(counts), max(counts)})))
        boxes = sum(len(image.objects) for image in images)
        line = f"{split:6} {len(images):8,} {sum(counts):9,} {per_image:>10}"
        lines.append(f"{line} {boxes:8,}" if with_objects else line)
    return lines


def describe_words(
    images: Sequence[CaptionedImage], min_count: int, max_words: int
) -> list[str]:
    """Returns the size of the vocabulary and the lengths of the captions."""
    captions = [caption for image in images for caption in image.captions]
    lengths = [len(split_words(caption)) for caption in captions]
    num_all = len(Vocabulary.from_captions(captions, 1)) - 3
    vocabulary = Vocabulary.from_captions(captions, min_count)
    num_unknown = sum(len(vocabulary.unknown_words(caption)) for caption in captions)
    num_long = sum(length > max_words for length in lengths)
    num_joined = sum(map(lacks_blanks, captions))
    warnings = [
        f"WARNING: {num_joined:,} of {len(captions):,} captions of train are of a "
        "script that is written without blanks (as Thai, Lao, Khmer, Chinese, "
        "Japanese): each run of letters counts as one word. Put a blank between words."
    ]
    return [
        f"vocabulary: {len(vocabulary) - 3:,} of {num_all:,} words are seen at least "
        f"{min_count} times in train; {num_unknown / sum(lengths):.2%} of its text is "
        "of other words",
        f"captions of train: {sum(lengths) / len(lengths):.1f} words on average; "
        f"{num_long / len(lengths):.2%} are cut at {max_words} words",
        *(warnings if num_joined else ()),
    ]


if __name__ == "__main__":
    sys.exit(main())
