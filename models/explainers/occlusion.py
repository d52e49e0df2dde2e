"""Occlusion: what a word's logit loses when something is taken away.

Slow and independent of every rule: the yardstick of the other methods.

Source: Zeiler and Fergus 2014 (arXiv 1311.2901), section 4.2.
"""

import numpy as np

from models.base_captioner import BaseCaptioner
from models.explainers.decoder_stage import DecoderStage
from models.explainers.deletion import encode_without, number_patches, predict_variants
from models.sentence import few_sizes

PER_SIDE = 14  # patches: of 16x16 pixels on 224x224


def occlude_image(
    captioner: BaseCaptioner, encoder_input: np.ndarray, stage: DecoderStage
) -> np.ndarray:
    """Paints patches of the image in its mean colour, one at a time.

    Args:
        captioner: The model.
        encoder_input: The encoder's input (1, H, W, 3).
        stage: What is explained.

    Returns:
        What the logit of each word falls by, spread evenly over the patch:
        (R, H, W).
    """
    numbers = number_patches(*encoder_input.shape[1:3], PER_SIDE)  # (H, W)
    areas = np.bincount(numbers.ravel())
    patches = np.arange(len(areas))[:, None]
    logits = [
        _explained_logits(captioner, features, stage)
        for features in encode_without(captioner, encoder_input, patches, numbers)
    ]
    falls = stage.logits - np.concatenate(logits)[: len(patches)]  # (N, R)
    return (falls.T / areas)[:, numbers]


def occlude_words(captioner: BaseCaptioner, stage: DecoderStage) -> np.ndarray:
    """Sets the embedding of each preceding word to 0, one at a time.

    Returns:
        What the logit of each word falls by, (R, T).
    """
    columns = stage.sentence.columns  # (S,)
    count = stage.sentence.num_columns
    deleted = np.zeros((few_sizes(count), len(stage.tokens_read)), bool)
    deleted[columns, np.arange(len(columns))] = True
    features = np.repeat(stage.features[None], len(deleted), axis=0)
    logits = _explained_logits(captioner, features, stage, deleted)  # (C, R)
    return (stage.logits - logits).T[:, :count]


def _explained_logits(captioner, features, stage, deleted=None) -> np.ndarray:
    """Returns the explained logits (N, R) of N variants of features and words."""
    if deleted is None:
        deleted = np.zeros((len(features), len(stage.tokens_read)), bool)
    places = np.broadcast_to(stage.places, (len(features), len(stage.places)))
    logits = predict_variants(captioner, features, stage.tokens_read, deleted, places)
    by_token = (logits * stage.seeds).sum(-1)  # (N, P)
    return stage.sentence.merge(by_token.T, *stage.spans).T
