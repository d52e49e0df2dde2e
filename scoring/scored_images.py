"""Scores explanations image by image, and keeps each image's scores at once."""

import dataclasses
from collections.abc import Callable, Mapping

from dataset import CaptionedImage
from dataset.progress import progress
from models import BaseCaptioner
from scoring.explained_images import ChooseSteps, ExplainedImage, explain_images
from scoring.journal import PHOTO, photo_hash, read_shards, still_valid
from scoring.options import ScoringOptions
from scoring.score_files import ScoreFiles


def score_images(
    captioner: BaseCaptioner,
    images: list[CaptionedImage],
    choose_steps: ChooseSteps,
    score: Callable[[ExplainedImage], dict],
    files: ScoreFiles,
    settings: dict,
    options: ScoringOptions,
    captions: Mapping[str, str] | None = None,
) -> tuple[list[dict], list[str]]:
    """Scores the images that are not yet, and keeps each at once.

    Args:
        captioner: Describes the images, and is explained.
        images: Of the dataset.
        choose_steps: See `explain_images`.
        score: (explained image) -> what the journal keeps of it, besides its id.
        files: Where scores are kept and, with --resume, found.
        settings: What the scores depend on.
        options: Say how the images are explained and what is gone on with.
        captions: See `explain_images`.

    Returns:
        The records of all images in order, {"image_id": ..., ...}, and the problems
        of those that have none.
    """
    shards = [dataclasses.replace(files, results=path) for path in options.merge]
    found = read_shards([shard.journal for shard in shards], settings)
    found += files.journal.read(settings) if options.resume else []
    by_id = {image.image_id: image for image in images}
    found = still_valid(files.journal.path, found, by_id)
    known = {record["image_id"]: record for record in found}
    todo = [image for image in images if image.image_id not in known]
    if todo or shards or not options.resume:
        files.start(settings, found)
    explained = explain_images(
        captioner,
        todo,
        choose_steps,
        settings["methods"],
        options.batch_size,
        options.lrp_preset,
        captions,
        options.decoder_rules,
        options.precision,
    )
    problems = []
    start = len(images) - len(todo)
    bar = {"total": len(images), "initial": start, "unit": "image"}
    for image in progress(explained, **bar):
        if image.problem is not None:
            problems.append(image.problem)
            continue
        key = image.record.image_id
        known[key] = {"image_id": key, **score(image), PHOTO: photo_hash(image.record)}
        files.journal.append([known[key]])
    finished = [image.image_id for image in images if image.image_id in known]
    return [known[key] for key in finished], problems
