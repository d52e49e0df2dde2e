"""The code in the documents runs, and their links lead somewhere."""

import re
import webbrowser

import keras
import numpy as np
import pytest
from conftest import planted_captioner, planted_photo, tiny_captioner
from documents import ROOT, blocks, run_block
from PIL import Image

from models import METHODS
from models.decoders import DECODERS
from models.run_files import shipped_captioners
from report.figures import FORMATS, NAMES
from report.photo_folder import FINISHED, WRITTEN
from report.wording import METHOD_ADVICE

DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"))
)
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a photograph, which documents call photo.jpg."""
    Image.fromarray(planted_photo()).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_explain_your_captioner(folder, tiny_vgg16, monkeypatch):
    """The page from its first line to its last; the encoder is a small one."""
    monkeypatch.setitem(DECODERS, "bag", None)  # removed again afterwards
    name, known = "docs/explain-your-captioner.md", {"__name__": "page"}
    for number in range(len(blocks(name))):
        run_block(name, number, known)
    explanation = known["e"]
    assert explanation.pixels.shape == (4, 224, 224, 3)
    assert np.abs(explanation.preceding_words).max() > 0
    assert (folder / "out/explanation.npz").is_file()


def test_the_readme(folder, monkeypatch):
    """Its first lines of Python, and those for any CNN."""
    captioner = planted_captioner()
    monkeypatch.setattr("models.load_captioner", lambda name: captioner)
    known = run_block("README.md", 0)
    assert set(known["e"].words) == {"dog"} and (folder / "out").is_dir()
    inputs = keras.Input((9, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(300)(pooled))
    images = np.random.default_rng(0).random((1, 9, 8, 3), "float32")
    known = run_block("README.md", 1, {"model": model, "images": images})
    assert known["pixels"].shape == (1, 1, 9, 8, 3)
    assert known["others"].shape == (1, 2, 9, 8, 3)


def test_explaining(folder, monkeypatch):
    """All blocks, one after the other, on a machine without a browser."""

    def find_no_browser():
        raise webbrowser.Error

    monkeypatch.setattr("webbrowser.get", find_no_browser)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    captioner = tiny_captioner()
    monkeypatch.setattr("models.load_captioner", lambda name: captioner)
    name, known = "docs/explaining.md", {"__name__": "page"}
    for number in range(len(blocks(name))):
        run_block(name, number, known)
    assert known["why"].words == ("dog, not cat",)
    assert (folder / "dog.png").is_file() and (folder / "figure.pdf").is_file()


def test_the_report_has_the_lines_of_the_methods():
    text = (ROOT / "docs/methods.md").read_text("utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.M)) == METHOD_ADVICE
    assert METHOD_ADVICE.keys() == METHODS.keys()


def anchors(text):
    """The names of a document's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text("utf-8")
    for target, anchor in _LINK.findall(text):
        if target.startswith("http"):
            continue
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), f"{name} links to {target}"
        if anchor:
            assert anchor in anchors(path.read_text("utf-8")), f"{name}: #{anchor}"


def test_the_readme_has_the_real_sizes_and_files():
    text = (ROOT / "README.md").read_text("utf-8")
    sizes = dict(re.findall(r"^\| `(\S+)` \|.*\| (\d+) MB \|$", text, re.MULTILINE))
    for name in shipped_captioners():
        files = (ROOT / "models/pretrained" / name).iterdir()
        size = sum(path.stat().st_size for path in files) / 1e6
        assert abs(size - int(sizes.pop(name))) <= 0.5 + 1e-9, name
    assert not sizes
    table = text.partition("| file | what it is |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+\.\w+)`", table))
    others = {f"{name}.{kind}" for name in NAMES for kind in FORMATS[1:]}
    assert named == {FINISHED, *WRITTEN} - others
