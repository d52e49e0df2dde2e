"""Scores with Quantus; runs in the environment of `requirements.txt`.

    python -m comparisons.quantus.worker GIVEN.npz RESULT.npz METRIC...

The arrays of the first metric are named `0.maps` and so on, its scores `0`.
"""

import functools
import sys
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import quantus

from comparisons.quantus.model import probabilities


def positive_part(maps: np.ndarray) -> np.ndarray:
    """Leaves out what speaks against, instead of dividing by the largest value."""
    return np.maximum(maps, 0)


OPTIONS = {
    "abs": False,
    "normalise": True,
    "normalise_func": positive_part,
    "disable_warnings": True,
}


def score_maps(metric: Callable, maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Scores where the relevance of M maps (M, H, W) lies: (M,).

    Args:
        metric: A class of Quantus.
        maps: Signed relevance.
        masks: bool (M, H, W).
    """
    scores = metric(**OPTIONS)(
        model=None,
        x_batch=maps[:, None],
        y_batch=np.zeros(len(maps), int),
        a_batch=maps[:, None],
        s_batch=masks[:, None],
        channel_first=True,
    )
    return np.array(scores, float)


def top_k_intersection(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Takes as many pixels of each map as its mask has: (M,)."""
    scores = [
        score_maps(
            functools.partial(quantus.TopKIntersection, k=int(mask.sum())),
            map_[None],
            mask[None],
        )
        for map_, mask in zip(maps, masks, strict=True)
    ]
    return np.concatenate(scores)


class WordModel:
    """As much of a model as pixel flipping asks for, in NumPy."""

    def __init__(self, weights: np.ndarray):
        self.weights = weights

    def shape_input(self, images: np.ndarray, *_, **__) -> np.ndarray:
        """Leaves the images as they are."""
        return images

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns the probabilities of all words (B, V)."""
        return probabilities(images, self.weights)


def flip_pixels(
    maps: np.ndarray,
    image: np.ndarray,
    weights: np.ndarray,
    step: np.ndarray,
    return_area: bool = False,
) -> np.ndarray:
    """Deletes `step` pixels at a time, the most relevant first.

    Args:
        maps: Relevance of the pixels for each of R words (R, h, w).
        image: (h, w).
        weights: Of the model (h w, R).
        step: A number, ().
        return_area: Whether only the area under the curve is returned.

    Returns:
        The probabilities of each word (R, S), or the areas (R,).
    """
    metric = quantus.PixelFlipping(
        features_in_step=int(step),
        perturb_baseline=0.0,
        normalise=False,
        return_auc_per_sample=return_area,
        disable_warnings=True,
    )
    images = np.repeat(image[None, None], len(maps), axis=0)
    curves = metric.evaluate_batch(
        model=WordModel(weights),
        x_batch=images,
        y_batch=np.arange(len(maps)),
        a_batch=maps[:, None],
    )
    return np.array(curves)


LOCALIZATION = (
    quantus.AttributionLocalisation,
    quantus.RelevanceMassAccuracy,
    quantus.RelevanceRankAccuracy,
    quantus.PointingGame,
    quantus.AUC,
)
METRICS = {
    **{each.__name__: functools.partial(score_maps, each) for each in LOCALIZATION},
    "TopKIntersection": top_k_intersection,
    "PixelFlipping": flip_pixels,
    "PixelFlipping, area": functools.partial(flip_pixels, return_area=True),
}


def main() -> None:
    """Reads the arrays, scores, writes the scores."""
    path, result, *names = sys.argv[1:]
    given = [{} for _ in names]
    with np.load(path) as arrays:
        for key, array in arrays.items():
            number, name = key.split(".")
            given[int(number)][name] = array
    scores = {
        str(number): METRICS[name](**given[number]) for number, name in enumerate(names)
    }
    np.savez(result, version=version("quantus"), **scores)


if __name__ == "__main__":
    main()
