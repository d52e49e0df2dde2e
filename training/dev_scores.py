"""The scores of a captioner's sentences on images that are encoded already."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dataset import CaptionedImage
from files.reading import read_json
from files.values import table, text
from files.writing import write_json
from keras_lrp import __version__
from models.captioner import Captioner
from training.data import EncodedImages

CAPTIONS = "captions.json"
SCORES = "scores.json"
BATCH = 50
ANEW = "Train the run anew with --overwrite."

Scores = dict[str, float | str]
# (references by image id, captions by image id, metrics) -> scores by name. The scripts
# hand it over: what scores captions may run programs, and training imports none of it.
Score = Callable[[Mapping, Mapping, Sequence[str]], Scores]


def caption_images(captioner: Captioner, encoded: EncodedImages) -> list[str]:
    """Describes every image."""
    texts = []
    for start in range(0, len(encoded.images), BATCH):
        frozen = encoded.features[start : start + BATCH]
        features = captioner.finish_features(frozen)
        texts += [caption.text for caption in captioner.caption_features(features)]
    return texts


def score_images(
    images: Sequence[CaptionedImage],
    captions: Sequence[str],
    metrics: Sequence[str],
    score: Score,
) -> Scores:
    """Scores one caption of each image against its references."""
    references = {image.image_id: image.captions for image in images}
    return score(references, by_image(images, captions), metrics)


def by_image(
    images: Sequence[CaptionedImage], captions: Sequence[str]
) -> dict[str, str]:
    """Returns the captions by the ids of their images."""
    return dict(zip((image.image_id for image in images), captions, strict=True))


def write_captions(
    run: Path, images: Sequence[CaptionedImage], captions: Sequence[str]
) -> None:
    """Keeps the captions of dev beside the weights that made them."""
    write_json(run / CAPTIONS, by_image(images, captions))


def read_captions(run: Path, images: Sequence[CaptionedImage]) -> list[str]:
    """Reads what a run says about the images of dev.

    Raises:
        ValueError: The run was validated on other images, or by an older version.
    """
    path = run / CAPTIONS
    captions = read_json(path, table(text), ANEW) if path.is_file() else {}
    if missing := [i.image_id for i in images if i.image_id not in captions]:
        raise ValueError(
            f"{path} has no caption of {len(missing)} of {len(images)} images of dev "
            f"({missing[0]} is the first). Train the run anew with --overwrite."
        )
    return [captions[image.image_id] for image in images]


def write_scores(
    folder: Path,
    images: Sequence[CaptionedImage],
    captions: Sequence[str],
    metrics: Sequence[str],
    score: Score,
) -> Scores:
    """Scores the captions of dev and keeps the scores; returns them."""
    scores = score_images(images, captions, metrics, score)
    content = {"dev": scores, "version": __version__}
    write_json(folder / SCORES, content)
    return scores
