"""Scores of captions against references, by the official COCO tools."""

import functools
import http.client
import logging
import math
import re
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.cider.cider_scorer import precook
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.spice import get_stanford_models as spice_models
from pycocoevalcap.spice.spice import Spice

from pycocoevalcap.bert.bert import DEFAULT_MODEL, Bert, missing_packages
from scoring.caption_texts import (
    check_captions,
    nltk_tokenize,
    one_line,
    ptb_tokenize,
)
from scoring.java import has_java, java_version
from scoring.meteor import METEOR

logger = logging.getLogger(__name__)
SPICE_JAVA = range(8, 15)  # Java 15 dropped the JavaScript engine that SPICE calls
SPICE_ARCHIVE = f"https://nlp.stanford.edu/software/{spice_models.CORENLP}.zip"
SPICE_LIB = Path(spice_models.SPICEDIR, spice_models.SPICELIB).absolute()
BARS = re.compile(r"\s*\|{3,}\s*")  # what divides captions in METEOR's input
SPICE_JARS = tuple(f"{spice_models.JAR}{end}.jar" for end in ("", "-models"))


class MetricError(ValueError):
    """A metric that cannot be computed here; the message says what it needs."""


# The metrics


def _bleu(references, candidates) -> dict[str, float]:
    scores, _ = Bleu(4).compute_score(references, candidates, verbose=0)
    return {f"bleu_{n}": score for n, score in enumerate(scores, start=1)}


def _meteor(references, candidates) -> dict[str, float]:
    references = {key: _without_bars(texts) for key, texts in references.items()}
    candidates = {key: _without_bars(texts) for key, texts in candidates.items()}
    try:
        return {"meteor": METEOR.score(references, candidates)}
    except ChildProcessError as error:
        raise MetricError(f"its Java process failed ({error}).") from error


def _without_bars(texts: Sequence[str]) -> list[str]:
    return [BARS.sub(" ", one_line(text)) for text in texts]


def _rouge_l(references, candidates) -> dict[str, float]:
    # It takes a caption without words for equal to a reference without words.
    references = {key: list(filter(None, t)) or t for key, t in references.items()}
    return {"rouge_l": float(Rouge().compute_score(references, candidates)[0])}


def _cider(references, candidates) -> dict[str, float]:
    if len(references) < 2:
        raise MetricError(
            "it weighs words by how few images have them and needs two images or "
            "more; received one."
        )
    if (image := _unweighted_image(references)) is not None:
        raise MetricError(
            "it weighs words by how few images have them; all words and phrases of "
            f"image {image!r} are in the references of every image."
        )
    return {"cider": float(Cider().compute_score(references, candidates)[0])}


def _unweighted_image(references) -> int | str | None:
    """Returns an image whose n-grams all have weight 0, if there is one."""
    size = 1  # of n-grams; most images have a word of their own
    suspects = list(references)
    while suspects and size <= 4:
        grams = {
            key: {gram for text in texts for gram in precook(text, size)}
            for key, texts in references.items()
        }
        common = set.intersection(*grams.values())
        suspects = [key for key in suspects if grams[key] <= common]
        size += 3
    return suspects[0] if suspects else None


def _spice(references, candidates) -> dict[str, float]:
    reason: object = "an earlier download was cut off"
    scorer = None
    try:
        scorer = Spice()  # downloads its models where they are not there
    except (OSError, http.client.HTTPException, zipfile.BadZipFile, KeyError) as error:
        reason = error
    if not all((SPICE_LIB / jar).is_file() for jar in SPICE_JARS) or scorer is None:
        raise MetricError(
            f"it needs the models of CoreNLP 3.6, which could not be downloaded "
            f"({reason}). Get {SPICE_ARCHIVE} by other means and put "
            f"{' and '.join(SPICE_JARS)} of it into {SPICE_LIB}."
        )
    try:
        score, _ = scorer.compute_score(references, candidates)
    except subprocess.CalledProcessError as error:
        raise MetricError(
            f"its Java process ended with code {error.returncode}; see what `java` "
            "printed above. A trimmed Java lacks the JavaScript engine it needs."
        ) from error
    except (OSError, ValueError) as error:
        raise MetricError(f"its Java process failed ({error}).") from error
    if not math.isfinite(score):
        raise MetricError("it gave an image no score; see what `java` printed above.")
    return {"spice": float(score)}


def _bert_score(references, candidates, model=DEFAULT_MODEL) -> dict[str, float | str]:
    try:
        scorer = Bert(model)
    except ImportError as error:
        raise MetricError(str(error)) from error
    except Exception as error:  # each of the model's files has its own reader
        reason = " ".join(str(error).split()).rstrip(".")
        raise MetricError(
            f"its model {str(model)!r} cannot be loaded: {reason}. Name another model, "
            "or a folder that holds one, with --bert-model."
        ) from error
    score, _ = scorer.compute_score(references, candidates)
    return {"bert_score": score, "bert_model": scorer.signature}


METRICS: dict[str, Callable[[dict, dict], dict[str, float | str]]] = {
    "bleu": _bleu,
    "meteor": _meteor,
    "rouge_l": _rouge_l,
    "cider": _cider,
    "spice": _spice,
    "bert_score": _bert_score,
}

# Scores of captions that different ones split are not to be compared.
TOKENIZERS: dict[str, Callable] = {"ptb": ptb_tokenize, "nltk": nltk_tokenize}


def tokenizer_name() -> str:
    """Returns which of TOKENIZERS splits captions here: ptb where there is Java."""
    return "ptb" if has_java() else "nltk"


