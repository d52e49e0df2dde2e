"""Broken inputs, read by the project's readers one after the other."""

import collections
import contextlib
import logging
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from experiments.robustness import (
    array_kinds,
    box_kinds,
    caption_kinds,
    picture_kinds,
    published_kinds,
    result_kinds,
    run_kinds,
)
from experiments.robustness.kinds import REFUSED, Kind
from experiments.robustness.mutations import mutate_bytes
from files.hdf5 import ROOT
from files.messages import shortened

KINDS = (
    *caption_kinds.KINDS,
    *box_kinds.KINDS,
    *picture_kinds.KINDS,
    *run_kinds.KINDS,
    *result_kinds.KINDS,
    *published_kinds.KINDS,
    *array_kinds.KINDS,
)
SECONDS = 10.0  # for one input
ANY = object()  # what is right of random bytes is not known


class Hang(BaseException):
    """An input that is not read in time."""


@dataclass
class Tally:
    """What became of the inputs of one kind.

    Attributes:
        counts: By what happened.
        findings: What is wrong with the readers.
    """

    counts: collections.Counter = field(default_factory=collections.Counter)
    findings: list[str] = field(default_factory=list)


class WeightsWorker:
    """Reads damaged HDF5 files in a process that may be ended where it hangs."""

    def __init__(self):
        self._process = None

    def read(self, path: Path) -> bool:
        """Returns whether the file is refused.

        Raises:
            Hang: It is not read in time.
        """
        if self._process is None:
            command = [sys.executable, "-m", "experiments.robustness.hdf5_worker"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        ready, *_ = select.select([self._process.stdout], [], [], 3 * SECONDS)
        answer = self._process.stdout.readline() if ready else ""
        if not answer:
            self.close()
            if not ready:
                raise Hang
        return answer != "0\n"

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """Ends a reader that takes too long."""

    def stop(number, frame):
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def try_kind(
    kind: Kind,
    folder: Path,
    num_inputs: int,
    generator: np.random.Generator,
    until: float,
) -> Tally:
    """Reads broken files of one kind, half of them with wrong values.

    Args:
        kind: Of the files.
        folder: Is filled.
        num_inputs: How many.
        generator: Breaks them.
        until: The time at which to stop.
    """
    tally, worker = Tally(), WeightsWorker()
    kind.write(folder)
    path = folder / kind.file
    good = path.read_bytes()
    expected = kind.read(folder)
    base = kind.load(good)
    for number in range(num_inputs):
        if time.monotonic() > until:
            break
        if number % 2:
            content, right = mutate_bytes(good, generator), ANY
        else:
            edit = kind.edits[generator.integers(0, len(kind.edits))]
            content, right = edit(base, generator)
        path.write_bytes(content)
        if kind is run_kinds.WEIGHTS and right is ANY:
            what, finding = _try_weights(worker, path)
        else:
            what, finding = _try_input(kind, folder, right)
        tally.counts[what] += 1
        tally.counts["wrong values"] += right is not ANY
        tally.counts["inputs"] += 1
        if finding:
            tally.findings.append(
                f"{kind.name}, input {number}: {finding}: {shortened(content, 200)}"
            )
    worker.close()
    path.write_bytes(good)
    if kind.read(folder) != expected:
        tally.findings.append(f"{kind.name}: the good file is read otherwise now")
    return tally


def _try_weights(worker: WeightsWorker, path: Path) -> tuple[str, str]:
    try:
        is_refused = worker.read(path)
    except Hang:
        return "refused", ""  # the limit of time is what refuses such a file
    return ("refused" if is_refused else "accepted"), ""


def _try_input(kind: Kind, folder: Path, right: object) -> tuple[str, str]:
    """Reads one file; returns what happened and what is wrong with that."""
    try:
        with in_time():
            found = kind.read(folder)
    except (ValueError, OSError) as error:
        return "refused", _fault_of(kind, folder, error, right)
    except Hang:
        return "hang", "not read in time"
    except Exception as error:
        return "unexpected", f"{type(error).__name__} {error}"
    if right is REFUSED:
        return "silent", f"accepted as {shortened(found, 100)}"
    if right is ANY and not kind.is_sound(found):
        return "silent", f"read as {shortened(found, 100)}"
    if right is not ANY and found != right:
        return "silent", f"read as {shortened(found, 100)}, not {shortened(right, 100)}"
    return "accepted", ""


def _fault_of(kind: Kind, folder: Path, error: Exception, right: object) -> str:
    """Returns what is wrong with an error, or nothing."""
    message = str(error)
    if right is not ANY and right is not REFUSED:
        return f"refused, but right is {shortened(right, 100)}: {message[:200]}"
    if str(folder) not in message:
        return f"no file is named: {message[:200]}"
    if "Errno" in message or "Traceback" in message:
        return f"no plain message: {message[:200]}"
    return ""


def try_inputs(
    folder: Path,
    num_inputs: int,
    seed: int,
    minutes: float,
    kinds: Sequence[Kind] = KINDS,
) -> dict[str, Tally]:
    """Reads broken files of all kinds.

    Args:
        folder: Is filled.
        num_inputs: Of all kinds together.
        seed: Decides how they are broken.
        minutes: At most, for all.
        kinds: Of files.

    Returns:
        What became of them, by the names of the kinds.
    """
    until = time.monotonic() + 60 * minutes
    shares = sum(kind.share for kind in kinds)
    tallies = {}
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        for number, kind in enumerate(kinds):
            generator = np.random.default_rng([seed, number])
            count = int(np.ceil(num_inputs * kind.share / shares))
            place = folder / f"kind-{number}" / "files"
            tallies[kind.name] = try_kind(kind, place, count, generator, until)
    finally:
        logging.disable(before)
    return tallies
