"""The other library's side of a comparison; runs in that library's environment.

It knows arrays only, so that it imports nothing of what it is compared with.
"""

import sys
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks import seconds

Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]
PART = ".method."


def answer(prepare: Callable[..., Explain], version: str) -> None:
    """Reads the task named on the command line, explains, writes the results.

    Args:
        prepare: (method, weights, dtype) -> a function of images (B, H, W, C) and
            the relevance of their features (B, h, w, D) that returns the relevance
            of the images (B, H, W, C). The weights are in Keras' order.
        version: Of the library.
    """
    path, result, *methods = sys.argv[1:]
    with np.load(path) as task:
        image, relevance, rounds = task["image"], task["relevance"], int(task["rounds"])
        names = sorted(name for name in task if name.startswith("weight"))
        weights = [task[name] for name in names]
    results = {"version": np.array(version)}
    for method in methods:
        explain = prepare(method, weights, "float32")
        figures = measure(explain, image, relevance, rounds)
        explain = prepare(method, weights, "float64")
        figures["heatmaps"] = one_by_one(explain, image, relevance)
        results |= {f"{method}{PART}{name}": figures[name] for name in figures}
    np.savez(result, **results)


def measure(explain: Explain, image, relevance, rounds: int) -> dict:
    """Times N words: one call for each, and one call with the image repeated."""
    images = np.repeat(image, len(relevance), axis=0)
    return {
        "first": seconds(lambda: explain(image, relevance[:1])),
        "separate": timed(lambda: one_by_one(explain, image, relevance), rounds),
        "batch": timed(lambda: explain(images, relevance), rounds),
    }


def timed(call: Callable, rounds: int) -> Sequence[float]:
    """Returns the seconds of each round."""
    return [seconds(call) for _ in range(rounds)]


def one_by_one(explain: Explain, image, relevance) -> np.ndarray:
    """Explains the words one after the other: (N, H, W, C)."""
    return np.concatenate([explain(image, word[None]) for word in relevance])
