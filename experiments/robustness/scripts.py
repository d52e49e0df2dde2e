"""The scripts that are disturbed: their commands on tiny data, and what they write."""

import contextlib
import errno
import hashlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import evaluate_bbox
import examine_word
import explain_image
import inference
import train
from dataset.scenes import __main__ as scenes
from dataset.scenes.drawing import KINDS
from files.messages import FileError
from files.writing import is_leftover
from models import load_captioner
from training.export import __main__ as export

TINY = (
    *("encoder=efficientnet_lite2", "embedding_size=8", "hidden_size=8", "epochs=3"),
    *("images_per_batch=3", "captions_per_image=2", "warmup_steps=1", "beam_size=2"),
)
COUNTS = ("--train", "6", "--dev", "3", "--test", "3")
LEFT_OUT = ("logs", "cache")  # with times of day; and what is computed anew


@dataclass(frozen=True)
class Script:
    """One script on tiny data.

    Attributes:
        name: As its messages begin.
        main: (arguments) -> the exit code.
        arguments: (folder of the data and the run) -> the command line.
        output: What it writes, in the current folder.
        again: What goes on, or begins anew, after a fault.
        resumed: (folder of the data and the run) -> the command line of that, where
            it is another one.
        fills: Whether it writes enough to fill a small disk.
    """

    name: str
    main: Callable[[Sequence[str]], int]
    arguments: Callable[[Path], list[str]]
    output: str
    again: tuple[str, ...] = ("--resume",)
    fills: bool = False
    resumed: Callable[[Path], list[str]] | None = None


def _data(base: Path) -> list[str]:
    return ["--dataset", "scenes", "--data-dir", str(base / "scenes")]


def _words(base: Path) -> list[str]:
    """Returns the words of the run, the most frequent first."""
    return json.loads((base / "run" / "vocabulary.json").read_text())


def _training(base: Path) -> list[str]:
    data = ["--config", "scenes", "--data-dir", str(base / "scenes")]
    start = ["--encoder-weights", "none", "--cache-dir", "cache"]
    return [*data, *start, "--run", "run", "--set", *TINY]


def _scored(base: Path) -> list[str]:
    model = ["--model", str(base / "run"), *_data(base), "--split", "train"]
    return [*model, "--batch-size", "2", "--output", "scores.json"]


def _resumed(base: Path) -> list[str]:
    data = ["--data-dir", str(base / "scenes"), "--cache-dir", "cache"]
    return [*data, "--run", "run"]


TRAIN = Script("train.py", train.main, _training, "run", fills=True, resumed=_resumed)
SCRIPTS = (
    TRAIN,
    Script(
        "inference.py",
        inference.main,
        lambda base: [*_scored(base), "--metrics", "bleu,cider"],
        ".",
    ),
    Script(
        "explain_image.py",
        explain_image.main,
        lambda base: [
            *(str(base / f"scenes/images/test_00000{n}.jpg") for n in range(3)),
            *("--model", str(base / "run"), "--method", "attention,grad_cam"),
            *("--caption", " ".join(_words(base)[:5]), "--words", _words(base)[1]),
            *("--output", "explanations"),
        ],
        "explanations",
        fills=True,
    ),
    Script(
        "evaluate_bbox.py",
        evaluate_bbox.main,
        lambda base: [*_scored(base), "--methods", "attention,grad_cam"],
        ".",
    ),
    Script(
        "examine_word.py",
        examine_word.main,
        lambda base: [
            *_scored(base),
            *("--methods", "attention,grad_cam", "--words", "a,ball,on,the"),
        ],
        ".",
    ),
    Script(
        "training.export",
        export.main,
        lambda base: [
            *(str(base / "run"), "--data-dir", str(base / "scenes")),
            *("--cache-dir", "cache", "--metrics", "bleu,cider", "--output", "shipped"),
        ],
        "shipped",
        again=("--overwrite",),
        fills=True,
    ),
    Script(
        "dataset.scenes",
        scenes.main,
        lambda base: ["--output", "scenes", *COUNTS],
        "scenes",
        again=(),
    ),
)


def teach(arguments: Sequence[str]) -> int:
    """Lets the run name an object in its captions, which evaluate_bbox.py scores."""
    captioner = load_captioner("run")
    words, bias = captioner.vocabulary.words, captioner.decoder.predictor.bias
    values = np.array(bias)
    values[next(place for place, word in enumerate(words) if word in KINDS)] += 4
    bias.assign(values)
    captioner.save_run("run")
    return 0


TEACH = Script("teach", teach, lambda base: [], "run")


# Running them


def start(
    script: Script, base: Path, folder: Path, more: Sequence[str] = (), fail_at=None
) -> int:
    """Starts a script in a process of its own; returns the process.

    Args:
        script: What runs.
        base: The folder of the data and the run.
        folder: The current folder; gets `stdout` and `stderr` beside it.
        more: Further arguments.
        fail_at: The number of the write from which on the disk is full.
    """
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.chdir(folder)
        for number, name in ((1, "stdout"), (2, "stderr")):
            place = folder.with_name(f"{folder.name}.{name}")
            file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if fail_at is not None:
            fill_disk(fail_at)
        goes_on = script.resumed if more and script.resumed else script.arguments
        code = script.main([*goes_on(base), *more])
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def fill_disk(fail_at: int) -> None:
    """Lets all writes of this process from a number on find a full disk."""
    writes = []

    def failing(name: str):
        real = getattr(Path, name)

        def call(self, *arguments, **options):
            writes.append(name)
            if len(writes) > fail_at:
                raise OSError(errno.ENOSPC, "No space left on device", str(self))
            return real(self, *arguments, **options)

        return call

    for name in ("write_bytes", "write_text", "mkdir"):
        setattr(Path, name, failing(name))


def wait(process: int) -> int:
    """Returns the exit code of a process; -9 where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def messages(folder: Path) -> str:
    """Returns what the last process of a folder said of errors."""
    place = folder.with_name(f"{folder.name}.stderr")
    return place.read_text(errors="replace") if place.is_file() else ""


def contents(folder: Path, output: str) -> dict[str, str]:
    """Identifies what a script wrote, and names what it should not have left.

    Raises:
        FileError: Something is left over.
    """
    found = {}
    for path in sorted((folder / output).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if set(Path(name).parts) & set(LEFT_OUT):
            continue
        if is_leftover(path):
            raise FileError(f"{name} is left over")
        if path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
