"""Scripts that are killed, stopped, starved and run twice, then gone on with."""

import collections
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from experiments.robustness.scripts import (
    COUNTS,
    SCRIPTS,
    TEACH,
    TRAIN,
    Script,
    contents,
    messages,
    start,
    wait,
)
from files.messages import FileError

LARGE = "500m"  # of the disk that is no longer full


@dataclass
class Disturbed:
    """What became of one script.

    Attributes:
        counts: Of the faults by kind, and of runs that ended before their fault.
        findings: What was lost, or said in another way than one line.
    """

    counts: collections.Counter = field(default_factory=collections.Counter)
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """Where scripts are disturbed.

    Attributes:
        folder: Has a folder for each trial.
        base: Data and a trained run, which are only read.
        script: What is disturbed.
        expected: What it writes undisturbed.
        seconds: It takes.
        num_bytes: It writes.
    """

    folder: Path
    base: Path
    script: Script
    expected: dict[str, str]
    seconds: float
    num_bytes: int

    @contextlib.contextmanager
    def trial(self, name: str) -> Iterator[Path]:
        """Gives an empty folder for a while."""
        folder = self.folder / f"{self.script.name}-{name}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def go_on(self, folder: Path) -> str:
        """Goes on after a fault; returns what is wrong, or nothing."""
        process = start(self.script, self.base, folder, self.script.again)
        code = wait(process)
        if code == 2 and "there is no run" in messages(folder):  # the way out it names
            code = wait(start(self.script, self.base, folder))
        is_whole = code == 2 and "is finished" in messages(folder)  # before its fault
        if code != 0 and not is_whole:
            return f"cannot be gone on with: {messages(folder)[-300:]}"
        try:
            found = contents(folder, self.script.output)
        except FileError as error:
            return str(error)
        changed = sorted(
            name
            for name in {*found, *self.expected}
            if found.get(name) != self.expected.get(name)
        )
        return f"differs: {', '.join(changed)}" if changed else ""


def prepare(base: Path) -> None:
    """Renders the data and trains the run that the other scripts read."""
    base.mkdir(parents=True)
    scenes = SCRIPTS[-1]
    code = wait(start(scenes, base, base))
    code = code or wait(start(TRAIN, base, base))
    code = code or wait(start(TEACH, base, base))
    if code:
        raise RuntimeError(f"no run to disturb {COUNTS}: {messages(base)}")


def measure(folder: Path, base: Path, script: Script) -> Bench:
    """Runs a script undisturbed."""
    place = folder / f"{script.name}-undisturbed"
    place.mkdir(parents=True)
    begun = time.monotonic()
    code = wait(start(script, base, place))
    if code:
        raise RuntimeError(f"{script.name} fails undisturbed: {messages(place)}")
    seconds = time.monotonic() - begun
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    expected = contents(place, script.output)
    shutil.rmtree(place)
    return Bench(folder, base, script, expected, seconds, size)


# The faults: each leaves a folder, and returns what is wrong with how the script ended


def kill(bench: Bench, folder: Path, generator: np.random.Generator) -> str:
    """Kills the script at a random moment."""
    _send(bench, folder, generator, signal.SIGKILL)
    return ""


def interrupt(bench: Bench, folder: Path, generator: np.random.Generator) -> str:
    """Stops it as Ctrl-C does."""
    code = _send(bench, folder, generator, signal.SIGINT)
    said = messages(folder)
    if "Traceback" in said or code not in (0, 130):
        return f"Ctrl-C: code {code}: {said[-300:]}"
    is_told = "--resume" in said or "the same command" in said
    return "" if code == 0 or is_told else f"Ctrl-C: {said[-300:]}"


def _send(bench: Bench, folder: Path, generator: np.random.Generator, number) -> int:
    process = start(bench.script, bench.base, folder)
    time.sleep(bench.seconds * float(generator.uniform(0.05, 1.0)))
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)
    return wait(process)


