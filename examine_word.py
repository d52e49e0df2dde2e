"""Scores whether explanations tell hallucinated object words from true ones.

python examine_word.py --model M --dataset flickr8k --data-dir DIR --output FILE.json
"""

import argparse
import functools
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras starts it

from command_line import run_script
from dataset import DATASETS, CaptionedImage
from evaluation.hallucination import summarize_captions
from evaluation.roc import Score, best_statistics, measure_scores, to_json
from evaluation.word_statistics import examine_words, statistics_csv
from models import Captioner, load_captioner
from report.canvas import png
from report.roc_figures import roc_figure
from report.wording import number
from scoring import deletion
from scoring.caption_files import read_results
from scoring.explained_images import ExplainedImage
from scoring.score_files import ScoreFiles
from scoring.script import (
    choose_settings,
    evaluation_parser,
    read_images,
    score_images,
)

BASELINES = (("visual_share", "value"), ("probability", "value"))  # the first known


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = evaluation_parser(__doc__.splitlines()[0])
    add = parser.add_argument
    add("--words", metavar="WORD,...", help="default: the dataset's frequent ones")
    add("--captions", type=Path, metavar="FILE.json", help="examine these instead")
    add(
        "--deletion",
        choices=deletion.CHOICES,
        help="delete what explanations rank first and ask again: 20 patches and 3 "
        "words, or growing shares of the patches too; slow",
    )
    arguments = parser.parse_args(argv)
    frequent = DATASETS[arguments.dataset].frequent_words
    arguments.words = arguments.words.split(",") if arguments.words else list(frequent)
    return arguments


def examine(
    captioner: Captioner, image: ExplainedImage, arguments: argparse.Namespace
) -> dict:
    """Returns what the journal keeps of an image."""
    words = examine_words(image.explanations, image.record.captions)
    kept = {"caption": " ".join(image.words), "words": words}
    if arguments.deletion:
        kept["deletion"] = deletion.score_deletion(captioner, image, arguments.deletion)
    return kept


def choose_baseline(records: Sequence[Sequence[dict]]) -> Score:
    """Returns what the scores of words are compared with: 1 - beta where there is one.

    Args:
        records: The words of each image.
    """
    known = next((word["scores"] for words in records for word in words), {})
    return next((b for b in BASELINES if b[0] in known), BASELINES[-1])


def write_scores(
    files: ScoreFiles,
    settings: dict,
    records: Sequence[dict],
    images: Sequence[CaptionedImage],
    arguments: argparse.Namespace,
) -> None:
    """Writes the tables and the figure, and prints the best scores."""
    captions = [record["caption"] for record in records]
    names = DATASETS[arguments.dataset].object_names
    summary = summarize_captions(captions, images, arguments.words, names)
    of_words = [record["words"] for record in records]
    baseline = choose_baseline(of_words)
    rocs = measure_scores(of_words, baseline)
    best = best_statistics(rocs)
    labels = [word["is_true"] for record in records for word in record["words"]]
    num_true, num_hallucinated = sum(labels), len(labels) - sum(labels)
    counts = {"num_true": num_true, "num_hallucinated": num_hallucinated}
    content = {"num_images": len(records), **counts, **summary}
    content |= {"baseline": baseline, "auc": to_json(rocs)}
    if arguments.deletion:
        content["deleted"] = deletion.write_deletion(files, records)
    files.write_results(settings | content)
    files.write(".csv", statistics_csv(records))
    files.write(".png", png(roc_figure(best, num_true, num_hallucinated)))
    for name, score in summary["scores"].items():
        print(_line(name, score["mean"], score["interval"]))
    print(f"AUC of {num_true} true and {num_hallucinated} hallucinated words:")
    for (method, statistic), roc in best.items():
        line = _line(f"  {method} {statistic}", roc.area, roc.interval)
        print(f"{line}, within words {number(roc.within_words, 3)}")


def _line(name: str, value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{name:34} {number(value, 3)} [{number(low, 3)}, {number(high, 3)}]"


def run(arguments: argparse.Namespace) -> list[str]:
    """Examines words; returns the problems."""
    more = [deletion.ENDING] if arguments.deletion else []
    files = ScoreFiles(arguments.output, (".csv", ".png", *more))
    if not (arguments.resume or arguments.overwrite):
        files.refuse_existing()
    dataset = DATASETS[arguments.dataset]
    images = read_images(arguments, not dataset.boxes_repeat_captions)
    captions, path = None, arguments.captions
    if path is not None:
        captions = read_results(path, images, dataset)
    captioner = load_captioner(arguments.model)
    settings = choose_settings(captioner, arguments) | {"words": arguments.words}
    settings["deletion"] = arguments.deletion
    settings["captions"] = path and hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def choose_steps(record: CaptionedImage, words: Sequence[str]) -> list[int]:
        return [step for step, word in enumerate(words) if word in arguments.words]

    records, problems = score_images(
        captioner,
        images,
        choose_steps,
        functools.partial(examine, captioner),
        files,
        settings,
        arguments,
        captions,
    )
    known = {image.image_id: image for image in images}
    examined = [known[record["image_id"]] for record in records]
    write_scores(files, settings, records, examined, arguments)
    print(*files.written, sep="\n")
    return problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("examine_word.py", lambda: run(parse(argv)), resumes=True)


if __name__ == "__main__":
    sys.exit(main())
