"""Features of a frozen network, computed once and kept on disk in half precision.

FOLDER/<identity>/features.npy, features-00001.npy, ...   shards of the same length
FOLDER/<identity>/progress.json                           images done
"""

import contextlib
import hashlib
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.files import write_whole
from dataset.progress import progress
from dataset.read_ahead import read_ahead

logger = logging.getLogger(__name__)
SAVE_EVERY = 16  # batches between two notes of how far the cache has come
SHARD = 4096  # images of a shard; 0.8 GB of VGG16's features


class ShardedArray:
    """A read-only array (N, *shape) in several files, read where it is asked for.

    Args:
        shards: Arrays of the same length, the last one perhaps shorter.
    """

    def __init__(self, shards: Sequence[np.ndarray]):
        self._shards = tuple(shards)
        self.shape = (sum(map(len, shards)), *shards[0].shape[1:])
        self.dtype = shards[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice) -> np.ndarray:
        length = len(self._shards[0])
        if not isinstance(index, slice):
            row = range(len(self))[index]
            return self._shards[row // length][row % length]
        rows = range(len(self))[index]
        if rows and rows.step == 1 and rows[0] // length == rows[-1] // length:
            first = rows[0] % length
            return self._shards[rows[0] // length][first : first + len(rows)]
        found = [self[row] for row in rows]
        return np.stack(found) if found else np.empty((0, *self.shape[1:]), self.dtype)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class FeatureCache:
    """The place of the features of some images under some network.

    Attributes:
        folder: Named by its content.
        paths: N image files.
        shape: The shape of one image's features.
    """

    folder: Path
    paths: Sequence[Path]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, folder: str | Path, paths: Sequence[Path], shape, source: str):
        """Finds the place; see `cache_features` for the arguments."""
        names = "\n".join(f"{path.name} {path.stat().st_size}" for path in paths)
        identity = hashlib.sha256(f"{source}\n{shape}\n{names}".encode()).hexdigest()
        return cls(Path(folder) / identity[:16], paths, tuple(shape))

    @property
    def num_done(self) -> int:
        """How many images were computed, counted from the first."""
        path = self.folder / "progress.json"
        return json.loads(path.read_text())["done"] if path.is_file() else 0

    @property
    def shard_length(self) -> int:
        """Images of a shard: those of the first file, if there is one to go on with.

        Caches of earlier versions are one file of any length.
        """
        if self.num_done:
            return len(self._open(0, "r"))
        return min(SHARD, len(self.paths))

    @property
    def missing_bytes(self) -> int:
        """What the images not yet done need on the disk."""
        return 2 * int(np.prod(self.shape)) * (len(self.paths) - self.num_done)

    def open_shard(self, number: int, first_row: int) -> np.ndarray:
        """Opens a shard to write from a row on, or makes it where that is 0."""
        if first_row:
            return self._open(number, "r+")
        length = self.shard_length
        rows = min(length, len(self.paths) - number * length)
        return np.lib.format.open_memmap(
            self._path(number), "w+", "float16", (rows, *self.shape)
        )

    def note(self, num_done: int) -> None:
        """Notes how many images are done."""
        content = json.dumps({"done": num_done}).encode()
        write_whole(self.folder / "progress.json", content)

    def read(self) -> ShardedArray:
        """Opens all shards of a whole cache."""
        num_shards = -(-len(self.paths) // self.shard_length)
        return ShardedArray([self._open(number, "r") for number in range(num_shards)])

    def _path(self, number: int) -> Path:
        name = f"features-{number:05d}.npy" if number else "features.npy"
        return self.folder / name

    def _open(self, number: int, mode: str) -> np.ndarray:
        try:
            return np.load(self._path(number), mmap_mode=mode)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(
                f"The feature cache {self.folder} is damaged ({error}). Delete the "
                "folder to compute it again."
            ) from error


def cache_features(
    folder: str | Path,
    paths: Sequence[Path],
    read: Callable[[Path], np.ndarray],
    encode: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, ...],
    source: str,
    batch_size: int = 16,
) -> ShardedArray:
    """Returns the features of image files, computing those not yet on disk.

    Threads read images while others are encoded. A killed run goes on where it
    stopped. A cache of other images or of another network lies in another subfolder,
    named by its content.

    Args:
        folder: Where caches are kept.
        paths: N image files.
        read: Turns a path into an image; called in the threads.
        encode: Turns n images into features (n, *shape).
        shape: The shape of one image's features.
        source: Identifies the network and its weights.
        batch_size: Images encoded together.

    Returns:
        A read-only float16 array (N, *shape), read from disk where it is indexed.

    Raises:
        OSError: The disk has too little room for the cache.
        ValueError: Features are not finite in half precision, or the cache is damaged.
    """
    cache = FeatureCache.of(folder, paths, shape, source)
    done = cache.num_done
    logger.info("feature cache %s: %d of %d images", cache.folder, done, len(paths))
    if done == len(paths):
        return cache.read()
    length = cache.shard_length
    with (
        contextlib.closing(read_ahead(read, paths[done:])) as images,
        progress(initial=done, total=len(paths), desc="features", unit="image") as bar,
    ):
        for number in range(done // length, -(-len(paths) // length)):
            check_room(cache.folder, cache.missing_bytes)
            _fill_shard(cache, number, images, encode, batch_size, bar)
    return cache.read()


def check_room(folder: Path, needed: int) -> None:
    """Refuses a disk with less than `needed` bytes.

    Raises:
        OSError: The disk has too little room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"The feature cache needs {needed / 1e9:.1f} GB; {folder} has "
            f"{free / 1e9:.1f} GB free. Name another folder with --cache-dir."
        )


def _fill_shard(
    cache: FeatureCache, number: int, images: Iterator, encode, batch_size: int, bar
) -> None:
    """Computes the images of a shard that are not done; they come from `read_ahead`."""
    length = cache.shard_length
    base, stop = number * length, min((number + 1) * length, len(cache.paths))
    first = max(cache.num_done, base)
    shard = cache.open_shard(number, first - base)
    for count, start in enumerate(range(first, stop, batch_size), start=1):
        end = min(start + batch_size, stop)
        paths = cache.paths[start:end]
        batch = [image.result() for image in itertools.islice(images, len(paths))]
        shard[start - base : end - base] = _halve(encode(np.stack(batch)), paths)
        bar.update(len(paths))
        if count % SAVE_EVERY == 0 or end == stop:
            shard.flush()
            cache.note(end)


def _halve(features: np.ndarray, paths: Sequence[Path]) -> np.ndarray:
    with np.errstate(over="ignore"):
        halved = np.asarray(features).astype("float16")
    finite = np.isfinite(halved).reshape(len(paths), -1).all(axis=1)
    if not finite.all():
        path = paths[int(np.argmin(finite))]
        raise ValueError(
            f"The features of {path} are not finite in half precision, which ends at "
            f"65504; the largest is {np.max(np.abs(features)):.4g}. Check the "
            "encoder's weights, or lower feature_scale."
        )
    return halved
