"""Occlusion: what a word's logit loses when something is taken away.

Slow and independent of every rule: the yardstick of the other methods.

Source: Zeiler and Fergus 2014 (arXiv 1311.2901), section 4.2.
"""

import functools
from collections.abc import Callable

import numpy as np
from keras import ops

from models.captioner import Captioner
from models.decoder_relevance import DecoderStage
from models.encoder import flatten_grid
from models.gradients import compiled
from models.relevance_rules import Operations

PATCH = 16  # pixels
BATCH = 14  # images encoded together


def occlude_image(
    captioner: Captioner, inputs: np.ndarray, stage: DecoderStage
) -> np.ndarray:
    """Paints patches of the image in its mean colour, one at a time.

    Args:
        captioner: The model.
        inputs: The encoder's input (1, H, W, 3).
        stage: What is explained.

    Returns:
        What the logit of each word falls by, spread evenly over the patch:
        (R, H, W).
    """
    _, height, width, _ = inputs.shape
    corners = [
        (top, left)
        for top in range(0, height, PATCH)
        for left in range(0, width, PATCH)
    ]
    heat = np.zeros((len(stage.steps), height, width), "float32")
    for start in range(0, len(corners), BATCH):
        chosen = corners[start : start + BATCH]
        occluded = np.repeat(inputs, BATCH, axis=0)  # always BATCH: compiled once
        for image, corner in zip(occluded, chosen, strict=False):
            image[_patch(*corner)] = inputs.mean((0, 1, 2))
        features = captioner.encode_inputs(occluded)
        embedded = ops.repeat(captioner.decoder.embed(stage.inputs)[None], BATCH, 0)
        logits = _logits(captioner, features, embedded, stage)
        for corner, values in zip(chosen, logits, strict=False):
            patch = heat[:, *_patch(*corner)]
            patch += (stage.logits - values)[:, None, None] / patch[0].size
    return heat


def _patch(top: int, left: int) -> tuple[slice, slice]:
    return slice(top, top + PATCH), slice(left, left + PATCH)


def occlude_words(captioner: Captioner, stage: DecoderStage) -> np.ndarray:
    """Sets the embedding of each preceding word to 0, one at a time.

    Returns:
        What the logit of each word falls by, (R, T).
    """
    embedded = ops.convert_to_numpy(captioner.decoder.embed(stage.inputs))  # (S, E)
    num_steps = len(embedded)
    without = embedded * (1.0 - np.eye(num_steps, dtype=embedded.dtype))[..., None]
    features = np.repeat(stage.features[None], num_steps, axis=0)
    logits = _logits(captioner, features, without, stage)  # (S, R)
    return (stage.logits - logits).T[:, : stage.preceding_words.shape[1]]


def _logits(captioner: Captioner, features, embedded, stage) -> np.ndarray:
    """Returns the explained logits (P, R) of P variants of features and words."""
    function = _logits_function(captioner)
    return ops.convert_to_numpy(function(features, embedded, stage.steps, stage.seeds))


@functools.lru_cache(maxsize=4)
def _logits_function(captioner: Captioner) -> Callable:
    decoder = captioner.decoder

    def logits(features, embedded, steps, seeds):
        plain = Operations()
        memory = decoder.project(plain, flatten_grid(features))
        positions = ops.broadcast_to(
            steps[None], (ops.shape(features)[0], steps.shape[0])
        )
        output = decoder.decode(plain, memory, embedded[:, None], positions=positions)
        return ops.sum(output.logits * seeds, axis=-1)

    return compiled(logits, captioner)
