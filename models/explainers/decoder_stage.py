"""The first stage of an explanation: from a word's logit to features and words."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lrp import Operations
from keras_lrp.backend import compiled, recorded, vector_jacobian_product
from models.base_captioner import BaseCaptioner
from models.decoders import Decoder
from models.encoders import flatten_grid
from models.explainers.spans import Spans
from models.sentence import Sentence, few_sizes

TARGETS = ("logit", "centred_logit", "log_probability")


@dataclass(frozen=True)
class DecoderStage:
    """The derivative of each explained logit, and the forward values around it.

    What is explained of several tokens, of a word or of a phrase, is the sum of their
    logits, and their probability is the product of theirs.

    Attributes:
        features: The encoder's features (h, w, D).
        feature_gradient: (R, h, w, D).
        mean_gradient: The derivative by the mean feature, of which `feature_gradient`
            holds an equal part at every position (R, D); None for a decoder that does
            not read it.
        preceding_words: Input times gradient of the embeddings, summed (R, T).
        attention: The decoder's attention maps by name, (R, h, w) each.
        beta: (R,), or None for a decoder without a sentinel.
        logits: (R,).
        log_probabilities: (R,).
        tokens_read: The ids the decoder reads, padded to one of few lengths (S,).
        places: The places of the explained tokens (P,), P = R where single words are
            explained, each of one token.
        seeds: The weights of the explained sums of logits (P, V).
        sentence: The caption.
        spans: The places of the explained words and phrases.
    """

    features: np.ndarray
    feature_gradient: np.ndarray
    mean_gradient: np.ndarray | None
    preceding_words: np.ndarray
    attention: dict[str, np.ndarray]
    beta: np.ndarray | None
    logits: np.ndarray
    log_probabilities: np.ndarray
    tokens_read: np.ndarray
    places: np.ndarray
    seeds: np.ndarray
    sentence: Sentence
    spans: Spans

    @property
    def located_gradient(self) -> np.ndarray:
        """The part of `feature_gradient` that is not by the mean feature."""
        if self.mean_gradient is None:
            return self.feature_gradient
        height, width = self.features.shape[:2]
        by_mean = self.mean_gradient[:, None, None] / (height * width)
        return self.feature_gradient - by_mean

    @property
    def mean_relevance(self) -> np.ndarray | None:
        """Input times gradient of the mean feature, summed (R,); None without it."""
        if self.mean_gradient is None:
            return None
        return self.mean_gradient @ self.features.mean((0, 1))

    @property
    def shown_attention(self) -> np.ndarray | None:
        """The first of the attention maps (R, h, w); None where there is none."""
        return next(iter(self.attention.values()), None)


class Differentiated(NamedTuple):
    """What is computed at once for R explained words.

    Attributes:
        logits: The explained sums of logits (R,).
        feature_gradient: (R, L, D).
        mean_gradient: (R, D) or None.
        by_word: Input times gradient of the embeddings (R, S).
        attention: By name (R, L).
        beta: (R,) or None.
        log_probabilities: Of all words of the vocabulary (R, V).
    """

    logits: object
    feature_gradient: object
    mean_gradient: object
    by_word: object
    attention: dict
    beta: object
    log_probabilities: object


def explain_decoder(
    captioner: BaseCaptioner,
    operations: Operations,
    features,
    tokens: np.ndarray,
    spans: Spans | np.ndarray,
    contrast: str | None = None,
    target: str = TARGETS[0],
) -> DecoderStage:
    """Differentiates the logits of several words of a caption at once.

    The tokens lie along the batch axis: row p holds the whole sentence and predicts
    from its place alone, which costs one small recurrence per token and no loop.

    Args:
        captioner: The model.
        operations: How the decoder is differentiated.
        features: (1, h, w, D).
        tokens: The caption's ids (S,).
        spans: The places of the explained words (R,), or words and phrases.
        contrast: See `explain`.
        target: What is explained, one of TARGETS. "centred_logit" is z_w - mean_v z_v.
            "log_probability", log p_w, is sum_v (1[v = w] - p_v) z_v less the entropy
            of p, with constant p.
    """
    spans = Spans.of(spans)
    sentence = captioner.sentence(tokens)
    places, words = sentence.places(*spans)
    explained, tokens_read = tokens[places], decoder_tokens(captioner, tokens)
    seeds = _seeds(captioner, explained, words, contrast)
    if target == "centred_logit":
        seeds -= seeds.mean(axis=1, keepdims=True)
    given = (captioner, operations, features, tokens_read, places)
    found = _differentiate(*given, seeds)
    if target == "log_probability" and contrast is None:  # else p cancels out
        seeds -= np.exp(found.log_probabilities)
        found = _differentiate(*given, seeds)
    merge = functools.partial(sentence.merge, steps=spans.steps, lengths=spans.lengths)
    grid = (len(spans.steps), *features.shape[1:3])
    log_probabilities = found.log_probabilities[np.arange(len(places)), explained]
    by_token = merge(found.by_word[:, : len(tokens)])
    return DecoderStage(
        features=ops.convert_to_numpy(features)[0],
        feature_gradient=merge(found.feature_gradient).reshape(*grid, -1),
        mean_gradient=(
            None if found.mean_gradient is None else merge(found.mean_gradient)
        ),
        preceding_words=sentence.sum_columns(by_token),
        attention={
            name: _mean_of_tokens(sentence, m, spans).reshape(grid)
            for name, m in found.attention.items()
        },
        beta=_mean_of_tokens(sentence, found.beta, spans),
        logits=merge(found.logits),
        log_probabilities=merge(log_probabilities),
        tokens_read=tokens_read,
        places=places.astype("int32"),
        seeds=seeds,
        sentence=sentence,
        spans=spans,
    )


def _differentiate(
    captioner: BaseCaptioner,
    operations: Operations,
    features,
    tokens_read: np.ndarray,
    places: np.ndarray,
    seeds: np.ndarray,
) -> Differentiated:
    """Differentiates P tokens, in few calls of few sizes."""
    rows = len(places)
    calls, size = _divide(rows, captioner.decoder.rows_at_once)
    padding = calls * size - rows
    places = np.pad(places.astype("int32"), (0, padding))
    seeds = np.pad(seeds, ((0, padding), (0, 0)))
    differentiate = captioner.make_once(
        ("decoder stage", operations), lambda: _compiled_stage(captioner, operations)
    )
    found = [
        differentiate(features, tokens_read, *part)
        for part in zip(np.split(places, calls), np.split(seeds, calls), strict=True)
    ]
    return Differentiated(*(_joined(parts, rows) for parts in zip(*found, strict=True)))


def _seeds(captioner: BaseCaptioner, tokens, words, contrast) -> np.ndarray:
    """Returns the weights of the explained sums of logits (P, V).

    Args:
        captioner: The model.
        tokens: The explained ones (P,).
        words: The number of each token's word (P,).
        contrast: See `explain`; two words are compared where they begin.
    """
    rows = np.arange(len(tokens))
    seeds = np.zeros((len(tokens), len(captioner.vocabulary)), "float32")
    seeds[rows, tokens] = 1.0
    if contrast is not None:
        begins = np.diff(words, prepend=-1) > 0
        seeds[rows[~begins]] = 0.0
        other = contrast_token(captioner, contrast, tokens[begins])
        seeds[rows[begins], other] -= 1.0
    return seeds


def _mean_of_tokens(
    sentence: Sentence, values: np.ndarray | None, spans: Spans
) -> np.ndarray | None:
    """Averages values (P, ...) over the tokens of each word or phrase: (R, ...)."""
    if values is None or len(values) == len(spans.steps):
        return values
    counts = sentence.merge(np.ones(len(values), values.dtype), *spans)
    merged = sentence.merge(values, *spans)
    return merged / counts.reshape(-1, *[1] * (values.ndim - 1))


def _divide(count: int, most: int | None) -> tuple[int, int]:
    """Returns into how many calls rows are divided, and the rows of each."""
    calls = 1 if most is None else -(-count // most)
    return calls, few_sizes(-(-count // calls))


def _joined(parts: list, count: int):
    """Returns the first rows of several calls' arrays, or arrays by name, in numpy."""
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in parts], count) for name in first}
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])[:count]


