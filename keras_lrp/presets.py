"""Which rule each kind of step has: the presets, by name.

Source: Bach et al. 2015; Kohlbrenner et al. 2020 (rules by kind of layer).
"""

from collections.abc import Mapping
from dataclasses import replace

from keras_lrp.graph import Graph
from keras_lrp.layers import unsupported
from keras_lrp.rules import (
    AlphaBeta,
    Box,
    Derivative,
    Epsilon,
    Gamma,
    Gradient,
    PassThrough,
    SignalTakesAll,
)

DENSE = Epsilon(1e-3, relative=True)
FIRM_DENSE = Epsilon(1e-6, relative=True)
PROPORTIONAL = Epsilon(1e-9, relative=True)


def _relevance_preset(convolution, dense=DENSE, **others) -> dict:
    """Rules that divide relevance in proportion."""
    return {
        "convolution": convolution,
        "dense": dense,
        "normalization": convolution,
        "layer_normalization": PROPORTIONAL,
        "average_pool": PROPORTIONAL,
        "sum": PROPORTIONAL,
        "product": SignalTakesAll(),
        "rectifier": PassThrough(),
        "activation": PassThrough(),
        "rescaling": PassThrough(),
        **others,
    }


GRADIENT = {
    **dict.fromkeys(
        ("convolution", "dense", "normalization", "average_pool", "sum"), Gradient()
    ),
    **dict.fromkeys(
        ("layer_normalization", "product", "rectifier", "activation", "rescaling"),
        Derivative(),
    ),
    "unknown": Derivative(),
}
OPTIONAL = {"first", "unknown"}
Z_PLUS = AlphaBeta(1.0, 0.0)
ALPHA2_BETA1 = AlphaBeta(2.0, 1.0, conserves=True)

PRESETS = {
    "alpha1_beta0": _relevance_preset(Z_PLUS),
    "alpha1_beta0_innvestigate": _relevance_preset(AlphaBeta(1.0, 0.0, bias="whole")),
    "alpha2_beta1": _relevance_preset(ALPHA2_BETA1),
    "alpha2_beta1_zennit": _relevance_preset(AlphaBeta(2.0, 1.0)),
    "z_plus": _relevance_preset(Z_PLUS, dense=Z_PLUS),
    "epsilon": _relevance_preset(Epsilon(0.01)),
    "epsilon_plus": _relevance_preset(Z_PLUS, dense=FIRM_DENSE),
    "epsilon_alpha2_beta1": _relevance_preset(ALPHA2_BETA1, dense=FIRM_DENSE),
    "epsilon_gamma_box": _relevance_preset(Gamma(0.25), dense=FIRM_DENSE, first=Box()),
    "gradient": GRADIENT,
    "guided_backprop": {**GRADIENT, "rectifier": Derivative(guided=True)},
}


def choose_rules(preset: str | Mapping, pixel_range: tuple | None) -> dict:
    """Returns the rules of a preset, the box rule with its range of pixels.

    Raises:
        ValueError: There is no such preset, or it lacks a kind or the box rule.
    """
    if isinstance(preset, str) and preset not in PRESETS:
        raise ValueError(
            f"preset must be one of {', '.join(PRESETS)}, or a mapping of rules; "
            f"received {preset!r}."
        )
    rules = dict(PRESETS[preset] if isinstance(preset, str) else preset)
    needed = GRADIENT.keys() - OPTIONAL
    if rules.keys() - OPTIONAL != needed:
        names = ", ".join(kind for kind in GRADIENT if kind in needed)
        raise ValueError(
            f"A mapping of rules needs the keys {names}, and may have 'first' and "
            f"'unknown'; received {', '.join(rules)}. Start from one of PRESETS."
        )
    if pixel_range is not None:
        if not isinstance(rules.get("first"), Box):
            raise ValueError(
                "pixel_range is used by the box rule only, and this preset has none; "
                "leave it out, or choose 'epsilon_gamma_box'."
            )
        low, high = pixel_range
        rules["first"] = replace(rules["first"], low=low, high=high)
    return rules


def refuse_unknown(graph: Graph, rules: Mapping) -> None:
    """Checks that every step which relevance reaches has a rule.

    Raises:
        ValueError: Names the layer that has none, and the reason.
    """
    for step in graph.walked():
        is_unknown = step.kind == "unknown" and "unknown" not in rules
        is_gateless = (
            step.kind == "product"
            and step.gate is None
            and isinstance(rules["product"], SignalTakesAll)
        )
        if is_unknown or is_gateless:
            raise unsupported(step.layer, step.reason)
