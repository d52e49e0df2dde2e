"""LRP-inference fine-tuning: a second prediction, weighted by what explains the first.

    loss = lambda CE(p) + (1 - lambda) CE(p_hat)

p is what the captioner predicts, w its likeliest word, R the relevance of the logit
of w. p_hat is predicted again:

    context      p_hat = softmax(W_p sum_i (omega_i * part_i) + b_p)
                 omega_i = 1 + R_i / max |R_i|, for each part that the predictor
                 reads: the hidden state and the context of a sentinel's decoder
    the others   the logit of w is scaled by 1 + s, where s is the mean, the mean of
                 the positive part or the 0.9-quantile of R / max |R| over the pixels

No gradient flows through the weights. Where w is a function word or a special token
they are 1, and p_hat is p.

Source: arXiv 2001.01037: context in its later versions, the others in the first.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from config import Config
from dataset.function_words import FUNCTION_WORDS
from dataset.vocabulary import END, Vocabulary
from keras_lrp import LRP
from keras_lrp.backend import vector_jacobian_product
from keras_lrp.operations import RELEVANCE_RULES, Operations
from models.captioner import Captioner
from models.decoders import select, total
from models.encoders import flatten_grid
from models.explainers.decoder_stage import differentiate_words
from models.explainers.methods import LRP_PRESET, RELEVANCE

logger = logging.getLogger(__name__)
PLAIN = Operations()
STATISTICS = {
    "mean": lambda scaled: ops.mean(scaled, axis=-1),
    "pos_mean": lambda scaled: ops.mean(ops.relu(scaled), axis=-1),
    "quantile": lambda scaled: ops.quantile(scaled, 0.9, axis=-1),
}


class Prediction(NamedTuple):
    """What the loss compares with the right words.

    Attributes:
        logits: Of p (B, Q, V).
        places: Which K of each image's Q words are weighed (B, K).
        weighed: Their logits in p_hat (B, K, V).
    """

    logits: object
    places: object
    weighed: object


class WeighedWords(NamedTuple):
    """The words that are weighed, K of each image.

    Attributes:
        places: Which of the image's Q words (B, K).
        tokens: The likeliest word there (B, K).
        weight: 1 for content words, else 0: their logits stay as they are (B, K).
    """

    places: object
    tokens: object
    weight: object


class LRPInferenceCaptioner(Captioner):
    """A captioner whose training weighs its words by their relevance.

    Its files are those of any captioner. Where config reads the relevance of pixels,
    a batch's inputs hold the encoder's inputs too, as "images" (B, H, W, 3).

    Args:
        config: The architecture and the mode.
        vocabulary: The words.
        encoder: From `build_encoder`.
    """

    def __init__(self, config: Config, vocabulary: Vocabulary, encoder: keras.Model):
        super().__init__(config, vocabulary, encoder)
        self.is_content = np.array(
            [
                token > END and word not in FUNCTION_WORDS
                for token, word in enumerate(vocabulary.words)
            ],
            "float32",
        )
        parts = " and ".join(self.decoder.part_names)
        weighed = "pixels" if config.trains_on_pixels else parts
        logger.info("LRP inference weighs words by the relevance of %s", weighed)
        if config.trains_on_pixels:
            if self.vision_transformer is not None:
                raise ValueError(
                    f"lrp_mode={config.lrp_mode} takes relevance back through a "
                    f"convolutional encoder; received {config.encoder}. Set "
                    "lrp_mode=context."
                )
            self._encoder_lrp = LRP(encoder, LRP_PRESET)

    def call(self, inputs, training=False):
        decoder = self.decoder
        features = flatten_grid(self._run_trained(inputs["features"], training))
        embedded = decoder.embed(inputs["tokens"])
        memory = decoder.project(PLAIN, features, training)
        state = decoder.initial_state(*ops.shape(embedded)[:2])
        positions = inputs["positions"]
        seen = decoder.read(PLAIN, memory, embedded, state, positions, training)
        parts = [seen.parts[name] for name in decoder.part_names]  # (B, Q, H) each
        mixed = total(parts)
        kept = decoder.dropout(ops.ones_like(mixed), training=training)
        logits = decoder.predict_words(PLAIN, kept * mixed)
        words = choose_words(logits, self.is_content, self.config.lrp_words)
        if self.config.trains_on_pixels:
            weighed = self._scale_logits(logits, inputs, features, words)
        else:
            weighed = self._weigh_parts(parts, kept, words)
        return Prediction(logits, words.places, weighed)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        y, sample_weight = map(ops.convert_to_tensor, (y, sample_weight))
        share = 1.0 - self.config.lrp_lambda
        is_weighed = ops.sum(ops.one_hot(y_pred.places, y.shape[1]), axis=1)  # (B, Q)
        targets, weights = (
            ops.take_along_axis(part, y_pred.places, axis=1)
            for part in (y, sample_weight)
        )
        return super().compute_loss(
            x,
            ops.concatenate([y, targets], axis=1),
            ops.concatenate([y_pred.logits, y_pred.weighed], axis=1),
            ops.concatenate(
                [sample_weight * (1.0 - share * is_weighed), share * weights], axis=1
            ),
            training,
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred.logits, sample_weight)

    def _weigh_parts(self, parts: Sequence, kept, words: WeighedWords):
        """Predicts the words anew from the parts, weighted by their relevance."""
        kept, *parts = (select(part[:, None], words.places) for part in (kept, *parts))
        strength = self._strength(words)[..., None]
        weights = [
            1.0 + ops.cast(strength * scaled(relevance), kept.dtype)
            for relevance in parts_relevance(
                self.decoder.predictor, parts, kept, words.tokens
            )
        ]
        weighed = (w * part for w, part in zip(weights, parts, strict=True))
        return self.decoder.predict_words(PLAIN, kept * total(weighed))

    def _scale_logits(self, logits, inputs: dict, features, words: WeighedWords):
        """Scales the logits of the words by a statistic of their pixel relevance."""
        relevance = self.pixel_relevance(inputs, features, words)
        statistic = STATISTICS[self.config.lrp_mode](scaled(relevance))  # (B, K)
        change = (self._strength(words) * statistic)[..., None]
        of_word = ops.one_hot(words.tokens, logits.shape[-1])
        weighed = select(logits[:, None], words.places)
        return weighed * ops.cast(1.0 + change * of_word, weighed.dtype)

    def pixel_relevance(self, inputs: dict, features, words: WeighedWords):
        """Explains the logits of words by the pixels, as the method lrp does.

        Args:
            inputs: Of a batch, see `CaptionBatches`.
            features: The encoder's features (B, L, D).
            words: What is explained, K words of each image.

        Returns:
            Relevance of the H W pixels (B, K, H W), without a gradient.
        """
        decoder = self.decoder
        num_words, steps = words.tokens.shape[1], inputs["tokens"].shape[2]
        positions = ops.take_along_axis(inputs["positions"], words.places, axis=1)
        captions = (positions // steps)[..., None]
        read = ops.take_along_axis(inputs["tokens"], captions, axis=1)  # (B, K, T)
        features = ops.stop_gradient(features)
        gradient = differentiate_words(
            decoder,
            RELEVANCE_RULES[decoder.relevance_rules[0]],
            features,
            ops.stop_gradient(decoder.embed(ops.reshape(read, (-1, 1, steps)))),
            ops.reshape(positions % steps, (-1,)),
            ops.one_hot(ops.reshape(words.tokens, (-1,)), len(self.vocabulary)),
        )[2].features
        shape = (-1, num_words, *self.encoder.output_shape[1:])
        pixels = ops.map(  # image by image, for the memory of their feature maps
            lambda image: self._encoder_lrp(image[0][None], relevance=image[1][None])[
                0
            ],
            (inputs["images"], ops.reshape(features[:, None] * gradient, shape)),
        )
        height, width = self.encoder.input_shape[1:3]
        pixels = ops.reshape(ops.sum(pixels, axis=-1), (-1, num_words, height * width))
        return ops.stop_gradient(pixels)

    def _strength(self, words: WeighedWords):
        return self.config.lrp_strength * words.weight


def choose_words(logits, is_content, limit: int) -> WeighedWords:
    """Finds the likeliest words and takes the content words, at most `limit`.

    These are the first ones; an image's captions come in random order.

    Args:
        logits: (B, Q, V).
        is_content: 1 for the content words of the vocabulary, else 0, (V,).
        limit: K, unless Q is smaller.
    """
    tokens = ops.argmax(logits, axis=-1)
    number = logits.shape[1]
    weight = ops.take(is_content, tokens)  # (B, Q)
    # Torch picks any of equal values: the first are made larger.
    order = number * weight - ops.arange(number, dtype=weight.dtype)
    _, places = ops.top_k(order, min(limit, number))
    tokens, weight = (
        ops.take_along_axis(part, places, axis=1) for part in (tokens, weight)
    )
    return WeighedWords(places, tokens, weight)


def parts_relevance(
    predictor: keras.layers.Dense, parts: Sequence, kept, tokens
) -> tuple:
    """Explains the logit of one word by the summands that the predictor reads.

    Args:
        predictor: W_p (H, V) and b_p.
        parts: (B, K, H) each.
        kept: The dropout's factors of their sum (B, K, H).
        tokens: The words (B, K).

    Returns:
        The relevance of each part (B, K, H), without a gradient, in the precision of
        the weights.
    """
    precise = predictor.variable_dtype
    kept, *parts = (ops.stop_gradient(ops.cast(x, precise)) for x in (kept, *parts))
    kernel = ops.cast(ops.take(predictor.kernel, tokens, axis=1), precise)
    kernel = ops.moveaxis(kernel, 0, -1)[..., None]  # (B, K, H, 1)
    bias = ops.cast(ops.take(predictor.bias, tokens), precise)[..., None, None]

    def logit(*parts):
        mixed = (kept * RELEVANCE.sum(total(parts)))[..., None, :]
        return RELEVANCE.linear(mixed, kernel, bias), ()

    _, _, gradients = vector_jacobian_product(logit, parts, ops.ones_like)
    return tuple(
        ops.stop_gradient(part * gradient)
        for part, gradient in zip(parts, gradients, strict=True)
    )


def scaled(relevance):
    """Divides relevance (..., N) by its largest absolute value, if that is not 0."""
    largest = ops.max(ops.abs(relevance), axis=-1, keepdims=True)
    return relevance / ops.where(largest > 0, largest, 1.0)
