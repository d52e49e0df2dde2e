"""Scores whether explanations find the objects that the words of captions name.

python evaluate_bbox.py --model M --dataset flickr8k --data-dir DIR --output FILE.json
"""

import functools
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import quiet_start  # noqa: F401
from command_line import fill_options, print_paths, run_script
from dataset import DATASETS, CaptionedImage
from dataset.masks import masks_of
from dataset.scenes import SCENES
from evaluation.localization import (
    BY_MASKS,
    CHANCE,
    CORRECTNESS,
    THRESHOLDS,
    score_words,
)
from evaluation.object_words import find_objects
from evaluation.score_tables import (
    all_words,
    average_scores,
    choose_examples,
    count_words,
    curves,
    table_lines,
    to_csv,
)
from files.values import Check, items, number, text
from models import METHODS, BaseCaptioner, explain, load_captioner
from report.canvas import png
from report.score_figures import Example, correctness_figure, examples_figure
from report.wording import percent
from scoring.explained_images import ExplainedImage
from scoring.journal import held
from scoring.options import (
    ScoringOptions,
    read_images,
    scoring_parser,
    scoring_settings,
)
from scoring.score_files import ScoreFiles, scored_words
from scoring.scored_images import score_images

logger = logging.getLogger(__name__)
BASELINE = "attention"
SHOWN = (CORRECTNESS[0], CORRECTNESS[5], "mass_accuracy", "rank_accuracy", "pointing")
RANKED_BY = "energy"
MASKS = "-masks.png"
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


def check_objects(
    images: Sequence[CaptionedImage], options: LocalizationOptions
) -> None:
    """Refuses images that all lack boxes, before anything is computed."""
    if not any(image.objects for image in images):
        raise ValueError(
            f"No image of the split {options.split} in {options.data_dir} has boxes. "
            f"Get them: {DATASETS[options.dataset].source.boxes}."
        )


def choose_regions(
    options: LocalizationOptions, images: Sequence[CaptionedImage], files: ScoreFiles
) -> dict:
    """Returns the setting that says whether exact pixels are scored beside boxes.

    There is none where no pixels are known; results are then those of earlier
    versions. It is None for a journal of an earlier version, which goes on as it began.
    """
    if not any(object_.outline for image in images for object_ in image.objects):
        return {}
    journals = [ScoreFiles(path, ()).journal for path in options.merge]
    journals += [files.journal] if options.resume else []
    begun = [one.begun_with() for one in journals if one.path.is_file()]
    if all(settings.get("masks") for settings in begun):
        return {"masks": True}
    logger.warning(
        "%s was begun before exact pixels were scored beside boxes, and goes on so; "
        "--overwrite scores both.",
        files.journal.path,
    )
    return {"masks": None}


def score_caption(
    as_released: bool, masks: bool, in_place: bool, image: ExplainedImage
) -> dict:
    """Returns what the journal keeps of an image.

    Args:
        as_released: See `score_words`.
        masks: Whether exact pixels are scored.
        in_place: See `score_words`.
        image: And its explanations.
    """
    record, explanations = image.record, image.explanations
    exact = masks_of(record.objects) if explanations and masks else ()
    words = score_words(
        image.words, record.objects, explanations, exact, as_released, in_place
    )
    return {"caption": image.text, "words": words}


def journal_values(settings: Mapping) -> dict[str, Check]:
    """Returns the checks of what `score_caption` returns."""
    boxes = items(items(number, least=4, most=4), least=1)
    return {"caption": text, "words": scored_words(settings["methods"], boxes=boxes)}


def write_tables(files: ScoreFiles, settings: dict, records: list[dict]) -> None:
    """Writes the tables and the curves, and prints some of the scores."""
    summary, num_words = average_scores(records), len(all_words(records))
    content = {"num_images": len(records), "num_words": num_words, "scores": summary}
    if settings.get("masks"):
        content["num_mask_words"] = count_words(records, BY_MASKS + RANKED_BY)
    if BASELINE in settings["methods"]:
        content[f"difference_to_{BASELINE}"] = average_scores(records, BASELINE)
    files.write_results(settings | content)
    files.write(".csv", to_csv(records))
    print(*table_lines(summary, SHOWN), sep="\n")
    draw_curves(files, ".png", summary, num_words, len(records))
    if content.get("num_mask_words"):
        names = [BY_MASKS + name for name in SHOWN]
        print("by exact pixels:", *table_lines(summary, names), sep="\n")
        counts = content["num_mask_words"], len(records)
        draw_curves(files, MASKS, summary, *counts, "mask", BY_MASKS)


def draw_curves(
    files: ScoreFiles,
    ending: str,
    summary: dict,
    num_words: int,
    num_captions: int,
    region: str = "box",
    kind: str = "",
) -> None:
    """Draws correctness in the boxes, or in regions whose scores begin with `kind`."""
    names = [kind + name for name in CORRECTNESS]
    note = f"{num_words} object words of {num_captions} captions, 95 % intervals"
    figure = correctness_figure(curves(summary, names), THRESHOLDS, note, region)
    files.write(ending, png(figure))


def draw_examples(
    captioner: BaseCaptioner,
    images: Sequence[CaptionedImage],
    records: list[dict],
    methods: Sequence[str],
    options: LocalizationOptions,
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
            **METHODS[method].own(
                lrp_preset=options.lrp_preset,
                decoder_rules=options.decoder_rules,
                precision=options.precision,
            ),
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
    endings = (".csv", ".png", "-examples.png", MASKS)
    files = ScoreFiles(options.output, endings, journal_values)
    with held(files.results, files.all(), options):
        return score(files, options)


def score(files: ScoreFiles, options: LocalizationOptions) -> list[str]:
    """Does the work of `run`; the files are held."""
    images = read_images(options)
    check_objects(images, options)
    regions = choose_regions(options, images, files)
    images = options.shard.of(images)
    captioner = load_captioner(options.model)
    settings = scoring_settings(captioner, options)
    settings["as_released"] = options.as_released
    # Earlier versions knew the pixels of scenes alone, in place of their boxes.
    in_place = not regions.get("masks") and options.dataset == SCENES.name
    masks = bool(regions.get("masks") or in_place)
    score_one = functools.partial(score_caption, options.as_released, masks, in_place)
    records, problems = score_images(
        captioner, images, object_steps, score_one, files, settings | regions, options
    )
    settings |= {name: value for name, value in regions.items() if value}
    if not all_words(records):
        return [*problems, "No caption names an object that has a box: no scores."]
    write_tables(files, settings, records)
    examples = draw_examples(captioner, images, records, settings["methods"], options)
    files.write("-examples.png", examples)
    print_paths(*(path for path in files.written if path.exists()))
    return problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("evaluate_bbox.py", lambda: run(parse(argv)))


if __name__ == "__main__":
    sys.exit(main())
