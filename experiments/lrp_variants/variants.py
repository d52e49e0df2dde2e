"""Variants of LRP: what is explained, how the features' share is read, which rules."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_lrp import LRP, PRESETS, RELEVANCE_RULES
from keras_lrp.rules import Box, Flat, LinearRule
from models import Captioner
from models.captioner import LRP_PRESETS
from models.explainers.decoder_stage import TARGETS, DecoderStage, explain_decoder
from models.explainers.encoder_stage import encoder_lrp
from models.explainers.methods import centre
from scoring.explained_images import ExplainedImage


class Variant(NamedTuple):
    """One way of LRP.

    Attributes:
        target: What is explained, one of TARGETS.
        reading: How the relevance of the features is read, a key of READINGS.
        rules: The encoder's, a preset of LRP_PRESETS or a key of COMPOSITES.
    """

    target: str = TARGETS[0]
    reading: str = "all"
    rules: str = LRP_PRESETS[0]

    def __str__(self):
        return ", ".join(self)


def distinct(*variants: Variant) -> list[Variant]:
    """Leaves out what was there before."""
    return list(dict.fromkeys(variants))


# How the relevance of the features is read, (R, h, w, D)


def _all(stage: DecoderStage) -> np.ndarray:
    return stage.features * stage.feature_gradient


def _located(stage: DecoderStage) -> np.ndarray:
    return stage.features * stage.located_gradient


def _centred(stage: DecoderStage) -> np.ndarray:
    return centre(_all(stage))


def _deviation(stage: DecoderStage) -> np.ndarray:
    return (stage.features - stage.features.mean((0, 1))) * stage.feature_gradient


READINGS: dict[str, Callable[[DecoderStage], np.ndarray]] = {
    "all": _all,
    "without the mean feature": _located,
    "centred": _centred,
    "of the deviation": _deviation,
}


# The encoder's rules


@dataclass(frozen=True)
class ByResolution(LinearRule):
    """A rule for each resolution of an encoder: another below than above.

    Args:
        rules: (side, rule): the first holds whose side the layer's input has at least,
            in positions.
    """

    rules: tuple[tuple[int, LinearRule], ...]

    def shares(self, layer):
        """Names the summands of the rule that holds."""
        side = layer.inputs.shape[1]
        rule = next(rule for least, rule in self.rules if side >= least)
        return rule.shares(layer)


def _composite(*rules: tuple[int, LinearRule], **others) -> dict:
    return {**PRESETS["epsilon_plus"], "convolution": ByResolution(rules), **others}


ALPHA_BETA = PRESETS["alpha1_beta0"]["convolution"]
EPSILON = PRESETS["epsilon"]["convolution"]
GAMMA = PRESETS["epsilon_gamma_box"]["convolution"]
# VGG16's blocks read 224, 112, 56, 28 and 14 positions a side.
COMPOSITES: dict[str, Mapping] = {
    "flat, alpha1_beta0": _composite((112, Flat()), (0, ALPHA_BETA)),
    "alpha1_beta0, epsilon": _composite((28, ALPHA_BETA), (0, EPSILON)),
    "box, alpha1_beta0, epsilon": _composite(
        (28, ALPHA_BETA), (0, EPSILON), first=Box()
    ),
    "flat, alpha1_beta0, epsilon": _composite(
        (112, Flat()), (28, ALPHA_BETA), (0, EPSILON)
    ),
    "flat, gamma, epsilon": _composite((112, Flat()), (28, GAMMA), (0, EPSILON)),
}


def _distinct_presets() -> Iterator[str]:
    """Yields the presets that differ in an encoder of convolutions and max pools."""
    seen = []
    for name in LRP_PRESETS:
        rules = [PRESETS[name].get(kind) for kind in ("convolution", "first")]
        if rules not in seen:
            seen.append(rules)
            yield name


RULES = (*_distinct_presets(), *COMPOSITES)


def explain_by(
    captioner: Captioner, image: ExplainedImage, variants: Sequence[Variant]
) -> dict[str, np.ndarray]:
    """Returns the relevance of the pixels by each variant, (R, H, W, 3).

    The decoder is explained once for each target, and variants of the same rules pass
    the encoder together.
    """
    encoded, steps = image.encoded, np.asarray(image.explanations[0].steps)
    operations = RELEVANCE_RULES[captioner.decoder.relevance_rules[0]]
    stages = {
        target: explain_decoder(
            captioner, operations, encoded.features, image.tokens, steps, target=target
        )
        for target in {variant.target for variant in variants}
    }
    found = {}
    for rules in {variant.rules for variant in variants}:
        mine = [variant for variant in variants if variant.rules == rules]
        relevance = [READINGS[one.reading](stages[one.target]) for one in mine]
        together = np.concatenate(relevance)
        pixels = pass_encoder(captioner, rules, encoded.encoder_input, together)
        parts = np.split(captioner.in_photo(pixels, encoded.pixels), len(mine))
        found |= dict(zip(map(str, mine), parts, strict=True))
    return found


def pass_encoder(
    captioner: Captioner, rules: str, encoder_input: np.ndarray, relevance: np.ndarray
) -> np.ndarray:
    """Takes relevance (R, h, w, D) back through the encoder by some of RULES."""
    if rules in LRP_PRESETS:
        lrp = encoder_lrp(captioner, rules)
    else:
        lrp = captioner.make_once(
            ("composite", rules), lambda: LRP(captioner.encoder, COMPOSITES[rules])
        )
    return np.asarray(lrp(encoder_input, relevance=relevance[None]))[0]
