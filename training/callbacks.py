"""The callbacks of a training run."""

import contextlib
import io
import logging
import math
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from files.messages import DAMAGE, FileError, printable, reason_of
from files.reading import damaged, read_numbers
from files.writing import write_whole
from models.captioner import Captioner
from models.run_files import BACKUP
from training.data import EncodedImages
from training.dev_scores import Score, caption_images, score_images, write_captions
from training.tensorboard_logs import tensorboard_logs

logger = logging.getLogger(__name__)
MONITOR = "val_cider"
ANEW = "Begin the run anew with --overwrite."
NUM_SAMPLES = 3


class Validation(keras.callbacks.Callback):
    """Scores the captions of the validation images and keeps the best and its weights.

    Where config asks for averaged weights, these are scored and saved.

    Args:
        encoded: The validation images.
        folder: The run directory the best captioner is saved to.
        score: Scores their captions.
        best: The best score of the epochs before, when a run is resumed.
        agree: The score that all hosts go on with.
    """

    def __init__(
        self,
        encoded: EncodedImages,
        folder: Path,
        score: Score,
        best: float = -1.0,
        agree: Callable[[float], float] = float,
    ):
        super().__init__()
        self.encoded, self.folder, self.score = encoded, folder, score
        self.best, self.agree = best, agree

    def on_epoch_end(self, epoch, logs=None):
        images = self.encoded.images
        with averaged_weights(self.model):
            captions = caption_images(self.model, self.encoded)
            scores = score_images(images, captions, ("cider",), self.score)
            logs[MONITOR] = self.agree(scores["cider"])
            if logs[MONITOR] > self.best:
                self.best = logs[MONITOR]
                self.model.save_run(self.folder)
                write_captions(self.folder, images, captions)
        print(f"{MONITOR} {logs[MONITOR]:.4f}, best {self.best:.4f}")
        for image, caption in zip(images[:NUM_SAMPLES], captions, strict=False):
            print(printable(f"  {image.path.name}: {caption}"))


class Progress(keras.callbacks.ProgbarLogger):
    """Keras' progress, handed over as one of several callbacks.

    Attributes:
        async_safe: Keras need not wait for it after every batch, as for its own.
    """

    async_safe = True


