"""The environment of another library, apart from ours."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
LISTS = {"requirements.txt": (), "requirements-no-deps.txt": ("--no-deps",)}


def build_environment(folder: Path) -> Path:
    """Builds `folder/.venv` from the requirements beside it, unless it is complete.

    Args:
        folder: Holds `requirements.txt` and `requirements-no-deps.txt`.

    Returns:
        The environment's Python.

    Raises:
        ValueError: A step failed.
    """
    target = folder / ".venv"
    python = target / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    complete = target / "complete"
    wanted = sys.version + "".join((folder / name).read_text() for name in LISTS)
    if complete.is_file() and complete.read_text() == wanted:
        return python
    print(f"Installing into {target}, once; it takes minutes.", flush=True)
    way_out = (
        f"pip must find every line of {folder}/requirements*.txt, whose comments say "
        "more; then run the command again."
    )
    run_step([sys.executable, "-m", "venv", "--clear", target], way_out)
    for name, options in LISTS.items():
        install = [python, "-m", "pip", "install", "--quiet", *options]
        run_step([*install, "--requirement", folder / name], way_out)
    complete.write_text(wanted)  # last: what is not complete is built anew
    return python


def ask_worker(
    python: Path,
    folder: Path,
    arrays: Mapping[str, np.ndarray],
    *arguments: str,
    name: str = "worker",
) -> dict[str, np.ndarray]:
    """Hands arrays to a module in `folder` as a file; returns those it answers.

    Args:
        python: The environment's, see `build_environment`.
        folder: In `comparisons`.
        arrays: By name.
        arguments: What the worker is told after the paths of both files.
        name: Of the module.

    Raises:
        ValueError: The worker failed.
    """
    with tempfile.TemporaryDirectory() as exchange:
        given, result = Path(exchange) / "given.npz", Path(exchange) / "result.npz"
        np.savez(given, **arrays)
        worker = f"comparisons.{folder.name}.{name}"
        run_step(
            [python, "-m", worker, given, result, *arguments],
            f"Remove {folder / '.venv'} to have its environment built again.",
        )
        with np.load(result) as answer:
            return dict(answer)


def run_step(command: Sequence, way_out: str) -> None:
    """Runs a command from the root of the project.

    Raises:
        ValueError: It failed; the message has its last words and the way out.
    """
    command = [str(part) for part in command]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if child.returncode != 0:
        said = (child.stderr or child.stdout).strip().splitlines()[-8:]
        raise ValueError(
            f"this step failed with exit code {child.returncode}: {' '.join(command)}\n"
            + "".join(f"  {line}\n" for line in said)
            + way_out
        )
