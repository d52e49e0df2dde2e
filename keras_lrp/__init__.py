"""Layer-wise relevance propagation (LRP) for Keras 3.

    from keras_lrp import LRP

    lrp = LRP(keras.applications.VGG16(), preset="epsilon_plus")
    pixels = lrp(images, classes=[243])  # (B, 1, 224, 224, 3)

`operations` explains networks that are written by hand: recurrent decoders,
Transformers.
"""

import keras_lrp.silence  # noqa: F401
from keras_lrp.operations import (
    RELEVANCE_RULES,
    AttentionOperations,
    GammaOperations,
    GradientOperations,
    Operations,
    RelevanceOperations,
)
from keras_lrp.presets import PRESETS
from keras_lrp.propagate import LRP, PRECISIONS, class_relevance
from keras_lrp.rules import (
    AlphaBeta,
    Box,
    Derivative,
    Epsilon,
    Flat,
    Gamma,
    Gradient,
    PassThrough,
    SignalTakesAll,
    WSquare,
)

__version__ = "0.1.0"
__all__ = [
    "LRP",
    "PRECISIONS",
    "PRESETS",
    "RELEVANCE_RULES",
    "AlphaBeta",
    "AttentionOperations",
    "Box",
    "Derivative",
    "Epsilon",
    "Flat",
    "Gamma",
    "GammaOperations",
    "Gradient",
    "GradientOperations",
    "Operations",
    "PassThrough",
    "RelevanceOperations",
    "SignalTakesAll",
    "WSquare",
    "class_relevance",
]
