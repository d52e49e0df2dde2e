"""Tiny training runs, whole or killed, and whether two of them are the same."""

import csv
import gc
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

import train
from models.captioner import load_captioner
from training.callbacks import build_callbacks
from training.data import encode_images, read_split
from training.dev_scores import caption_images, read_captions

TINY = {
    "embedding_size": 5,
    "hidden_size": 16,
    "images_per_batch": 4,
    "captions_per_image": 2,
    "words_per_image": 9,
    "max_caption_words": 6,
    "min_word_count": 1,
    "feature_scale": 1.0,
    "dropout": 0.1,
    "label_smoothing": 0.0,
    "learning_rate": 0.1,
    "warmup_steps": 2,
    "weight_average": 0.5,
    "beam_size": 2,
    "epochs": 4,
}


def arguments_of(data_dir, run, *more, **settings) -> list[str]:
    fields = [f"{name}={value}" for name, value in (TINY | settings).items()]
    paths = ["--data-dir", data_dir, "--run", run, "--cache-dir", run.parent / "cache"]
    start = ["--config", "flickr8k", "--encoder-weights", "none", "--set", *fields]
    return [str(argument) for argument in (*paths, *start, *more)]


def resume_arguments(data_dir, run) -> list[str]:
    paths = ["--data-dir", data_dir, "--run", run, "--cache-dir", run.parent / "cache"]
    return [str(argument) for argument in (*paths, "--resume")]


def read_history(run) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_says_what_was_kept(run, data_dir):
    captioner = load_captioner(run)
    images = read_split(captioner.config, data_dir, "dev")
    encoded = encode_images(captioner, images, run.parent / "cache")
    assert read_captions(run, images) == caption_images(captioner, encoded)


class Killed(BaseException):
    """What a killed run raises."""


class Recorder(keras.callbacks.Callback):
    """Keeps the weights and the optimizer's state after every epoch."""

    def __init__(self, states: dict):
        super().__init__()
        self.states = states

    def on_epoch_end(self, epoch, logs=None):
        variables = [*self.model.variables, *self.model.optimizer.variables]
        self.states[epoch] = [variable.numpy() for variable in variables]


class Killer(keras.callbacks.Callback):
    """Ends a run at the first batch or at the end of an epoch, or after the last."""

    def __init__(self, event: str, epoch: int):
        super().__init__()
        self.event, self.epoch, self.current = event, epoch, -1

    def on_epoch_begin(self, epoch, logs=None):
        self.current = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._kill("batch")

    def on_epoch_end(self, epoch, logs=None):
        self._kill("epoch")

    def on_train_end(self, logs=None):
        self._kill("train")

    def _kill(self, event):
        if (event, self.current) == (self.event, self.epoch):
            raise Killed


def run_training(arguments, states, monkeypatch, kill=None):
    """Runs train.py; kill is (event, epoch, place among the callbacks)."""

    def with_recorder(*inputs):
        found = [*build_callbacks(*inputs), Recorder(states)]
        if kill:
            event, epoch, place = kill
            found.insert(place, Killer(event, epoch))
        return found

    monkeypatch.setattr(train, "build_callbacks", with_recorder)
    if kill is None:
        assert train.main(arguments) == 0
        return
    with warnings.catch_warnings():
        # A killed run leaves its files open.
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(Killed):
            train.main(arguments)
        gc.collect()


def assert_goes_on_exactly(
    folder, data_dir, monkeypatch, kill, arguments_for: Callable[[Path], list[str]]
) -> Path:
    """Trains a run, and another one that is killed and resumed; they must be the same.

    Args:
        folder: Of both.
        data_dir: The fixture.
        monkeypatch: The fixture.
        kill: See `run_training`.
        arguments_for: Returns those that begin a run.

    Returns:
        The run that was not killed.
    """
    whole, killed = folder / "whole", folder / "killed"
    whole_states, killed_states = {}, {}
    run_training(arguments_for(whole), whole_states, monkeypatch)
    run_training(arguments_for(killed), killed_states, monkeypatch, kill)
    run_training(resume_arguments(data_dir, killed), killed_states, monkeypatch)
    assert_same_run((killed, killed_states), (whole, whole_states))
    return whole


def assert_same_run(found, expected):
    (run, states), (straight_run, straight_states) = found, expected
    written = ("history.csv", "captions.json", "scores.json")
    for name in ("config.json", "vocabulary.json", *written):
        assert (run / name).read_bytes() == (straight_run / name).read_bytes(), name
    assert list(states) == list(straight_states)
    for epoch, arrays in straight_states.items():
        for one, other in zip(states[epoch], arrays, strict=True):
            np.testing.assert_array_equal(one, other, f"epoch {epoch}")
    one, other = load_captioner(run), load_captioner(straight_run)
    for weight, expected_weight in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight, expected_weight)
    assert sorted(path.name for path in run.iterdir()) == sorted(
        path.name for path in straight_run.iterdir()
    )
