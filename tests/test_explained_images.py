"""Images of a dataset are explained as each alone, and encoded once."""

import numpy as np
import pytest
from conftest import tiny_captioner
from PIL import Image

from dataset.records import CaptionedImage
from dataset.scenes import render_scene
from dataset.vocabulary import END
from models import explain
from scoring.explained_images import explain_images

METHODS = ["lrp", "attention"]
TEXT = "a dog runs on the green grass"


@pytest.fixture(scope="module")
def captioner():
    """One that does not end before the eighth word."""
    captioner = tiny_captioner()
    bias = captioner.decoder.predictor.bias
    bias.assign(bias - 100.0 * (np.arange(len(captioner.vocabulary)) == END))
    return captioner


@pytest.fixture
def records(tmp_path):
    """Five images, the second of which cannot be read."""
    paths = [tmp_path / f"{name}.png" for name in "abcde"]
    for number, path in enumerate(paths):
        Image.fromarray(render_scene(number).image).save(path)
    paths[1].write_text("no image")
    return [CaptionedImage(path.stem, path, ()) for path in paths]


def every_other(record, words):
    return range(1, len(words), 2)


def test_explanations_are_those_of_each_image_alone(captioner, records, monkeypatch):
    encode, encoded = captioner.encode_each, []

    def note_and_encode(images):
        encoded.append(len(images))
        return encode(images)

    monkeypatch.setattr(captioner, "encode_each", note_and_encode)
    found = list(explain_images(captioner, records, every_other, METHODS, batch_size=2))
    assert encoded == [1, 2, 1]
    assert [image.record for image in found] == records
    assert "b.png: not an image" in found[1].problem
    assert found[1].words == found[1].explanations == ()
    for image in found[:1] + found[2:]:
        assert image.problem is None
        assert [e.method for e in image.explanations] == METHODS
        for some in image.explanations:
            alone = explain(captioner, image.record.path, some.method)
            assert " ".join(image.words) == some.caption == alone.caption
            assert some.steps == tuple(range(1, len(image.words), 2))
            expected = alone.pixels[1::2]
            # batches differ in the last bits, which the pixels' largest scales
            tolerance = 1e-3 * np.abs(expected).max()
            np.testing.assert_allclose(some.pixels, expected, atol=tolerance)


def test_given_captions_are_explained(captioner, records):
    captions = dict.fromkeys("abcde", TEXT) | {"c": "a zebra runs", "d": ""}
    found = list(
        explain_images(captioner, records, every_other, ["lrp"], captions=captions)
    )
    assert found[0].explanations[0].words == ("dog", "on", "green")
    assert found[2].words == ("a", "zebra", "runs")
    assert "c.png: The captioner does not know 'zebra'" in found[2].problem
    assert found[3].words == () and found[3].problem is None


def test_images_without_a_chosen_word_are_not_explained(captioner, records):
    def choose(record, words):
        return [2] if record.image_id == "e" else []

    preset, captions = "epsilon_gamma_box", dict.fromkeys("abcde", TEXT)
    found = list(
        explain_images(captioner, records, choose, ["lrp"], 8, preset, captions)
    )
    assert [len(image.explanations) for image in found] == [0, 0, 0, 0, 1]
    (explanation,) = found[4].explanations
    assert (explanation.words, explanation.lrp_preset) == (("runs",), preset)
