"""Times the explanation of a caption's words against plain backward passes.

All of it in one run, decoder and encoder apart, on one image. "plain" is one forward
pass of VGG16 and one backward pass for each word, the words batched: the time of
forward and backward of an image repeated for every word, less the forward pass of
the repeated image, plus the forward pass of one. Ratios are those of the least times,
which other processes disturb least. KERAS_BACKEND chooses the backend.

    python -m benchmarks.explanation [--words 12] [--bfloat16]
"""

import argparse
import itertools
import resource
import statistics
import sys
from collections.abc import Callable, Sequence

import keras
import numpy as np

from benchmarks import peak_memory, timed_rounds
from command_line import make_parser
from config import Config
from dataset.vocabulary import Vocabulary
from keras_lrp import LRP, PRESETS
from keras_lrp.backend import compiled, vector_jacobian_product
from models.captioner import Captioner
from models.decoders import DECODERS
from models.encoders import build_encoder
from models.explainers.decoder_stage import explain_decoder
from models.explainers.methods import RELEVANCE

NUM_WORDS = 7000


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    arguments = parse(argv)
    timed = contenders(
        arguments.decoder,
        arguments.weights,
        arguments.words,
        arguments.presets,
        (None, "bfloat16") if arguments.bfloat16 else (None,),
    )
    (first,) = timed_rounds(timed, 1)
    report(first, timed_rounds(timed, arguments.rounds), arguments.words)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m benchmarks.explanation")
    parser.add_argument("--words", type=int, default=12, help="words of the caption")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds")
    parser.add_argument(
        "--decoder", choices=DECODERS, default=Config.decoder, help="decoder to explain"
    )
    parser.add_argument("--weights", help="VGG16 weights without top; default random")
    parser.add_argument(
        "--presets",
        nargs="+",
        default=["alpha1_beta0", "gradient"],
        choices=PRESETS,
        help="rules of the encoder",
    )
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        help="also with the encoder's backward pass in that precision",
    )
    return parser.parse_args(argv)


def contenders(
    decoder: str,
    weights: str | None,
    num_words: int,
    presets: Sequence[str],
    precisions: Sequence[str | None] = (None,),
) -> dict[str, Callable]:
    """Returns what is timed, by name."""
    keras.utils.set_random_seed(0)
    config = Config(decoder=decoder)
    encoder = build_encoder(config, weights)
    vocabulary = Vocabulary([f"word{number}" for number in range(NUM_WORDS - 3)])
    captioner = Captioner(config, vocabulary, encoder)
    random = np.random.default_rng(0)
    image = random.normal(0, 60, (1, *encoder.input_shape[1:])).astype("float32")
    features = encoder(image)
    tokens = random.integers(3, NUM_WORDS, num_words)
    steps = np.arange(num_words)

    def explain():
        return explain_decoder(captioner, RELEVANCE, features, tokens, steps)

    stage = explain()
    relevance = (stage.features * stage.feature_gradient)[None]  # (1, N, h, w, D)
    timed = plain_passes(encoder, image, relevance[0])
    timed[f"decoder, lrp, {decoder}"] = lambda: explain().logits
    for preset, precision in itertools.product(presets, precisions):
        name = f"encoder, {preset}" + (f", {precision}" if precision else "")
        lrp = LRP(encoder, preset, precision=precision)
        timed[name] = lambda p=lrp: p(image, relevance=relevance)
    return timed


def plain_passes(encoder: keras.Model, image, seeds) -> dict[str, Callable]:
    """Returns the forward and backward passes that everybody has to do."""
    repeated = np.repeat(image, len(seeds), axis=0)
    forward = compiled(lambda x: encoder(x), encoder)

    def differentiate(x, seed):
        return vector_jacobian_product(lambda y: (encoder(y), ()), [x], seed)[2][0]

    both = compiled(differentiate, encoder)
    return {
        "forward, 1 image": lambda: forward(image),
        "forward, repeated": lambda: forward(repeated),
        "forward and backward, repeated": lambda: both(repeated, seeds),
    }


def plain_seconds(seconds: dict[str, float]) -> float:
    """Returns the seconds of one forward pass and a backward pass for each word."""
    return (
        seconds["forward and backward, repeated"]
        - seconds["forward, repeated"]
        + seconds["forward, 1 image"]
    )


def report(first: dict, rounds: Sequence[dict], words: int) -> None:
    """Prints seconds, ratios and the peak of memory."""
    medians, least = (
        {name: choose([timed[name] for timed in rounds]) for name in first}
        for choose in (statistics.median, min)
    )
    plain, columns = "plain: 1 forward, N backward", (medians, least)
    for column in columns:
        column[plain] = plain_seconds(column)
    print(f"{keras.backend.backend()}, {words} words")
    print(f"{'':34}{'first s':>9}{'median s':>9}{'least s':>9}{'/ plain':>9}")
    for each in least:
        begun = f"{first[each]:.2f}" if each in first else ""
        figures = "".join(f"{column[each]:9.3f}" for column in columns)
        print(f"{each:34}{begun:>9}{figures}{least[each] / least[plain]:9.2f}")
    print(f"peak memory {peak_memory(resource.RUSAGE_SELF):.2f} GB")


if __name__ == "__main__":
    sys.exit(main())
