"""Seeks better relevance: seeds, centred features and the encoder's rules.

The relevance of the features is read in three ways, the logit that is explained in
three, and the encoder passed by several rules. They are chosen one after the other on
one half of dev, the photographs with odd ids: by the mean correctness at thresholds 0
and .5 plus the fall of the word's probability when the 20 patches ranked first are
deleted. What was chosen is reported on the other half, once.

    python -m experiments.lrp_variants --data-dir DIR --output runs/lrp_variants

Stopped anywhere, the same command goes on.
"""

import functools
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from command_line import (
    GOES_ON,
    MODEL_HELP,
    fill_options,
    make_parser,
    positive,
    run_script,
)
from dataset import CaptionedImage
from dataset.flickr import FLICKR8K
from evaluation.faithfulness import NUM_PATCHES, rank, sum_patches
from evaluation.localization import correctness, heat_of, locate
from evaluation.object_words import find_objects
from evaluation.score_tables import average_scores
from experiments.lrp_variants.variants import STAGES, Variant, explain_by
from experiments.workbench import Workbench
from models import Captioner, load_captioner
from models.explainers.deletion import delete_patches, number_patches
from scoring.explained_images import ExplainedImage, explain_images

OTHERS = ("attention", "grad_cam", "guided_grad_cam")
CHUNK = 10  # photographs whose scores are kept at once
SCORES = ("correctness_0", "correctness_.5", "drop", "criterion")


@dataclass(frozen=True)
class VariantOptions:
    """Which captioner is explained, and on what.

    Attributes:
        data_dir: Flickr8k with its boxes.
        output: The folder to write or go on with.
        model: The captioner, with VGG16.
        limit: Photographs of each half.
    """

    data_dir: Path
    output: Path
    model: str
    limit: int


def parse(argv: Sequence[str] | None) -> VariantOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m experiments.lrp_variants")
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, metavar="DIR", help="Flickr8k")
    add("--output", type=Path, required=True, help="folder to write or go on with")
    add("--model", default="flickr8k-adaptive-attention", help=MODEL_HELP)
    add("--limit", type=positive, default=100, metavar="N", help="photos of each half")
    return fill_options(VariantOptions, parser.parse_args(argv))


def run_experiment(options: VariantOptions) -> list[Path]:
    """Chooses on one half and reports on the other; returns the files."""
    bench = Workbench(options.output, options.data_dir, options.output / "cache")
    settings = {"model": options.model, "limit": options.limit}
    bench.begin(settings)
    captioner = load_captioner(options.model)
    images = FLICKR8K.read(options.data_dir, "dev", with_objects=True)
    halves = {
        name: [i for i in images if int(i.image_id.split("_")[0]) % 2 == odd]
        for name, odd in (("odd", 1), ("even", 0))
    }
    halves = {name: some[: options.limit] for name, some in halves.items()}
    score = functools.partial(score_half, bench, captioner)
    chosen, tried = choose(functools.partial(score, "odd", halves["odd"]))
    reported = score("even", halves["even"], [Variant(), chosen], OTHERS)
    scores = {"chosen on": tried, "reported on": average_scores(reported)}
    differences = {
        f"less {name}": average_scores(reported, name)
        for name in (str(Variant()), "attention")
    }
    results = {"settings": settings, "chosen": chosen, **scores, **differences}
    shown = [("odd ids", tried), ("even ids", scores["reported on"])]
    shown += list(differences.items())
    return bench.report(results, [table(*one) for one in shown])


def choose(
    score: Callable[[Sequence[Variant]], list[dict]],
) -> tuple[Variant, dict[str, dict]]:
    """Chooses each field of a variant in turn; returns it and the means of all tried.

    Args:
        score: Variants -> records of their scores.
    """
    best, means = Variant(), {}
    for field, choices in STAGES:
        variants = [best._replace(**{field: name}) for name in choices]
        means |= average_scores(score(variants))
        best = max(variants, key=lambda one: means[str(one)]["criterion"]["mean"])
    return best, means


