"""Words and numbers as figures and pages write them."""

import math
from pathlib import PurePath

import numpy as np

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "\N{EN DASH}"
VISUAL_SHARE = f"1{MINUS}β"

METHOD_LABELS = {
    "lrp": "LRP",
    "decoder_lrp": "LRP of the decoder",
    "centred_lrp": "Centred LRP",
    "gradient": "Gradient",
    "gradient_x_input": "Gradient \N{MULTIPLICATION SIGN} input",
    "grad_cam": "Grad-CAM",
    "guided_grad_cam": "Guided Grad-CAM",
    "attention": "Attention",
    "attention_mean": "Attention, all layers",
    "attention_rollout": "Attention rollout",
    "occlusion": "Occlusion",
}

# The lines of docs/methods.md.
METHOD_ADVICE = {
    "lrp": "Ranks first what the word rests on. Much of its faint relevance lies "
    "anywhere.",
    "decoder_lrp": "Shows which features gave the logit, as coarsely as attention; "
    "LRP itself is finer.",
    "centred_lrp": "LRP without what is the same everywhere: less faint relevance, "
    "but its pixels do not add up to the logit.",
    "gradient": "Tells what a small change of a pixel does; noisy, and worse than "
    "LRP at finding objects.",
    "gradient_x_input": "Worse than LRP at finding objects. In captioners with an "
    "LSTM on VGG16 it tells true words from hallucinated ones nearly as well.",
    "grad_cam": "Shows coarse regions that speak for the word; worse than LRP at "
    "finding objects.",
    "guided_grad_cam": "Finds objects best in captioners with an LSTM on VGG16, but "
    "draws the photo even where the decoder is shuffled.",
    "attention": "Shows where the model looked, which need not be what the word "
    "rests on. In Transformers on a CNN it finds objects much worse than LRP.",
    "attention_mean": "Shows where all blocks looked; hardly better than the last "
    "block at finding objects.",
    "attention_rollout": "Follows the attention to the patches: one map for all words, "
    "worse than the mean attention at finding objects.",
    "occlusion": "Asks the model itself, patch by patch, and needs no rules; slow, "
    "and its worth was not measured.",
}


def method_label(explanation) -> str:
    """Returns a method's name as a reader knows it, and what it contrasts with."""
    method = explanation.method
    label = METHOD_LABELS.get(method, method.replace("_", " "))
    named = [
        explanation.lrp_preset,
        explanation.chosen_rules,
        explanation.unusual_precision,
    ]
    if any(named):
        label += f" ({', '.join(filter(None, named))})"
    other = explanation.contrast or explanation.against
    return f"{label}, rather than {other}" if other else label


def mean_probability(explanation) -> float | None:
    """Returns how sure the captioner was: the mean probability of the words.

    Of the words of a phrase, whose probability is their product, it is the geometric
    mean. It is None for a difference of two captions.
    """
    if explanation.against is not None:
        return None
    lengths = 1 if explanation.lengths is None else np.asarray(explanation.lengths)
    return float(np.mean(np.exp(explanation.log_probabilities / lengths)))


def sureness(captioner: str | None, probability: float | None) -> str:
    """Says how sure a captioner was of a caption, and names it if it has a name."""
    facts = [f"captioner {captioner_label(captioner)}"] if captioner else []
    if probability is not None:
        facts.append(f"mean probability of the words {percent(probability)}")
    return " \N{MIDDLE DOT} ".join(facts)


def captioner_label(captioner: str) -> str:
    """Returns how a captioner is called: a local one without its folders."""
    is_local = "://" not in captioner  # then its folders are nobody else's business
    return PurePath(captioner).name if is_local else captioner


def likelihood(explanation, row: int) -> str:
    """Says how likely a word was, or how much likelier than the other caption's."""
    likely = math.exp(min(explanation.log_probabilities[row], 700))
    if explanation.against is None:
        return f"p {percent(likely)}"
    return f"{float(f'{likely:.3g}'):,.15g} times"


def percent(share: float) -> str:
    """Writes a probability as whole percents."""
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def number(value: float, digits: int = 2) -> str:
    """Writes a number with a true minus sign; what is not known becomes a dash."""
    if not math.isfinite(value):
        return UNKNOWN
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)
