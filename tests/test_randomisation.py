"""Shuffled weights: in the copy alone, level by level, and what the table shows."""

import keras
import numpy as np
import pytest
from conftest import WORDS, randomize, tiny_captioner
from PIL import Image

from config import Config
from dataset.vocabulary import END, Vocabulary
from models.captioner import Captioner
from models.explainers.explain import explain
from scoring import randomisation
from scoring.randomised_captioners import LEVELS, copy_captioner, randomised_captioners

DECODERS = ("adaptive_attention", "grid_td")


def deep_captioner(decoder: str) -> Captioner:
    """A captioner whose encoder has five convolutions and a batch-norm."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Conv2D(3, 16, 16, activation="relu", name="first")(inputs)
    x = keras.layers.BatchNormalization()(x)
    for number in range(4):
        x = keras.layers.Conv2D(4, 3, activation="relu", name=f"conv{number}")(x)
    config = Config(
        decoder=decoder, embedding_size=5, hidden_size=6, max_caption_words=8
    )
    encoder = keras.Model(inputs, x, name="encoder")
    captioner = Captioner(config, Vocabulary(WORDS), encoder)
    randomize(captioner.decoder, 0)
    return captioner


def changed(captioner: Captioner, other: Captioner) -> set[str]:
    """Names the parts with other weights."""
    parts = {"decoder": (captioner.decoder, other.decoder)}
    for pair in zip(captioner.encoder.layers, other.encoder.layers, strict=True):
        parts[pair[0].name] = pair
    return {
        name
        for name, (one, another) in parts.items()
        if any(
            not np.array_equal(a, b)
            for a, b in zip(one.get_weights(), another.get_weights(), strict=True)
        )
    }


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_copy_loses_its_weights_from_the_words_on(decoder):
    captioner = deep_captioner(decoder)
    kept = [weight.numpy() for weight in captioner.weights]
    assert changed(captioner, copy_captioner(captioner)) == set()
    generator = np.random.default_rng(0)
    levels = [
        (level, changed(captioner, copy))
        for level, copy in randomised_captioners(captioner, generator)
    ]
    last = {"decoder", "conv1", "conv2", "conv3"}
    every = last | {"first", "conv0"}
    assert levels == [*zip(LEVELS, ({"decoder"}, last, every), strict=True)]
    for weight, values in zip(captioner.weights, kept, strict=True):
        np.testing.assert_array_equal(weight, values)


def test_values_are_shuffled_not_drawn_anew():
    captioner = deep_captioner("adaptive_attention")
    *_, (_, copy) = randomised_captioners(captioner, np.random.default_rng(1))
    for one, other in zip(captioner.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(
            np.sort(one, axis=None), np.sort(other, axis=None)
        )


def test_explanations_follow_the_weights_of_the_copy():
    captioner = deep_captioner("adaptive_attention")
    image = np.random.default_rng(2).integers(0, 256, (224, 224, 3), dtype="uint8")
    before = explain(captioner, image, caption="a dog runs").pixels
    seen = [
        explain(copy, image, caption="a dog runs").pixels
        for _, copy in randomised_captioners(captioner, np.random.default_rng(3))
    ]
    np.testing.assert_array_equal(
        explain(captioner, image, caption="a dog runs").pixels, before
    )
    for pixels in seen:
        assert np.abs(pixels - before).max() > 1e-3 * np.abs(before).max()


def test_the_table_compares_every_level(tmp_path, monkeypatch, capsys):
    captioner = tiny_captioner(max_caption_words=2)
    bias = captioner.decoder.predictor.bias
    bias.assign(bias + np.where(np.arange(bias.shape[0]) == END, -1e3, 0.0))
    monkeypatch.setattr(randomisation, "load_captioner", lambda name: captioner)
    generator = np.random.default_rng(4)
    for number in range(3):
        pixels = generator.integers(0, 256, (9, 10, 3), dtype="uint8")
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    arguments = ["--images", str(tmp_path), "--methods", "lrp,attention"]
    assert randomisation.main([*arguments, "--limit", "2"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split("  ")[-1].strip() == "cosine"
    levels = (randomisation.CONTROL, *LEVELS)
    assert [[line[:17].strip(), line[17:36].strip()] for line in lines] == [
        [method, level] for method in ("lrp", "attention") for level in levels
    ]
    words = [int(line[36:42]) for line in lines]
    assert words == 2 * [2, 4, 4, 4]
    values = np.array([[float(value) for value in line[42:].split()] for line in lines])
    assert np.nanmax(np.abs(values)) <= 1


def test_a_folder_without_photos_says_so(tmp_path, capsys):
    assert randomisation.main(["--images", str(tmp_path)]) == 2
    assert "holds no image" in capsys.readouterr().err
