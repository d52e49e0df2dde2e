"""Times a training step on cached features: 32 captions of 20 words, V = 7000.

python -m benchmarks.training_step
"""

import statistics
import sys

import keras
import numpy as np

from benchmarks import seconds
from command_line import make_parser
from config import Config
from dataset.batches import pack_captions
from dataset.vocabulary import Vocabulary
from models.captioner import Captioner
from models.decoders import DECODERS
from training.objectives import compile_for_training

GRID, CHANNELS, NUM_WORDS, CAPTION_WORDS = (14, 14), 512, 7000, 20
VOCABULARY = Vocabulary([f"word{number}" for number in range(NUM_WORDS - 3)])


def main(argv: list[str] | None = None) -> int:
    """Prints the median time of a step for two ways to group 32 captions."""
    parser = make_parser(__doc__, "python -m benchmarks.training_step")
    add = parser.add_argument
    add("--decoder", choices=DECODERS, default=Config.decoder, help="decoder to train")
    add("--rounds", type=int, default=5, help="timed steps")
    arguments = parser.parse_args(argv)
    for images, captions in ((8, 4), (32, 1)):
        steps = time_steps(arguments.decoder, arguments.rounds, images, captions)
        print(
            f"{keras.backend.backend()}, {arguments.decoder}, {images} images x "
            f"{captions} captions: median {statistics.median(steps):.3f} s, "
            f"fastest {min(steps):.3f} s"
        )
    return 0


def time_steps(
    decoder: str, rounds: int, num_images: int, num_captions: int
) -> list[float]:
    """Trains on one random batch again and again; returns the seconds of each step."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*GRID, CHANNELS))
    encoder = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    captioner = Captioner(Config(decoder=decoder), VOCABULARY, encoder)
    compile_for_training(captioner, 5e-4)
    batch = random_batch(num_images, num_captions)
    captioner.train_on_batch(*batch)
    return [seconds(lambda: captioner.train_on_batch(*batch)) for _ in range(rounds)]


def random_batch(num_images: int, num_captions: int) -> tuple:
    """Returns inputs, targets and weights of random features and captions."""
    generator = np.random.default_rng(0)
    texts = generator.integers(3, NUM_WORDS, (num_images, num_captions, CAPTION_WORDS))
    packed = pack_captions(
        list(texts), CAPTION_WORDS, num_captions * CAPTION_WORDS, generator
    )
    features = generator.random((num_images, *GRID, CHANNELS)).astype("float16")
    inputs = {
        "features": features,
        "tokens": packed.tokens,
        "positions": packed.positions,
    }
    return inputs, packed.targets, packed.weights


if __name__ == "__main__":
    sys.exit(main())
