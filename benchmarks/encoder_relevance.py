"""Times relevance through VGG16 against plain backward passes, in one run.

Both start from the same image and the same relevance of block5_conv3. "plain" is one
forward pass of the image and one backward pass for each word, the words batched: the
time of forward and backward of an image repeated for every word, less the forward
pass of the repeated image, plus the forward pass of one. Set KERAS_BACKEND to choose
the backend.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from models.encoder_relevance import PRESETS, relevance_propagator
from models.gradients import compiled, vector_jacobian_product

SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    arguments = parse(argv)
    encoder = build_encoder(arguments.weights, arguments.size)
    timed = contenders(encoder, arguments)
    first = {name: seconds(call) for name, call in timed.items()}
    rounds = [
        {name: seconds(call) for name, call in timed.items()}
        for _ in range(arguments.rounds)
    ]
    medians = {name: statistics.median(r[name] for r in rounds) for name in timed}
    report(first, medians, arguments.words)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--words", type=int, default=12, help="words of one image")
    parser.add_argument("--size", type=int, default=224, help="image height and width")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds")
    parser.add_argument("--weights", help="VGG16 weights without top; default random")
    parser.add_argument(
        "--presets", nargs="+", default=["alpha1_beta0", "gradient"], choices=PRESETS
    )
    return parser.parse_args(argv)


def build_encoder(weights: str | None, size: int) -> keras.Model:
    """Builds VGG16 up to its last convolution."""
    keras.utils.set_random_seed(SEED)
    base = keras.applications.VGG16(
        include_top=False, weights=weights, input_shape=(size, size, 3)
    )
    return keras.Model(base.input, base.get_layer("block5_conv3").output)


def contenders(encoder: keras.Model, arguments) -> dict[str, Callable]:
    """Returns what is timed, by name."""
    random = np.random.default_rng(SEED)
    image = random.normal(0, 60, (1, *encoder.input_shape[1:])).astype("float32")
    output = (1, arguments.words, *encoder.output_shape[1:])
    relevance = random.normal(size=output).astype("float32")
    relevance *= np.asarray(encoder(image))[:, None]
    repeated = np.repeat(image, arguments.words, axis=0)
    forward = compiled(lambda x: encoder(x), encoder)
    both = compiled(
        lambda x, seed: vector_jacobian_product(lambda y: (encoder(y), ()), [x], seed)[
            2
        ][0],
        encoder,
    )
    timed = {
        "forward, 1 image": lambda: forward(image),
        "forward, repeated": lambda: forward(repeated),
        "forward and backward, repeated": lambda: both(repeated, relevance[0]),
    }
    for preset in arguments.presets:
        propagate = relevance_propagator(encoder, preset)
        timed[preset] = lambda p=propagate: p(image, relevance)
    return timed


def seconds(call: Callable) -> float:
    """Times one call until its result has arrived."""
    start = time.perf_counter()
    np.asarray(call())
    return time.perf_counter() - start


def report(first: dict, medians: dict, words: int) -> None:
    """Prints seconds, ratios and the peak of memory."""
    plain = (
        medians["forward and backward, repeated"]
        - medians["forward, repeated"]
        + medians["forward, 1 image"]
    )
    print(f"{keras.backend.backend()}, {words} words")
    print(f"{'':32}{'first s':>9}{'median s':>9}{'/ plain':>9}")
    for name, median in medians.items():
        print(f"{name:32}{first[name]:9.2f}{median:9.2f}{median / plain:9.2f}")
    print(f"{'plain: 1 forward, N backward':32}{'':9}{plain:9.2f}{1:9.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory {peak:.2f} GB")


if __name__ == "__main__":
    sys.exit(main())
