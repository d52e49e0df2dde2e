"""The notebooks: each runs from its first cell to its last, on few scenes."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import randomize, tiny_encoder

from config import Config
from dataset.vocabulary import Vocabulary
from models import Captioner

WORDS = ("a", "ball", "boat", "tree", "on", "the", "grass")
FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def cells(name):
    content = json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))
    assert content["nbformat"] == 4
    return [
        (cell["cell_type"], "".join(cell["source"]), cell) for cell in content["cells"]
    ]


def run(source, known, place):
    """Runs a cell; returns what it shows, as a notebook does with its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, place, "exec"), known)
    if last is None:
        return ""
    value = eval(compile(ast.Expression(last.value), place, "eval"), known)
    return getattr(value, "_repr_html_", value.__repr__)()


@pytest.fixture(scope="module")
def captioner():
    """Stands in for the captioner of scenes: it says "ball ball ball ball ball"."""
    config = Config(embedding_size=5, hidden_size=6, max_caption_words=5)
    found = Captioner(config, Vocabulary(WORDS), tiny_encoder())
    randomize(found.decoder, 0)
    words = np.array(found.vocabulary.words)
    found.decoder.predictor.bias.assign(100.0 * (words == "ball"))
    return found


@pytest.fixture
def small(captioner, monkeypatch):
    """Few scenes and a small captioner."""
    monkeypatch.setenv("SMALL", "1")
    monkeypatch.setattr("models.load_captioner", lambda name: captioner)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.chdir(FOLDER)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name, small, capsys):
    known, shown = {"__name__": name}, []
    for number, (kind, source, _) in enumerate(cells(name)):
        if kind == "code":
            shown.append(run(source, known, f"{name}, cell {number}"))
    assert any(shown) and capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_results(name):
    """Their pictures would be many times its size, and old ones."""
    first, *_ = cells(name)
    assert first[0] == "markdown" and first[1].startswith("# ")
    for kind, _, cell in cells(name):
        assert cell["id"] and (kind != "code" or cell["outputs"] == [])
