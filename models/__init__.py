"""Captioners and their explanations.

from models import explain, load_captioner

captioner = load_captioner("flickr8k-adaptive-attention")
explanation = explain(captioner, "photo.jpg", method="lrp")

`keras_lrp` explains any Keras CNN, without a captioner.
"""

import quiet_start  # noqa: F401
from keras_lrp import class_relevance
from models.base_captioner import BaseCaptioner, Caption
from models.captioner import LRP_PRESETS, Captioner, load_captioner
from models.explainers.explain import explain, explain_each, explain_encoded
from models.explainers.explanation import Explanation
from models.explainers.methods import METHODS
from models.run_files import CaptionerError

__all__ = [
    "LRP_PRESETS",
    "METHODS",
    "BaseCaptioner",
    "Caption",
    "Captioner",
    "CaptionerError",
    "Explanation",
    "class_relevance",
    "explain",
    "explain_each",
    "explain_encoded",
    "load_captioner",
]
