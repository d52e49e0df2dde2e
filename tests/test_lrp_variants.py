"""Variants of LRP: readings by hand, rules by two routes, the command on tiny data."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import tiny_captioner
from PIL import Image

from dataset.records import Box, CaptionedImage, ObjectBox
from experiments.lrp_variants import __main__ as script
from experiments.lrp_variants.scores import (
    CRITERION,
    DROP,
    HIGH,
    LOW,
    criterion_of,
    only_maps,
)
from experiments.lrp_variants.variants import (
    ALPHA_BETA,
    COMPOSITES,
    READINGS,
    RULES,
    ByResolution,
    Variant,
)
from keras_lrp import LRP, PRESETS
from keras_lrp.rules import Flat

R, H, W, D = 2, 3, 4, 5


def test_readings_in_slow_float64():
    random = np.random.default_rng(0)
    features, gradient = random.random((H, W, D)), random.normal(size=(R, H, W, D))
    of_mean = random.normal(size=(R, D))
    stage = SimpleNamespace(
        features=features,
        feature_gradient=gradient,
        located_gradient=gradient - of_mean[:, None, None] / (H * W),
    )
    found = {name: read(stage) for name, read in READINGS.items()}
    for r, i, j, d in np.ndindex(R, H, W, D):
        a, place = features[i, j, d], (r, i, j, d)
        everywhere = np.mean(features[..., d] * gradient[r, ..., d])
        expected = {
            "all": a * gradient[place],
            "without the mean feature": a * (gradient[place] - of_mean[r, d] / 12),
            "centred": a * gradient[place] - everywhere,
            "of the deviation": (a - features[..., d].mean()) * gradient[place],
        }
        assert {name: some[place] for name, some in found.items()} == pytest.approx(
            expected
        )


def test_rules_by_resolution_are_those_of_the_parts():
    """Flat on the way through 8x8 positions, alpha-beta through 4x4."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    lower = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    lower = keras.layers.MaxPooling2D()(lower)
    outputs = keras.layers.Conv2D(5, 3, padding="same", activation="relu")(lower)
    parts = keras.Model(inputs, lower), keras.Model(lower, outputs)
    rules = {"convolution": ByResolution(((8, Flat()), (0, ALPHA_BETA)))}
    rules = PRESETS["alpha1_beta0"] | rules
    flat = PRESETS["alpha1_beta0"] | {"convolution": Flat()}
    random = np.random.default_rng(1)
    images = random.normal(size=(1, 8, 8, 3)).astype("float32")
    relevance = random.normal(size=(1, R, 4, 4, 5)).astype("float32")
    found = LRP(keras.Model(inputs, outputs), rules)(images, relevance=relevance)
    middle = LRP(parts[1], "alpha1_beta0")(parts[0](images), relevance=relevance)
    expected = np.asarray(LRP(parts[0], flat)(images, relevance=middle))
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)


def test_rules_that_differ_without_dense_layers_are_tried_once():
    assert RULES[:3] == ("alpha1_beta0", "alpha1_beta0_innvestigate", "alpha2_beta1")
    assert not {"z_plus", "epsilon_plus", "epsilon_alpha2_beta1"} & set(RULES)
    assert set(COMPOSITES) < set(RULES)


def test_the_criterion_by_hand():
    """Plain location .2 and .6, drop .1 and .3: deviations .2 and .1."""

    def word(plain, other):
        scores = {
            name: dict(zip((LOW, HIGH, DROP), values, strict=True))
            for name, values in (("plain", plain), ("other", other))
        }
        return {"scores": scores | {"balance": {"logit": 1.0}}}

    words = [
        word((0.1, 0.3, 0.1), (0.3, 0.5, 0.1)),
        word((0.5, 0.7, 0.3), (0.5, 0.7, 0.2)),
    ]
    records = only_maps([{"words": words[:1]}, {"words": words[1:]}])
    means = criterion_of(records, "plain")
    assert means["plain"][CRITERION]["mean"] == 0
    assert means["other"][CRITERION]["mean"] == pytest.approx((0.2 / 0.2 - 1) / 2)
    assert means["other"][CRITERION]["interval"] == pytest.approx([-1, 1])
    assert means["other"][DROP]["mean"] == pytest.approx(0.15)


def test_what_was_chosen_is_reported_with_each_of_its_choices():
    chosen = Variant("centred_logit", "centred", "epsilon")
    assert script.alone(chosen) == [
        Variant("centred_logit"),
        Variant(reading="centred"),
        Variant(rules="epsilon"),
        chosen,
    ]


def test_half_of_the_photos_choose_and_half_report(tmp_path, monkeypatch, capsys):
    path = tmp_path / "photo.png"
    Image.effect_noise((224, 224), 90).convert("RGB").save(path)
    dog = ObjectBox(("dog",), Box(0.0, 0.0, 0.5, 0.5))
    images = [CaptionedImage(f"{n}", path, ("a dog",), (dog,)) for n in range(2)]
    images.append(CaptionedImage("no boxes", path, ("a dog",)))
    dataset = SimpleNamespace(read=lambda *_, with_objects: images)
    for name in ("FLICKR8K", "COCO2017"):
        monkeypatch.setattr(script, name, dataset)
    captioner = tiny_captioner()
    tokens = captioner.vocabulary.encode("a dog", 8)[:-1]
    caption = SimpleNamespace(words=("a", "dog"), tokens=tokens)
    monkeypatch.setattr(
        captioner, "caption_features", lambda features: [caption] * len(features)
    )
    monkeypatch.setattr(script, "load_captioner", lambda _: captioner)
    monkeypatch.setattr(script, "FIRST", [Variant(), Variant(reading="centred")])
    monkeypatch.setattr(script, "RULES", ("alpha1_beta0", "flat, alpha1_beta0"))
    monkeypatch.setattr(script, "OTHERS", ("attention",))
    output = tmp_path / "out"
    arguments = ["--data-dir", str(tmp_path), "--output", str(output), "--limit", "2"]
    assert script.main(arguments) == 0
    parts = ["even-readings", "even-rules", "odd-readings", "odd-rules"]

    def kept() -> list[str]:
        return sorted(path.name for path in (output / "scores").iterdir())

    assert kept() == [f"{part}-000.json" for part in parts]
    assert script.main([*arguments, "--coco-dir", str(tmp_path)]) == 0
    assert kept() == [f"{part}-000.json" for part in ["coco-chosen", *parts]]
    ids = [
        [one["image_id"] for one in json.loads((output / "scores" / name).read_text())]
        for name in kept()
    ]
    assert ids == [["0"], ["0"], ["0"], ["1"], ["1"]]
    results = json.loads((output / "results.json").read_text())
    reported = results["rules on odd places"]
    assert {str(script.PLAIN), str(Variant(*results["chosen"]))} <= set(reported)
    for title in ("readings on odd places", "chosen on photographs of MSCOCO"):
        assert "attention" in results[title]
    balance = results["readings on odd places: the logit"]["balance"]
    parts = ("words", "places", "mean feature", "lost")
    total = sum(balance[part]["mean"] for part in parts)
    assert total == pytest.approx(balance["logit"]["mean"], abs=1e-4)
    assert str(output / "results.md") in capsys.readouterr().out
