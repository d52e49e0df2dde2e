"""The first stage of an explanation: from a word's logit to features and words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from keras import ops

from dataset.vocabulary import PADDING, START
from keras_lrp import Operations
from keras_lrp.backend import compiled, vector_jacobian_product
from models.captioner import Captioner
from models.decoders import Decoder
from models.encoders import flatten_grid

MULTIPLE = 4  # numbers of words are padded to a multiple of it


@dataclass(frozen=True)
class DecoderStage:
    """The derivative of each explained logit, and the forward values around it.

    Attributes:
        features: The encoder's features (h, w, D).
        feature_gradient: (R, h, w, D).
        preceding_words: Input times gradient of the embeddings, summed (R, T).
        attention: The decoder's attention maps by name, (R, h, w) each.
        beta: (R,), or None for a decoder without a sentinel.
        logits: (R,).
        log_probabilities: (R,).
        tokens_read: The ids the decoder reads, padded to one of few lengths (S,).
        steps: The explained places (R,).
        seeds: The weights of the explained sums of logits (R, V).
    """

    features: np.ndarray
    feature_gradient: np.ndarray
    preceding_words: np.ndarray
    attention: dict[str, np.ndarray]
    beta: np.ndarray | None
    logits: np.ndarray
    log_probabilities: np.ndarray
    tokens_read: np.ndarray
    steps: np.ndarray
    seeds: np.ndarray

    @property
    def shown_attention(self) -> np.ndarray | None:
        """The first of the attention maps (R, h, w); None where there is none."""
        return next(iter(self.attention.values()), None)


class Differentiated(NamedTuple):
    """What is computed at once for R explained words.

    Attributes:
        logits: The explained sums of logits (R,).
        feature_gradient: (R, L, D).
        by_word: Input times gradient of the embeddings (R, S).
        attention: By name (R, L).
        beta: (R,) or None.
        log_probabilities: Of all words of the vocabulary (R, V).
    """

    logits: object
    feature_gradient: object
    by_word: object
    attention: dict
    beta: object
    log_probabilities: object


def explain_decoder(
    captioner: Captioner,
    operations: Operations,
    features,
    tokens: np.ndarray,
    steps: np.ndarray,
    contrast: str | None = None,
) -> DecoderStage:
    """Differentiates the logits of several words of a caption at once.

    The words lie along the batch axis: row r holds the whole sentence and predicts
    from step r alone, which costs one small recurrence per word and no loop.

    Args:
        captioner: The model.
        operations: How the decoder is differentiated.
        features: (1, h, w, D).
        tokens: The caption's ids (T,).
        steps: The explained places (R,).
        contrast: See `explain`.
    """
    _, height, width, channels = features.shape
    rows = np.arange(len(steps))
    seeds = np.zeros((few_sizes(len(steps)), len(captioner.vocabulary)), "float32")
    seeds[rows, tokens[steps]] = 1.0
    if contrast is not None:
        seeds[rows, contrast_token(captioner, contrast, tokens[steps])] -= 1.0
    padded_steps = np.zeros(len(seeds), "int32")
    padded_steps[rows] = steps
    tokens_read = decoder_tokens(tokens)
    differentiate = captioner.make_once(
        ("decoder stage", operations), lambda: _compiled_stage(captioner, operations)
    )
    found = differentiate(features, tokens_read, padded_steps, seeds)
    found = Differentiated(*(_first_rows(part, len(rows)) for part in found))
    grid = (len(steps), height, width)
    return DecoderStage(
        features=ops.convert_to_numpy(features)[0],
        feature_gradient=found.feature_gradient.reshape(*grid, channels),
        preceding_words=found.by_word[:, : len(tokens)],
        attention={name: m.reshape(grid) for name, m in found.attention.items()},
        beta=found.beta,
        logits=found.logits,
        log_probabilities=found.log_probabilities[rows, tokens[steps]],
        tokens_read=tokens_read,
        steps=padded_steps[rows],
        seeds=seeds[rows],
    )


def _first_rows(part, count: int):
    """Returns the first rows of an array, or of each array by name, in numpy."""
    if part is None:
        return None
    if isinstance(part, dict):
        return {name: _first_rows(one, count) for name, one in part.items()}
    return ops.convert_to_numpy(part)[:count]


def decoder_tokens(tokens: np.ndarray) -> np.ndarray:
    """Returns the ids that the decoder reads to write tokens (T,), padded: (S,)."""
    tokens_read = np.full(few_sizes(len(tokens)), PADDING, "int32")
    tokens_read[: len(tokens)] = [START, *tokens[:-1]]
    return tokens_read


def few_sizes(count: int) -> int:
    """Rounds up, so that few sizes occur and few functions are compiled."""
    return -(-count // MULTIPLE) * MULTIPLE


def _compiled_stage(captioner: Captioner, operations: Operations) -> Callable:
    decoder = captioner.decoder

    def differentiate(features, tokens_read, steps, seeds) -> Differentiated:
        rows, length = ops.shape(seeds)[0], ops.shape(tokens_read)[0]
        features = flatten_grid(features)
        features = ops.broadcast_to(features, (rows, *ops.shape(features)[1:]))
        embedded = decoder.embed(tokens_read)  # (S, E)
        embedded = ops.broadcast_to(
            embedded[None, None], (rows, 1, length, embedded.shape[-1])
        )
        logits, output, gradients = differentiate_words(
            decoder, operations, features, embedded, steps, seeds
        )
        return Differentiated(
            logits=logits,
            feature_gradient=gradients[0],
            by_word=ops.sum(embedded * gradients[1], axis=-1)[:, 0],  # (R, S)
            attention={name: m[:, 0] for name, m in output.attention.items()},
            beta=None if output.beta is None else output.beta[:, 0],
            log_probabilities=ops.log_softmax(output.logits[:, 0]),
        )

    return compiled(differentiate, captioner)


def differentiate_words(
    decoder: Decoder, operations: Operations, features, embedded, steps, seeds
) -> tuple:
    """Differentiates a sum of logits of one word of each of R sentences.

    Args:
        decoder: The model.
        operations: How it is differentiated.
        features: (R, L, D).
        embedded: What the decoder reads (R, 1, T, E).
        steps: The place of the word (R,).
        seeds: The weights of the logits (R, V).

    Returns:
        The sums (R,), the decoder's output for the words, and the gradients with
        respect to features and embedded.
    """

    def explained_logits(features, embedded):
        memory = decoder.project(operations, features)
        output = decoder.decode(operations, memory, embedded, positions=steps[:, None])
        logits = output.logits[:, 0]  # (R, V)
        return ops.sum(logits * ops.cast(seeds, logits.dtype), axis=-1), output

    return vector_jacobian_product(
        explained_logits, [features, embedded], ops.ones_like
    )


def contrast_token(captioner: Captioner, word: str, explained=()) -> int:
    """Returns the id of the word that explained tokens are contrasted with.

    Raises:
        ValueError: The captioner does not know it, or it is explained itself.
    """
    word = word.lower()
    if word not in captioner.vocabulary:
        raise ValueError(f"The captioner does not know {word!r}; contrast another.")
    token = captioner.vocabulary.id_of(word)
    if token in explained:
        raise ValueError(f"{word!r} cannot be contrasted with itself.")
    return token
