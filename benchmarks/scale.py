"""Reads a synthetic MSCOCO of full size and starts its first epoch; times and memory.

python -m benchmarks.scale --folder DIR

The captions are drawn from 12,000 words, as often as those of a language are. The
photographs are links to a few rendered files. The cached features have their real
shape and lie in sparse files, so that neither an encoder nor 22 GB are needed.
"""

import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import quiet_start  # noqa: F401
from benchmarks import peak_memory
from command_line import make_parser, positive
from dataset import COCO2017, CaptionedImage
from dataset.batches import CaptionBatches
from dataset.coco import NUM_DEV, NUM_TRAIN
from dataset.feature_cache import SHARD, FeatureCache, ShardedArray
from dataset.vocabulary import Vocabulary
from models.captioner import Captioner
from models.encoders import build_encoder
from training.objectives import compile_for_training

NUM_IMAGES, NUM_CAPTIONS = 118_000, 5
NUM_WORDS, LENGTH = 12_000, 10.5  # words there are; of a caption, on average
LINKS = 30_000  # to one file; file systems allow some 65,000


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each stage."""
    parser = make_parser(__doc__, "python -m benchmarks.scale")
    add = parser.add_argument
    add("--images", type=positive, default=NUM_IMAGES, help="records of the file")
    add("--steps", type=positive, default=10, help="of the epoch that is started")
    add("--folder", type=Path, help="for the files; default: one that is deleted")
    arguments = parser.parse_args(argv)
    with contextlib.ExitStack() as stack:
        folder = arguments.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with stage("the files are written"):
            write_dataset(folder, arguments.images)
        start_epoch(folder, arguments.steps)
    return 0


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Prints the seconds that a stage took, and the largest memory so far."""
    start, processor = time.perf_counter(), time.process_time()
    yield
    taken, processor = time.perf_counter() - start, time.process_time() - processor
    times = f"{taken:7.1f} s, of a processor {processor:6.1f} s"
    peak = peak_memory(resource.RUSAGE_SELF)
    print(f"{name:44}{times}, peak memory {peak:.2f} GB", flush=True)


def write_dataset(folder: Path, num_images: int) -> None:
    """Writes captions_train2017.json, and links in place of the photographs."""
    path = folder / "annotations/captions_train2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [f"{number:012d}.jpg" for number in range(1, num_images + 1)]
    with path.open("w") as file:  # record by record: the whole would be large
        file.write('{"images": [')
        for number, name in enumerate(names, start=1):
            image = {"id": number, "file_name": name, "width": 640, "height": 480}
            file.write(", " * (number > 1) + json.dumps(image))
        file.write('], "annotations": [')
        for number, caption in enumerate(draw_captions(num_images * NUM_CAPTIONS)):
            of_image = {"image_id": number % num_images + 1, "id": number}
            entry = of_image | {"caption": caption}
            file.write(", " * (number > 0) + json.dumps(entry))
        file.write("]}")
    link_photographs(folder / "train2017", names)


def draw_captions(count: int) -> Iterator[str]:
    """Yields sentences whose words are as frequent as Zipf's law has them."""
    generator = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlcumwf"))
    spelled = (
        "".join(letters[[n // 16**k % 16 for k in range(4)]]) for n in range(16**4)
    )
    words = np.array([word for word, _ in zip(spelled, range(NUM_WORDS), strict=False)])
    shares = 1 / np.arange(1, NUM_WORDS + 1)
    limits = np.cumsum(shares / shares.sum())
    for _ in range(count):
        length = max(3, generator.poisson(LENGTH))
        chosen = np.searchsorted(limits, generator.random(length)).clip(
            0, NUM_WORDS - 1
        )
        yield " ".join(words[chosen]).capitalize() + "."


def link_photographs(folder: Path, names: Sequence[str]) -> None:
    """Makes a few files and links all names to them."""
    folder.mkdir(exist_ok=True)
    for start in range(0, len(names), LINKS):
        first, *others = names[start : start + LINKS]
        colour = (start // LINKS * 40, 90, 120)
        Image.new("RGB", (640, 480), colour).save(folder / first)
        for name in others:
            with contextlib.suppress(FileExistsError):
                os.link(folder / first, folder / name)


def start_epoch(folder: Path, num_steps: int) -> None:
    """Goes from the files to the first steps of the first epoch."""
    config = COCO2017.preset
    with stage(f"read: {NUM_TRAIN} of train, {NUM_DEV} of dev, at most"):
        images = COCO2017.read(folder, "train")
        dev = COCO2017.read(folder, "dev")
    with stage(f"vocabulary of {len(images)} images"):
        captions = (caption for image in images for caption in image.captions)
        vocabulary = Vocabulary.from_captions(captions, config.min_word_count)
    with stage(f"the captioner is built, {len(vocabulary)} words"):
        captioner = Captioner(config, vocabulary, build_encoder(config))
    shape = captioner.frozen_part.output_shape[1:]
    with stage(f"the cache is found, features {shape}"):
        FeatureCache.of(folder / "cache", [i.path for i in dev], shape, "scale")
        paths = [image.path for image in images]
        FeatureCache.of(folder / "cache", paths, shape, "scale")
        features = sparse_features(folder / "cache", len(images), shape)
    with stage("the batches are prepared"):
        batches = prepare(captioner, images, features)
    with stage(f"the first {num_steps} of {len(batches)} steps"):
        compile_for_training(captioner, config.learning_rate)
        for index in range(min(num_steps, len(batches))):
            captioner.train_on_batch(*batches[index])


def prepare(
    captioner: Captioner, images: Sequence[CaptionedImage], features: ShardedArray
) -> CaptionBatches:
    """Returns the batches as training has them."""
    config = captioner.config
    return CaptionBatches(
        images,
        [features],
        captioner.vocabulary,
        config.images_per_batch,
        config.captions_per_image,
        config.max_caption_words,
        config.words_per_image,
    )


def sparse_features(
    folder: Path, num_images: int, shape: tuple[int, ...]
) -> ShardedArray:
    """Returns zeros as the cache keeps features, in files that take no room."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = []
    for start in range(0, num_images, SHARD):
        rows, path = min(SHARD, num_images - start), folder / f"{start}.npy"
        np.lib.format.open_memmap(path, "w+", "float16", (rows, *shape))
        shards.append(np.load(path, mmap_mode="r"))
    return ShardedArray(shards)


if __name__ == "__main__":
    sys.exit(main())
