"""Deletes what explanations rank first and asks the captioner again."""

import functools
import zlib
from collections.abc import Sequence

import numpy as np

from evaluation import faithfulness
from evaluation.faithfulness import FIRST_STEP, RANDOM, SHARES
from evaluation.score_tables import all_words, average_scores, table_lines, to_csv
from models import BaseCaptioner, Explanation
from models.explainers.deletion import delete_patches, delete_words, number_patches
from scoring.explained_images import ExplainedImage
from scoring.score_files import ScoreFiles

CHOICES = ("patches", "curves")
ENDING = "-deletion.csv"
SHOWN = ("vanished", "drop", "area", "word_drop")


def score_deletion(
    captioner: BaseCaptioner, image: ExplainedImage, choice: str = CHOICES[0]
) -> dict[str, list[dict]]:
    """Scores the explanations of an image's words by what becomes of the words.

    Args:
        captioner: What was explained.
        image: Its explained words; what is random depends on its id alone.
        choice: "curves" deletes growing shares of the patches too, which takes
            several times as long.

    Returns:
        As the journal keeps it, words with their scores by method, random deletion
        among them: under "patches" all words, "vanished", "drop", and with curves
        "area" and the probability "at" each share; under "words" those whose
        preceding words were deleted, "word_drop".
    """
    explanations = image.explanations
    if not explanations:
        return {"patches": [], "words": []}
    first = explanations[0]
    generator = np.random.default_rng(zlib.crc32(image.record.image_id.encode()))
    before = np.exp(first.log_probabilities)
    asked = (captioner, image.encoded, image.tokens)
    numbers = number_patches(*image.encoded.encoder_input.shape[1:3])
    scores = {
        e.method: faithfulness.sum_patches(captioner.seen_part(e.pixels), numbers)
        for e in explanations
    }
    tell = functools.partial(
        delete_patches, *asked, np.asarray(first.steps), numbers=numbers
    )
    found = faithfulness.patch_deletion(scores, first.words, before, tell, generator)
    if choice == "curves":
        tell = functools.partial(tell, recaption=False)
        curves = faithfulness.flipping_curves(scores, before, tell, generator)
        for name, curve in curves.items():
            shares = {f"at {s}": curve[:, n] for n, s in enumerate(SHARES, start=1)}
            found[name] |= {"area": faithfulness.area_under(curve), **shares}
    rows = range(len(first.words))
    late = [row for row in rows if first.steps[row] >= FIRST_STEP]
    tell = functools.partial(delete_words, *asked)
    drops = _delete_words(explanations, late, before, tell, generator)
    return {
        "patches": _scored_words(first, rows, found),
        "words": _scored_words(first, late, drops) if drops else [],
    }


def _delete_words(explanations, late: list[int], before, tell, generator) -> dict:
    scores = {
        e.method: e.preceding_words[late]
        for e in explanations
        if not np.isnan(e.preceding_words).any()
    }
    if not scores or not late:
        return {}
    steps = np.asarray(explanations[0].steps)[late]
    drops = faithfulness.word_deletion(scores, steps, before[late], tell, generator)
    return {name: {"word_drop": values} for name, values in drops.items()}


def _scored_words(first: Explanation, rows: Sequence[int], found: dict) -> list[dict]:
    """Turns values (len(rows),) by method and score into what a journal keeps."""
    return [
        {
            "step": first.steps[row],
            "word": first.words[row],
            "scores": {
                method: {n: round(float(v[place]), 6) for n, v in scores.items()}
                for method, scores in found.items()
            },
        }
        for place, row in enumerate(rows)
    ]


def write_deletion(files: ScoreFiles, records: Sequence[dict]) -> dict:
    """Writes what deletion did as a table and prints the means.

    Args:
        files: With ENDING among the endings.
        records: {"image_id": ..., "deletion": that of `score_deletion`, ...}.

    Returns:
        For the results: for "patches" and "words" the number of words, the mean
        scores, and how far they are above those of random deletion.
    """
    tables, found = [], {}
    for what in ("patches", "words"):
        table = [
            {"image_id": r["image_id"], "words": r["deletion"][what]} for r in records
        ]
        tables += table
        num_words = len(all_words(table))
        if not num_words:
            continue
        means, above = average_scores(table), average_scores(table, RANDOM)
        found[what] = {"num_words": num_words, "scores": means, "above_random": above}
        names = [name for name in SHOWN if name in means[RANDOM]]
        print(
            f"{what} deleted, {num_words} words:", *table_lines(means, names), sep="\n"
        )
    files.write(ENDING, to_csv(tables))
    return found
