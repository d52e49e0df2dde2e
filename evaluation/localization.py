"""Whether the relevance of a word lies on its object: pure functions of arrays.

Every score is in [0, 1] and taken from the heat of a word: how much the pixels speak
for it. What speaks against the word is left out.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from skimage.filters import gaussian
from skimage.morphology import isotropic_dilation

from dataset.records import Box, ObjectBox
from evaluation.object_words import find_objects

THRESHOLDS = tuple(tenth / 10 for tenth in range(10))
CORRECTNESS = tuple(f"correctness_{threshold}" for threshold in THRESHOLDS)
TOLERANCE = 15  # pixels, those of Zhang et al. on photographs about twice as large
TOLERANT = f"pointing_{TOLERANCE}"
RELEASED_SMOOTHING = 20  # pixels
CHANCE = "chance"  # beside the names of methods


@dataclass(frozen=True, eq=False)
class Location:
    """Where the object is that a word names.

    Attributes:
        boxes: Of all objects of that name, bool (N, H, W).
        mask: Their pixels, bool (H, W): the exact ones where they are known, else
            those of the boxes.
    """

    boxes: np.ndarray
    mask: np.ndarray

    def __post_init__(self):
        if self.boxes.ndim != 3 or self.boxes.shape[1:] != self.mask.shape:
            raise ValueError(
                f"A location needs boxes (N, H, W) and a mask (H, W); received "
                f"{self.boxes.shape} and {self.mask.shape}."
            )
        if not (self.boxes.any(axis=(1, 2)).all() and self.mask.any()):
            raise ValueError("A box or the mask of a location has no pixel.")

    @functools.cached_property
    def surroundings(self) -> np.ndarray:
        """The mask and what is at most TOLERANCE pixels from it, bool (H, W)."""
        return isotropic_dilation(self.mask, TOLERANCE)


def locate(
    boxes: Sequence[Sequence[float]],
    size: tuple[int, int],
    masks: np.ndarray | None = None,
) -> Location:
    """Turns boxes into pixels.

    Args:
        boxes: Their edges in the order of `Box`, as shares of the image's width and
            height.
        size: The height and width of the image in pixels.
        masks: The exact pixels of the objects where they are known, bool (N, h, w);
            they may be of another size.
    """
    found = np.stack([_fill_box(Box(*box), size) for box in boxes])  # (N, H, W)
    exact = found if masks is None else _resample(masks, size)
    return Location(found, exact.any(axis=0))


def _resample(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Takes of masks (N, h, w) what lies at the centres of the pixels of a size."""
    lengths = zip(size, masks.shape[1:], strict=True)
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in lengths
    )
    found = masks[:, rows[:, None], columns]
    lost = masks.any((1, 2)) & ~found.any((1, 2))  # smaller than a pixel
    for number in np.flatnonzero(lost):
        row, column = np.argwhere(masks[number])[0] * size // masks.shape[1:]
        found[number, row, column] = True
    return found


