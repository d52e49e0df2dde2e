"""Features of a frozen network, computed once and kept on disk in half precision."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dataset.files import write_whole

logger = logging.getLogger(__name__)
SAVE_EVERY = 16  # batches between two notes of how far the cache has come


def cache_features(
    folder: str | Path,
    paths: Sequence[Path],
    encode: Callable[[Sequence[Path]], np.ndarray],
    shape: tuple[int, ...],
    source: str,
    batch_size: int = 16,
) -> np.ndarray:
    """Returns the features of image files, computing those not yet on disk.

    A killed run goes on where it stopped. A cache of other images or of another
    network lies in another subfolder, named by its content.

    Args:
        folder: Where caches are kept.
        paths: N image files.
        encode: Turns n paths into features (n, *shape).
        shape: The shape of one image's features.
        source: Identifies the network and its weights.
        batch_size: Images encoded together.

    Returns:
        A read-only, memory-mapped float16 array (N, *shape).

    Raises:
        OSError: The disk has too little room for the cache.
        ValueError: Features are not finite in half precision.
    """
    names = "\n".join(f"{path.name} {path.stat().st_size}" for path in paths)
    identity = hashlib.sha256(f"{source}\n{shape}\n{names}".encode()).hexdigest()[:16]
    folder = Path(folder) / identity
    array_path, progress_path = folder / "features.npy", folder / "progress.json"
    array_shape = (len(paths), *shape)
    if progress_path.is_file():
        done = json.loads(progress_path.read_text())["done"]
        whole = done == len(paths)
        array = np.load(array_path, mmap_mode="r" if whole else "r+")
    else:
        _check_disk(folder, 2 * int(np.prod(array_shape)))
        array = np.lib.format.open_memmap(array_path, "w+", "float16", array_shape)
        done = 0
    logger.info("feature cache %s: %d of %d images", folder, done, len(paths))
    if done == len(paths):
        return array
    starts = range(done, len(paths), batch_size)
    progress = tqdm(starts, desc="features", unit="batch")
    for count, start in enumerate(progress, start=1):
        stop = min(start + batch_size, len(paths))
        array[start:stop] = _halve(encode(paths[start:stop]), paths[start:stop])
        if count % SAVE_EVERY == 0 or stop == len(paths):
            array.flush()
            write_whole(progress_path, json.dumps({"done": stop}).encode())
    return np.load(array_path, mmap_mode="r")


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


def _check_disk(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"The feature cache needs {needed / 1e9:.1f} GB; {folder} has "
            f"{free / 1e9:.1f} GB free. Name another folder with --cache-dir."
        )