def show_progress(callbacks: Sequence[keras.callbacks.Callback]) -> dict:
    """Returns what Keras shows its progress with: a bar on a terminal, else lines.

    The progress is the first callback, so that others print below its line.

    Args:
        callbacks: All others.
    """
    is_seen = sys.stdout.isatty()
    return {
        "callbacks": [Progress(), *callbacks],
        "verbose": 1 if is_seen else 2,
    }


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Gives a model the averaged weights of its optimizer for a while."""
    # In float16 Keras wraps the optimizer into one that scales the loss.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    current = [variable.numpy() for variable in variables]
    model.optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, current, strict=True):
            variable.assign(value)


class Replay(keras.callbacks.Callback):
    """Lets callbacks that count epochs see those of the run that is resumed.

    Args:
        callbacks: What counts epochs.
        history: The logs of the epochs before.
    """

    def __init__(self, callbacks: list, history: list[dict[str, float]]):
        super().__init__()
        self.callbacks, self.history = callbacks, history

    def on_train_begin(self, logs=None):
        for epoch, row in enumerate(self.history):
            for callback in self.callbacks:
                callback.on_epoch_end(epoch, dict(row))


class Backup(keras.callbacks.Callback):
    """Keeps what a run needs to go on as if it had never been killed.

    These are the weights, the state of the optimizer and that of the dropout, which
    Keras' own backup leaves out. The file appears whole or not at all.

    Args:
        path: The file, written before the first epoch and after every one.
        tokenizer: Who splits the words that CIDEr compares.
    """

    def __init__(self, path: Path, tokenizer: str):
        super().__init__()
        self.path, self.tokenizer = path, tokenizer

    def on_train_begin(self, logs=None):
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        if self.path.is_file():
            self._restore()
        else:
            self._write(finished=0)

    def on_epoch_end(self, epoch, logs=None):
        stopped = self.model.stop_training  # no epoch is left then
        self._write(self.params["epochs"] if stopped else epoch + 1)

    def _variables(self) -> dict[str, keras.Variable]:
        variables = [*self.model.variables, *self.model.optimizer.variables]
        return {str(number): variable for number, variable in enumerate(variables)}

    def _write(self, finished: int) -> None:
        arrays = {name: v.numpy() for name, v in self._variables().items()}
        packed = io.BytesIO()
        np.savez(
            packed,
            finished=finished,
            steps=self.params["steps"],
            tokenizer=self.tokenizer,
            **arrays,
        )
        write_whole(self.path, packed.getbuffer())

    def _restore(self) -> None:
        with open_backup(self.path) as arrays:
            for name, variable in self._variables().items():
                value = arrays[name]
                if value.dtype.kind == "f" and not np.isfinite(value).all():
                    raise ValueError(f"its array {name} is not finite")
                variable.assign(value)


@contextlib.contextmanager
def open_backup(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """Gives the arrays of a backup for a while.

    Raises:
        ValueError: The file is damaged or of another version of this project.
    """
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            yield arrays
    except (zipfile.BadZipFile, zlib.error, *DAMAGE) as error:
        raise FileError(
            f"{path} is damaged or was written by another version "
            f"({reason_of(error)}); the run cannot be resumed. {ANEW}"
        ) from error


def finished_epochs(run: Path, num_batches: int, tokenizer: str) -> int:
    """Returns how many epochs the backup of a run has seen; 0 without one.

    Args:
        run: The run directory.
        num_batches: Of an epoch.
        tokenizer: Who splits the words that CIDEr compares.

    Raises:
        ValueError: The run has another number of batches in an epoch or another
            tokenizer, or its backup cannot be read.
    """
    path = run / BACKUP
    if not path.is_file():
        return 0
    with open_backup(path) as arrays:
        finished, expected = (_count(arrays[name]) for name in ("finished", "steps"))
        before = str(arrays["tokenizer"]) if "tokenizer" in arrays else None
    if expected != num_batches:
        raise ValueError(
            f"The run in {run} has {expected} batches in an epoch; these images make "
            f"{num_batches}. Resume it with its own --data-dir and --limit."
        )
    if finished and before not in (None, tokenizer):
        raise ValueError(
            f"The run in {run} was scored with the tokenizer {before}; here it would "
            f"be {tokenizer}, and CIDEr of both cannot be compared. Resume it with "
            "Java as it was begun (on PATH, or not), or begin anew with --overwrite."
        )
    if finished and before is None:
        logger.info("The run in %s does not say by which tokenizer it was scored.", run)
    return finished


def _count(array: np.ndarray) -> int:
    if array.shape != () or array.dtype.kind not in "iu" or not 0 <= array < 10**9:
        raise ValueError("a count of it is no whole number")
    return int(array)


def read_history(run: Path, num_epochs: int) -> list[dict[str, float]]:
    """Reads the first rows of a run's history and cuts the file to them.

    Raises:
        FileError: The history is damaged, or has fewer rows.
    """
    path = run / "history.csv"
    if num_epochs == 0:
        return []
    names, rows = read_numbers(path, ANEW)
    rows = rows[:num_epochs]
    missing = [name for name in ("epoch", MONITOR) if name not in names]
    faults = [f"it has no column {name}" for name in missing]
    if len(rows) < num_epochs:
        faults.append("it has too few rows")
    for number, row in enumerate(rows if not faults else ()):
        if row["epoch"] != number or not math.isfinite(row[MONITOR]):
            faults.append(f"line {number + 2}: its epoch or {MONITOR} is wrong")
    if faults:
        raise damaged(path, ValueError(faults[0]), ANEW)
    lines = path.read_bytes().splitlines(keepends=True)[: num_epochs + 1]
    write_whole(path, b"".join(lines))
    return rows


def build_callbacks(
    captioner: Captioner,
    encoded: EncodedImages,
    run: Path,
    num_finished: int,
    score: Score,
    tokenizer: str,
    agree: Callable[[float], float] = float,
) -> list:
    """Returns the callbacks of a run validated on `encoded`, in the order they need.

    The backup comes last: its weights and the history agree whenever the run is
    killed.

    Args:
        captioner: What is trained.
        encoded: The validation images.
        run: The run directory.
        num_finished: The epochs before, when the run is resumed.
        score: See `Validation`.
        tokenizer: See `Backup`.
        agree: See `Validation`.
    """
    config = captioner.config
    history = read_history(run, num_finished)
    best = max((row[MONITOR] for row in history), default=-1.0)
    counting = [
        keras.callbacks.EarlyStopping(
            MONITOR, mode="max", patience=config.early_stopping_patience
        )
    ]
    if config.schedule == "constant":
        counting.append(
            keras.callbacks.ReduceLROnPlateau(
                MONITOR, mode="max", factor=0.5, patience=config.plateau_patience
            )
        )
    return [
        Validation(encoded, run, score, best, agree),
        *counting,
        Replay(counting, history),
        keras.callbacks.CSVLogger(run / "history.csv", append=bool(history)),
        *tensorboard_logs(run / "logs"),
        Backup(run / BACKUP, tokenizer),
    ]
