"""Times the explanation of a caption's words by a published captioner, and its memory.

The configuration is the published one, the weights are random. Decoder and encoder
apart: wall seconds and processor seconds of the first call, which compiles, and of the
second. KERAS_BACKEND chooses the backend.

    python -m benchmarks.published [--family blip] [--words 12] [--rules attn_lrp]
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from benchmarks import peak_memory
from command_line import make_parser
from keras_lrp import RELEVANCE_RULES
from models.explainers.decoder_stage import explain_decoder
from models.explainers.encoder_stage import pixel_gradient
from models.published.captioner import PublishedCaptioner
from models.published.families import FAMILIES
from models.published.generation import Generation
from models.published.preprocessing import Preprocessing
from models.sentence import Sentence

CONFIGS = {  # what the published files have that is not the library's default
    "blip": {"text_config": {"num_attention_heads": 12}},
    "git": {},
    "vision-encoder-decoder": {
        "encoder": {"model_type": "vit"},
        "decoder": {"model_type": "gpt2"},
    },
}


class Numbers:
    """A vocabulary whose words are the numbers of its tokens."""

    start, padding = 1, 0

    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size

    def sentence(self, tokens: Sequence[int]) -> Sentence:
        """Returns every token as a word."""
        words = tuple(map(str, tokens))
        return Sentence(" ".join(words), words, np.asarray(tokens))


def build(family: str) -> PublishedCaptioner:
    """Builds a captioner of the published size with random weights."""
    keras.utils.set_random_seed(0)
    network = FAMILIES[family](CONFIGS[family])
    generation = Generation(family, 1, (2,), 0)
    size = network.encoder.image_size
    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((size, size), 3, None, 1 / 255, half, half)
    words = Numbers(network.decoder.vocabulary_size)
    return PublishedCaptioner(network, generation, words, preprocessing)


def measured(call: Callable) -> tuple[float, float]:
    """Returns the wall and the processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m benchmarks.published")
    add = parser.add_argument
    add("--family", choices=FAMILIES, default="blip", help="of captioners")
    add("--words", type=int, default=12, help="words of the caption")
    add("--rules", choices=RELEVANCE_RULES, default="attn_lrp", help="of LRP")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    arguments = parse(argv)
    captioner = build(arguments.family)
    rules = RELEVANCE_RULES[arguments.rules]
    random = np.random.default_rng(0)
    size = captioner.encoder.image_size
    photo = random.integers(0, 256, (size, size, 3), dtype="uint8")
    tokens = random.integers(3, len(captioner.vocabulary), arguments.words)
    tokens, steps = tokens.astype("int32"), np.arange(arguments.words)
    found = {}

    def encode():
        found["features"], (found["image"],) = captioner.encode_each([photo])

    def decoder():
        found["stage"] = explain_decoder(
            captioner, rules, found["features"], tokens, steps
        )

    def encoder():
        image = found["image"].encoder_input
        pixel_gradient(captioner, rules, image, found["stage"])

    calls = {"forward of the encoder": encode, "decoder": decoder, "encoder": encoder}
    print(f"{keras.backend.backend()}, {arguments.family}, {arguments.words} words")
    print(f"{'':24}{'first: wall':>12}{'processor':>11}{'then: wall':>12}", end="")
    print(f"{'processor':>11}")
    for name, call in calls.items():
        seconds = *measured(call), *measured(call)
        print(f"{name:24}", *(f"{value:11.1f}" for value in seconds), sep="")
    print(f"peak memory {peak_memory(resource.RUSAGE_SELF):.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
