"""Training batches: images with their captions, packed for the decoder."""

from collections.abc import Sequence

import keras
import numpy as np

from dataset.records import CaptionedImage
from dataset.vocabulary import PADDING, START, Vocabulary


class CaptionBatches(keras.utils.PyDataset):
    """Shuffled batches of B images with N captions each.

    Attention and prediction run only where a caption has a word: `positions` names
    these among an image's N T steps. Where an image has more than Q words, Q of them
    are drawn anew in each epoch; where it has fewer, the rest has weight 0.

    Each item is (inputs, targets (B, Q), weights (B, Q)) with inputs
        features (B, h, w, C): of the cache; one of the variants of each image
        tokens (B, N, T): the start token and the words
        positions (B, Q): the steps that are predicted, as indices into N T

    Args:
        images: The images, in the order of the features.
        features: Arrays (M, h, w, C), the variants of every image (plain, mirrored).
        vocabulary: Turns captions into tokens.
        images_per_batch: B.
        captions_per_image: N; images with fewer captions repeat them.
        max_words: Captions are cut to this; T = max_words + 1.
        max_predictions: Q.
        seed: Of everything drawn, which depends on it and on the epoch alone.
    """

    def __init__(
        self,
        images: Sequence[CaptionedImage],
        features: Sequence[np.ndarray],
        vocabulary: Vocabulary,
        images_per_batch: int,
        captions_per_image: int,
        max_words: int,
        max_predictions: int,
        seed: int = 0,
    ):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self.features, self.seed, self.max_words = features, seed, max_words
        self.max_predictions = max_predictions
        self.images_per_batch = images_per_batch
        self.captions_per_image = captions_per_image
        self.captions = [
            [vocabulary.encode(caption, max_words) for caption in image.captions]
            for image in images
        ]
        self.start_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.captions) // self.images_per_batch)

    def start_epoch(self, epoch: int) -> None:
        """Draws the order of the images and their variants for an epoch."""
        generator = np.random.default_rng((self.seed, epoch))
        self.epoch = epoch
        self.order = generator.permutation(len(self.captions))
        self.variants = generator.integers(len(self.features), size=len(self.captions))

    def on_epoch_end(self) -> None:
        """Moves on to the next epoch."""
        self.start_epoch(self.epoch + 1)

    def __getitem__(self, index: int) -> tuple:
        chosen, features, generator = self.draw_images(index)
        captions = [self._pick_captions(generator, i) for i in chosen]
        packed = pack_captions(
            captions, self.max_words, self.max_predictions, generator
        )
        tokens, positions, targets, weights = packed
        inputs = {"features": features, "tokens": tokens, "positions": positions}
        return inputs, targets, weights

    def draw_images(self, index: int) -> tuple[np.ndarray, np.ndarray, object]:
        """Returns a batch's image numbers (B,), features and random generator."""
        start = index * self.images_per_batch
        chosen = self.order[start : start + self.images_per_batch]
        features = np.stack([self.features[self.variants[i]][i] for i in chosen])
        return chosen, features, np.random.default_rng((self.seed, self.epoch, index))

    def _pick_captions(self, generator, image: int) -> list[np.ndarray]:
        captions = self.captions[image]
        order = np.resize(generator.permutation(len(captions)), self.captions_per_image)
        return [captions[number] for number in order]


def pack_captions(
    captions: Sequence[Sequence[np.ndarray]],
    max_words: int,
    max_predictions: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Packs the captions of B images for the decoder.

    Args:
        captions: For each image its N token arrays, each ending with the end token.
        max_words: T - 1.
        max_predictions: Q.
        generator: Draws which positions are predicted where there are more than Q.

    Returns:
        tokens (B, N, T), positions (B, Q), targets (B, Q) and weights (B, Q).
    """
    batch, steps = len(captions), max_words + 1
    tokens = np.full((batch, len(captions[0]), steps), PADDING, "int32")
    tokens[..., 0] = START
    positions = np.zeros((batch, max_predictions), "int32")
    targets, weights = np.zeros_like(positions), np.zeros(positions.shape, "float32")
    for row, of_image in enumerate(captions):
        for number, caption in enumerate(of_image):
            tokens[row, number, 1 : len(caption)] = caption[:-1]
        where = [np.arange(len(c)) + n * steps for n, c in enumerate(of_image)]
        where, words = np.concatenate(where), np.concatenate(of_image)
        if len(where) > max_predictions:
            kept = generator.choice(len(where), max_predictions, replace=False)
            where, words = where[kept], words[kept]
        positions[row, : len(where)] = where
        targets[row, : len(where)] = words
        weights[row, : len(where)] = 1.0
    return tokens, positions, targets, weights
