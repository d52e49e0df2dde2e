"""The presets for published datasets, cut small, on scenes in their layouts."""

import csv
import json

import pytest

import train
from dataset import DATASETS
from dataset.scenes import __main__ as script
from models.captioner import load_captioner

NUM_IMAGES = {"train": 44, "dev": 2, "test": 1}
SMALL = ("embedding_size=5", "hidden_size=6", "images_per_batch=11", "epochs=1")


@pytest.mark.parametrize("name", ["flickr30k", "coco2017"])
@pytest.mark.slow
def test_a_preset_trains_resumes_captions_and_scores(
    quick, tmp_path, monkeypatch, capsys, name
):
    data, run = tmp_path / "data", tmp_path / "run"
    numbers = [text for s, n in NUM_IMAGES.items() for text in (f"--{s}", str(n))]
    layout = ["--layout", name, "--output", str(data)]
    assert script.main([*layout, *numbers]) == 0

    paths = ["--data-dir", data, "--run", run, "--cache-dir", tmp_path / "cache"]
    paths = [str(path) for path in paths]
    new = ["--config", name, "--encoder-weights", "none", "--set", *SMALL]
    with monkeypatch.context() as patched:
        patched.setattr(train, "write_scores", stop)
        assert train.main([*paths, *new]) == 2
    assert train.main([*paths, "--resume"]) == 0

    output = capsys.readouterr().out.splitlines()
    assert output[-1] == str(run)
    with (run / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0"]
    scores = json.loads((run / "scores.json").read_text())["dev"]
    assert {"bleu_4", "cider", "rouge_l"} <= set(scores)
    captioner = load_captioner(run)
    assert captioner.config.min_word_count == DATASETS[name].preset.min_word_count
    images = train.read_training(captioner.config, data)
    assert [len(some) for some in images] == [NUM_IMAGES["train"], NUM_IMAGES["dev"]]
    (caption,) = captioner.caption([images[1][0].path])
    assert set(caption.text.split()) <= set(captioner.vocabulary.words)


def stop(*arguments):
    raise OSError("stopped before the scores")
