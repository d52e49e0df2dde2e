"""Self-critical training: captions drawn from the model, rewarded by their CIDEr.

The reward may count the objects that are named, too; see `HallucinationReward`.

Source: Rennie et al. 2017 (arXiv 1612.00563); the baseline of a caption is the mean
reward of the other captions drawn for its image (Luo 2020, arXiv 2003.09971).
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from dataset.batches import CaptionBatches, pack_captions
from models.captioner import Captioner
from training.callbacks import show_progress
from training.cider_reward import CiderReward
from training.hallucination_reward import HallucinationReward


class DrawnBatch(NamedTuple):
    """Captions drawn for the images of a batch.

    Attributes:
        inputs: As `CaptionBatches` has them.
        targets: The drawn words (B, Q).
        weights: How much better than the others a word's caption is (B, Q).
        mean_reward: Of all captions.
    """

    inputs: dict
    targets: np.ndarray
    weights: np.ndarray
    mean_reward: float


def fit_self_critical(
    captioner: Captioner, batches: CaptionBatches, first: int, callbacks: Sequence
) -> None:
    """Trains a compiled captioner on its own captions.

    Args:
        captioner: Compiled for one of `config.SELF_CRITICAL`.
        batches: The images and their references.
        first: The epoch to begin with.
        callbacks: Keras callbacks.

    Raises:
        ValueError: No word tells the images apart.
    """
    reward = CiderReward(batches.captions)
    if not reward.is_defined:
        raise ValueError(
            f"objective={captioner.config.objective} rewards captions with their "
            "CIDEr, which has no value here: all words and phrases of train are in "
            "the captions of every image. Take another objective, or more images."
        )
    if captioner.config.hallucination_penalty or captioner.config.object_credit:
        reward = HallucinationReward(reward, captioner, batches.images)
    epochs = captioner.config.epochs
    callbacks = keras.callbacks.CallbackList(
        add_progbar=True,
        model=captioner,
        epochs=epochs,
        steps=len(batches),
        **show_progress(callbacks),
    )
    captioner.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(first, epochs):
        batches.start_epoch(epoch)
        callbacks.on_epoch_begin(epoch)
        sums = np.zeros(2)
        for index in range(len(batches)):
            callbacks.on_train_batch_begin(index)
            drawn = draw_batch(captioner, batches, reward, index)
            loss = captioner.train_on_batch(drawn.inputs, drawn.targets, drawn.weights)
            sums += float(loss), drawn.mean_reward
            means = sums / (index + 1)
            logs = {"loss": float(means[0]), "reward": float(means[1])}
            callbacks.on_train_batch_end(index, logs)
        callbacks.on_epoch_end(epoch, logs)
        if captioner.stop_training:
            break
    callbacks.on_train_end(logs)


def draw_batch(
    captioner: Captioner,
    batches: CaptionBatches,
    reward: CiderReward | HallucinationReward,
    index: int,
) -> DrawnBatch:
    """Draws captions for the images of a batch."""
    chosen, features, generator = batches.draw_images(index)
    captions = captioner.sample(features, batches.captions_per_image, generator)
    rewards = np.array(
        [
            [reward.score(image, caption) for caption in of_image]
            for image, of_image in zip(chosen, captions, strict=True)
        ]
    )
    packed = pack_captions(
        captions, batches.max_words, batches.max_predictions, generator
    )
    caption_of = packed.positions // packed.tokens.shape[-1]  # (B, Q)
    gained = np.take_along_axis(advantages(rewards), caption_of, axis=1)
    return DrawnBatch(
        inputs={
            "features": features,
            "tokens": packed.tokens,
            "positions": packed.positions,
        },
        targets=packed.targets,
        weights=packed.weights * gained.astype("float32"),
        mean_reward=float(rewards.mean()),
    )


def advantages(rewards: np.ndarray) -> np.ndarray:
    """Returns each reward (B, N) less the mean of the other N - 1."""
    number = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdims=True)) * number / (number - 1)
