"""Files of weights: packed in memory, and believed only where they are sound."""

import contextlib
import hashlib
import io
from pathlib import Path

import h5py
import keras
import numpy as np
from keras.src.saving import saving_lib

from files.messages import DAMAGE
from models.run_files import CaptionerError


def pack_weights(model: keras.Model, half: bool = False) -> memoryview:
    """Returns what `model.save_weights` would write, without touching a disk.

    A disk that fills up while HDF5 writes to it ends the process.

    Args:
        model: Whose weights.
        half: Whether they are in half precision; see `halve_weights`.
    """
    packed = io.BytesIO()
    with contextlib.closing(saving_lib.H5IOStore(packed, mode="w")) as store:
        saving_lib._save_state(
            model,
            weights_store=store,
            assets_store=None,
            inner_path="",
            visited_saveables=set(),
        )
    return (halve_weights(packed) if half else packed).getbuffer()


def checksum(content: memoryview) -> str:
    """Identifies the content of a file, as `files.reading.file_hash`."""
    return hashlib.sha256(content).hexdigest()


def halve_weights(packed: io.BytesIO) -> io.BytesIO:
    """Packs weights in half precision, but for arrays that it cannot hold.

    A batch-norm's variance may be above 65504, the largest number of half precision.
    """
    halved = io.BytesIO()

    with h5py.File(packed, "r") as source, h5py.File(halved, "w") as target:

        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                data = item[()]
                is_single = getattr(data, "dtype", None) == np.float32
                fits = is_single and np.all(np.abs(data) < np.finfo("float16").max)
                target[name] = data.astype("float16") if fits else data
                item = target[name]
            else:
                target.require_group(name)
            for key, value in source[name].attrs.items():
                target[name].attrs[key] = value

        for key, value in source.attrs.items():
            target.attrs[key] = value
        source.visititems(copy)
    return halved


def load_weights(model: keras.Model, path: Path) -> None:
    """Loads a weights file, see `models.run_files.check_origin`, into a model.

    Raises:
        CaptionerError: The file was written by another architecture, or holds numbers
            that are not finite.
    """
    try:
        model.load_weights(path)
    except DAMAGE as error:
        reason = " ".join(str(error).partition("List of objects")[0].split())
        raise CaptionerError(
            f"{path} does not fit the {model.name} that its config.json and "
            f"vocabulary.json describe: {reason}"
        ) from error
    check_finite(model, path)


def check_finite(model: keras.Model, path: str | Path) -> None:
    """Refuses weights that are NaN or infinite.

    Raises:
        CaptionerError: The message names the file and the weight.
    """
    for weight in model.weights:
        if not np.isfinite(np.asarray(weight)).all():
            raise CaptionerError(
                f"{path} is damaged: {weight.path} holds numbers that are NaN or "
                "infinite. Get it again, or train the run anew."
            )
