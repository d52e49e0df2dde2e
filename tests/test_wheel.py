"""The library is built, installed alone and used from another folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

import keras_lrp
from keras_lrp import silence

ROOT = Path(__file__).parents[1]
EXPLAIN = """
import keras_lrp
import keras, numpy as np
from keras_lrp import LRP, PRESETS
from keras_lrp.backend import compiled

assert keras_lrp.__file__.startswith({prefix!r}), keras_lrp.__file__
image = keras.Input((8, 8, 3))
x = keras.layers.Conv2D(4, 3, activation="relu", use_bias=False)(image)
x = keras.layers.GlobalAveragePooling2D()(x)
model = keras.Model(image, keras.layers.Dense(5, use_bias=False)(x))
images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
pixels = np.asarray(LRP(model, "epsilon_plus")(images, classes=[1, 4]))
np.testing.assert_allclose(pixels.sum((2, 3, 4)), 1.0, atol=1e-3)  # of each logit
double = compiled(lambda x: 2 * x)
for size in range(8):
    double(np.zeros(size))
print("explained", pixels.shape)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # what a build leaves behind is not left here
    shutil.copytree(ROOT / "keras_lrp", source / "keras_lrp")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder]
    run([sys.executable, "-m", "pip", "wheel", source, *options])
    (found,) = folder.glob("keras_lrp-*.whl")
    return found


def run(command, is_silent: bool = False, **options) -> str:
    """Runs a command as a user does; returns what it prints."""
    command = [str(part) for part in command]
    options["env"] = {k: v for k, v in os.environ.items() if k != silence.LEVEL}
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (is_silent and done.stderr), done.stderr
    return done.stdout


def test_the_wheel_holds_the_library_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("METADATA")]
        text = archive.read(metadata).decode()
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"keras_lrp", f"keras_lrp-{keras_lrp.__version__}.dist-info"}
    needed = [line for line in text.splitlines() if line.startswith("Requires-Dist")]
    assert [line.split()[1].split("<")[0].split(">")[0] for line in needed] == [
        "keras",
        "numpy",
    ]
    assert "License-Expression: BSD-3-Clause-Clear" in text


def test_the_version_is_the_projects():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in settings["project"]
    dynamic = settings["tool"]["setuptools"]["dynamic"]
    assert dynamic["version"] == {"attr": "keras_lrp.__version__"}
    citation = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {keras_lrp.__version__}" in citation


def test_it_explains_from_another_folder(wheel, tmp_path):
    """Keras and the backend are those of this environment; the rest is new.

    Only the script's own words are seen, also where several shapes are compiled.
    """
    new = tmp_path / "new"
    run([sys.executable, "-m", "venv", "--without-pip", new])
    python = new / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    packages = Path(
        run([python, "-c", "import site; print(site.getsitepackages()[0])"]).strip()
    )
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = ["--no-deps", "--quiet", "--target", packages]
    run([sys.executable, "-m", "pip", "install", *options, wheel])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = EXPLAIN.format(prefix=str(packages))
    found = run([python, "-c", code], is_silent=True, cwd=elsewhere)
    assert found == "explained (2, 2, 8, 8, 3)\n"
