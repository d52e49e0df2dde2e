"""The encoder's preprocessing and its cut into a frozen and a trained part."""

import keras
import numpy as np
import pytest
from conftest import tiny_encoder

from models.encoder import flatten_grid, preprocess, restore_pixels, split_encoder


def images(seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (2, 224, 224, 3), dtype="uint8")


def test_preprocessing_is_that_of_keras_and_can_be_undone():
    pixels = images()
    inputs = preprocess(pixels, "vgg16")
    expected = keras.applications.vgg16.preprocess_input(pixels.astype("float32"))
    np.testing.assert_allclose(inputs, expected, atol=1e-4)
    np.testing.assert_allclose(restore_pixels(inputs, "vgg16"), pixels, atol=1e-4)


def test_the_two_parts_make_the_whole():
    encoder = tiny_encoder()
    inputs = preprocess(images(), "vgg16")
    frozen, trained = split_encoder(encoder, "last")
    whole = encoder(inputs)
    np.testing.assert_allclose(trained(frozen(inputs)), whole, atol=1e-4)
    assert [layer.name for layer in trained.layers][-1] == "last"
    assert split_encoder(encoder, "") == (encoder, None)


@pytest.mark.parametrize("name", ["nowhere", "input"])
def test_unknown_layers_are_refused_with_the_known_ones(name):
    encoder = tiny_encoder()
    wanted = encoder.layers[0].name if name == "input" else name
    with pytest.raises(ValueError, match="pool, last; received"):
        split_encoder(encoder, wanted)


def test_positions_are_numbered_row_by_row():
    grid = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(flatten_grid(grid)[:, 7], grid[:, 1, 3])
