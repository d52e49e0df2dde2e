"""Deletion from a captioner whose reasons are known."""

import numpy as np
import pytest
from conftest import BRIGHT, planted_captioner, planted_photo, tiny_captioner

from evaluation.faithfulness import mask_words, sum_patches
from models.captioner import Captioner
from models.encoders import preprocess
from models.explainers.deletion import (
    delete_patches,
    delete_words,
    number_patches,
    paint_patches,
)
from models.explainers.explain import explain

TEXT = "a green ball runs on the cat grass"


@pytest.fixture(scope="module")
def planted():
    return planted_captioner()


def tokens_of(captioner: Captioner, text: str) -> np.ndarray:
    return captioner.vocabulary.encode(text, 8)[:-1]


def test_patches_are_painted_in_the_mean_colour():
    image = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
    kept = image.copy()
    numbers = np.arange(6).reshape(2, 3).repeat(2, axis=0).repeat(2, axis=1)
    painted = paint_patches(image, np.array([1, 5]), numbers)
    np.testing.assert_array_equal(image, kept)
    expected = image.copy()
    expected[0:2, 2:4] = expected[2:4, 4:6] = image.mean((0, 1))
    np.testing.assert_array_equal(painted, expected)
    none = paint_patches(image, np.array([], int), numbers)
    np.testing.assert_array_equal(none, image)
    with pytest.raises(ValueError, match=r"image of \(6, 4\) pixels do not fit one of"):
        paint_patches(image, np.array([0]), numbers.T)


@pytest.mark.parametrize("size", [(224, 224), (75, 299), (16, 40), (64, 384)])
def test_an_image_of_any_size_has_patches_of_equal_shares(size):
    numbers = number_patches(*size)
    assert numbers.shape == size
    assert numbers.max() + 1 == min(28, size[0]) * min(28, size[1])
    for number in range(numbers.max() + 1):
        rows, columns = np.nonzero(numbers == number)
        sides = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == np.prod(sides)  # a rectangle
        for side, length in zip(sides, size, strict=True):
            assert 0 <= side - length // min(28, length) <= 1
    if size == (224, 224):
        grid = np.arange(784).reshape(28, 28).repeat(8, axis=0).repeat(8, axis=1)
        np.testing.assert_array_equal(numbers, grid)


def test_variants_equal_one_image_at_a_time():
    """Nine variants fill one batch and begin another."""
    captioner = tiny_captioner()
    generator = np.random.default_rng(1)
    image = generator.integers(0, 256, (224, 224, 3), dtype="uint8")
    tokens, steps = tokens_of(captioner, "a dog runs on grass"), np.array([1, 4])
    patches = [generator.permutation(784)[: 40 * n] for n in range(9)]
    _, (encoded,) = captioner.encode_each([image])
    numbers = number_patches(224, 224)
    asked = (captioner, encoded, tokens, steps)
    told = delete_patches(*asked, patches, numbers, beam_size=2)
    assert told.probabilities.shape == (9, 2) and len(told.captions) == 9
    e = explain(captioner, image, caption="a dog runs on grass")
    np.testing.assert_allclose(
        told.probabilities[0], np.exp(e.log_probabilities)[steps], atol=1e-5
    )
    inputs = preprocess(image, "vgg16")
    for n in (3, 8):
        painted = paint_patches(inputs, patches[n], numbers)
        features = captioner.encode_inputs(painted[None])
        assert told.captions[n] == captioner.caption_features(features, 2)[0].words
    silent = delete_patches(*asked, patches[2:4], numbers, recaption=False)
    assert silent.captions == ()
    np.testing.assert_allclose(silent.probabilities, told.probabilities[2:4], atol=1e-5)


def test_the_planted_patch_is_found_and_its_word_vanishes(planted):
    e = explain(planted, planted_photo(), caption="dog")
    numbers = number_patches(224, 224)
    assert sum_patches(e.pixels, numbers)[0].argmax() == BRIGHT
    tokens, steps = tokens_of(planted, "dog"), np.array([0])
    patches = [np.array([BRIGHT]), np.array([5, 299, 301]), np.array([], int)]
    _, (encoded,) = planted.encode_each([planted_photo()])
    told = delete_patches(
        planted, encoded, tokens, steps, patches, numbers, beam_size=1
    )
    dark = 1 / (np.exp(3) + len(planted.vocabulary) - 1)
    np.testing.assert_allclose(told.probabilities[0, 0], dark, rtol=1e-4)
    assert np.all(told.probabilities[1:] > 0.99)
    assert told.captions[0] == () and "dog" in told.captions[1]


def test_the_planted_word_is_found_and_its_word_becomes_unlikely(planted):
    image = planted_photo(is_bright=False)
    tokens, steps = tokens_of(planted, TEXT), np.array([7, 7, 7])
    deleted = np.zeros((3, 8), bool)
    deleted[0, 2] = True  # green, the second word
    deleted[1, [1, 3, 4, 5, 6, 7]] = True
    _, (encoded,) = planted.encode_each([image])
    found = delete_words(planted, encoded, tokens, steps, deleted)
    dark = 1 / (np.exp(3) + len(planted.vocabulary) - 1)
    np.testing.assert_allclose(found[0], dark, rtol=1e-4)
    e = explain(planted, image, caption=TEXT)
    expected = np.exp(e.log_probabilities[7])
    assert expected > 0.9
    np.testing.assert_allclose(found[1:], expected, atol=1e-5)
    generator = np.random.default_rng(0)
    marked = mask_words(e.preceding_words[7:], np.array([7]), generator, count=1)
    assert marked[0].nonzero()[0] == [2]
