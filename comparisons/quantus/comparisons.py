"""What both sides score: random relevance and locations, and our numbers.

Quantus is told to take the positive part of signed maps, as `heat_of` does. Without
that, and in what no option of it changes, it differs:

- By default `AttributionLocalisation` takes absolute values and `RelevanceMassAccuracy`
  sums signed ones. What speaks against a word outside the mask makes the former lower
  than `mass_accuracy` and the latter higher, even above 1; inside it is the opposite.
- `PointingGame` is 1 if any of the hottest pixels lies in the mask; `pointing` is the
  share of them. Quantus is the larger one, ours rounded up.
- `RelevanceRankAccuracy` and `TopKIntersection` rank equally hot pixels as the sort
  leaves them, which may be above or below `rank_accuracy`, the mean of all orders.
- Where nothing speaks for a word ours are 0 (the rank is that of chance);
  `PointingGame` is 1 there and `RelevanceMassAccuracy` is NaN. Such maps are not drawn.
- `PixelFlipping` leaves out the curve's start and takes every step for one wide,
  also a last one that is shorter; its area is not divided by the width.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from comparisons.quantus.model import probabilities
from evaluation.faithfulness import area_under, flipping_curves, patch_deletion
from evaluation.localization import (
    THRESHOLDS,
    Location,
    correctness,
    heat_of,
    locate,
    pointing,
    rank_accuracy,
    score_location,
)
from evaluation.roc import area_under_roc

SIZE = (24, 30)
NUM_BOXES = 3
TINY = (2, 3)  # of maps that are put into all orders
PATCHES = (5, 6)
STEP = 4  # patches deleted at a time; does not divide their number
PAIRS = (  # our score and Quantus' name for it
    ("energy", "AttributionLocalisation"),
    ("mass_accuracy", "RelevanceMassAccuracy"),
    ("rank_accuracy", "RelevanceRankAccuracy"),
    ("rank_accuracy", "TopKIntersection"),
    ("pointing", "PointingGame"),
)
WITHOUT_ORDER = PAIRS[:2]  # ties do not matter


@dataclass(frozen=True, eq=False)
class Case:
    """One word's relevance and the object that it names.

    Attributes:
        relevance: Signed, of one channel (H, W, 1).
        location: Where the object is.
    """

    relevance: np.ndarray
    location: Location


def same(scores: np.ndarray) -> np.ndarray:
    """Takes Quantus' numbers as they are."""
    return scores


@dataclass(frozen=True, eq=False)
class Comparison:
    """One quantity that both sides compute.

    Attributes:
        quantity: Our name for it.
        metric: Quantus' name, one of its worker's.
        maps: What is scored, in words.
        given: The arrays that the metric is handed, by name.
        ours: Our numbers.
        convert: Makes Quantus' numbers comparable.
    """

    quantity: str
    metric: str
    maps: str
    given: Mapping[str, np.ndarray]
    ours: np.ndarray
    convert: Callable[[np.ndarray], np.ndarray] = same


def draw_comparisons(num_cases: int) -> list[Comparison]:
    """Draws the cases and scores them with ours."""
    generator = np.random.default_rng(0)
    signed = [
        Case(generator.normal(size=(*SIZE, 1)), draw_location(generator))
        for _ in range(num_cases)
    ]
    ties = [
        Case(np.round(2 * generator.normal(size=(*SIZE, 1))), draw_location(generator))
        for _ in range(num_cases)
    ]
    return [
        *compare_scores("signed", signed, PAIRS),
        compare_correctness("signed", signed),
        compare_roc("signed", signed),
        *compare_scores("ties", ties, WITHOUT_ORDER),
        compare_correctness("ties", ties),
        compare_roc("ties", ties),
        compare_shared_points("ties", ties),
        *[compare_orders(num_cases, metric, generator) for _, metric in PAIRS[2:4]],
        *compare_flipping(num_cases, generator),
    ]


def draw_location(generator: np.random.Generator) -> Location:
    """Draws boxes and takes four fifths of their pixels."""
    corners = generator.uniform(0, 0.7, (NUM_BOXES, 2))
    ends = corners + generator.uniform(0.15, 0.3, (NUM_BOXES, 2))
    filled = locate(np.hstack([corners, ends]).tolist(), SIZE)
    return Location(filled.regions & (generator.random(SIZE) < 0.8))


