"""Times the explanation of a caption's words by a published captioner, and its memory.

The configuration is the published one, the weights are random. Decoder and encoder
apart: wall seconds and processor seconds of the first call, which compiles, and of the
second. KERAS_BACKEND chooses the backend.

    python -m benchmarks.published [--family blip] [--words 12] [--rules attn_lrp]
"""

import argparse
import resource
import sys
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from benchmarks import measured, peak_memory
from command_line import make_parser, positive
from keras_lrp import RELEVANCE_RULES
from models.explainers.decoder_stage import explain_decoder
from models.explainers.encoder_stage import pixel_gradient
from models.explainers.explanation import PRECISION
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


def time_explanation(family: str, num_words: int, rules: str) -> dict[str, list]:
    """Explains random words of a random photograph twice.

    Args:
        family: A key of CONFIGS.
        num_words: Of the caption, all explained.
        rules: A key of RELEVANCE_RULES.

    Returns:
        For each part of the work the wall and processor seconds of the first call,
        which compiles, and of the second.
    """
    captioner, operations = build(family), RELEVANCE_RULES[rules]
    random = np.random.default_rng(0)
    size = captioner.encoder.image_size
    photo = random.integers(0, 256, (size, size, 3), dtype="uint8")
    tokens = random.integers(3, len(captioner.vocabulary), num_words)
    tokens, steps = tokens.astype("int32"), np.arange(num_words)
    found = {}

    def encode():
        found["features"], (found["image"],) = captioner.encode_each([photo])
        np.asarray(found["features"])  # it has arrived

    def decoder():
        found["stage"] = explain_decoder(
            captioner, operations, found["features"], tokens, steps
        )

    def encoder():
        image = found["image"].encoder_input
        pixel_gradient(captioner, operations, image, found["stage"], PRECISION)

    calls = {"forward of the encoder": encode, "decoder": decoder, "encoder": encoder}
    return {name: [measured(call), measured(call)] for name, call in calls.items()}


def lines(timed: dict[str, list]) -> list[str]:
    """Returns the rows of the table, those of two sums among them."""
    names = list(timed)
    rows = timed | {
        "decoder_lrp: the first two": _added(timed[name] for name in names[:2]),
        "lrp: all": _added(timed.values()),
    }
    header = ("first: wall", "processor", "then: wall", "processor")
    return [f"{'seconds':28}" + "".join(f"{name:>12}" for name in header)] + [
        f"{name:28}" + "".join(f"{value:12.1f}" for call in calls for value in call)
        for name, calls in rows.items()
    ]


def _added(parts: Iterable[list]) -> list:
    return np.sum(list(parts), axis=0).tolist()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m benchmarks.published")
    add_options(parser)
    return parser.parse_args(argv)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds what is explained, and how."""
    add = parser.add_argument
    add("--family", choices=FAMILIES, default="blip", help="of captioners")
    add("--words", type=positive, default=12, help="words of the caption")
    add("--rules", choices=RELEVANCE_RULES, default="attn_lrp", help="of LRP")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    arguments = parse(argv)
    timed = time_explanation(arguments.family, arguments.words, arguments.rules)
    print(f"{keras.backend.backend()}, {arguments.family}, {arguments.words} words")
    print(*lines(timed), sep="\n")
    print(f"peak memory {peak_memory(resource.RUSAGE_SELF):.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
