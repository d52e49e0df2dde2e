"""Runs and journals that version e42c30f wrote are read and gone on with."""

import csv
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import IS_TENSORFLOW, REFERENCE

import evaluate_bbox
import examine_word
import inference
import train
from dataset.scenes import write_scenes
from keras_lrp import __version__
from models import load_captioner

EARLIER = REFERENCE / "e42c30f"
COUNTS = {"train": 60, "dev": 4, "test": 3}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """The same images that the files are about."""
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", COUNTS)


@pytest.fixture
def earlier(quick, tmp_path, monkeypatch):
    """A copy of the files, as the current folder: the journals name their run so."""
    shutil.copytree(EARLIER, tmp_path / "earlier")
    monkeypatch.chdir(tmp_path / "earlier")
    return tmp_path / "earlier"


def run(script, scenes, output, *options) -> None:
    data = ["--model", "run", "--dataset", "scenes", "--data-dir", str(scenes)]
    assert script.main([*data, "--output", output, "--resume", *options]) == 0


def forget_last(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))


def assert_alike(found, expected) -> None:
    """Equal, numbers up to last bits."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert_alike(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=2e-3, abs=1e-5)
    else:
        assert found == expected


def read(path: Path):
    return json.loads(path.read_text())


def test_a_run_says_what_it_said(earlier, scenes):
    captioner = load_captioner("run")
    expected = [entry["caption"] for entry in read(earlier / "captions.json")]
    photos = sorted((scenes / "images").glob("test_*"))
    assert [c.text for c in captioner.caption(photos)] == expected


def test_a_run_on_the_hub_is_loaded(earlier, monkeypatch):
    hub = SimpleNamespace(snapshot_download=lambda *_, **__: str(earlier / "run"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    one, other = load_captioner("hf://someone/run"), load_captioner("run")
    for weight, expected in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_captions_are_gone_on_with(earlier, scenes):
    expected = read(earlier / "captions.json")
    forget_last(earlier / "captions.nbest.jsonl")
    options = ["--split", "test", "--n-best", "2"]
    run(inference, scenes, "captions.json", *options)
    assert read(earlier / "captions.json") == expected


@pytest.mark.parametrize("whole", [True, False])
def test_scores_of_boxes_are_gone_on_with(earlier, scenes, whole):
    expected = read(EARLIER / "bbox.json")
    if not whole:
        forget_last(earlier / "bbox.jsonl")
    run(evaluate_bbox, scenes, "bbox.json", "--methods", "lrp,attention")
    assert_alike(read(earlier / "bbox.json"), expected | {"version": __version__})


@pytest.mark.parametrize("whole", [True, False])
def test_scores_of_words_are_gone_on_with(earlier, scenes, whole):
    expected = read(EARLIER / "words.json")
    if not whole:
        forget_last(earlier / "words.jsonl")
    options = ["--methods", "lrp,attention", "--deletion", "patches"]
    run(examine_word, scenes, "words.json", *options)
    assert_alike(read(earlier / "words.json"), expected | {"version": __version__})


@pytest.mark.skipif(not IS_TENSORFLOW, reason="other backends drop other units")
@pytest.mark.slow
def test_a_training_is_gone_on_with(earlier, scenes):
    arguments = ["--data-dir", str(scenes), "--run", "unfinished", "--resume"]
    assert train.main([*arguments, "--cache-dir", "cache", "--limit", "12"]) == 0
    found, expected = (
        list(csv.DictReader(path.read_text().splitlines()))
        for path in (
            earlier / "unfinished" / "history.csv",
            EARLIER / "finished_history.csv",
        )
    )
    for row, other in zip(found, expected, strict=True):
        assert row.keys() == other.keys()
        for name, value in other.items():
            assert float(row[name]) == pytest.approx(float(value), rel=1e-4)