def _fill_box(box: Box, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    rows = _covered(box.ymin, box.ymax, height)
    return np.outer(rows, _covered(box.xmin, box.xmax, width))


def _covered(low: float, high: float, length: int) -> np.ndarray:
    """Tells which pixels of a line have their centre between two shares of it.

    If none has, the pixel that holds the middle is covered.
    """
    centres = (np.arange(length) + 0.5) / length
    covered = (low <= centres) & (centres < high)
    if not covered.any():
        covered[int((low + high) / 2 * length)] = True
    return covered


def heat_of(relevance: np.ndarray) -> np.ndarray:
    """Returns the mean over the channels of max(R, 0), divided by its largest value.

    Args:
        relevance: Signed, of the pixels of one word, (H, W, 3).

    Returns:
        (H, W) in [0, 1]; zeros where nothing speaks for the word.

    Raises:
        ValueError: The relevance is not finite.
    """
    if not np.isfinite(relevance).all():
        raise ValueError(
            "Expected finite relevance, received NaN or infinity. Check the logits of "
            "the explained word: a diverged model explains nothing."
        )
    heat = np.maximum(relevance, 0).mean(axis=-1, dtype="float64")
    return heat / (heat.max() or 1.0)


def score_words(
    words: Sequence[str],
    objects: Sequence[ObjectBox],
    explanations: Sequence,
    masks: np.ndarray | None = None,
    as_released: bool = False,
) -> list[dict]:
    """Scores every explanation of the words of a caption that name objects.

    Args:
        words: Of the caption (T,).
        objects: Of the image.
        explanations: One for each method, of just the words that `find_objects` finds:
            anything with `method` and `pixels` (R, H, W, 3).
        masks: The exact pixels of the objects where they are known, bool (N, H, W).
        as_released: Whether correctness is `correctness_as_released`.

    Returns:
        A record of each word: its step, the word, its boxes and its scores by method
        and name, those of CHANCE among them.
    """
    found = []
    for row, (step, named) in enumerate(find_objects(words, objects).items()):
        boxes = [object_.box for object_ in named]
        rows = [objects.index(object_) for object_ in named]
        exact = None if masks is None else masks[rows]
        location = locate(boxes, explanations[0].pixels.shape[1:3], exact)
        scores = {
            e.method: score_location(
                e.pixels[row], location, _choose_correctness(e.method, as_released)
            )
            for e in explanations
        }
        scores[CHANCE] = chance_scores(location)
        word = {"step": step, "word": words[step], "boxes": boxes, "scores": scores}
        found.append(word)
    return found


def _choose_correctness(method: str, as_released: bool) -> Callable:
    if not as_released:
        return correctness
    smoothing = RELEASED_SMOOTHING if method == "attention" else 0
    return functools.partial(correctness_as_released, smoothing=smoothing)


def score_location(
    relevance: np.ndarray, location: Location, correctness_of: Callable | None = None
) -> dict[str, float]:
    """Returns every score of a word's relevance by its name.

    Args:
        relevance: Signed, (H, W, 3).
        location: Where the word's object is.
        correctness_of: (heat, boxes) -> the scores by threshold; `correctness` if None.
    """
    heat = heat_of(relevance)
    by_threshold = (correctness_of or correctness)(heat, location.boxes).tolist()
    return {
        **dict(zip(CORRECTNESS, by_threshold, strict=True)),
        "energy": mass_accuracy(heat, location.boxes.any(axis=0)),
        "mass_accuracy": mass_accuracy(heat, location.mask),
        "rank_accuracy": rank_accuracy(heat, location.mask),
        "pointing": pointing(heat, location.mask),
        TOLERANT: pointing(heat, location.surroundings),
    }


def chance_scores(location: Location) -> dict[str, float]:
    """Returns the scores of a map that is the same everywhere, or random.

    Those that share out a map's mass are the area's share; that of the best box is
    the largest box's. A point at random hits the mask as often as it is large.
    """
    largest = float(location.boxes.mean(axis=(1, 2)).max())
    share = float(location.mask.mean())
    return {
        **dict.fromkeys(CORRECTNESS, largest),
        "energy": float(location.boxes.any(axis=0).mean()),
        "mass_accuracy": share,
        "rank_accuracy": share,
        "pointing": share,
        TOLERANT: float(location.surroundings.mean()),
    }


def correctness(heat: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Returns the share of the heat above each threshold that lies in the best box.

        c(th) = max over boxes b of  sum of heat_p [heat_p > th, p in b]
                                     / sum of heat_p [heat_p > th]

    Args:
        heat: In [0, 1], (H, W).
        boxes: Of one object, bool (N, H, W).

    Returns:
        A score for each of THRESHOLDS; 0 where nothing is above it.

    Source: Sun et al. 2020, arXiv 2001.01037.
    """
    above = np.stack([np.where(heat > limit, heat, 0) for limit in THRESHOLDS])
    inside = above.reshape(len(above), -1) @ boxes.reshape(len(boxes), -1).T  # (10, N)
    total = above.sum(axis=(1, 2))
    return inside.max(axis=1) / np.where(total > 0, total, 1)


def correctness_as_released(
    heat: np.ndarray, boxes: np.ndarray, smoothing: float = 0
) -> np.ndarray:
    """Returns the correctness as the code released with the paper computes it.

    It thresholds the map in place: only the first box is scored on the whole map, all
    others on what the largest threshold left of it, at every threshold. And it smooths
    the attention first, which spreads it beyond the boxes. (It also takes the largest
    score of all words that name one object; here each word has its own.)

    Args:
        heat: See `correctness`.
        boxes: See `correctness`.
        smoothing: The standard deviation of the Gaussian in pixels;
            RELEASED_SMOOTHING for attention.
    """
    if smoothing:
        heat = gaussian(heat, smoothing, mode="reflect")
        heat = heat / (heat.max() or 1.0)
    first = correctness(heat, boxes[:1])
    if len(boxes) == 1:
        return first
    left = np.where(heat > THRESHOLDS[-1], heat, 0)
    return np.maximum(first, correctness(left, boxes[1:]))


def mass_accuracy(heat: np.ndarray, mask: np.ndarray) -> float:
    """Returns the share of the heat (H, W) that lies in a mask (H, W); 0 of nothing.

    Source: relevance mass accuracy, Arras et al. 2022, arXiv 2003.07258;
    of boxes the energy-based pointing game, Wang et al. 2020, arXiv 1910.01279.
    """
    return float(heat[mask].sum() / (heat.sum() or 1.0))


def rank_accuracy(heat: np.ndarray, mask: np.ndarray) -> float:
    """Returns the share of the K hottest pixels that lie in a mask of K pixels.

    Where pixels are as hot as the K-th, each of them counts as often as a random
    choice among them would take it.

    Args:
        heat: (H, W).
        mask: bool (H, W).

    Source: relevance rank accuracy, Arras et al. 2022, arXiv 2003.07258.
    """
    size = int(mask.sum())
    last = np.partition(heat, -size, axis=None)[-size]
    hotter, equal = heat > last, heat == last
    of_equal = (size - hotter.sum()) / equal.sum()
    return float((hotter[mask].sum() + of_equal * equal[mask].sum()) / size)


def pointing(heat: np.ndarray, mask: np.ndarray) -> float:
    """Returns 1 where the hottest pixel lies in a mask, else 0.

    Args:
        heat: (H, W); one without heat points nowhere, several hottest pixels share.
        mask: bool (H, W).

    Source: the pointing game, Zhang et al. 2018, arXiv 1608.00507.
    """
    return float(mask[heat == heat.max()].mean()) if heat.any() else 0.0