def hand_over(cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Returns the maps (M, H, W) and the masks (M, H, W)."""
    masks = [case.location.mask for case in cases]
    maps = np.stack([case.relevance[..., 0] for case in cases])
    return {"maps": maps, "masks": np.stack(masks)}


def compare_scores(
    maps: str, cases: Sequence[Case], pairs: Sequence[tuple[str, str]]
) -> list[Comparison]:
    """Compares scores of `score_location`."""
    scores = [score_location(case.relevance, case.location) for case in cases]
    return [
        Comparison(
            quantity,
            metric,
            maps,
            given=hand_over(cases),
            ours=np.array([score[quantity] for score in scores]),
        )
        for quantity, metric in pairs
    ]


def compare_correctness(maps: str, cases: Sequence[Case]) -> Comparison:
    """Hands over the map above each threshold once for each box."""
    thresholds = np.array(THRESHOLDS)[:, None, None, None]
    above, boxes = [], []
    for case in cases:
        relevance = case.relevance[..., 0]
        limits = thresholds * relevance.max()
        every = np.broadcast_arrays(
            np.where(relevance > limits, relevance, 0), case.location.regions
        )  # (10, N, H, W) each
        above.append(every[0])
        boxes.append(every[1])
    return Comparison(
        "correctness",
        "AttributionLocalisation",
        f"{maps}, best box",
        given={
            "maps": np.reshape(above, (-1, *SIZE)),
            "masks": np.reshape(boxes, (-1, *SIZE)),
        },
        ours=np.stack(
            [
                correctness(heat_of(case.relevance), case.location.regions)
                for case in cases
            ]
        ),
        convert=lambda scores: scores.reshape(
            len(cases), len(THRESHOLDS), NUM_BOXES
        ).max(axis=-1),
    )


def compare_roc(maps: str, cases: Sequence[Case]) -> Comparison:
    """Takes pixels for words: those of the mask are true."""
    areas = [
        area_under_roc(
            heat_of(case.relevance).reshape(-1, 1), case.location.mask.ravel()
        )
        for case in cases
    ]
    return Comparison(
        "area_under_roc", "AUC", maps, hand_over(cases), np.concatenate(areas)
    )


def compare_shared_points(maps: str, cases: Sequence[Case]) -> Comparison:
    """Compares the pointing game where several pixels are the hottest."""
    shares = [pointing(heat_of(case.relevance), case.location.mask) for case in cases]
    return Comparison(
        "pointing, rounded up", "PointingGame", maps, hand_over(cases), np.ceil(shares)
    )


def compare_orders(
    num_cases: int, metric: str, generator: np.random.Generator
) -> Comparison:
    """Hands over small maps with ties in every order of their pixels."""
    num_pixels = TINY[0] * TINY[1]
    orders = np.array(list(itertools.permutations(range(num_pixels))))  # (720, 6)
    relevance = generator.integers(-2, 3, (num_cases, num_pixels)) / 1.0
    relevance[:, -1] = 2.0  # something speaks for the word
    masks = generator.random((num_cases, num_pixels)) < 0.5
    masks[:, :2] = True, False  # neither empty nor full
    ours = [
        rank_accuracy(np.maximum(map_, 0), mask)
        for map_, mask in zip(relevance, masks, strict=True)
    ]
    return Comparison(
        "rank_accuracy",
        metric,
        f"ties, mean of {len(orders)} orders",
        given={
            "maps": relevance[:, orders].reshape(-1, *TINY),
            "masks": masks[:, orders].reshape(-1, *TINY),
        },
        ours=np.array(ours),
        convert=lambda scores: scores.reshape(num_cases, -1).mean(axis=-1),
    )


def compare_flipping(
    num_words: int, generator: np.random.Generator
) -> list[Comparison]:
    """Deletes the patches of one image, for each word in its own order."""
    image = generator.uniform(0.5, 1.5, PATCHES)
    relevance = generator.normal(size=(num_words, image.size))
    weights = generator.normal(size=(image.size, num_words))
    counts = np.append(np.arange(STEP, image.size, STEP), image.size)

    def tell(patches: Sequence[np.ndarray]) -> tuple[np.ndarray, list]:
        images = np.tile(image.ravel(), (len(patches), 1))
        for row, deleted in zip(images, patches, strict=True):
            row[deleted] = 0
        return probabilities(images, weights), [()] * len(patches)

    scores, before = {"drawn": relevance}, probabilities(image[None], weights)[0]
    words = [str(number) for number in range(num_words)]
    curves = flipping_curves(scores, before, tell, generator, counts / image.size)
    deletion = patch_deletion(scores, words, before, tell, generator, STEP)
    curve, drop = curves["drawn"], deletion["drawn"]["drop"]
    areas = area_under(curve[:, 1:], np.arange(1, len(counts)))
    given = {
        "maps": relevance.reshape(-1, *PATCHES),
        "image": image,
        "weights": weights,
        "step": np.array(STEP),
    }
    shared = {"maps": f"signed, {STEP} of {image.size} patches a step", "given": given}
    return [
        Comparison("flipping_curves", "PixelFlipping", ours=curve[:, 1:], **shared),
        Comparison(
            "area_under",
            "PixelFlipping, area",
            ours=areas,
            convert=lambda found: found / (len(counts) - 1),
            **shared,
        ),
        Comparison(
            "patch_deletion, drop",
            "PixelFlipping",
            ours=drop,
            convert=lambda found: before - found[:, 0],
            **shared,
        ),
    ]
