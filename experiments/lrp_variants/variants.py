"""Variants of LRP: what is explained, how the features' share is read, which rules."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_lrp import LRP, PRESETS, RELEVANCE_RULES
from keras_lrp.rules import Flat
from models import Captioner
from models.encoders import split_encoder
from models.explainers.decoder_stage import decoder_tokens, explain_decoder
from models.explainers.deletion import predict_variants
from models.explainers.encoder_stage import encoder_lrp
from models.explainers.explanation import PRECISION
from models.sentence import few_sizes
from scoring.explained_images import ExplainedImage


class Variant(NamedTuple):
    """One way of LRP: a key of SEEDS, of READINGS and of RULES."""

    seed: str = "logit"
    reading: str = "all"
    rules: str = "alpha1_beta0"

    def __str__(self):
        return ", ".join(self)


# What is explained: weights of the logits, of logits (R, V) and the words' ids (R,)


def _logit(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return np.eye(logits.shape[-1], dtype="float32")[tokens]


def _above_mean(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return _logit(logits, tokens) - np.float32(1 / logits.shape[-1])


def _above_next(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    word = _logit(logits, tokens)
    others = np.where(word > 0, -np.inf, logits).argmax(-1)
    return word - _logit(logits, others)


SEEDS = {"logit": _logit, "less the mean": _above_mean, "less the next": _above_next}


# How the features' relevance is read, of features (h, w, D), gradient (R, h, w, D)


def _all(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    return features * gradient


def _centred(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    relevance = features * gradient
    return relevance - relevance.mean((1, 2), keepdims=True)


def _of_difference(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    return (features - features.mean((0, 1))) * gradient


READINGS = {"all": _all, "centred": _centred, "of the difference": _of_difference}

# The encoder's rules: presets from the lowest layers up, each from a layer on.
FLAT = {**PRESETS["alpha1_beta0"], "convolution": Flat()}
GAMMA = {k: v for k, v in PRESETS["epsilon_gamma_box"].items() if k != "first"}
RULES = {
    "alpha1_beta0": (("", "alpha1_beta0"),),
    "gamma, box": (("", "epsilon_gamma_box"),),
    "flat, alpha1_beta0, epsilon": (
        ("", FLAT),
        ("block3_conv1", "alpha1_beta0"),
        ("block5_conv1", "epsilon"),
    ),
    "flat, gamma, epsilon": (
        ("", FLAT),
        ("block3_conv1", GAMMA),
        ("block5_conv1", "epsilon"),
    ),
}
STAGES = (("reading", READINGS), ("seed", SEEDS), ("rules", RULES))


def explain_by(
    captioner: Captioner, image: ExplainedImage, steps: np.ndarray, variant: Variant
) -> np.ndarray:
    """Returns the relevance of the pixels by a variant, (R, H, W, 3)."""
    encoded, tokens = image.encoded, image.tokens
    weights = SEEDS[variant.seed](_logits(captioner, image, steps), tokens[steps])
    rules = RELEVANCE_RULES[captioner.decoder.relevance_rules[0]]
    stage = explain_decoder(
        captioner, rules, encoded.features, tokens, steps, weights=weights
    )
    read = READINGS[variant.reading]
    relevance = read(stage.features, stage.feature_gradient)
    return pass_encoder(captioner, variant.rules, encoded.encoder_input, relevance)


def _logits(captioner: Captioner, image: ExplainedImage, steps) -> np.ndarray:
    """Returns the logits of all words at some places, (R, V)."""
    tokens_read = decoder_tokens(captioner, image.tokens)
    places = np.zeros((1, len(tokens_read)), "int32")
    places[0, : len(steps)] = steps
    nothing = np.zeros((1, len(tokens_read)), bool)
    asked = captioner, image.encoded.features, tokens_read, nothing, places
    return predict_variants(*asked)[0, : len(steps)]


def pass_encoder(
    captioner: Captioner, rules: str, encoder_input: np.ndarray, relevance: np.ndarray
) -> np.ndarray:
    """Takes relevance (R, h, w, D) back through the encoder by some of RULES."""
    parts = captioner.make_once(
        ("parts", rules), lambda: list(_make_parts(captioner, RULES[rules]))
    )
    inputs = [encoder_input]
    for part in parts[:-1]:
        inputs.append(np.asarray(part.model(inputs[-1])))
    rows = len(relevance)
    padding = (0, few_sizes(rows) - rows), *[(0, 0)] * (relevance.ndim - 1)
    relevance = np.pad(relevance, padding)[None]
    for part, own in zip(reversed(parts), reversed(inputs), strict=True):
        relevance = np.asarray(part(own, relevance=relevance))
    return relevance[0, :rows]


def _make_parts(captioner: Captioner, chain: Sequence) -> Iterator[LRP]:
    """Yields the LRP of each part of the encoder, from the lowest up."""
    if len(chain) == 1:
        yield encoder_lrp(captioner, chain[0][1], PRECISION)
        return
    rest = captioner.encoder
    ends = [layer for layer, _ in chain[1:]] + [""]
    for (_, preset), end in zip(chain, ends, strict=True):
        part, rest = split_encoder(rest, end)
        yield LRP(part, preset)
