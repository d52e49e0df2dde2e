"""Captioners and their explanations.

from models import explain, load_captioner

captioner = load_captioner("flickr8k-adaptive-attention")
explanation = explain(captioner, "photo.jpg", method="lrp")

`class_relevance` and `encoder_relevance` explain any Keras CNN, without a captioner.
"""

from models.captioner import Caption, Captioner, load_captioner
from models.encoder_relevance import class_relevance, encoder_relevance
from models.explainers import explain, explain_each, explain_encoded
from models.explanation import Explanation
from models.methods import LRP_PRESETS, METHODS
from models.run_files import CaptionerError

__all__ = [
    "LRP_PRESETS",
    "METHODS",
    "Caption",
    "Captioner",
    "CaptionerError",
    "Explanation",
    "class_relevance",
    "encoder_relevance",
    "explain",
    "explain_each",
    "explain_encoded",
    "load_captioner",
]
