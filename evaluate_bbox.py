"""Scores whether explanations find the objects that the words of captions name.

python evaluate_bbox.py --model M --dataset flickr8k --data-dir DIR --output FILE.json
"""

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import quiet_start  # noqa: F401
from command_line import fill_options, run_script
from dataset import DATASETS, CaptionedImage
from evaluation.localization import CHANCE, CORRECTNESS, THRESHOLDS, score_words
from evaluation.object_words import find_objects
from evaluation.score_tables import (
    all_words,
    average_scores,
    choose_examples,
    curves,
    table_lines,
    to_csv,
)
from models import BaseCaptioner, explain, load_captioner
from report.canvas import png
from report.score_figures import Example, correctness_figure, examples_figure
from report.wording import percent
from scoring.explained_images import ExplainedImage
from scoring.options import (
    ScoringOptions,
    read_images,
    scoring_parser,
    scoring_settings,
)
from scoring.score_files import ScoreFiles
from scoring.scored_images import score_images

BASELINE = "attention"
SHOWN = (CORRECTNESS[0], CORRECTNESS[5], "mass_accuracy", "rank_accuracy", "pointing")
RANKED_BY = "energy"
NUM_EXAMPLES = 3


@dataclass(frozen=True)
class LocalizationOptions(ScoringOptions):
    """What is scored, and how.

    Attributes:
        as_released: Whether correctness is that of the released code.
    """

    as_released: bool = False


def parse(argv: list[str] | None) -> LocalizationOptions:
    """Reads the command line."""
    parser = scoring_parser(__doc__.splitlines()[0])
    parser.add_argument(
        "--as-released",
        action="store_true",
        help="correctness as the released code has it, to compare with old numbers",
    )
    return fill_options(LocalizationOptions, parser.parse_args(argv))


def object_steps(record: CaptionedImage, words: Sequence[str]) -> list[int]:
    """Returns the places of the words that name objects with boxes."""
    return list(find_objects(words, record.objects))


def score_caption(options: LocalizationOptions, image: ExplainedImage) -> dict:
    """Returns what the journal keeps of an image."""
    record, explanations = image.record, image.explanations
    read_masks = DATASETS[options.dataset].read_masks
    masks = read_masks(record) if explanations and read_masks else None
    words = score_words(
        image.words, record.objects, explanations, masks, options.as_released
    )
    return {"caption": image.text, "words": words}


def write_tables(files: ScoreFiles, settings: dict, records: list[dict]) -> None:
    """Writes the tables and the curves, and prints some of the scores."""
    summary, num_words = average_scores(records), len(all_words(records))
    content = {"num_images": len(records), "num_words": num_words, "scores": summary}
    if BASELINE in settings["methods"]:
        content[f"difference_to_{BASELINE}"] = average_scores(records, BASELINE)
    files.write_results(settings | content)
    files.write(".csv", to_csv(records))
    note = f"{num_words} object words of {len(records)} captions, 95 % intervals"
    figure = correctness_figure(curves(summary, CORRECTNESS), THRESHOLDS, note)
    files.write(".png", png(figure))
    print(*table_lines(summary, SHOWN), sep="\n")


def draw_examples(
    captioner: BaseCaptioner,
    images: Sequence[CaptionedImage],
    records: list[dict],
    methods: Sequence[str],
    rules: dict,
) -> bytes:
    """Explains each method's best and worst words once more and draws them."""
    paths = {image.image_id: image.path for image in images}

    def draw(method: str, record: dict, word: dict) -> Example:
        name, scores = word["word"], word["scores"]
        e = explain(
            captioner,
            paths[record["image_id"]],
            method,
            record["caption"],
            [name],
            **rules,
        )
        inside, area = scores[method][RANKED_BY], scores[CHANCE][RANKED_BY]
        facts = f"{percent(inside)} inside, area {percent(area)}"
        row = e.steps.index(word["step"])
        return Example(e.image, e.pixels[row], word["boxes"], name, facts)

    rows = {}
    for method in methods:
        halves = choose_examples(records, method, RANKED_BY, NUM_EXAMPLES)
        rows[method] = [[draw(method, *scored) for scored in half] for half in halves]
    return png(examples_figure(rows))


def run(options: LocalizationOptions) -> list[str]:
    """Scores explanations; returns the problems."""
    files = ScoreFiles(options.output, (".csv", ".png", "-examples.png"))
    if not (options.resume or options.overwrite):
        files.refuse_existing()
    images = read_images(options)
    captioner = load_captioner(options.model)
    settings = scoring_settings(captioner, options)
    settings["as_released"] = options.as_released
    score = functools.partial(score_caption, options)
    records, problems = score_images(
        captioner, images, object_steps, score, files, settings, options
    )
    if not all_words(records):
        return [*problems, "No caption names an object that has a box: no scores."]
    write_tables(files, settings, records)
    rules = {"lrp_preset": options.lrp_preset, "decoder_rules": options.decoder_rules}
    examples = draw_examples(captioner, images, records, settings["methods"], rules)
    files.write("-examples.png", examples)
    print(*files.written, sep="\n")
    return problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("evaluate_bbox.py", lambda: run(parse(argv)), resumes=True)


if __name__ == "__main__":
    sys.exit(main())
