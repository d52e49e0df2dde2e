"""A script says what it has to say, and its backend says nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = "example_images: left out are other files ("
MISSING = ["--model", "nothing"]
SCORED = [*MISSING, "--dataset", "scenes", "--data-dir", "nowhere"]
TRAINED = ["--run", "nowhere/run", "--data-dir", "nowhere", "--config", "scenes"]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (["explain_image.py"], ["photo.jpg", *MISSING]),
        (["inference.py"], ["--images", str(ROOT / "example_images"), *MISSING]),
        (["evaluate_bbox.py"], SCORED),
        (["train.py"], TRAINED),
        (
            ["-m", "models.convert_original"],
            ["nothing.h5", "--vocabulary", "none.json"],
        ),
    ],
)
def test_only_the_scripts_own_words_are_seen(script, arguments, tmp_path):
    hidden = {"KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    name = script[-1]
    command = [sys.executable, *script, *arguments]
    if "--run" not in arguments:
        command += ["--output", str(tmp_path / "out.json")]
    found = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert found.returncode == 2 and found.stdout == ""
    lines = [line for line in found.stderr.splitlines() if LEFT_OUT not in line]
    assert lines and lines[0].startswith(f"{name}: "), lines
    assert not any("oneDNN" in line or "WARNING" in line for line in lines)
