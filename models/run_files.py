"""The files of a run directory."""

import os
from pathlib import Path

import keras

from files.hdf5 import check_structure, check_weights
from files.messages import FileError, reason_of, shortened
from files.reading import file_hash, read_json
from files.values import anything, record, table, text
from files.writing import current_file

PRETRAINED = Path(__file__).parent / "pretrained"
RUN_FILES = (
    "config.json",
    "vocabulary.json",
    "encoder.weights.h5",
    "decoder.weights.h5",
)
SHARED_ENCODER = "encoder.json"  # names the shipped captioner with the same encoder
CHECKSUMS = "checksums.json"  # what the weights must hold; earlier versions lack it
BACKUP = "backup.npz"
OF_TRAINING = (BACKUP, "history.csv", "captions.json", "scores.json", "logs")
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
            f"No captioner {shortened(text or name)}: expected a run directory, the "
            f"folder of a published captioner, {HUB}USER/MODEL or one of the shipped "
            f"captioners ({shipped})."
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
        wanted = [*RUN_FILES, SHARED_ENCODER, CHECKSUMS]
        folder = _snapshot(huggingface_hub, address, wanted)
        if is_published(folder):
            wanted += PUBLISHED_FILES
            folder = _snapshot(huggingface_hub, address, wanted)
            if not [*folder.glob("*.safetensors")]:
                wanted += PUBLISHED_PICKLES
                folder = _snapshot(huggingface_hub, address, wanted)
    except (OSError, ValueError) as error:
        raise CaptionerError(
            f"{address} cannot be downloaded: {reason_of(error)} Expected "
            f"{HUB}USER/MODEL with the files of a run directory "
            f"({', '.join(RUN_FILES)}), or of a published captioner."
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
        return "model_type" in read_json(folder / "config.json", table(anything))
    except FileError:  # it is told as a fault of the file, by whoever reads that
        return (folder / "preprocessor_config.json").is_file()


def find_encoder(folder: Path) -> Path:
    """Returns the weights file of a run's encoder, which it may share with another.

    Raises:
        CaptionerError: The captioner with the shared encoder is not shipped.
    """
    reference = current_file(folder, SHARED_ENCODER)
    if not reference.is_file():
        return current_file(folder, "encoder.weights.h5")
    shipped = shipped_captioners()
    way_out = f"Name one of the shipped captioners: {', '.join(sorted(shipped))}."
    name = read_json(reference, record({"captioner": text}), way_out)["captioner"]
    if name not in shipped:
        raise CaptionerError(
            f"{reference} must name a shipped captioner, "
            f'{{"captioner": NAME}}; received {shortened(name)}. {way_out}'
        )
    return shipped[name] / "encoder.weights.h5"


def list_files(folder: Path) -> dict[str, Path]:
    """Returns the files that make a captioner, by their names in RUN_FILES.

    Raises:
        CaptionerError: Some are missing.
    """
    files = {name: current_file(folder, name) for name in RUN_FILES}
    files["encoder.weights.h5"] = find_encoder(folder)
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        raise CaptionerError(
            f"{folder} is not a complete run directory: {', '.join(missing)} missing."
        )
    return files


def check_origin(path: Path, is_foreign: bool = False) -> None:
    """Refuses a weights file that is not what was saved with its run.

    Shipped files are taken as they are. A run's own are compared with its checksums;
    without these, and from the hub, the whole file is read in a process of its own.

    Args:
        path: The file.
        is_foreign: Whether somebody else made the file and its checksums.

    Raises:
        ValueError: The file is damaged, was replaced, or points to other files.
    """
    if PRETRAINED in path.absolute().parents:
        return
    sums = path.with_name(CHECKSUMS)
    expected = {}
    if sums.is_file():
        way_out = "Get the run again, or delete this file."
        expected = read_json(sums, table(text), way_out)
    if path.name in expected and file_hash(path) != expected[path.name]:
        raise CaptionerError(
            f"{path} is damaged or was replaced: it is not what {CHECKSUMS} beside it "
            f"describes. Get it again; if you replaced it yourself, delete {CHECKSUMS}."
        )
    if is_foreign or path.name not in expected:
        check_weights(path)
    else:
        check_structure(path)


def model_name(name: str | Path) -> str:
    """Returns one spelling of what `find_run` takes: runs/x and runs/x/ are one."""
    text = str(name)
    known = text.startswith(HUB) or text in shipped_captioners() or not text.strip()
    return text if known else os.path.normpath(text)
