"""The encoder's preprocessing and its cut into a frozen and a trained part."""

import functools

import keras
import numpy as np
import pytest
from conftest import CONVOLUTIONAL, tiny_encoder

from config import Config
from dataset.images import load_image
from models.encoders import (
    ENCODERS,
    build_encoder,
    flatten_grid,
    preprocess,
    restore_pixels,
    split_encoder,
    swap_colours,
)
from models.encoders.applications import build_inception_v3
from models.encoders.efficientnet_lite import build_efficientnet_lite2

APPLICATIONS = {
    "vgg16": keras.applications.vgg16,
    "vgg19": keras.applications.vgg19,
    "resnet50": keras.applications.resnet,
    "resnet101": keras.applications.resnet,
    "inception_v3": keras.applications.inception_v3,
}
GRIDS = {
    "vgg16": (14, 14, 512),
    "vgg19": (14, 14, 512),
    "resnet50": (7, 7, 2048),
    "resnet101": (7, 7, 2048),
    "inception_v3": (5, 5, 2048),
    "efficientnet_lite2": (7, 7, 1280),
}


def images(seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (2, 224, 224, 3), dtype="uint8")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_preprocessing_is_that_of_keras_and_can_be_undone(name):
    pixels = images()
    inputs = preprocess(pixels, name)
    assert inputs.dtype == np.float32
    expected = APPLICATIONS[name].preprocess_input(pixels.astype("float32"))
    np.testing.assert_allclose(inputs, expected, atol=1e-4)
    np.testing.assert_allclose(restore_pixels(inputs, name), pixels, atol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_colours_of_the_input_are_told_apart(name):
    """A red picture is large in the channel that `swap_colours` puts first."""
    black = preprocess(np.zeros((1, 1, 3), "uint8"), name)
    red = preprocess(np.array([[[255, 0, 0]]], "uint8"), name)
    rises = swap_colours(red - black, name).ravel()
    assert rises[0] > 0 and not rises[1:].any()


@functools.cache
def built(name: str) -> keras.Model:
    """One of the encoders in full size, which no test changes."""
    return build_encoder(Config(encoder=name))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_features_are_a_nonnegative_grid(name):
    encoder = built(name)
    features = encoder.predict(preprocess(images()[:1], name), verbose=0)
    assert features.shape == (1, *GRIDS[name])
    assert np.isfinite(features).all() and features.min() == 0 < features.max()


def test_a_larger_picture_has_a_finer_grid():
    encoder = build_encoder(Config(encoder="efficientnet_lite2", image_size=288))
    assert encoder.input_shape == (None, 288, 288, 3)
    assert encoder.output_shape == (None, 9, 9, 1280)


@pytest.mark.parametrize(
    ("encoder", "size", "reason"),
    [("inception_v3", 40, "at least 75x75"), ("vision_transformer", 230, "Patches")],
)
def test_a_size_that_an_encoder_cannot_read_is_refused(encoder, size, reason):
    config = Config(encoder=encoder, image_size=size)
    with pytest.raises(ValueError, match=f"image_size={size} .*{reason}.*another size"):
        build_encoder(config)


def test_batch_norms_are_not_trained():
    encoder = built("resnet50")
    names = {variable.name for variable in encoder.trainable_variables}
    assert names == {"kernel", "bias"}
    inputs = preprocess(images(), "resnet50")
    before = np.asarray(encoder(inputs, training=False))
    np.testing.assert_array_equal(encoder(inputs, training=True), before)


def test_layer_names_do_not_depend_on_earlier_models():
    first, second = (
        build_inception_v3(include_top=False, weights=None, input_shape=(75, 75, 3))
        for _ in range(2)
    )
    names = [layer.name for layer in first.layers]
    assert [layer.name for layer in second.layers] == names
    assert len(set(names)) == len(names) == 311
    assert {"conv2d", "conv2d_93", "activation_93", "mixed10"} < set(names)
    assert "conv2d_94" not in names


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


@pytest.mark.parametrize(
    ("encoder", "layer"),
    [("resnet50", "conv5_block2_1_conv"), ("inception_v3", "conv2d_85")],
)
def test_networks_with_branches_are_cut_between_blocks(encoder, layer):
    whole = built(encoder)
    inputs = preprocess(images()[:1], encoder)
    frozen, trained = split_encoder(whole, layer)
    expected = whole.predict(inputs, verbose=0)
    middle = frozen.predict(inputs, verbose=0)
    actual = trained.predict(middle, verbose=0)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert frozen.output_shape == (None, *GRIDS[encoder])


@pytest.mark.parametrize("layer", ["conv5_block2_2_conv", "conv5_block2_add"])
def test_cuts_within_a_block_are_refused_with_the_possible_ones(layer):
    whole = built("resnet50")
    possible = "conv5_block1_out, conv5_block2_1_conv, conv5_block2_out, conv5_block3"
    with pytest.raises(ValueError, match=f"{possible}.*received '{layer}'. Only"):
        split_encoder(whole, layer)


def test_positions_are_numbered_row_by_row():
    grid = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(flatten_grid(grid)[:, 7], grid[:, 1, 3])


def test_efficientnet_lite2_reads_the_published_arrays(shared):
    """A dog and a skier are what ImageNet calls a dingo and a ski."""
    weights = shared / "weights" / "efficientnet_lite2.npz"
    with np.load(weights) as arrays:
        counted = sum(arrays[name].size for name in arrays if "num_batches" not in name)
    model = build_efficientnet_lite2(weights=weights, input_shape=(224, 224, 3))
    assert model.count_params() == counted
    photos = shared / "data" / "flickr8k" / "images"
    names = ("1969573381_5ecfae4c80.jpg", "2768248810_06d543c080.jpg")
    pixels = np.stack([load_image(photos / name) for name in names])
    scores = model.predict(preprocess(pixels, "efficientnet_lite2"), verbose=0)
    dingo, ski = 273, 795
    assert scores.argmax(1).tolist() == [dingo, ski] and scores.max(1).min() > 0.7


def test_wrong_weights_of_efficientnet_lite2_are_explained(tmp_path):
    with pytest.raises(ValueError, match="Keras has no weights of EfficientNet-Lite2"):
        build_efficientnet_lite2(weights="imagenet")
    np.savez(tmp_path / "few.npz", stem=np.zeros(3))
    with pytest.raises(ValueError, match=r"lacks the array _conv_stem\.weight"):
        build_efficientnet_lite2(weights=tmp_path / "few.npz")
