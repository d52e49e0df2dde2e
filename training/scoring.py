"""The scores of a captioner's sentences on images that are encoded already."""

import json
from collections.abc import Sequence
from pathlib import Path

from dataset.files import write_whole
from evaluation.captions import score_captions, score_lines
from models.captioner import Captioner
from training.data import EncodedImages

SCORES = "scores.json"
BATCH = 50


def caption_images(captioner: Captioner, encoded: EncodedImages) -> list[str]:
    """Describes every image."""
    texts = []
    for start in range(0, len(encoded.images), BATCH):
        frozen = encoded.features[start : start + BATCH]
        features = captioner.finish_features(frozen)
        texts += [caption.text for caption in captioner.caption_features(features)]
    return texts


def score_images(
    encoded: EncodedImages, captions: Sequence[str], metrics: Sequence[str]
) -> dict[str, float | str]:
    """Scores one caption of each image against its references."""
    references = {image.image_id: image.captions for image in encoded.images}
    keys = [image.image_id for image in encoded.images]
    candidates = dict(zip(keys, captions, strict=True))
    return score_captions(references, candidates, metrics)


def write_scores(
    folder: Path, captioner: Captioner, encoded: EncodedImages, metrics: Sequence[str]
) -> dict[str, float | str]:
    """Scores a captioner on the dev split, prints the scores and keeps them."""
    scores = score_images(encoded, caption_images(captioner, encoded), metrics)
    text = json.dumps({"dev": scores}, indent=2) + "\n"
    write_whole(folder / SCORES, text.encode())
    print(*score_lines(scores), sep="\n")
    return scores
