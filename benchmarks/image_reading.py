"""Times the reading of photographs against the networks that wait for them.

python -m benchmarks.image_reading DIR/images --workers 1 2
"""

import itertools
import sys
from pathlib import Path

import keras
import numpy as np

from benchmarks import measured, seconds
from benchmarks.training_step import time_steps
from command_line import make_parser, positive
from config import Config
from dataset.images import IMAGE_SIZE, IMAGE_SUFFIXES, ImageError, load_image
from dataset.read_ahead import NUM_WORKERS, read_ahead
from keras_lrp.backend import compiled
from models.decoders import DECODERS
from models.encoders import ENCODERS, build_encoder

ENCODED, TRAINED, CAPTIONS = 16, 8, 4  # images of a batch; captions of an image


def main(argv: list[str] | None = None) -> int:
    """Prints the images a second that are read, encoded and trained on."""
    parser = make_parser(__doc__, "python -m benchmarks.image_reading")
    parser.add_argument("folder", type=Path, help="searched with its subfolders")
    parser.add_argument(
        "--workers",
        type=positive,
        nargs="+",
        default=[NUM_WORKERS],
        help="threads that read, one measurement each",
    )
    parser.add_argument("--limit", type=positive, default=1000, help="images to read")
    add = parser.add_argument
    add("--encoder", choices=ENCODERS, default=Config.encoder, help="encoder to use")
    add("--decoder", choices=DECODERS, default=Config.decoder, help="decoder to train")
    add("--rounds", type=positive, default=5, help="timed rounds")
    arguments = parser.parse_args(argv)
    found = arguments.folder.rglob("*")
    named = (path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)
    images = (path for path in named if path.name[0] != "." and path.is_file())
    paths = list(itertools.islice(images, arguments.limit))
    if not paths:
        print(f"image_reading: no images in {arguments.folder}", file=sys.stderr)
        return 2
    try:
        for workers in arguments.workers:
            clock, processor = time_reading(paths, workers)
            print(
                f"read by {workers} workers: {len(paths) / clock:.0f} images/s, "
                f"{len(paths) / processor:.0f} for each core's second"
            )
    except ImageError as error:
        print(f"image_reading: {error}", file=sys.stderr)
        return 2
    fastest = min(time_encoding(arguments.encoder, arguments.rounds))
    print(f"encoded by {arguments.encoder}: {ENCODED / fastest:.1f} images/s")
    fastest = min(time_steps(arguments.decoder, arguments.rounds, TRAINED, CAPTIONS))
    print(f"trained on, features cached: {TRAINED / fastest:.1f} images/s")
    return 0


def time_reading(paths: list[Path], workers: int) -> tuple[float, float]:
    """Returns the seconds of the clock and of the processor."""

    def read_all():
        for image in read_ahead(load_image, paths, workers):
            image.result()

    return measured(read_all)


def time_encoding(name: str, rounds: int) -> list[float]:
    """Encodes one random batch again and again; returns the seconds of each time."""
    encoder = build_encoder(Config(encoder=name))
    encode = compiled(lambda images: encoder(images, training=False), encoder)
    images = np.zeros((ENCODED, IMAGE_SIZE, IMAGE_SIZE, 3), "float32")
    images = keras.ops.convert_to_tensor(images)

    def encode_all():
        return keras.ops.convert_to_numpy(encode(images))

    encode_all()  # compiles
    return [seconds(encode_all) for _ in range(rounds)]


if __name__ == "__main__":
    sys.exit(main())
