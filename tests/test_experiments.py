"""The experiments on tiny captioners and rendered scenes, and what they keep."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import randomize, tiny_encoder
from tiny_training import TINY

import train
from config import Config
from dataset.scenes import read_scenes, write_scenes
from dataset.vocabulary import Vocabulary
from experiments import lrp_inference, planted_bias
from experiments.workbench import (
    REWARDED_MODES,
    differences,
    over_seeds,
    table,
    tuning_settings,
)
from models.captioner import Captioner

pytestmark = pytest.mark.usefixtures("quick")

SETTINGS = TINY | {"epochs": 1, "warmup_steps": 0, "max_caption_words": 8}
FIELDS = [f"{name}={value}" for name, value in SETTINGS.items()]


def arguments_of(output, *more: str) -> list[str]:
    sizes = ["--images", "6", "3", "4", "--seeds", "1", "--encoder-weights", "none"]
    tuning = ["--tune", "epochs=1", "learning_rate=0.01", "lrp_words=1"]
    return ["--output", str(output), *sizes, "--train", *FIELDS, *tuning, *more]


@pytest.mark.slow
def test_the_experiment_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    output, names = tmp_path / "out", []
    main_attention = train.main_attention

    def remember(options):
        names.append(options.run.name)
        if names == ["start-0", "plain-0"]:
            raise ValueError("killed")
        return main_attention(options)

    monkeypatch.setattr(train, "main_attention", remember)
    plain = ("--modes", "plain")
    assert planted_bias.main(arguments_of(output, *plain)) == 2
    assert "planted_bias: killed" in capsys.readouterr().err
    assert planted_bias.main(arguments_of(output, *plain)) == 0
    more = ("--modes", "plain", "mean")
    assert planted_bias.main(arguments_of(output, *more)) == 0
    assert names == ["start-0", "plain-0", "plain-0", "mean-0"]
    results = json.loads((output / "results.json").read_text())
    assert list(results["captions"]) == ["start", "plain", "mean"]
    shares = results["captions"]["mean"]["boat_hallucinated"]
    assert 0 <= shares["mean"] <= 1 and shares["deviation"] == 0
    lines = capsys.readouterr().out.splitlines()
    files = ("results.json", "results.md", "roc.png")
    assert lines[-3:] == [str(output / name) for name in files]
    assert (output / "roc.png").stat().st_size > 9000
    assert planted_bias.main(arguments_of(output, "--decoder", "grid_td")) == 2
    assert "holds an experiment with other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_captioners_are_tuned_and_compared(tmp_path, capsys):
    """The scores of a run before it is tuned, and of two modes after it."""
    data_dir = write_scenes(tmp_path / "scenes", {"train": 6, "dev": 4})
    folders = ["--data-dir", str(data_dir), "--cache-dir", str(tmp_path / "cache")]
    start, output = str(tmp_path / "start"), tmp_path / "out"
    new = ["--config", "scenes", "--encoder-weights", "none", "--set", *FIELDS]
    assert train.main([*folders, "--run", start, *new]) == 0
    arguments = [*folders, "--output", str(output), "--from", start, "--seeds", "1"]
    arguments += ["--metrics", "bleu,cider", "--limit", "5"]
    modes = ["--modes", "context", "penalized", "--set", "epochs=1"]
    assert lrp_inference.main([*arguments, *modes]) == 0
    rows = json.loads((output / "results.json").read_text())["scores"]
    assert list(rows) == ["start, as it is", "start, context", "start, penalized"]
    row = rows["start, context"]
    assert {"cider", "bleu_4", "mPA", "recall", "f1", "chair_i", "chair_s"} <= set(row)
    assert [len(row["vocabulary"]["values"]) for row in rows.values()] == [1, 1, 1]
    assert {"chair_i_unseen", "length"} <= set(row)
    differing = json.loads((output / "results.json").read_text())["differences"]
    assert list(differing) == ["dev", "first half", "second half"]
    for of_part in differing.values():
        assert list(of_part) == ["start, penalized less start, context"]
    scored = json.loads((output / "scores/start-context-0.json").read_text())
    captions = scored["captions"]
    assert set(captions) == {f"dev_{number:06d}" for number in range(4)}
    assert "| start, context |" in (output / "results.md").read_text()
    capsys.readouterr()
    assert lrp_inference.main([*arguments, "--metrics", "cider,sense"]) == 2
    assert "sense" in capsys.readouterr().err


def test_every_named_boat_is_scored(tmp_path, monkeypatch):
    """A captioner that says boat in every scene: half of them are true."""
    folder = write_scenes(tmp_path / "scenes", {"test": 4}, bias=planted_bias.BIAS)
    images = read_scenes(folder, "test", with_objects=True)
    said = "a boat and boats"
    config = Config(embedding_size=5, hidden_size=6)
    vocabulary = Vocabulary(("a", "boat", "and", "boats"))
    captioner = Captioner(config, vocabulary, tiny_encoder())
    randomize(captioner.decoder, 0)
    tokens = captioner.vocabulary.encode(said, 8)[:-1]
    caption = SimpleNamespace(words=tuple(said.split()), tokens=tokens)
    monkeypatch.setattr(
        captioner, "caption_features", lambda features: [caption] * len(features)
    )
    monkeypatch.setattr(planted_bias, "load_captioner", lambda run: captioner)
    words = planted_bias.examine_boats(None, images)
    truth = [any(box.phrases[0] == "boat" for box in image.objects) for image in images]
    assert [[word["is_true"] for word in some] for some in words] == [
        [is_true] * 2 for is_true in truth
    ]
    assert [word["word"] for word in words[0]] == ["boat", "boats"]
    assert set(truth) == {True, False}
    areas = planted_bias.areas_of(words)
    assert all(0 <= area <= 1 for area in areas.values())
    assert {"lrp mean", "attention maximum", "visual_share value"} <= set(areas)
    alike = [some for some, is_true in zip(words, truth, strict=True) if is_true]
    assert planted_bias.areas_of(alike) == {}


def test_cider_of_one_image_is_missing(tmp_path, monkeypatch):
    folder = write_scenes(tmp_path / "scenes", {"test": 1}, bias=planted_bias.BIAS)
    images = read_scenes(folder, "test", with_objects=True)
    metrics = ("cider", "rouge_l")
    found = lrp_inference.describe(["a boat"], images, metrics, planted_bias.SCENES)
    assert "cider" not in found["scores"] and "rouge_l" in found["scores"]
    for name in ("load_captioner", "encode_images"):
        monkeypatch.setattr(planted_bias, name, lambda *_: None)
    monkeypatch.setattr(planted_bias, "caption_images", lambda *_: ["a boat"])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counted = planted_bias.count(SimpleNamespace(cache_dir=None), None, images)
    assert "cider" not in counted and "chair_i" in counted


def test_summaries_and_tables():
    summary = over_seeds([{"a": 1.0, "b_c": 0.5}, {"a": 3.0, "b_c": 0.5}])
    expected = {"mean": 2.0, "deviation": 2**0.5, "values": [1.0, 3.0]}
    assert summary["a"] == expected
    assert table("mode", {"plain": summary}).splitlines() == [
        "| mode | a | b c |",
        "| --- | --- | --- |",
        "| plain | 2.000 ± 1.414 | 0.500 ± 0.000 |",
    ]
    assert over_seeds([]) == {}
    found = differences([{"a": 3.0}, {"a": 5.0}], [{"a": 1.0}, {"a": 1.0}])
    assert found["a"]["values"] == [2.0, 4.0]
    assert found["a"]["deviation"] == pytest.approx(1.0)  # sqrt(2) / sqrt(2)


def test_what_objects_earn_tells_the_rewards_apart():
    wanted = {
        "rewarded": ("self_critical", 0, 0),
        "penalized": ("self_critical", 0.5, 0),
        "credited": ("self_critical", 0.5, 0.25),
        "mild": ("self_critical", 0.3, 0.3),
        "credited_context": ("lrp_self_critical", 0.5, 0.25),
    }
    assert {mode: tuning_settings(mode, 2) for mode in REWARDED_MODES} == {
        mode: [
            "seed=2",
            f"objective={objective}",
            f"hallucination_penalty={wrong:g}",
            f"object_credit={right:g}",
        ]
        for mode, (objective, wrong, right) in wanted.items()
    }


@pytest.mark.parametrize("mode", ["plain", "context", "mean"])
def test_modes_differ_in_the_objective_alone(mode):
    settings = dict(text.split("=") for text in tuning_settings(mode, 3))
    assert settings.pop("seed") == "3"
    assert settings.pop("lrp_mode", "plain") == mode
    assert settings.pop("lrp_words", None) == ("1" if mode == "mean" else None)
    assert settings in ({"objective": "cross_entropy"}, {"objective": "lrp_inference"})