def inject(bench: Bench, folder: Path, generator: np.random.Generator) -> str:
    """Lets the disk be full from a random write on."""
    number = int(generator.integers(0, 40 if bench.script.fills else 12))
    code = wait(start(bench.script, bench.base, folder, fail_at=number))
    return _one_line(bench.script, folder, code)


def fill(bench: Bench, folder: Path, generator: np.random.Generator) -> str:
    """Gives it a disk that holds a random share of what it writes."""
    size = int(bench.num_bytes * generator.uniform(0.05, 0.95)) // 1024
    with mounted(folder, f"size={size}k"):
        code = wait(start(bench.script, bench.base, folder))
        problem = _one_line(bench.script, folder, code)
        _mount("-o", f"remount,size={LARGE}", folder)
        return problem or bench.go_on(folder) or "-"


def lock_disk(bench: Bench, folder: Path, generator: np.random.Generator) -> str:
    """Gives it a disk that is read-only."""
    with mounted(folder, f"size={LARGE}"):
        _mount("-o", "remount,ro", folder)
        code = wait(start(bench.script, bench.base, folder))
        problem = _one_line(bench.script, folder, code)
        _mount("-o", "remount,rw", folder)
        return problem or bench.go_on(folder) or "-"


def run_twice(bench: Bench, folder: Path, generator: np.random.Generator) -> str:
    """Starts it a second time while it runs; one of both may be refused."""
    first = start(bench.script, bench.base, folder)
    time.sleep(bench.seconds * float(generator.uniform(0.0, 0.7)))
    second = start(bench.script, bench.base, folder, bench.script.again)
    codes = sorted((wait(first), wait(second)))
    said = messages(folder)
    if codes[0] != 0 or codes[1] not in (0, 2) or "Traceback" in said:
        return f"two at once: codes {codes}: {said[-300:]}"
    return ""


def _one_line(script: Script, folder: Path, code: int) -> str:
    """Returns what is wrong with how a script ended on a full disk."""
    said = messages(folder)
    if code == 0:
        return ""
    told = [line for line in said.splitlines() if line.startswith(f"{script.name}: ")]
    if code == 2 and told and "Traceback" not in said and "Errno" not in said:
        return ""
    return f"code {code}: {said[-400:]}"


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Makes a folder a disk of its own for a while."""
    _mount("-t", "tmpfs", "-o", options, "tmpfs", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(*arguments) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


def can_mount(folder: Path) -> bool:
    """Tells whether this process may mount a small disk."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with mounted(folder, "size=1m"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def try_faults(
    folder: Path,
    scripts: Sequence[Script],
    moments: int,
    seed: int,
    minutes: float,
) -> dict[str, Disturbed]:
    """Disturbs scripts.

    Args:
        folder: A new one, is filled.
        scripts: Some of SCRIPTS.
        moments: How often each is killed; it is stopped and starved half as often.
        seed: Decides the moments.
        minutes: At most, for all.

    Returns:
        What became of each script.
    """
    until = time.monotonic() + 60 * minutes
    prepare(folder / "base")
    mounts = can_mount(folder / "disk")
    found = {}
    for script in scripts:
        number = SCRIPTS.index(script)
        found[script.name] = disturbed = Disturbed()
        if time.monotonic() > until:
            continue
        bench = measure(folder, folder / "base", script)
        generator = np.random.default_rng([seed, number])
        few = max(1, moments // 2)
        plan = [kill] * moments + [interrupt] * few + [inject] * few + [run_twice]
        if mounts:
            plan += [lock_disk, *([fill] * few if script.fills else [])]
        for place, fault in enumerate(plan):
            if time.monotonic() > until:
                break
            with bench.trial(str(place)) as trial:
                problem = fault(bench, trial, generator)
                if not problem:
                    problem = bench.go_on(trial)
            disturbed.counts[fault.__name__] += 1
            if problem.strip("-"):
                disturbed.findings.append(f"{script.name}, {fault.__name__}: {problem}")
    return found
