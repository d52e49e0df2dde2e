"""What a captioner says when parts of an image or of a sentence are taken away."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_lrp.backend import compiled
from keras_lrp.operations import Operations
from models.base_captioner import BaseCaptioner, EncodedImage
from models.encoders import flatten_grid
from models.explainers.decoder_stage import decoder_tokens
from models.sentence import few_sizes

BATCH = 8  # variants computed together
PER_SIDE = 28  # patches of an image: of 8x8 pixels on 224x224


class Retelling(NamedTuple):
    """What a captioner says of P variants of an image.

    Attributes:
        probabilities: Of R words of the original sentence, each after the words that
            precede it there (P, R).
        captions: The words of each variant's own caption, P tuples; empty unless the
            variants were to be captioned.
    """

    probabilities: np.ndarray
    captions: tuple[tuple[str, ...], ...]


def number_patches(height: int, width: int, per_side: int = PER_SIDE) -> np.ndarray:
    """Divides an image into patches of equal shares, whatever its size.

    Args:
        height: Of the image in pixels.
        width: Of the image in pixels.
        per_side: Patches along each side, or as many as it has pixels.

    Returns:
        The number of the patch that each pixel belongs to (H, W), row by row. Sides
        of patches differ by one pixel at most.
    """
    rows, columns = (
        np.arange(length) * min(per_side, length) // length
        for length in (height, width)
    )
    return rows[:, None] * min(per_side, width) + columns


def delete_patches(
    captioner: BaseCaptioner,
    encoded: EncodedImage,
    tokens: np.ndarray,
    steps: np.ndarray,
    patches: Sequence[np.ndarray],
    numbers: np.ndarray,
    beam_size: int | None = None,
    recaption: bool = True,
) -> Retelling:
    """Paints patches of an image in its mean colour and asks the captioner again.

    Args:
        captioner: The model.
        encoded: The image.
        tokens: The ids of the original sentence (T,).
        steps: The places of the words whose probability is asked for (R,).
        patches: Of each of the P variants the numbers of the patches to delete (K,).
        numbers: The number of the patch that each pixel belongs to (H, W).
        beam_size: Of the search for the new captions; the captioner's own if None.
        recaption: Whether the variants are captioned anew.
    """
    original = encoded.encoder_input
    probabilities, captions = [], []
    for features in encode_without(captioner, original, patches, numbers):
        whole = np.zeros((len(features), len(tokens)), bool)
        asked = np.broadcast_to(steps, (len(features), len(steps)))
        probabilities.append(_probabilities(captioner, features, tokens, whole, asked))
        if recaption:
            captions += captioner.caption_features(features, beam_size)
    kept = captions[: len(patches)]
    return Retelling(
        np.concatenate(probabilities)[: len(patches)],
        tuple(caption.words for caption in kept),
    )


def delete_words(
    captioner: BaseCaptioner,
    encoded: EncodedImage,
    tokens: np.ndarray,
    steps: np.ndarray,
    deleted: np.ndarray,
) -> np.ndarray:
    """Sets the embeddings of words to 0 and asks for the probability of a later one.

    Args:
        captioner: The model.
        encoded: The image.
        tokens: The ids of the sentence (T,).
        steps: The place of the word that each of P variants asks for (P,).
        deleted: Which of the words that the decoder reads each variant deletes, bool
            (P, T); at step 0 it reads the start token. See `Sentence.columns`.

    Returns:
        The probabilities (P,).
    """
    deleted = deleted[:, captioner.sentence(tokens).columns]  # (P, S)
    found = []
    for numbers in _batches(len(steps)):
        same = ops.repeat(encoded.features, len(numbers), axis=0)
        asked = steps[numbers, None]
        found.append(_probabilities(captioner, same, tokens, deleted[numbers], asked))
    return np.concatenate(found)[: len(steps), 0]


def encode_without(
    captioner: BaseCaptioner,
    encoder_input: np.ndarray,
    patches: Sequence[np.ndarray],
    numbers: np.ndarray,
) -> Iterator:
    """Encodes variants of an image, each without some of its patches.

    Args:
        captioner: The model.
        encoder_input: Of the image (1, H, W, 3).
        patches: See `delete_patches`.
        numbers: See `delete_patches`.

    Yields:
        The features (B, h, w, D) of a batch of variants; the last batch is filled up
        with variants that are known already, so that few sizes are compiled.
    """
    for batch in _batches(len(patches)):
        variants = [paint_patches(encoder_input[0], patches[n], numbers) for n in batch]
        yield captioner.encode_inputs(np.stack(variants))


def paint_patches(
    image: np.ndarray, patches: np.ndarray, numbers: np.ndarray
) -> np.ndarray:
    """Paints patches in the image's mean colour.

    Args:
        image: Pixels (H, W, C), float.
        patches: Their numbers (K,).
        numbers: The number of the patch that each pixel belongs to (H, W).

    Returns:
        A painted copy.

    Raises:
        ValueError: The patches are those of an image of another size.
    """
    if numbers.shape != image.shape[:2]:
        raise ValueError(
            f"The patches of an image of {numbers.shape} pixels do not fit one of "
            f"{image.shape[:2]}."
        )
    painted = image.copy()
    painted[np.isin(numbers, patches)] = image.mean((0, 1))
    return painted


def predict_variants(
    captioner: BaseCaptioner,
    features,
    tokens_read: np.ndarray,
    deleted: np.ndarray,
    steps: np.ndarray,
) -> np.ndarray:
    """Predicts words of one sentence from variants of its image and of itself.

    Args:
        captioner: The model.
        features: Of the variants of the image (P, h, w, D).
        tokens_read: The ids the decoder reads (S,).
        deleted: Which of their embeddings are set to 0, bool (P, S).
        steps: The places of the words to predict in each variant (P, R).

    Returns:
        The logits (P, R, V).
    """
    predict = captioner.make_once("variants", lambda: _compiled_variants(captioner))
    kept = (~deleted).astype("float32")
    return ops.convert_to_numpy(predict(features, tokens_read, kept, steps))


def _compiled_variants(captioner: BaseCaptioner) -> Callable:
    decoder = captioner.decoder

    def predict(features, tokens_read, kept, steps):
        plain = Operations()
        embedded = decoder.embed(tokens_read)  # (S, E)
        embedded = embedded * ops.cast(kept, embedded.dtype)[..., None]  # (P, S, E)
        memory = decoder.project(plain, flatten_grid(features))
        return decoder.decode(plain, memory, embedded[:, None], positions=steps).logits

    return compiled(predict, captioner)


def _probabilities(captioner, features, tokens, deleted, steps) -> np.ndarray:
    """Returns the probabilities (P, R) of the words at `steps` (P, R) of a sentence."""
    tokens_read = decoder_tokens(captioner, tokens)  # (S,)
    deleted = np.pad(deleted, [(0, 0), (0, len(tokens_read) - len(tokens))])
    sentence, places = captioner.sentence(tokens), steps
    if sentence.has_pieces:
        places = np.tile(np.arange(len(tokens)), (len(features), 1))
    asked = places.shape[1]
    padded = np.pad(places, [(0, 0), (0, few_sizes(asked) - asked)]).astype("int32")
    logits = predict_variants(captioner, features, tokens_read, deleted, padded)
    probabilities = ops.convert_to_numpy(ops.softmax(logits))
    chosen = np.take_along_axis(probabilities, tokens[padded][..., None], axis=-1)
    chosen = chosen[:, :asked, 0]
    if not sentence.has_pieces:
        return chosen
    every = np.arange(len(sentence.words))
    words = sentence.merge(chosen.T, every, how=np.multiply).T  # (P, T)
    return np.take_along_axis(words, steps, axis=1)


def _batches(count: int) -> Iterator[np.ndarray]:
    """Yields the numbers below `count`; the last batch is filled up with 0."""
    for start in range(0, count, BATCH):
        numbers = np.arange(start, min(start + BATCH, count))
        yield np.pad(numbers, (0, few_sizes(len(numbers)) - len(numbers)))
