"""The scores of a captioner's sentences on images that are encoded already."""

from collections.abc import Sequence

from evaluation.captions import score_captions
from models.captioner import Captioner
from training.data import EncodedImages

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
