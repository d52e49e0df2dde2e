"""The files of a run directory."""

import json
from pathlib import Path

import h5py
import keras
import numpy as np

PRETRAINED = Path(__file__).parent / "pretrained"
RUN_FILES = (
    "config.json",
    "vocabulary.json",
    "encoder.weights.h5",
    "decoder.weights.h5",
)
SHARED_ENCODER = "encoder.json"  # names the shipped captioner with the same encoder
PUBLISHED_FILES = (  # of other people's captioners
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
    "preprocessor_config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
PUBLISHED_PICKLES = (  # where the weights come in no other form
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model-*.bin",
)

HUB = "hf://"  # as Keras writes addresses of the Hugging Face Hub


class CaptionerError(ValueError):
    """A captioner that cannot be loaded; the message says what is missing."""


def shipped_captioners() -> dict[str, Path]:
    """Returns the run directories that come with the project, by name."""
    return {path.parent.name: path.parent for path in PRETRAINED.glob("*/config.json")}


def find_run(name: str | Path) -> Path:
    """Returns the run directory of a captioner, downloading it where it is on the hub.

    Raises:
        CaptionerError: There is no such captioner, or it cannot be downloaded.
    """
    text = str(name) if isinstance(name, (str, Path)) else ""
    if text.startswith(HUB):
        return _download(text)
    folder = shipped_captioners().get(text, Path(text))
    if not text.strip() or not folder.is_dir():
        shipped = ", ".join(sorted(shipped_captioners())) or "none"
        raise CaptionerError(
            f"No captioner {text or name!r}: expected a run directory, the folder of "
            f"a published captioner, {HUB}USER/MODEL or one of the shipped captioners "
            f"({shipped})."
        )
    return folder


def _download(address: str) -> Path:
    """Downloads the files of a captioner, and no others, from the hub."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise CaptionerError(
            f"{address} needs the package huggingface_hub. Install it with pip, or "
            "download the files and name their folder instead."
        ) from error
    try:
        wanted = [*RUN_FILES, SHARED_ENCODER]
        folder = _snapshot(huggingface_hub, address, wanted)
        if is_published(folder):
            wanted += PUBLISHED_FILES
            folder = _snapshot(huggingface_hub, address, wanted)
            if not [*folder.glob("*.safetensors")]:
                wanted += PUBLISHED_PICKLES
                folder = _snapshot(huggingface_hub, address, wanted)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CaptionerError(
            f"{address} cannot be downloaded: {reason} Expected {HUB}USER/MODEL with "
            f"the files of a run directory ({', '.join(RUN_FILES)}), or of a "
            "published captioner."
        ) from error
    return folder


def _snapshot(huggingface_hub, address: str, patterns: list[str]) -> Path:
    return Path(
        huggingface_hub.snapshot_download(
            address.removeprefix(HUB),
            allow_patterns=patterns,
            library_name="keras",
            library_version=keras.__version__,
        )
    )


def is_published(folder: Path) -> bool:
    """Tells whether a folder holds a published captioner, and no run of ours."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "model_type" in config


def find_encoder(folder: Path) -> Path:
    """Returns the weights file of a run's encoder, which it may share with another.

    Raises:
        CaptionerError: The captioner with the shared encoder is not shipped.
    """
    reference = folder / SHARED_ENCODER
    if not reference.is_file():
        return folder / "encoder.weights.h5"
    try:
        name = json.loads(reference.read_text(encoding="utf-8"))["captioner"]
        return shipped_captioners()[name] / "encoder.weights.h5"
    except (ValueError, KeyError, TypeError) as error:
        raise CaptionerError(
            f"{reference} must name a shipped captioner, "
            '{"captioner": NAME}; shipped are '
            f"{', '.join(sorted(shipped_captioners()))}."
        ) from error


def halve_weights(path: str | Path) -> None:
    """Rewrites a weights file in half precision, but for arrays that it cannot hold.

    A batch-norm's variance may be above 65504, the largest number of half precision.
    """
    halved = Path(path).with_suffix(".half")

    with h5py.File(path, "r") as source, h5py.File(halved, "w") as target:

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
    halved.replace(path)


def load_weights(model: keras.Model, path: Path) -> None:
    """Loads a weights file into a model.

    Raises:
        CaptionerError: The file is damaged or was written by another architecture.
    """
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).partition("List of objects")[0].split())
        raise CaptionerError(
            f"{path} does not fit the {model.name} that its config.json and "
            f"vocabulary.json describe: {reason}"
        ) from error
