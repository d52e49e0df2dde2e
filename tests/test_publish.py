"""Uploads to a stand-in for the hub: what is sent, and what is refused."""

import json
import shutil
import sys

import pytest
from conftest import WORDS, tiny_captioner, tiny_encoder

from models import load_captioner
from training import publish

SECRET = "hf_AbCdEfGhIjKlMnOpQrSt"
ADDRESS = "hf://anna/dogs"
DEV = {"cider": 0.51239, "bleu_4": 0.25, "tokenizer": "ptb"}


class Hub:
    """Stands in for huggingface_hub: repositories are folders."""

    def __init__(self, folder):
        self.folder, self.said, self.error = folder, [], None

    def HfApi(self, **options):  # noqa: N802
        return self

    def CommitOperationAdd(self, path, file):  # noqa: N802
        return path, file if isinstance(file, bytes) else file.read_bytes()

    def repo_exists(self, name):
        return (self.folder / name).is_dir()

    def create_repo(self, name, private, exist_ok):
        if self.error:
            raise self.error
        (self.folder / name).mkdir(parents=True, exist_ok=exist_ok)
        self.said.append(("private", private))

    def create_commit(self, name, operations, commit_message):
        self.said.append(("commit", commit_message))
        for path, content in operations:
            (self.folder / name / path).write_bytes(content)

    def snapshot_download(self, name, **options):
        return str(self.folder / name)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run; what loads it builds its encoder."""
    monkeypatch.setattr("models.captioner.build_encoder", lambda _: tiny_encoder())
    tiny_captioner().save_run(tmp_path / "run")
    (tmp_path / "run/scores.json").write_text(json.dumps({"dev": DEV}))
    (tmp_path / "run/history.csv").write_text("epoch\n0\n")
    (tmp_path / "run/backup.npz").write_text("not for others")
    return tmp_path / "run"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def start(run, *more, address=ADDRESS):
    return publish.main([str(run), address, *more])


def test_a_published_run_is_loaded_from_the_hub(run, hub, capsys):
    assert start(run, "--licence", "cc-by-nc-4.0", "--private") == 0
    assert capsys.readouterr().out == "https://huggingface.co/anna/dogs\n"
    assert hub.said == [("private", True), ("commit", "Captioner dogs")]
    there = {path.name for path in (hub.folder / "anna/dogs").iterdir()}
    files = {"config.json", "vocabulary.json", "checksums.json", "scores.json"}
    files |= {"encoder.weights.h5", "decoder.weights.h5", "history.csv", "README.md"}
    assert there == files
    assert load_captioner(ADDRESS).vocabulary.words[3:] == WORDS
    card = (hub.folder / "anna/dogs/README.md").read_text()
    assert card.startswith("---\nlibrary_name: keras\n") and card.count("---\n") == 2
    assert "license: cc-by-nc-4.0\n---\n# dogs\n" in card
    assert "| decoder | adaptive_attention |" in card and "| words | 13 |" in card
    assert "| cider | 0.5124 |\n| bleu_4 | 0.2500 |\n| tokenizer | ptb |" in card
    assert f'load_captioner("{ADDRESS}")' in card


def test_a_repository_is_not_replaced_unasked(run, hub, capsys):
    (run / "README.md").write_text("# My own card\n")
    assert start(run) == 0
    assert (hub.folder / "anna/dogs/README.md").read_text() == "# My own card\n"
    assert start(run) == 2
    message = f"{ADDRESS} exists. Replace its files (--overwrite)"
    assert message in capsys.readouterr().err
    assert start(run, "--overwrite") == 0


def test_no_token_is_shown(run, hub, capsys):
    hub.error = OSError(f"401 Client Error: token {SECRET} is invalid.")
    assert start(run) == 2
    printed = "".join(capsys.readouterr())
    assert SECRET not in printed and "token hf_... is invalid. Log in" in printed
    hub.error = RuntimeError("no network")  # of a library that the hub uses
    assert start(run) == 2
    assert "hf://anna/dogs cannot be written: no network." in capsys.readouterr().err


def test_what_is_no_finished_run_is_refused(run, hub, tmp_path, capsys, monkeypatch):
    for address in ("anna/dogs", "hf://dogs", "hf://anna/dogs/more"):
        assert start(run, address=address) == 2
        assert "expected hf://USER/NAME; received" in capsys.readouterr().err
    assert start(tmp_path / "hub") == 2
    error = capsys.readouterr().err
    assert "is not a complete run directory: config.json, vocabulary.json" in error
    damaged = shutil.copytree(run, tmp_path / "damaged")
    (damaged / "decoder.weights.h5").write_bytes(b"damaged")
    assert start(damaged) == 2
    assert "decoder.weights.h5 is damaged" in capsys.readouterr().err
    (run / "scores.json").unlink()
    assert start(run) == 2
    assert "holds no finished run (it has no scores.json)" in capsys.readouterr().err
    assert not hub.said and not hub.folder.exists()


def test_the_package_is_named_where_it_is_missing(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert start(run) == 2
    assert "needs the package huggingface_hub. Install it" in capsys.readouterr().err
