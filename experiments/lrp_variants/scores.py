"""How well a map of relevance locates an object, and what its deletion does."""

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dataset import CaptionedImage
from evaluation.faithfulness import NUM_PATCHES, rank, sum_patches
from evaluation.localization import correctness, heat_of, locate
from evaluation.object_words import find_objects
from evaluation.score_tables import all_words, average_scores
from experiments.lrp_variants.variants import Variant, explain_by
from experiments.workbench import markdown, with_interval
from models import Captioner, Explanation
from models.explainers.deletion import delete_patches, number_patches
from scoring.explained_images import ExplainedImage, explain_images

LOW, HIGH, DROP, CRITERION = "correctness_0", "correctness_0.5", "drop", "criterion"
BALANCE = "balance"  # beside the names of variants
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
        (SOURCE, *methods),
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
            scores[BALANCE] = _balance(image.explanations[0], row)
            words.append({"step": step, "word": image.words[step], "scores": scores})
    return {"image_id": record.image_id, "caption": image.text, "words": words}


def _balance(explanation: Explanation, row: int) -> dict[str, float]:
    """Returns where a word's logit comes from; 0 by a mean that is not read."""
    image = float(explanation.features[row].sum(dtype="float64"))
    read = explanation.mean_feature
    mean = 0.0 if read is None else float(read[row])
    return {
        "logit": float(explanation.logits[row]),
        "words": float(explanation.preceding_words[row].sum()),
        "places": image - mean,
        "mean feature": mean,
        "lost": float(explanation.lost[row, 0]),
    }


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
    patches = np.sort(rank(scores, generator)[:, :NUM_PATCHES])
    different, place = np.unique(patches, axis=0, return_inverse=True)
    asked = captioner, image.encoded, image.tokens, steps
    told = delete_patches(*asked, different, numbers, recaption=False).probabilities
    told = told[place.reshape(-1, len(rows)), rows]
    return dict(zip(maps, np.exp(first.log_probabilities) - told, strict=True))


def criterion_of(records: Sequence[dict], plain: str) -> dict[str, dict]:
    """Averages the scores of variants, with the CRITERION of `__main__`.

    Args:
        records: Of photographs, from `only_maps`.
        plain: The name of the variant whose criterion is 0.

    Returns:
        What `average_scores` does.
    """
    usual = [word["scores"][plain] for _, word in all_words(records)]
    units = np.std([_parts(scores) for scores in usual], axis=0)
    units[units == 0] = 1.0

    def judged(word: dict) -> dict:
        mine = _parts(word["scores"][plain])
        gains = {
            name: float(((_parts(scores) - mine) / units).sum())
            for name, scores in word["scores"].items()
        }
        scores = word["scores"].items()
        return {"scores": {n: {**s, CRITERION: gains[n]} for n, s in scores}}

    return average_scores(
        [{"words": [judged(word) for word in record["words"]]} for record in records]
    )


def _parts(scores: Mapping[str, float]) -> np.ndarray:
    """Returns the location and the drop (2,)."""
    return np.array([(scores[LOW] + scores[HIGH]) / 2, scores[DROP]])


def only_maps(records: Sequence[dict]) -> list[dict]:
    """Returns the records with the scores of maps alone."""
    return _with_scores(records, lambda name: name != BALANCE)


def only_balance(records: Sequence[dict]) -> list[dict]:
    """Returns the records with the balance alone."""
    return _with_scores(records, lambda name: name == BALANCE)


def _with_scores(records: Sequence[dict], keeps: Callable[[str], bool]) -> list[dict]:
    return [
        {"words": [{"scores": _kept(w["scores"], keeps)} for w in record["words"]]}
        for record in records
    ]


def _kept(scores: Mapping, keeps: Callable[[str], bool]) -> dict:
    return {name: found for name, found in scores.items() if keeps(name)}


def table(head: str, scores: Mapping[str, Mapping]) -> str:
    """Writes means with their intervals as a Markdown table."""
    names = list(next(iter(scores.values()), ()))
    rows = [
        (name, *(with_interval(found[score]) for score in names))
        for name, found in scores.items()
    ]
    return markdown((head, *names), rows)
