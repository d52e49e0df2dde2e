"""Times the decoder's LRP of a caption of 12 words, warm.

python -m benchmarks.decoder_relevance [--decoder adaptive_attention]
"""

import argparse
import statistics
import sys
import time

import keras
import numpy as np
from keras import ops

from config import DECODERS, Config
from dataset.vocabulary import Vocabulary
from models.captioner import Captioner
from models.explainers import RELEVANCE, explain_decoder

POSITIONS, CHANNELS, NUM_WORDS = (14, 14), 512, 7000


def main(argv: list[str] | None = None) -> int:
    """Prints the first and the median time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decoder", choices=DECODERS, default=DECODERS[0])
    parser.add_argument("--words", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args(argv)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*POSITIONS, CHANNELS))
    encoder = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    vocabulary = Vocabulary([f"word{number}" for number in range(NUM_WORDS)])
    captioner = Captioner(Config(decoder=arguments.decoder), vocabulary, encoder)
    generator = np.random.default_rng(0)
    features = ops.convert_to_tensor(
        generator.random((1, *POSITIONS, CHANNELS), dtype="float32")
    )
    tokens = generator.integers(3, NUM_WORDS, arguments.words)
    steps = np.arange(arguments.words)
    seconds = []
    for _ in range(arguments.rounds + 1):
        start = time.perf_counter()
        explain_decoder(captioner, RELEVANCE, features, tokens, steps)
        seconds.append(time.perf_counter() - start)
    print(
        f"{keras.backend.backend()}, {arguments.decoder}, {arguments.words} words: "
        f"first {seconds[0]:.2f} s, median {statistics.median(seconds[1:]):.3f} s, "
        f"fastest {min(seconds[1:]):.3f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
