"""Scores of captions against references, by the official COCO tools."""

import functools
import subprocess
from collections.abc import Callable, Mapping, Sequence

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from dataset.vocabulary import split_words


def _bleu(references, candidates) -> dict[str, float]:
    scores, _ = Bleu(4).compute_score(references, candidates, verbose=0)
    return {f"bleu_{n}": score for n, score in enumerate(scores, start=1)}


def _meteor(references, candidates) -> dict[str, float]:
    meteor = Meteor()
    try:
        score, _ = meteor.compute_score(references, candidates)
    finally:
        meteor.meteor_p.stdout.close()
        meteor.meteor_p.stderr.close()
    return {"meteor": score}


def _rouge_l(references, candidates) -> dict[str, float]:
    return {"rouge_l": float(Rouge().compute_score(references, candidates)[0])}


def _cider(references, candidates) -> dict[str, float]:
    return {"cider": float(Cider().compute_score(references, candidates)[0])}


METRICS: dict[str, Callable[[dict, dict], dict[str, float]]] = {
    "bleu": _bleu,
    "meteor": _meteor,
    "rouge_l": _rouge_l,
    "cider": _cider,
}
NEED_JAVA = ("meteor",)


def score_captions(
    references: Mapping[str, Sequence[str]],
    candidates: Mapping[str, str],
    metrics: Sequence[str] = ("cider",),
) -> dict[str, float | str]:
    """Scores one caption of each image against its references.

    Args:
        references: The reference captions of every image.
        candidates: The caption of every image.
        metrics: Names from METRICS.

    Returns:
        The scores by name, and under "tokenizer" who split the words: "ptb", or
        "python" where there is no Java to run the Penn Treebank tokenizer.

    Raises:
        ValueError: A metric is unknown or needs Java that is missing, the two sets
            of images differ, or the tokenizer loses captions.
    """
    check_metrics(metrics)
    _check_images(references, candidates)
    tokenize = _ptb_tokenize if has_java() else _python_tokenize
    references = tokenize(references)
    candidates = tokenize({key: [text] for key, text in candidates.items()})
    scores: dict[str, float | str] = {}
    for metric in metrics:
        scores |= METRICS[metric](references, candidates)
    return scores | {"tokenizer": "ptb" if has_java() else "python"}


@functools.cache
def has_java() -> bool:
    """Tells whether Java runs; on macOS there is a `java` that only asks for one."""
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    try:
        return subprocess.run(["java", "-version"], timeout=60, **quiet).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def check_metrics(metrics: Sequence[str]) -> None:
    """Refuses metrics that are unknown or cannot be computed here.

    Raises:
        ValueError: A metric is not in METRICS, or needs Java and there is none.
    """
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown:
        raise ValueError(
            f"Unknown metric {unknown[0]!r}; expected some of {', '.join(METRICS)}."
        )
    need_java = [metric for metric in metrics if metric in NEED_JAVA]
    if need_java and not has_java():
        others = ",".join(metric for metric in METRICS if metric not in NEED_JAVA)
        raise ValueError(
            f"{need_java[0]} needs Java 8 or newer; no `java` on PATH runs. "
            f"Install it, or leave it out with --metrics {others}."
        )


def _check_images(references, candidates) -> None:
    if set(references) != set(candidates):
        raise ValueError(
            f"Every image needs references and a caption; {len(references)} have "
            f"references, {len(candidates)} a caption, "
            f"{len(set(references) & set(candidates))} both."
        )


def _ptb_tokenize(captions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    rows = {key: [{"caption": t} for t in texts] for key, texts in captions.items()}
    tokenized = PTBTokenizer().tokenize(rows)
    expected = {key: len(texts) for key, texts in captions.items()}
    found = {key: len(texts) for key, texts in tokenized.items()}
    if found != expected:
        raise ValueError(
            f"The Penn Treebank tokenizer was given {sum(expected.values())} captions "
            f"of {len(expected)} images; {sum(found.values())} of {len(found)} came "
            "back. See what `java` printed above."
        )
    return tokenized


def _python_tokenize(captions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {
        key: [" ".join(split_words(text)) for text in texts]
        for key, texts in captions.items()
    }
