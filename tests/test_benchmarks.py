"""The benchmarks: the unit of memory, and what a failing child says."""

import resource
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import tiny_captioner
from PIL import Image

from benchmarks import (
    captioners,
    cold_start,
    evaluation,
    image_reading,
    peak_memory,
    precision,
    scale,
)
from dataset.scenes import render_scene
from dataset.vocabulary import END


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_memory_in_gigabytes(monkeypatch, platform, unit):
    used = SimpleNamespace(ru_maxrss=3 * 1024**3 // unit)
    monkeypatch.setattr("resource.getrusage", lambda who: used)
    monkeypatch.setattr("sys.platform", platform)
    assert peak_memory(resource.RUSAGE_SELF) == 3


def test_the_error_of_the_timed_process_is_shown(monkeypatch, capsys):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 2, "", "explain_image.py: no\n")

    monkeypatch.setattr("subprocess.run", run)
    assert cold_start.main([]) == 2
    assert capsys.readouterr() == ("", "explain_image.py: no\n")


def test_reading_of_images_is_timed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(image_reading, "time_steps", lambda *_: [0.5, 0.4])
    monkeypatch.setattr(image_reading, "time_encoding", lambda *_: [4.0, 3.2])
    assert image_reading.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"image_reading: no images in {tmp_path}\n"
    (tmp_path / "val2017").mkdir()
    for number in range(3):
        path = tmp_path / "val2017" / f"{number}.jpg"
        Image.new("RGB", (40, 30)).save(path)
    assert image_reading.main([str(tmp_path), "--workers", "1", "2"]) == 0
    *read, encoded, trained = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in read] == [
        "read by 1 workers",
        "read by 2 workers",
    ]
    assert encoded == "encoded by vgg16: 5.0 images/s"
    assert trained == "trained on, features cached: 20.0 images/s"
    path.write_bytes(b"broken")
    assert image_reading.main([str(tmp_path)]) == 2
    assert "2.jpg: not an image" in capsys.readouterr().err


def test_encoding_is_timed(tiny_vgg16):
    assert len(image_reading.time_encoding("vgg16", 2)) == 2


def test_the_scoring_of_every_method_is_timed(monkeypatch, capsys):
    monkeypatch.setattr(evaluation, "load_captioner", lambda _: tiny_captioner())
    options = ["--images", "2", "--words", "1", "--methods", "grad_cam,attention"]
    assert evaluation.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 images, 1 words each" in lines[0]
    names = [line[:24].strip() for line in lines[2:-1]]
    together = "all of them, together"
    assert names == ["captions alone", "grad_cam", "attention", together]


def test_captioners_are_compared_in_one_run(monkeypatch, capsys):
    monkeypatch.setattr(captioners, "load_captioner", lambda _: tiny_captioner())
    monkeypatch.setattr(captioners, "TEXT", "a dog runs")
    assert captioners.main(["--models", "one", "two", "--rounds", "1"]) == 0
    title, _, *rows = capsys.readouterr().out.splitlines()
    assert title.endswith(", 3 words explained")
    works = ["encode", "caption", "explain"]
    names = [[name, work] for name in ("one", "two") for work in works]
    assert [row.split()[:2] for row in rows] == names
    assert [float(row.split()[-1]) for row in rows[:3]] == [1, 1, 1]
    monkeypatch.undo()
    assert captioners.main(["--models", "none"]) == 2
    assert "none" in capsys.readouterr().err


def test_bfloat16_is_compared_on_photographs(tmp_path, monkeypatch, capsys):
    captioner = tiny_captioner(max_caption_words=3)
    bias = captioner.decoder.predictor.bias
    bias.assign(bias.numpy() - 1e3 * (np.arange(bias.shape[0]) == END))  # it has words
    monkeypatch.setattr(precision, "load_captioner", lambda _: captioner)
    for number in range(2):
        Image.fromarray(render_scene(number).image).save(tmp_path / f"{number}.png")
    assert precision.main([str(tmp_path), "--photographs", "2"]) == 0
    title, _, *lines = capsys.readouterr().out.splitlines()
    assert title.startswith("alpha1_beta0, 2 photographs, ")
    num_words = int(title.split()[-2])
    assert [line.split()[0] for line in lines] == ["ranks", "balance", "sum"]
    ranks, balance = ([float(n) for n in line.split()[1:3]] for line in lines[:2])
    assert 0.999 < ranks[1] <= ranks[0] <= 1.0
    assert 0 < balance[0] <= balance[1] < 0.01
    assert f"{num_words} / {num_words}, below 0.01" in lines[1]
    assert precision.main([str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err


def test_a_synthetic_coco_is_read_and_trained_on(tmp_path, tiny_vgg16, capsys):
    options = ["--folder", str(tmp_path), "--images", "60", "--steps", "1"]
    assert scale.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    stages = ("the files", "read", "vocabulary of 57", "the captioner is built")
    stages += ("the cache", "the batches", "the first 1 of 15 steps")
    for line, name in zip(lines, stages, strict=True):
        assert line.startswith(name) and "peak memory" in line
    dev = scale.COCO2017.read(tmp_path, "dev")
    assert len(dev) == 3 and all(len(image.captions) == 5 for image in dev)
    assert dev[0].path.stat().st_nlink == 60