def decoder_tokens(captioner: BaseCaptioner, tokens: np.ndarray) -> np.ndarray:
    """Returns the ids that the decoder reads to write tokens (T,), padded: (S,)."""
    words = captioner.vocabulary
    tokens_read = np.full(few_sizes(len(tokens)), words.padding, "int32")
    tokens_read[: len(tokens)] = [words.start, *tokens[:-1]]
    return tokens_read


def _compiled_stage(captioner: BaseCaptioner, operations: Operations) -> Callable:
    decoder = captioner.decoder

    def differentiate(features, tokens_read, steps, seeds) -> Differentiated:
        rows, length = ops.shape(seeds)[0], ops.shape(tokens_read)[0]
        embedded = decoder.embed(tokens_read)  # (S, E)
        embedded = ops.broadcast_to(
            embedded[None, None], (rows, 1, length, embedded.shape[-1])
        )
        logits, output, gradients = differentiate_words(
            decoder, operations, flatten_grid(features), embedded, steps, seeds
        )
        return Differentiated(
            logits=logits,
            feature_gradient=gradients.features[0],
            mean_gradient=None if gradients.mean is None else gradients.mean[0],
            by_word=ops.sum(embedded * gradients.embedded, axis=-1)[:, 0],  # (R, S)
            attention={name: m[:, 0] for name, m in output.attention.items()},
            beta=None if output.beta is None else output.beta[:, 0],
            log_probabilities=ops.log_softmax(output.logits[:, 0]),
        )

    return compiled(differentiate, captioner)


