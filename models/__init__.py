"""Captioners and their explanations.

from models import explain, load_captioner

captioner = load_captioner("flickr8k-adaptive-attention")
explanation = explain(captioner, "photo.jpg", method="lrp")
"""

from models.captioner import Caption, Captioner, CaptionerError, load_captioner
from models.explainers import METHODS, explain
from models.explanation import Explanation

__all__ = [
    "METHODS",
    "Caption",
    "Captioner",
    "CaptionerError",
    "Explanation",
    "explain",
    "load_captioner",
]
