"""Training batches: images with their captions, packed for the decoder."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import quiet_start  # noqa: F401

# isort: split
import keras
import numpy as np

from dataset.read_ahead import read_ahead
from dataset.records import CaptionedImage
from dataset.vocabulary import PADDING, START, Vocabulary


class PackedCaptions(NamedTuple):
    """The captions of B images as the decoder is trained on them.

    Attributes:
        tokens: The start token and the words (B, N, T).
        positions: The steps that are predicted, as indices into N T (B, Q).
        targets: The ids to predict there (B, Q).
        weights: 1, or 0 where an image has fewer steps (B, Q).
    """

    tokens: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class CaptionBatches(keras.utils.PyDataset):
    """Shuffled batches of B images with N captions each.

    Attention and prediction run only where a caption has a word: `positions` names
    these among an image's N T steps. Where an image has more than Q words, Q of them
    are drawn anew in each epoch; where it has fewer, the rest has weight 0.

    Each item is (inputs, targets (B, Q), weights (B, Q)) with inputs
        features (B, h, w, C): of the cache; one of the variants of each image
        tokens (B, N, T): the start token and the words
        positions (B, Q): the steps that are predicted, as indices into N T
        images (B, H, W, 3): of `read_image`, if that is given

    Args:
        images: The images, in the order of the features.
        features: Arrays (M, h, w, C), the variants of every image (plain, mirrored).
        vocabulary: Turns captions into tokens.
        images_per_batch: B.
        captions_per_image: N; images with fewer captions repeat them.
        max_words: Captions are cut to this; T = max_words + 1.
        max_predictions: Q.
        seed: Of everything drawn, which depends on it and on the epoch alone.
        window_share: The sides of the random window of an image's features that a
            batch shows, as a share of the whole; h and w of the items shrink by it.
        read_image: (number of the image, number of its variant) -> (H, W, 3).
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
        window_share: float = 1.0,
        read_image: Callable[[int, int], np.ndarray] | None = None,
    ):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self.images = images
        self.features, self.seed, self.max_words = features, seed, max_words
        self.max_predictions, self.window_share = max_predictions, window_share
        self.images_per_batch = images_per_batch
        self.captions_per_image, self.read_image = captions_per_image, read_image
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
        inputs = {
            "features": features,
            "tokens": packed.tokens,
            "positions": packed.positions,
        }
        if self.read_image is not None:
            images = read_ahead(lambda i: self.read_image(i, self.variants[i]), chosen)
            inputs["images"] = np.stack([image.result() for image in images])
        batch = inputs, packed.targets, packed.weights
        return fill_up(batch, self.images_per_batch)

    def draw_images(self, index: int) -> tuple[np.ndarray, np.ndarray, object]:
        """Returns a batch's image numbers (B,), features and random generator."""
        start = index * self.images_per_batch
        chosen = self.order[start : start + self.images_per_batch]
        features = np.stack([self.features[self.variants[i]][i] for i in chosen])
        generator = np.random.default_rng((self.seed, self.epoch, index))
        if self.window_share < 1:
            features = cut_windows(features, self.window_share, generator)
        return chosen, features, generator

    def _pick_captions(self, generator, image: int) -> list[np.ndarray]:
        captions = self.captions[image]
        order = np.resize(generator.permutation(len(captions)), self.captions_per_image)
        return [captions[number] for number in order]


def fill_up(batch: tuple, num_images: int) -> tuple:
    """Fills a batch (inputs, targets, weights) up with images of weight 0.

    So all batches have one shape: nothing is compiled for the last one, and several
    devices can share it.
    """
    found = len(batch[-1])
    if found == num_images:
        return batch
    rows = np.arange(num_images) % found
    inputs, targets, weights = keras.tree.map_structure(lambda part: part[rows], batch)
    weights[found:] = 0.0
    return inputs, targets, weights


def cut_windows(features: np.ndarray, share: float, generator) -> np.ndarray:
    """Cuts a random window out of each image's features (B, h, w, C).

    To a decoder, which knows no places, that is a random crop of the photograph.

    Args:
        features: (B, h, w, C).
        share: Of h and of w that is kept, in (0, 1].
        generator: Draws the corners.
    """
    sides = np.array(features.shape[1:3])
    height, width = kept = np.maximum(1, np.round(share * sides)).astype(int)
    corners = generator.integers(0, sides - kept + 1, (len(features), 2))
    return np.stack(
        [
            image[top : top + height, left : left + width]
            for image, (top, left) in zip(features, corners, strict=True)
        ]
    )


def pack_captions(
    captions: Sequence[Sequence[np.ndarray]],
    max_words: int,
    max_predictions: int,
    generator: np.random.Generator,
) -> PackedCaptions:
    """Packs the captions of B images for the decoder.

    Args:
        captions: For each image its N token arrays, each ending with the end token.
        max_words: T - 1.
        max_predictions: Q.
        generator: Draws which positions are predicted where there are more than Q.
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
    return PackedCaptions(tokens, positions, targets, weights)
