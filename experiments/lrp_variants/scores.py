"""How well a map of relevance locates an object, and what its deletion does."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from dataset import CaptionedImage
from evaluation.faithfulness import NUM_PATCHES, rank, sum_patches
from evaluation.localization import correctness, heat_of, locate
from evaluation.object_words import find_objects
from evaluation.score_tables import all_words, average_scores
from experiments.lrp_variants.variants import Variant, explain_by
from models import Captioner
from models.explainers.deletion import delete_patches, number_patches
from scoring.explained_images import ExplainedImage, explain_images

LOW, HIGH, DROP, CRITERION = "correctness_0", "correctness_0.5", "drop", "criterion"
SCORES = (LOW, HIGH, DROP)
SOURCE = "decoder_lrp"  # the cheapest way to a caption and its words


def score_images(
    captioner: Captioner,
    images: Sequence[CaptionedImage],
    variants: Sequence[Variant],
    methods: Sequence[str],
) -> list[dict]:
    """Scores variants and methods on the words that name objects with boxes.

    Returns:
        A record of each photograph, as `evaluation.score_tables` reads them.
    """
    explained = explain_images(
        captioner,
        images,
        lambda record, words: list(find_objects(words, record.objects)),
        methods or (SOURCE,),
    )
    return [_score_image(captioner, image, variants, methods) for image in explained]


def _score_image(
    captioner: Captioner,
    image: ExplainedImage,
    variants: Sequence[Variant],
    methods: Sequence[str],
) -> dict:
    record, words = image.record, []
    if image.problem:
        raise ValueError(image.problem)
    if image.explanations:
        maps = explain_by(captioner, image, variants)
        maps |= {e.method: e.pixels for e in image.explanations if e.method in methods}
        drops = drops_of(captioner, image, maps)
        named = find_objects(image.words, record.objects)
        for row, (step, objects) in enumerate(named.items()):
            boxes = [one.box for one in objects]
            scores = {
                name: {**_locate(pixels[row], boxes), DROP: float(drops[name][row])}
                for name, pixels in maps.items()
            }
            words.append({"step": step, "word": image.words[step], "scores": scores})
    return {"image_id": record.image_id, "caption": image.text, "words": words}


def _locate(pixels: np.ndarray, boxes: Sequence) -> dict[str, float]:
    regions = locate(boxes, pixels.shape[:2]).regions
    found = correctness(heat_of(pixels), regions)
    return {LOW: float(found[0]), HIGH: float(found[5])}


def drops_of(
    captioner: Captioner, image: ExplainedImage, maps: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns what each word's probability falls by without its first patches (R,).

    Args:
        captioner: The model.
        image: The photograph and its R words.
        maps: Relevance (R, H, W, 3) by name.
    """
    first = image.explanations[0]
    steps, rows = np.asarray(first.steps), np.arange(len(first.steps))
    generator = np.random.default_rng(zlib.crc32(image.record.image_id.encode()))
    numbers = number_patches(*first.pixels.shape[1:3])
    scores = np.concatenate([sum_patches(pixels, numbers) for pixels in maps.values()])
    patches = rank(scores, generator)[:, :NUM_PATCHES]
    asked = captioner, image.encoded, image.tokens, steps
    told = delete_patches(*asked, patches, numbers, recaption=False).probabilities
    told = told.reshape(len(maps), len(rows), -1)[:, rows, rows]
    return dict(zip(maps, np.exp(first.log_probabilities) - told, strict=True))


def criterion_of(records: Sequence[dict], plain: str) -> dict[str, dict]:
    """Averages the scores of variants, with the CRITERION of `__main__`.

    Args:
        records: Of photographs.
        plain: The name of the variant with criterion 0.

    Returns:
        What `average_scores` does.
    """
    of_plain = [word["scores"][plain] for _, word in all_words(records)]
    location, drop = (
        np.std([read(scores) for scores in of_plain]) or 1.0 for read in _PARTS
    )

    def judged(word: dict) -> dict:
        usual = [read(word["scores"][plain]) for read in _PARTS]
        found = {}
        for name, scores in word["scores"].items():
            gains = (
                read(scores) - mine for read, mine in zip(_PARTS, usual, strict=True)
            )
            value = sum(
                gain / unit for gain, unit in zip(gains, (location, drop), strict=True)
            )
            found[name] = {**scores, CRITERION: float(value)}
        return {**word, "scores": found}

    return average_scores(
        [
            {**record, "words": [judged(word) for word in record["words"]]}
            for record in records
        ]
    )


_PARTS = (lambda scores: (scores[LOW] + scores[HIGH]) / 2, lambda scores: scores[DROP])


def table(head: str, scores: Mapping[str, Mapping]) -> str:
    """Writes means with their intervals as a Markdown table."""
    names = list(next(iter(scores.values())))
    lines = [(head, *names), ["---"] * (1 + len(names))]
    for name, found in scores.items():
        cells = [
            f"{found[s]['mean']:.3f} [{{:.3f}}, {{:.3f}}]".format(*found[s]["interval"])
            for s in names
        ]
        lines.append((name, *cells))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
