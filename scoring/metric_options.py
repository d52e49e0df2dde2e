"""What scripts that score captions are asked for with, and what they say."""

import argparse
from collections.abc import Mapping, Sequence

from command_line import split_names
from pycocoevalcap.bert.bert import DEFAULT_MODEL
from scoring.captions import METRICS, check_metrics, score_lines

ALL = "all"


def add_metric_options(
    parser: argparse.ArgumentParser, default: str | None = None
) -> None:
    """Adds --metrics and --bert-model.

    Args:
        parser: Of the script.
        default: What is scored where nothing is asked for.
    """
    parser.add_argument(
        "--metrics",
        default=default,
        metavar="NAME,...",
        help=f"score the captions by {ALL}, or some of {', '.join(METRICS)}",
    )
    parser.add_argument(
        "--bert-model",
        default=DEFAULT_MODEL,
        metavar="NAME_OR_DIR",
        help="model of the metric bert_score",
    )


def choose_metrics(text: str | None) -> list[str]:
    """Returns the metrics; refuses those that are named and cannot be computed.

    Args:
        text: Names from METRICS, separated by commas; "all", or None for none.
    """
    if text == ALL:
        return list(METRICS)
    metrics = split_names(text) if text else []
    check_metrics(metrics)
    return metrics


def show_scores(
    asked: str, scores: Mapping[str, float | str], missing: Mapping[str, str]
) -> Sequence[str]:
    """Prints scores and what is missing.

    Args:
        asked: See `choose_metrics`.
        scores: From `score_possible`.
        missing: From `score_possible`.

    Returns:
        The problems: what is missing of metrics that were asked for by name.
    """
    print(*score_lines(scores, missing), sep="\n")
    if asked == ALL:
        return []
    return [f"{name} is missing: {why}" for name, why in missing.items()]
