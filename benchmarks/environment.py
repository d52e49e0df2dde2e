"""The environment of another library, apart from ours."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

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