# What they need


def _meteor_needs() -> str:
    if has_java():
        return ""
    return "needs Java 8 or newer; no `java` on PATH runs. Install it"


def _spice_needs() -> str:
    if not has_java():
        return "needs Java 8 or 11; no `java` on PATH runs. Install it"
    version = java_version()
    if not version or version in SPICE_JAVA:
        return ""
    return f"needs Java 8 or 11; `java` is Java {version}. Put one of them on PATH"


NEEDS: dict[str, Callable[[], str]] = {
    "meteor": _meteor_needs,
    "spice": _spice_needs,
    "bert_score": missing_packages,
}


def unmet_needs(metrics: Sequence[str]) -> dict[str, str]:
    """Returns what the metrics that cannot be computed here lack, and the way out."""
    needs = {metric: NEEDS[metric]() for metric in metrics if metric in NEEDS}
    return {metric: need for metric, need in needs.items() if need}


def check_metrics(metrics: Sequence[str]) -> None:
    """Refuses metrics that are unknown or cannot be computed here.

    Raises:
        ValueError: A metric is not in METRICS, or needs something that is missing.
    """
    _check_names(metrics)
    unmet = unmet_needs(metrics)
    if unmet:
        metric, need = next(iter(unmet.items()))
        all_unmet = unmet_needs(tuple(METRICS))
        others = ",".join(metric for metric in METRICS if metric not in all_unmet)
        raise MetricError(f"{metric} {need}, or leave it out with --metrics {others}.")


def _check_names(metrics: Sequence[str]) -> None:
    if isinstance(metrics, str):
        raise ValueError(f"The metrics must be a list of names; received {metrics!r}.")
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown:
        raise ValueError(
            f"Unknown metric {unknown[0]!r}; expected some of {', '.join(METRICS)}."
        )


# Scoring


def score_captions(
    references: Mapping[int | str, Sequence[str]],
    candidates: Mapping[int | str, str],
    metrics: Sequence[str] = ("cider",),
    bert_model: str | Path = DEFAULT_MODEL,
) -> dict[str, float | str]:
    """Scores one caption of each image against its references.

    Args:
        references: The reference captions of every image.
        candidates: The caption of every image.
        metrics: Names from METRICS.
        bert_model: Of bert_score: a name the library knows, or a folder.

    Returns:
        The scores by name, under "tokenizer" who split the words (see
        `tokenizer_name`), and under "bert_model" which model gave the bert_score.

    Raises:
        ValueError: A metric is unknown, cannot be computed, or has no value for these
            captions; see also `score_possible`.
    """
    check_metrics(metrics)
    scores, missing = score_possible(references, candidates, metrics, bert_model)
    for metric, reason in missing.items():
        raise MetricError(f"{metric} cannot be computed: {reason}")
    return scores


def score_possible(
    references: Mapping[int | str, Sequence[str]],
    candidates: Mapping[int | str, str],
    metrics: Sequence[str] = tuple(METRICS),
    bert_model: str | Path = DEFAULT_MODEL,
) -> tuple[dict[str, float | str], dict[str, str]]:
    """Scores as `score_captions`, without the metrics that cannot be computed.

    A number that is not defined for these captions is missing too, never 0: CIDEr of
    one image, any metric of references without words.

    Returns:
        The scores by name, and the reason why each missing metric is missing.

    Raises:
        ValueError: A metric is unknown, the captions have another type, the two sets
            of images differ, or the tokenizer loses captions.
    """
    _check_names(metrics)
    check_captions(references, candidates)
    tokenizer = tokenizer_name()
    tokenize = TOKENIZERS[tokenizer]
    references = tokenize(references)
    candidates = tokenize({key: [text] for key, text in candidates.items()})
    scorers = METRICS | {
        "bert_score": functools.partial(METRICS["bert_score"], model=bert_model)
    }
    scores: dict[str, float | str] = {}
    missing = {m: f"{need}." for m, need in unmet_needs(metrics).items()}
    if wordless := [key for key, texts in references.items() if not any(texts)]:
        why = f"the references of image {wordless[0]!r} hold no word."
        missing = dict.fromkeys(metrics, why) | missing
    for metric in metrics:
        if metric in missing:
            continue
        try:
            found = scorers[metric](references, candidates)
        except MetricError as error:
            missing[metric] = str(error)
            continue
        if all(isinstance(s, str) or math.isfinite(s) for s in found.values()):
            scores |= found
        else:
            missing[metric] = "it gave no finite number for these captions."
    return scores | {"tokenizer": tokenizer}, missing


def score_defined(
    references: Mapping[int | str, Sequence[str]],
    candidates: Mapping[int | str, str],
    metrics: Sequence[str],
) -> dict[str, float | str]:
    """Scores as `score_captions`; a number that is not defined is left out.

    So much else is computed beside it: the log says what is missing and why.

    Raises:
        ValueError: A metric is unknown or needs what is not there.
    """
    check_metrics(metrics)
    scores, missing = score_possible(references, candidates, metrics)
    for metric, why in missing.items():
        logger.warning("%s is missing: %s", metric, why)
    return scores


def score_lines(
    scores: Mapping[str, float | str], missing: Mapping[str, str] | None = None
) -> list[str]:
    """Returns one line for each score and for each metric that is missing."""
    lines = [
        f"{name} {value}" if isinstance(value, str) else f"{name:10} {value:.4f}"
        for name, value in scores.items()
    ]
    reasons = missing or {}
    return lines + [f"{name:10} missing: {why}" for name, why in reasons.items()]
