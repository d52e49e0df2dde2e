"""A script says what it has to say, and its backend says nothing.

`tests/test_imports.py` shows that this holds whatever is imported first, and
`tests/test_wheel.py` that it holds for the library.
"""

import os
import subprocess
import sys
from pathlib import Path

from keras_lrp import silence

ROOT = Path(__file__).parents[1]


def test_only_the_scripts_own_words_are_seen(tmp_path):
    arguments = ["explain_image.py", "photo.jpg", "--model", "nothing"]
    hidden = {"KERAS_BACKEND", silence.LEVEL}
    found = subprocess.run(
        [sys.executable, *arguments, "--output", tmp_path / "out.json"],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in hidden},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 2 and found.stdout == ""
    lines = found.stderr.splitlines()
    assert lines and lines[0].startswith("explain_image.py: "), lines
    assert not any("oneDNN" in line or "WARNING" in line for line in lines)


def test_what_the_user_sets_stays(monkeypatch):
    assert not silence.is_wanted()  # Keras is imported already
    monkeypatch.delitem(sys.modules, "keras")
    for level, is_wanted in (("0", False), ("1", True)):
        monkeypatch.setenv(silence.LEVEL, level)
        assert silence.is_wanted() is is_wanted