def score_half(
    bench: Workbench,
    captioner: Captioner,
    half: str,
    images: Sequence[CaptionedImage],
    variants: Sequence[Variant],
    others: Sequence[str] = (),
) -> list[dict]:
    """Scores variants and other methods on photographs; each part is done once.

    Returns:
        A record of each photograph, as `average_scores` reads it.
    """
    found: dict[str, dict] = {}
    for name, ways in [*((str(v), [v]) for v in variants), ("others", ())]:
        if not ways and not others:
            continue
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            compute = functools.partial(score_chunk, captioner, chunk, ways, others)
            for record in bench.score(f"{half}-{name}-{start:03d}", compute):
                _join(found.setdefault(record["image_id"], record), record)
    return list(found.values())


def _join(record: dict, other: Mapping) -> None:
    """Adds the scores that another record has of the same words."""
    for word, same in zip(record["words"], other["words"], strict=True):
        word["scores"] |= same["scores"]


def score_chunk(
    captioner: Captioner,
    images: Sequence[CaptionedImage],
    variants: Sequence[Variant],
    others: Sequence[str],
) -> list[dict]:
    """Scores variants, or else other methods, on the words that name objects."""
    methods = ("decoder_lrp",) if variants else others
    explained = explain_images(
        captioner, images, lambda r, w: list(find_objects(w, r.objects)), methods
    )
    return [_score_image(captioner, image, variants) for image in explained]


def _score_image(
    captioner: Captioner, image: ExplainedImage, variants: Sequence[Variant]
) -> dict:
    words, record = [], image.record
    if image.explanations:
        first = image.explanations[0]
        maps = {e.method: e.pixels for e in image.explanations}
        if variants:
            steps = np.asarray(first.steps)
            maps = {str(v): explain_by(captioner, image, steps, v) for v in variants}
        drops = {n: drop_of(captioner, image, pixels) for n, pixels in maps.items()}
        named = find_objects(image.words, record.objects)
        for row, (step, objects) in enumerate(named.items()):
            size = first.pixels.shape[1:3]
            boxes = locate([one.box for one in objects], size).regions
            scores = {
                name: _score_word(pixels[row], boxes, drops[name][row])
                for name, pixels in maps.items()
            }
            words.append({"step": step, "word": image.words[step], "scores": scores})
    return {"image_id": record.image_id, "caption": image.text, "words": words}


def _score_word(pixels: np.ndarray, boxes: np.ndarray, drop: float) -> dict:
    found = correctness(heat_of(pixels), boxes)
    both = float(found[0]), float(found[5])
    values = (*both, float(drop), sum(both) / 2 + float(drop))
    return dict(zip(SCORES, values, strict=True))


def drop_of(
    captioner: Captioner, image: ExplainedImage, pixels: np.ndarray
) -> np.ndarray:
    """Returns what each word's probability falls by without its first patches (R,)."""
    steps = np.asarray(image.explanations[0].steps)
    generator = np.random.default_rng(zlib.crc32(image.record.image_id.encode()))
    numbers = number_patches(*pixels.shape[1:3])
    patches = rank(sum_patches(pixels, numbers), generator)[:, :NUM_PATCHES]
    asked = captioner, image.encoded, image.tokens, steps
    told = delete_patches(*asked, patches, numbers, recaption=False)
    before = np.exp(image.explanations[0].log_probabilities)
    return before - np.diag(told.probabilities)


def table(head: str, scores: Mapping[str, Mapping]) -> str:
    """Writes means with their intervals as a Markdown table."""
    lines = [(head, *SCORES), ["---"] * (1 + len(SCORES))]
    for name, found in scores.items():
        cells = [
            f"{found[s]['mean']:.3f} [{{:.3f}}, {{:.3f}}]".format(*found[s]["interval"])
            for s in SCORES
        ]
        lines.append((name, *cells))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script(
        "lrp_variants", lambda: print(*run_experiment(parse(argv)), sep="\n"), GOES_ON
    )


if __name__ == "__main__":
    sys.exit(main())
