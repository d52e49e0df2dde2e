"""How much of an explanation lies on what a word rests on."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dataset.records import CaptionedImage
from dataset.scenes.evidence import BADGE, EvidenceScene
from evaluation.localization import (
    CHANCE,
    heat_of,
    mass_accuracy,
    pointing,
    rank_accuracy,
)
from models import BaseCaptioner
from scoring.explained_images import ExplainedImage, explain_images

MASS, RANK, POINTING = "mass", "rank", "pointing"
OTHER, MORE = "other_mass", "is_shown"  # where evidence and appearance may differ


def score_scenes(
    captioner: BaseCaptioner,
    scenes: Sequence[EvidenceScene],
    checks: Sequence[Mapping],
    methods: Sequence[str],
    fact: str | None = None,
) -> list[dict]:
    """Scores the explanations of the words that rest on their evidence.

    Args:
        captioner: The model.
        scenes: The pictures.
        checks: Of these pictures, see `check_words`.
        methods: Names from METHODS.
        fact: Only words that it decides are scored; all if None.

    Returns:
        A record of each picture, as `evaluation.score_tables` reads them; its words
        say what they are "about".
    """
    by_id = {scene.record.image_id: scene for scene in scenes}
    resting = {
        check["image_id"]: [word["step"] for word in check["words"] if word["rests"]]
        for check in checks
    }

    def choose(record: CaptionedImage, words: Sequence[str]) -> list[int]:
        told = by_id[record.image_id].words
        steps = resting[record.image_id]
        return [step for step in steps if fact in (None, told[step].fact)]

    explained = explain_images(
        captioner,
        [scene.record for scene in scenes],
        choose,
        methods,
        captions={key: scene.record.captions[0] for key, scene in by_id.items()},
    )
    return [_score_scene(by_id[one.record.image_id], one) for one in explained]


def _score_scene(scene: EvidenceScene, image: ExplainedImage) -> dict:
    if image.problem:
        raise ValueError(image.problem)
    words = []
    explained = image.explanations[0].steps if image.explanations else ()
    for row, step in enumerate(explained):
        maps = {e.method: e.pixels[row] for e in image.explanations}
        scores = score_word(scene, step, maps)
        word = scene.words[step]
        words.append(
            {"step": step, "word": word.text, "about": word.about, "scores": scores}
        )
    return {"image_id": scene.record.image_id, "caption": image.text, "words": words}


def score_word(
    scene: EvidenceScene, step: int, maps: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Scores the maps of one word.

    Mass and rank accuracy and the pointing game are those of Arras et al. 2022 (arXiv
    2003.07258) and Zhang et al. 2018 (arXiv 1608.00507), with the word's evidence as
    the mask. The colour of the first object could be told from that object or from the
    badge: such a word also has OTHER, the mass on that of the two which is not its
    evidence, and MORE, whether the evidence has more heat per pixel.

    Args:
        scene: Of the word.
        step: The word's place.
        maps: Signed relevance (H, W, 3) by method.

    Returns:
        The scores by method, those of CHANCE among them.
    """
    evidence, other = scene.evidence(scene.words[step]), _other_region(scene, step)
    scores = {
        method: _score_heat(heat_of(relevance), evidence, other)
        for method, relevance in maps.items()
    }
    share = float(evidence.mean())
    scores[CHANCE] = {MASS: share, RANK: share, POINTING: share}
    if other is not None:
        scores[CHANCE] |= {OTHER: float(other.mean()), MORE: 0.5}
    return scores


def _score_heat(
    heat: np.ndarray, evidence: np.ndarray, other: np.ndarray | None
) -> dict[str, float]:
    scores = {
        MASS: mass_accuracy(heat, evidence),
        RANK: rank_accuracy(heat, evidence),
        POINTING: pointing(heat, evidence),
    }
    if other is not None:
        scores[OTHER] = mass_accuracy(heat, other)
        scores[MORE] = float(heat[evidence].mean() > heat[other].mean())
    return scores


def _other_region(scene: EvidenceScene, step: int) -> np.ndarray | None:
    """Returns the badge for the first object's colour, that object for the badge's."""
    word = scene.words[step]
    if word.fact == "colour 0":
        return scene.parts == BADGE
    if word.fact == "badge":
        return scene.evidence(scene.words[step + 1])
    return None


def of_kind(records: Sequence[Mapping], about: str) -> list[dict]:
    """Returns the records with the words about one thing alone."""
    return [
        {**record, "words": [w for w in record["words"] if w["about"] == about]}
        for record in records
    ]


def of_first_colour(records: Sequence[Mapping]) -> list[dict]:
    """Returns the records with the words that could be told from the badge alone."""
    return [{**record, "words": list(_doubtful(record["words"]))} for record in records]


def _doubtful(words: Sequence[Mapping]) -> Iterator[Mapping]:
    for word in words:
        if MORE in word["scores"][CHANCE]:
            yield word
