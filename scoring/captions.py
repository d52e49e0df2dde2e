"""Scores of captions against references, by the official COCO tools."""

import contextlib
import functools
import http.client
import math
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.spice import get_stanford_models as spice_models
from pycocoevalcap.spice.spice import Spice
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from dataset.vocabulary import split_words
from pycocoevalcap.bert.bert import DEFAULT_MODEL, Bert, missing_packages
from scoring.java import has_java, hear_java, java_version

SPICE_JAVA = range(8, 15)  # Java 15 dropped the JavaScript engine that SPICE calls
SPICE_ARCHIVE = f"https://nlp.stanford.edu/software/{spice_models.CORENLP}.zip"
SPICE_LIB = Path(spice_models.SPICEDIR, spice_models.SPICELIB).absolute()
SPICE_JARS = tuple(f"{spice_models.JAR}{end}.jar" for end in ("", "-models"))


class MetricError(ValueError):
    """A metric that cannot be computed here; the message says what it needs."""


# The metrics


def _bleu(references, candidates) -> dict[str, float]:
    scores, _ = Bleu(4).compute_score(references, candidates, verbose=0)
    return {f"bleu_{n}": score for n, score in enumerate(scores, start=1)}


def _meteor(references, candidates) -> dict[str, float]:
    meteor = Meteor()
    try:
        score, _ = meteor.compute_score(references, candidates)
    except (OSError, ValueError) as error:
        meteor.meteor_p.kill()
        reason = meteor.meteor_p.stderr.read().decode(errors="replace").strip()
        raise MetricError(f"its Java process failed ({reason or error}).") from error
    finally:
        if meteor.lock.locked():  # else its end would wait for the lock forever
            meteor.lock.release()
        with contextlib.suppress(OSError):
            meteor.meteor_p.stdin.close()
        meteor.meteor_p.stdout.close()
        meteor.meteor_p.stderr.close()
    return {"meteor": score}


def _rouge_l(references, candidates) -> dict[str, float]:
    return {"rouge_l": float(Rouge().compute_score(references, candidates)[0])}


def _cider(references, candidates) -> dict[str, float]:
    return {"cider": float(Cider().compute_score(references, candidates)[0])}


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
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown:
        raise ValueError(
            f"Unknown metric {unknown[0]!r}; expected some of {', '.join(METRICS)}."
        )
    unmet = unmet_needs(metrics)
    if unmet:
        metric, need = next(iter(unmet.items()))
        all_unmet = unmet_needs(tuple(METRICS))
        others = ",".join(metric for metric in METRICS if metric not in all_unmet)
        raise MetricError(f"{metric} {need}, or leave it out with --metrics {others}.")


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
        The scores by name, under "tokenizer" who split the words ("ptb", or "python"
        where there is no Java to run the Penn Treebank tokenizer), and under
        "bert_model" which model gave the bert_score.

    Raises:
        ValueError: A metric is unknown or cannot be computed, the two sets of images
            differ, or the tokenizer loses captions.
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

    Returns:
        The scores by name, and the reason why each missing metric is missing.

    Raises:
        ValueError: The two sets of images differ, or the tokenizer loses captions.
    """
    _check_images(references, candidates)
    tokenize = _ptb_tokenize if has_java() else _python_tokenize
    references = tokenize(references)
    candidates = tokenize({key: [text] for key, text in candidates.items()})
    scorers = METRICS | {
        "bert_score": functools.partial(METRICS["bert_score"], model=bert_model)
    }
    scores: dict[str, float | str] = {}
    missing = {m: f"{need}." for m, need in unmet_needs(metrics).items()}
    for metric in metrics:
        if metric in missing:
            continue
        try:
            scores |= scorers[metric](references, candidates)
        except MetricError as error:
            missing[metric] = str(error)
    return scores | {"tokenizer": "ptb" if has_java() else "python"}, missing


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


def _check_images(references, candidates) -> None:
    if not references or set(references) != set(candidates):
        raise ValueError(
            f"Every image needs references and a caption; {len(references)} have "
            f"references, {len(candidates)} a caption, "
            f"{len(set(references) & set(candidates))} both."
        )


def _ptb_tokenize(captions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    rows = {key: [{"caption": t} for t in texts] for key, texts in captions.items()}
    tokenized, written = hear_java(lambda: PTBTokenizer().tokenize(rows))
    expected = {key: len(texts) for key, texts in captions.items()}
    found = {key: len(texts) for key, texts in tokenized.items()}
    if found != expected:
        raise ValueError(
            f"The Penn Treebank tokenizer was given {sum(expected.values())} captions "
            f"of {len(expected)} images; {sum(found.values())} of {len(found)} came "
            f"back. Java wrote: {written or 'nothing'}"
        )
    return tokenized


def _python_tokenize(captions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {
        key: [" ".join(split_words(text)) for text in texts]
        for key, texts in captions.items()
    }
