"""Settings: their ranges, their texts and their files."""

import dataclasses
import json
import re

import numpy as np
import pytest

from config import Config, choose, not_negative, whole_number
from dataset import DATASETS


def test_names_are_looked_up():
    registry = {"one": 1, "two": 2}
    assert choose("number", "two", registry) == 2
    with pytest.raises(ValueError, match=r"number must be one of one, two; .*'three'"):
        choose("number", "three", registry)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs=3", 3),
        ("learning_rate=1e-4", 1e-4),
        ("clip_value=5", 5.0),
        ("schedule=cosine", "cosine"),
        ("trainable_from=", ""),
        ("trainable_from=a=b", "a=b"),
        ("flip_images=False", False),
    ],
)
def test_with_settings_parses_types(setting, value):
    changed = Config().with_settings([setting])
    found = getattr(changed, setting.partition("=")[0])
    assert found == value and type(found) is type(value)


def test_with_settings_checks_all_settings_together():
    changed = Config().with_settings(["flip_images=true", "trainable_from=conv"])
    assert changed == Config(flip_images=True, trainable_from="conv")
    assert Config() == DATASETS["flickr30k"].preset.replace(images_per_batch=16)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", r"--set expects field=value; received 'epochs'"),
        ("=3", r"Unknown setting ''\. config.py lists them"),
        ("epoch=3", r"Unknown setting 'epoch'\. Did you mean 'epochs'\?"),
        ("epochs=three", r"epochs must be int; received 'three'"),
        ("epochs=2.0", r"epochs must be int; received '2\.0'"),
        ("dropout=half", r"dropout must be float; received 'half'"),
        ("flip_images=1", r"flip_images must be true or false; received '1'"),
        ("epochs=0", r"epochs must be at least 1; received 0"),
        ("dropout=1", r"dropout must be in \[0, 1\); received 1\.0"),
        ("dropout=nan", r"dropout must be in \[0, 1\); received nan"),
        ("learning_rate=0", r"learning_rate must be above 0; received 0\.0"),
        ("learning_rate=inf", r"learning_rate must be above 0; received inf"),
        ("clip_value=-1", r"clip_value must be 0 or more; received -1\.0"),
        ("length_penalty=inf", r"length_penalty must be 0 or more; received inf"),
        ("schedule=linear", r"schedule must be one of constant, cosine.*'linear'"),
        ("warmup_steps=9", r"must be 0 where schedule is constant; received 9\. Set"),
    ],
)
def test_with_settings_refuses(setting, message):
    with pytest.raises(ValueError, match=message):
        Config().with_settings([setting])


def test_windows_are_cut_of_an_encoder_that_is_not_trained():
    message = r"received 0\.8 and trainable_from='conv'\. Set window_share=1, or"
    with pytest.raises(ValueError, match=message):
        Config(window_share=0.8, trainable_from="conv")


def test_replace_refuses_unknown_names():
    with pytest.raises(ValueError, match=r"Did you mean 'hidden_size'\?"):
        Config().replace(hiden_size=3)


@pytest.mark.parametrize("name", DATASETS)
def test_json_round_trip(tmp_path, name):
    path, preset = tmp_path / "config.json", DATASETS[name].preset
    path.write_text(preset.to_json())
    assert Config.from_json(path) == preset
    assert list(json.loads(path.read_text())) == [
        field.name for field in dataclasses.fields(Config)
    ]


def test_json_takes_whole_numbers_for_floats_and_defaults_for_the_rest(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"clip_value": 1, "epochs": 7}')
    assert Config.from_json(path) == Config(clip_value=1.0, epochs=7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "expected an object, received"),
        ('{"epoch": 3}', "Unknown setting 'epoch'"),
        ('{"epochs": 3.5}', r"epochs must be int; received 3\.5"),
        ('{"epochs": "3"}', "epochs must be int; received '3'"),
        ('{"epochs": true}', "epochs must be int; received True"),
        ('{"dropout": false}', "dropout must be float; received False"),
        ('{"dropout": null}', "dropout must be float; received None"),
        ('{"flip_images": 1}', "flip_images must be bool; received 1"),
        ('{"learning_rate": Infinity}', "learning_rate must be above 0"),
        ('{"beam_size": 0}', "beam_size must be at least 1; received 0"),
    ],
)
def test_json_refuses(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"config.json.*{message}"):
        Config.from_json(path)


@pytest.mark.parametrize("value", [1, 7, np.int32(3), np.uint8(2)])
def test_whole_numbers_are_taken(value):
    found = whole_number("beam_size", value)
    assert found == value and type(found) is int
    assert whole_number("limit", 0, least=0) == 0


@pytest.mark.parametrize("value", [0, -1, 1.0, 1.5, True, "3", None, np.bool_(True)])
def test_other_numbers_are_named(value):
    message = re.escape(
        f"beam_size must be a whole number, 1 or above; received {value!r}."
    )
    with pytest.raises(ValueError, match=message):
        whole_number("beam_size", value)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), True, "1", None])
def test_numbers_below_zero_are_named(value):
    assert not_negative("length_penalty", 0) == 0
    assert not_negative("length_penalty", np.float32(0.5)) == 0.5
    with pytest.raises(ValueError, match="length_penalty must be a number, 0 or above"):
        not_negative("length_penalty", value)
