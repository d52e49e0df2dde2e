"""What a training begins with."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny_training import Killed, arguments_of, resume_arguments

import train
from config import OBJECTIVES as NAMES
from config import Config
from dataset import DATASETS
from training.objectives import OBJECTIVES
from training.start import (
    TrainingOptions,
    check_names,
    learning_rate,
    list_settings,
    new_config,
)


def test_every_objective_of_config_can_be_trained():
    assert tuple(OBJECTIVES) == NAMES


def test_the_options_of_python_are_those_of_the_command_line():
    paths = {"run": Path("r"), "data_dir": Path("d")}
    assert train.parse(["--run", "r", "--data-dir", "d"]) == TrainingOptions(**paths)
    with pytest.raises(ValueError, match=r"preset must be one of scenes, .*'flickr'"):
        new_config(TrainingOptions(**paths, preset="flickr"))
    with pytest.raises(ValueError, match="in r is either resumed or overwritten"):
        TrainingOptions(**paths, resume=True, overwrite=True)
    with pytest.raises(ValueError, match="limit must be a whole number, 1 or above"):
        TrainingOptions(**paths, limit=0)


def test_another_dataset_has_the_settings_of_config():
    paths = ["--run", "r", "--data-dir", "d"]
    folder = new_config(train.parse([*paths, "--dataset", "folder"]))
    assert folder == DATASETS["folder"].preset
    options = ["--config", "coco2017", "--dataset", "folder", "--set", "epochs=3"]
    changed = new_config(train.parse([*paths, *options]))
    assert changed == DATASETS["coco2017"].preset.replace(dataset="folder", epochs=3)


def test_learning_rate_rises_and_falls():
    config = Config(schedule="cosine", learning_rate=0.4, warmup_steps=4)
    rate = learning_rate(config, 12)
    found = [float(rate(step)) for step in (0, 1, 4, 8, 12)]
    np.testing.assert_allclose(found, [0, 0.1, 0.4, 0.2, 0], atol=1e-6)
    config = config.replace(warmup_steps=0)
    cold = learning_rate(config, 12)
    np.testing.assert_allclose([float(cold(s)) for s in (0, 6)], [0.4, 0.2], atol=1e-6)
    assert learning_rate(config.replace(schedule="constant"), 12) == 0.4


def test_settings_of_the_options_come_first():
    paths = ["--run", "r", "--data-dir", "d"]
    options = ["--decoder", "grid_td", "--objective", "lrp_inference"]
    more = ["--mixed-precision", "--set", "lrp_mode=context", "epochs=3"]
    assert list_settings(train.parse([*paths, *options, *more])) == [
        "decoder=grid_td",
        "objective=lrp_inference",
        "mixed_precision=bfloat16",
        "lrp_mode=context",
        "epochs=3",
    ]
    assert list_settings(train.parse(paths)) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("decoder=lstm", r"decoder must be one of adaptive_attention.*'lstm'"),
        ("encoder=alexnet", r"encoder must be one of vgg16, vgg19.*'alexnet'"),
        ("dataset=mnist", r"dataset must be one of scenes, flickr8k.*'mnist'"),
    ],
)
def test_unknown_names_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        check_names(Config().with_settings([setting]))


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_photographs_are_mirrored_only_where_captions_allow_it(dataset):
    config = dataset.preset.replace(flip_images=True)
    if not dataset.captions_tell_sides:
        assert check_names(config) == config
        return
    assert dataset.name == "scenes"
    with pytest.raises(
        ValueError, match=r"cannot be used on scenes: .* left and right"
    ):
        check_names(config)


@pytest.mark.usefixtures("quick")
def test_images_are_read_once(data_dir, tmp_path, monkeypatch):
    """By a new run, by one that goes on, and by one that begins with its weights."""
    dataset, seen = DATASETS["flickr8k"], []

    def remember(folder, split, **options):
        seen.append(split)
        return dataset.read(folder, split, **options)

    def stop(captioner, images, cache_dir):
        seen.append(len(images))
        raise Killed

    remembering = dataclasses.replace(dataset, read=remember)
    monkeypatch.setitem(DATASETS, "flickr8k", remembering)
    monkeypatch.setattr(train, "training_batches", stop)
    run = tmp_path / "run"
    resume = resume_arguments(data_dir, run)
    tune = [*resume_arguments(data_dir, tmp_path / "tuned")[:-1], "--from", str(run)]
    for arguments in (arguments_of(data_dir, run), resume, tune):
        with pytest.raises(Killed):
            train.main(arguments)
        assert seen == ["train", "dev", 8]
        seen.clear()