class Gradients(NamedTuple):
    """The derivatives of explained sums of logits, of K words of each of B images.

    Attributes:
        features: By the features (B, K, L, D), those through their mean among them.
        embedded: By what the decoder reads (B K, 1, T, E).
        mean: By the mean feature (B, K, D); None for a decoder that does not read it.
    """

    features: object
    embedded: object
    mean: object


def differentiate_words(
    decoder: Decoder, operations: Operations, features, embedded, steps, seeds
) -> tuple:
    """Differentiates a sum of logits of one word of each of K sentences of B images.

    What the decoder makes of an image is computed once, for all of its sentences.

    Args:
        decoder: The model.
        operations: How it is differentiated.
        features: (B, L, D).
        embedded: What the decoder reads (B K, 1, T, E), image by image.
        steps: The place of the word (B K,).
        seeds: The weights of the logits (B K, V).

    Returns:
        The sums (B K,), the decoder's output for the words, and their `Gradients`.
    """
    images, rows = ops.shape(features)[0], ops.shape(seeds)[0]
    memory, pull_back = recorded(*_projection(decoder, operations, features))

    def explained_logits(*inputs):
        *parts, embedded = inputs
        own = keras.tree.pack_sequence_as(memory, parts)
        output = decoder.decode(operations, own, embedded, positions=steps[:, None])
        logits = output.logits[:, 0]  # (B K, V)
        return ops.sum(logits * ops.cast(seeds, logits.dtype), axis=-1), output

    own = [ops.repeat(m, rows // images, axis=0) for m in keras.tree.flatten(memory)]
    logits, output, (*of_memory, of_words) = vector_jacobian_product(
        explained_logits, [*own, embedded], ops.ones_like
    )
    by_word = [  # (K, B, ...)
        ops.swapaxes(ops.reshape(part, (images, -1, *ops.shape(part)[1:])), 0, 1)
        for part in of_memory
    ]
    found = ops.swapaxes(pull_back(keras.tree.pack_sequence_as(memory, by_word)), 0, 1)
    if not decoder.reads_mean:
        return logits, output, Gradients(found, of_words, None)
    of_places, of_mean = found[:, :, :-1], found[:, :, -1:]
    of_features = of_places + of_mean / of_places.shape[2]
    return logits, output, Gradients(of_features, of_words, of_mean[:, :, 0])


def _projection(decoder: Decoder, operations: Operations, features) -> tuple:
    """Returns how the decoder projects one array, and that array (B, L, D).

    Where the decoder reads the mean, the array has it as the last of L + 1 positions.
    """
    if not decoder.reads_mean:
        return lambda x: decoder.project(operations, x), features

    def project(signals):
        places, mean = signals[:, :-1], signals[:, -1]
        return decoder.project(operations, places, mean=mean)

    mean = ops.mean(features, axis=1, keepdims=True)
    return project, ops.concatenate([features, mean], axis=1)


def contrast_token(captioner: BaseCaptioner, word: str, explained=()) -> int:
    """Returns the token that explained ones are contrasted with: the word's first.

    Raises:
        ValueError: The captioner does not know the word, or it is explained itself.
    """
    token = captioner.first_token(word)
    if token in explained:
        raise ValueError(f"{word!r} cannot be contrasted with itself.")
    return token
