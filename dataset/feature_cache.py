"""Features of a frozen network, computed once and kept on disk in half precision.

FOLDER/<identity>/features.npy, features-00001.npy, ...   shards of the same length
FOLDER/<identity>/progress.json                           images done
"""

import contextlib
import hashlib
import itertools
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.progress import progress
from dataset.read_ahead import read_ahead
from files.locks import locked
from files.messages import DAMAGE, FileError, WriteError, reason_of
from files.reading import read_json
from files.values import record, whole
from files.writing import check_room, naming, write_json

logger = logging.getLogger(__name__)
SAVE_EVERY = 16  # batches between two notes of how far the cache has come
DELETE = "Delete the folder to compute it again."
SHARD = 4096  # images of a shard; 0.8 GB of VGG16's features


class ShardedArray:
    """A read-only array (N, *shape) in several files, read where it is asked for.

    Args:
        shards: Arrays of the same length, the last one perhaps shorter.
        name: Of all, for messages.
    """

    def __init__(self, shards: Sequence[np.ndarray], name: str = "The feature cache"):
        self._shards, self._name = tuple(shards), name
        self.shape = (sum(map(len, shards)), *shards[0].shape[1:])
        self.dtype = shards[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice) -> np.ndarray:
        found = self._read(index)
        if not np.isfinite(found).all():
            raise ValueError(
                f"{self._name} is damaged: it holds numbers that are not finite. "
                f"{DELETE}"
            )
        return found

    def _read(self, index: int | slice) -> np.ndarray:
        length = len(self._shards[0])
        if not isinstance(index, slice):
            row = range(len(self))[index]
            return self._shards[row // length][row % length]
        rows = range(len(self))[index]
        if rows and rows.step == 1 and rows[0] // length == rows[-1] // length:
            first = rows[0] % length
            return self._shards[rows[0] // length][first : first + len(rows)]
        found = [self._read(row) for row in rows]
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
        if not path.is_file():
            return 0
        check = record({"done": whole(0, len(self.paths))})
        return read_json(path, check, DELETE)["done"]

    @property
    def shard_length(self) -> int:
        """Images of a shard: those of the first file, if there is one to go on with.

        Caches of earlier versions are one file of any length.
        """
        if self.num_done:
            return len(self._load(0, "r"))
        return min(SHARD, len(self.paths))

    @property
    def missing_bytes(self) -> int:
        """What the images not yet done need on the disk."""
        return 2 * int(np.prod(self.shape)) * (len(self.paths) - self.num_done)

    def open_shard(self, number: int, first_row: int) -> np.ndarray:
        """Opens a shard to write from a row on, or makes it where that is 0."""
        if first_row:
            with naming(self._path(number)):
                reserve(self._path(number))
            return self._open(number, "r+")
        shape = (self._rows(number), *self.shape)
        with naming(self._path(number)):
            shard = np.lib.format.open_memmap(
                self._path(number), "w+", "float16", shape
            )
            reserve(self._path(number))
        return shard

    def _rows(self, number: int) -> int:
        length = self.shard_length
        return min(length, len(self.paths) - number * length)

    def note(self, num_done: int) -> None:
        """Notes how many images are done."""
        write_json(self.folder / "progress.json", {"done": num_done}, indent=None)

    def read(self) -> ShardedArray:
        """Opens all shards of a whole cache."""
        num_shards = -(-len(self.paths) // self.shard_length)
        shards = [self._open(number, "r") for number in range(num_shards)]
        return ShardedArray(shards, f"The feature cache {self.folder}")

    def _path(self, number: int) -> Path:
        name = f"features-{number:05d}.npy" if number else "features.npy"
        return self.folder / name

    def _open(self, number: int, mode: str) -> np.ndarray:
        """Opens a shard and refuses one of another type or shape."""
        shard, expected = self._load(number, mode), (self._rows(number), *self.shape)
        if shard.dtype != "float16" or shard.shape != expected:
            raise self._damaged(
                f"{self._path(number).name} holds {shard.dtype} {shard.shape}, "
                f"expected float16 {expected}"
            )
        return shard

    def _load(self, number: int, mode: str) -> np.ndarray:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy tells of old headers
                shard = np.load(self._path(number), mmap_mode=mode)
            if shard.ndim == 0:
                raise ValueError("it holds no array")
        except DAMAGE as error:
            name = self._path(number).name
            raise self._damaged(f"{name}: {reason_of(error)}") from error
        return shard

    def _damaged(self, reason: str) -> FileError:
        return FileError(
            f"The feature cache {self.folder} is damaged ({reason}). {DELETE}"
        )


def reserve(path: Path) -> None:
    """Takes the room of a file now: to write into a mapped one without ends a process.

    Raises:
        OSError: The disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


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
    if cache.num_done == len(paths):
        return cache.read()
    with locked(cache.folder, is_folder=True, wait=True):
        return _fill(cache, read, encode, batch_size)


def _fill(cache: FeatureCache, read, encode, batch_size: int) -> ShardedArray:
    """Computes what is missing; the cache is held."""
    paths, done = cache.paths, cache.num_done
    logger.info("feature cache %s: %d of %d images", cache.folder, done, len(paths))
    if done == len(paths):
        return cache.read()
    length = cache.shard_length
    with (
        contextlib.closing(read_ahead(read, paths[done:])) as images,
        progress(initial=done, total=len(paths), desc="features", unit="image") as bar,
    ):
        for number in range(done // length, -(-len(paths) // length)):
            check_cache_room(cache.folder, cache.missing_bytes)
            _fill_shard(cache, number, images, encode, batch_size, bar)
    return cache.read()


def check_cache_room(folder: Path, needed: int) -> None:
    """Refuses a disk with less than `needed` bytes.

    Raises:
        WriteError: The disk has too little room.
    """
    try:
        check_room(folder, needed, "The feature cache")
    except WriteError as error:
        raise WriteError(f"{error} Name another folder with --cache-dir.") from None


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
