"""What the scripts that score explanations over a dataset have in common."""

import argparse
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from tqdm import tqdm

from command_line import add_shard_options, positive
from dataset import DATASETS, CaptionedImage
from models import LRP_PRESETS, METHODS, Captioner
from models.explainers.methods import EXTRAS, LRP_PRESET, choose_methods
from scoring.captioning import fingerprint
from scoring.explained_images import ChooseSteps, ExplainedImage, explain_images
from scoring.journal import read_shards
from scoring.score_files import ScoreFiles


def evaluation_parser(description: str) -> argparse.ArgumentParser:
    """Makes the parser of a script that scores explanations over a dataset."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--model", required=True, help="name or run directory")
    add("--dataset", choices=DATASETS, required=True)
    add("--data-dir", type=Path, metavar="DIR", required=True, help="its folder")
    add("--split", choices=["test", "dev", "train"], default="dev")
    add("--limit", type=positive, metavar="N", help="only the first images")
    add(
        "--methods",
        default="all",
        metavar="NAME,...",
        help=f"some of {', '.join(METHODS)}; all (default): without "
        f"{' and '.join(EXTRAS)}",
    )
    add("--lrp-preset", choices=LRP_PRESETS, default=LRP_PRESET, help="rules of lrp")
    add("--batch-size", type=positive, default=8, metavar="N")
    add("--output", type=Path, required=True, metavar="FILE.json")
    add_shard_options(parser)
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on where it ended")
    existing.add_argument("--overwrite", action="store_true", help="begin anew")
    return parser


def read_images(
    arguments: argparse.Namespace, with_objects: bool = True
) -> list[CaptionedImage]:
    """Returns the images of the split or of a shard of it, with their objects."""
    read = DATASETS[arguments.dataset].read
    images = read(arguments.data_dir, arguments.split, with_objects=with_objects)
    return arguments.shard.of(images[: arguments.limit])


def choose_settings(captioner: Captioner, arguments: argparse.Namespace) -> dict:
    """Returns what the explanations depend on, as JSON keeps it."""
    methods = choose_methods(arguments.methods, captioner)
    return {
        "model": arguments.model,
        "weights": fingerprint(captioner),
        "dataset": arguments.dataset,
        "split": arguments.split,
        "methods": methods,
        "lrp_preset": arguments.lrp_preset if "lrp" in methods else None,
    }


def score_images(
    captioner: Captioner,
    images: list[CaptionedImage],
    choose_steps: ChooseSteps,
    score: Callable[[ExplainedImage, argparse.Namespace], dict],
    files: ScoreFiles,
    settings: dict,
    arguments: argparse.Namespace,
    captions: Mapping[str, str] | None = None,
) -> tuple[list[dict], list[str]]:
    """Scores the images that are not yet, and keeps each at once.

    Args:
        captioner: Describes the images, and is explained.
        images: Of the dataset.
        choose_steps: See `explain_images`.
        score: (explained image, arguments) -> what the journal keeps of it, besides
            its id.
        files: Where scores are kept and, with --resume, found.
        settings: What the scores depend on.
        arguments: Of `evaluation_parser`.
        captions: See `explain_images`.

    Returns:
        The records of all images in order, {"image_id": ..., ...}, and the problems
        of those that have none.
    """
    # Captions of several lengths are compiled one after the other, which it warns of.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    shards = [ScoreFiles(path, ()).journal.path for path in arguments.merge]
    found = read_shards(shards, settings)
    found += files.journal.read(settings) if arguments.resume else []
    known = {record["image_id"]: record for record in found}
    todo = [image for image in images if image.image_id not in known]
    if todo or shards:
        files.start(settings, found)
    explained = explain_images(
        captioner,
        todo,
        choose_steps,
        settings["methods"],
        arguments.batch_size,
        arguments.lrp_preset,
        captions,
    )
    problems = []
    start = len(images) - len(todo)
    for image in tqdm(explained, total=len(images), initial=start, unit="image"):
        if image.problem is not None:
            problems.append(image.problem)
            continue
        key = image.record.image_id
        known[key] = {"image_id": key, **score(image, arguments)}
        files.journal.append([known[key]])
    finished = [image.image_id for image in images if image.image_id in known]
    return [known[key] for key in finished], problems
