"""Scores whether explanations tell hallucinated object words from true ones.

python examine_word.py --model M --dataset flickr8k --data-dir DIR --output FILE.json
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import quiet_start  # noqa: F401
from command_line import fill_options, print_paths, run_script, some_words, split_names
from dataset import DATASETS, CaptionedImage
from evaluation.faithfulness import RANDOM
from evaluation.hallucination import summarize_captions
from evaluation.roc import Score, best_statistics, measure_scores, to_json
from evaluation.word_statistics import examine_words, statistics_csv
from files.reading import file_hash
from files.values import Check, flag, record, text
from models import BaseCaptioner, load_captioner
from report.canvas import png
from report.roc_figures import roc_figure
from report.wording import number
from scoring import deletion
from scoring.caption_files import read_results
from scoring.explained_images import ExplainedImage
from scoring.journal import held
from scoring.options import (
    ScoringOptions,
    object_words,
    read_images,
    scoring_parser,
    scoring_settings,
)
from scoring.score_files import ScoreFiles, scored_words
from scoring.scored_images import score_images

BASELINES = (("visual_share", "value"), ("probability", "value"))  # the first known


@dataclass(frozen=True)
class WordOptions(ScoringOptions):
    """What is examined.

    Attributes:
        words: These, and no others; the frequent ones of the dataset if empty.
        captions: A file of captions to examine instead of the captioner's own.
        deletion: One of `deletion.CHOICES`; None deletes nothing.
    """

    words: tuple[str, ...] = ()
    captions: Path | None = None
    deletion: str | None = None


def parse(argv: list[str] | None) -> WordOptions:
    """Reads the command line."""
    parser = scoring_parser(__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--words",
        type=some_words,
        metavar="WORD,...",
        help="examine these objects; default: the frequent ones of the dataset, if "
        "they are known",
    )
    add(
        "--captions",
        type=Path,
        metavar="FILE.json",
        help="examine these captions, of inference.py, not the captioner's own",
    )
    add(
        "--deletion",
        choices=deletion.CHOICES,
        help="delete what explanations rank first and ask again: 20 patches and 3 "
        "words, or growing shares of the patches too; slow",
    )
    parsed = parser.parse_args(argv)
    return fill_options(WordOptions, parsed, words=split_names(parsed.words) or ())


def examine(
    captioner: BaseCaptioner, deleted: str | None, image: ExplainedImage
) -> dict:
    """Returns what the journal keeps of an image.

    Args:
        captioner: What was explained.
        deleted: One of `deletion.CHOICES`, or None.
        image: The image and its explanations.
    """
    words = examine_words(image.explanations, image.record.captions)
    kept = {"caption": image.text, "words": words}
    if deleted:
        kept["deletion"] = deletion.score_deletion(captioner, image, deleted)
    return kept


def journal_values(settings: Mapping) -> dict[str, Check]:
    """Returns the checks of what `examine` returns."""
    words = scored_words(settings["methods"], is_true=flag)
    if not settings["deletion"]:
        return {"caption": text, "words": words}
    deleted = {"patches": scored_words([RANDOM]), "words": scored_words([RANDOM])}
    return {"caption": text, "words": words, "deletion": record(deleted)}


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
    options: WordOptions,
) -> None:
    """Writes the tables and the figure, and prints the best scores."""
    captions = [record["caption"] for record in records]
    names = DATASETS[options.dataset].object_names
    summary = summarize_captions(captions, images, options.words, names)
    of_words = [record["words"] for record in records]
    baseline = choose_baseline(of_words)
    rocs = measure_scores(of_words, baseline)
    best = best_statistics(rocs)
    labels = [word["is_true"] for record in records for word in record["words"]]
    num_true, num_hallucinated = sum(labels), len(labels) - sum(labels)
    counts = {"num_true": num_true, "num_hallucinated": num_hallucinated}
    content = {"num_images": len(records), **counts, **summary}
    content |= {"baseline": baseline, "auc": to_json(rocs)}
    if options.deletion:
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


def run(options: WordOptions) -> list[str]:
    """Examines words; returns the problems."""
    more = [deletion.ENDING] if options.deletion else []
    files = ScoreFiles(options.output, (".csv", ".png", *more), journal_values)
    with held(files.results, files.all(), options):
        return examine_images(files, options)


def examine_images(files: ScoreFiles, options: WordOptions) -> list[str]:
    """Does the work of `run`; the files are held."""
    dataset = DATASETS[options.dataset]
    images = read_images(options, not dataset.boxes_repeat_captions)
    words = object_words(dataset, options.words, images)
    options = replace(options, words=words)
    images = options.shard.of(images)
    captions, path = None, options.captions
    if path is not None:
        captions = read_results(path, images, dataset)
    captioner = load_captioner(options.model)
    settings = scoring_settings(captioner, options) | {"words": list(options.words)}
    settings["deletion"] = options.deletion
    settings["captions"] = path and file_hash(path)[:16]

    def choose_steps(record: CaptionedImage, words: Sequence[str]) -> list[int]:
        return [step for step, word in enumerate(words) if word in options.words]

    score = functools.partial(examine, captioner, options.deletion)
    records, problems = score_images(
        captioner, images, choose_steps, score, files, settings, options, captions
    )
    known = {image.image_id: image for image in images}
    examined = [known[record["image_id"]] for record in records]
    write_scores(files, settings, records, examined, options)
    print_paths(*files.written)
    return problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("examine_word.py", lambda: run(parse(argv)))


if __name__ == "__main__":
    sys.exit(main())
