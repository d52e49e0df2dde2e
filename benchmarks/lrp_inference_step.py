"""Compares a step of LRP-inference fine-tuning with a plain one, all in one run.

The features are cached; 8 images with 4 captions of 20 content words, V = 7000. The
modes that read pixels explain some words of each image through VGG16; what these
passes alone cost is shown beside them. KERAS_BACKEND chooses the backend.

    python -m benchmarks.lrp_inference_step
    python -m benchmarks.lrp_inference_step --mode mean --words 2 --rounds 2
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence

import keras
import numpy as np

from benchmarks import timed_rounds
from benchmarks.training_step import VOCABULARY, random_batch
from command_line import make_parser, positive
from config import LRP_MODES, Config
from keras_lrp import LRP
from models.captioner import Captioner
from models.decoders import DECODERS
from models.encoders import build_encoder
from models.explainers.methods import LRP_PRESET
from models.lrp_inference import LRPInferenceCaptioner
from training.objectives import compile_for_training

NUM_IMAGES, NUM_CAPTIONS = 8, 4


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    arguments = parse(argv)
    timed = contenders(arguments.decoder, arguments.mode, arguments.words)
    timed_rounds(timed, 1)  # compiles
    rounds = timed_rounds(timed, arguments.rounds)
    medians = {name: statistics.median(r[name] for r in rounds) for name in timed}
    print(f"{keras.backend.backend()}, {arguments.decoder}, {arguments.words} words")
    print(f"{'':32}{'median s':>9}{'/ plain':>9}")
    for name, median in medians.items():
        ratio = statistics.median(r[name] / r["plain step"] for r in rounds)
        print(f"{name:32}{median:9.3f}{ratio:9.2f}")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m benchmarks.lrp_inference_step")
    add = parser.add_argument
    add("--decoder", choices=DECODERS, default=Config.decoder, help="decoder to train")
    add("--mode", choices=LRP_MODES, default=LRP_MODES[0], help="what weighs words")
    parser.add_argument(
        "--words", type=positive, default=48, help="weighted words of an image"
    )
    add("--rounds", type=positive, default=7, help="timed rounds")
    return parser.parse_args(argv)


def contenders(decoder: str, mode: str, num_words: int) -> dict[str, Callable]:
    """Returns what is timed, by name."""
    keras.utils.set_random_seed(0)
    config = Config(
        decoder=decoder,
        objective="lrp_inference",
        lrp_mode=mode,
        lrp_words=num_words,
    )
    encoder = build_encoder(config)
    inputs, *labels = random_batch(NUM_IMAGES, NUM_CAPTIONS)
    images = np.random.default_rng(0).normal(0, 60, (NUM_IMAGES, 224, 224, 3))
    images = images.astype("float32")
    timed = {}
    for name, kind in {
        "plain": Captioner,
        mode: LRPInferenceCaptioner,
    }.items():
        captioner = kind(config, VOCABULARY, encoder)
        compile_for_training(captioner, 1e-5)
        batch = (inputs, *labels)
        if config.trains_on_pixels and kind is LRPInferenceCaptioner:
            batch = (inputs | {"images": images}, *labels)
        timed[f"{name} step"] = lambda c=captioner, b=batch: c.train_on_batch(*b)[0]
    if config.trains_on_pixels:
        timed["the words' encoder passes"] = encoder_passes(encoder, images, num_words)
    return timed


def encoder_passes(encoder: keras.Model, images, num_words: int) -> Callable:
    """Returns the LRP of all words through the encoder, image by image."""
    lrp = LRP(encoder, LRP_PRESET)
    shape = (1, num_words, *encoder.output_shape[1:])
    relevance = np.random.default_rng(1).random(shape).astype("float32")

    def passes():
        found = [lrp(image[None], relevance=relevance) for image in images]
        return np.stack([np.asarray(one) for one in found])

    return passes


if __name__ == "__main__":
    sys.exit(main())
