"""Captioners by address: the hub, and the list of those that are shipped."""

import json
import shutil
import sys

import keras
import pytest
from conftest import WORDS

from config import Config
from dataset.vocabulary import Vocabulary
from models.captioner import Captioner, CaptionerError, load_captioner
from models.encoders import build_encoder
from models.pretrained import __main__ as shipped_list
from models.run_files import RUN_FILES


class Hub:
    """Stands in for huggingface_hub: one repository, which is a folder."""

    def __init__(self, repository):
        self.repository, self.asked = repository, []

    def snapshot_download(self, repo_id, **options):
        self.asked.append((repo_id, options))
        if repo_id != "anna/dogs":
            raise OSError("404 Client Error.\nRepository Not Found")
        return str(self.repository)


@pytest.fixture
def run(tmp_path, tiny_vgg16):
    config = Config(embedding_size=5, hidden_size=6)
    captioner = Captioner(config, Vocabulary(WORDS), build_encoder(config))
    captioner.save_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def hub(run, monkeypatch):
    hub = Hub(run)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_a_captioner_of_the_hub_is_read_like_a_run(hub):
    captioner = load_captioner("hf://anna/dogs")
    assert captioner.vocabulary.words[3:] == WORDS
    ((name, options),) = hub.asked
    assert name == "anna/dogs"
    names = set(options.pop("allow_patterns"))
    assert names == {*RUN_FILES, "encoder.json", "checksums.json"}
    assert options == {"library_name": "keras", "library_version": keras.__version__}


def test_what_is_not_on_the_hub_is_named(hub):
    expected = r"hf://anna/cats cannot be downloaded: 404 Client Error\. Repository .*"
    with pytest.raises(CaptionerError, match=expected + "Expected hf://USER/MODEL"):
        load_captioner("hf://anna/cats")


def test_a_repository_of_something_else_is_refused(hub, run):
    for name in RUN_FILES[1:]:
        (run / name).unlink()
    with pytest.raises(CaptionerError, match=r"not a complete run.* vocabulary\.json"):
        load_captioner("hf://anna/dogs")


def test_the_hub_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CaptionerError, match="needs the package huggingface_hub"):
        load_captioner("hf://anna/dogs")


def test_shipped_captioners_are_listed(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("models.run_files.PRETRAINED", tmp_path / "pretrained")
    names = ("cider", "bleu_4", "meteor", "rouge_l")
    for number, name in enumerate(("two", "one")):
        folder = shutil.copytree(run, tmp_path / "pretrained" / name)
        scores = dict.fromkeys(names, 0.1 * number + 0.01)
        (folder / "scores.json").write_text(json.dumps({"dev": scores}))
    assert shipped_list.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "dataset", "encoder", *names, "size"]
    expected = ["one", "flickr30k", "vgg16", *["0.110"] * 4, "0", "MB"]
    assert lines[1].split() == expected
    assert lines[2].startswith("two") and len(lines) == 3
