"""Times the scoring of explanations: images a second of every method.

Rendered scenes, captioned by a shipped captioner. As many words of every caption as
object words in captions of photographs are explained, and scored by every score.

    python -m benchmarks.evaluation [--images 8] [--words 3]
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence

import keras

from benchmarks import peak_memory
from command_line import DEFAULT_MODEL, MODEL_HELP, make_parser, positive
from dataset.records import CaptionedImage
from dataset.scenes import read_scenes, write_scenes
from evaluation.localization import locate, score_location
from models import Captioner, load_captioner
from models.explainers.choices import ALL, choose_methods
from scoring.explained_images import explain_images
from scoring.options import add_method_option


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    arguments = parse(argv)
    captioner = load_captioner(arguments.model)
    methods = choose_methods(arguments.methods, captioner)
    contenders = {"captions alone": []} | {name: [name] for name in methods}
    contenders["all of them, together"] = methods
    with tempfile.TemporaryDirectory() as folder:
        scenes = write_scenes(f"{folder}/scenes", {"dev": arguments.images})
        images = read_scenes(scenes, "dev", with_objects=True)
        print(
            f"{keras.backend.backend()}, {arguments.images} images, "
            f"{arguments.words} words each"
        )
        print(f"{'':24}{'images/s':>9}{'s/image':>9}{'first s':>9}")
        for name, chosen in contenders.items():
            first = score_all(captioner, images[:8], chosen, arguments.words)
            taken = score_all(captioner, images, chosen, arguments.words)
            rate = len(images) / taken
            print(f"{name:24}{rate:9.2f}{1 / rate:9.2f}{first:9.1f}", flush=True)
    print(f"peak memory {peak_memory(resource.RUSAGE_SELF):.2f} GB")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m benchmarks.evaluation")
    parser.add_argument("--model", default=DEFAULT_MODEL, help=MODEL_HELP)
    parser.add_argument("--images", type=positive, default=8, help="rendered scenes")
    parser.add_argument(
        "--words", type=positive, default=3, help="words of each caption"
    )
    add_method_option(parser, "methods", ALL)
    return parser.parse_args(argv)


def score_all(
    captioner: Captioner,
    images: Sequence[CaptionedImage],
    methods: Sequence[str],
    num_words: int,
) -> float:
    """Captions, explains and scores; returns the seconds taken."""

    def choose_steps(record: CaptionedImage, words: Sequence[str]) -> range:
        return range(min(num_words, len(words)) if methods else 0)

    start = time.perf_counter()
    for image in explain_images(captioner, images, choose_steps, methods):
        location = locate([o.box for o in image.record.objects], (224, 224))
        for explanation in image.explanations:
            for relevance in explanation.pixels:
                score_location(relevance, location)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
