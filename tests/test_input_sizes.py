"""Captioners whose photographs are neither square nor of 224 pixels."""

import json

import keras
import numpy as np
import pytest
from conftest import WORDS, randomize
from PIL import Image

import evaluate_bbox
from config import Config
from dataset.records import CaptionedImage
from dataset.scenes import write_scenes
from dataset.vocabulary import Vocabulary
from models.captioner import Captioner
from models.explainers.explain import explain
from scoring.deletion import score_deletion
from scoring.explained_images import explain_images

SIZE = (75, 90)  # no side divides by 8


@pytest.fixture(scope="module")
def captioner():
    """Describes every image as "ball ball"."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*SIZE, 3))
    layer = keras.layers.Conv2D(7, 15, strides=15, activation="relu", name="last")
    small = keras.layers.Rescaling(1 / 128)(inputs)
    encoder = keras.Model(inputs, layer(small), name="encoder")  # (5, 6, 7)
    config = Config(embedding_size=5, hidden_size=6, max_caption_words=2, beam_size=1)
    captioner = Captioner(config, Vocabulary(WORDS), encoder)
    randomize(captioner.decoder, 0)
    says_ball = np.array(captioner.vocabulary.words) == "ball"
    captioner.decoder.predictor.bias.assign(100.0 * says_ball)
    return captioner


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype="uint8")
    Image.fromarray(pixels).save(path)
    return path


def test_files_are_read_at_the_size_that_the_encoder_reads(captioner, photo):
    assert captioner.image_size == SIZE
    (caption,) = captioner.caption([photo])
    assert caption.text == "ball ball"
    e = explain(captioner, photo, method="occlusion")
    assert e.image.shape == (*SIZE, 3) and e.pixels.shape == (2, *SIZE, 3)
    pixels = e.pixels.sum(-1)[0]  # 14 patches of 5 or 6 pixels along each side
    rows, columns = (np.arange(side) * 14 // side for side in SIZE)
    for place in (2, 5), (13, 0):
        patch = pixels[np.ix_(rows == place[0], columns == place[1])]
        assert np.ptp(patch) == 0


def test_patches_are_deleted_at_any_size(captioner, photo):
    record = CaptionedImage("a", photo, ("a ball",))
    chosen = explain_images(captioner, [record], lambda *_: [0, 1], ["attention"])
    (image,) = chosen
    found = score_deletion(captioner, image, "curves")
    for word in found["patches"]:
        for scores in word["scores"].values():
            assert {"vanished", "drop", "area", "at 0.05", "at 0.5"} <= set(scores)
            assert np.isfinite(list(scores.values())).all()


def test_boxes_and_masks_are_scored_at_any_size(captioner, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_bbox, "load_captioner", lambda _: captioner)
    data, output = write_scenes(tmp_path / "scenes", {"dev": 5}), tmp_path / "b.json"
    arguments = ["--model", "m", "--dataset", "scenes", "--data-dir", data]
    arguments += ["--output", output, "--method", "attention", "--limit", 3]
    assert evaluate_bbox.main([str(argument) for argument in arguments]) == 0
    content = json.loads(output.read_text())
    chance = content["scores"]["chance"]
    assert 0 < chance["mask_energy"]["mean"] < chance["energy"]["mean"]
