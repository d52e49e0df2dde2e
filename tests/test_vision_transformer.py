"""The vision Transformer that is trained here: its grid, its explanations, a run.

Published ones are compared with references in test_transformers.py.
"""

import math

import keras
import numpy as np
import pytest
from conftest import WORDS, randomize
from keras import ops
from retyped import array, slow_dense, slow_heads, slow_norm
from tiny_training import arguments_of

import train
from config import Config
from dataset.vocabulary import Vocabulary
from keras_lrp.operations import Operations
from models.captioner import Captioner, load_captioner
from models.encoders import build_encoder, preprocess, vision_transformer
from models.explainers.explain import explain, explain_each
from models.lrp_inference import LRPInferenceCaptioner
from models.transformer import BlockSizes
from scoring.randomised_captioners import copy_captioner

NAME, GRID, SIZE, PATCH = "vision_transformer", 4, 8, 56
TEXT = "a dog runs on the grass"

pytestmark = pytest.mark.usefixtures("unrecorded")


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """Makes `build_encoder` build a tiny one, of 4x4 patches."""
    sizes = BlockSizes(size=SIZE, heads=2, inner=10, depth=2, norm_first=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(vision_transformer, "SMALL", sizes)
        monkeypatch.setattr(vision_transformer, "SMALL_PATCH", PATCH)
        yield


def build(kind=Captioner, **changes):
    settings = {"embedding_size": 5, "hidden_size": 6, "heads": 2} | changes
    config = Config(**({"encoder": NAME, "decoder": "transformer"} | settings))
    captioner = kind(config, Vocabulary(WORDS), build_encoder(config))
    randomize(captioner.encoder, 1)
    randomize(captioner.decoder, 2)
    return captioner


@pytest.fixture(scope="module")
def captioner():
    return build()


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype="uint8")


def test_features_equal_the_equations_retyped(captioner, photo):
    """Patches row by row, then (X1) to (X5)."""
    inputs = preprocess(photo[None], NAME)
    np.testing.assert_allclose(inputs, photo[None] / 127.5 - 1, atol=1e-6)
    encoder = captioner.vision_transformer
    cuts = [slice(start, start + PATCH) for start in range(0, 224, PATCH)]
    x = np.stack(
        [inputs[0, rows, columns].ravel() for rows in cuts for columns in cuts]
    )
    x = slow_dense(encoder.patches, x.astype("float64")) + array(encoder.places)[0]
    for block in encoder.blocks:
        read = slow_norm(block.attention_norm, x)
        x = x + slow_heads(block.attention, read, read, np.ones((16, 16), bool))
        inner = slow_dense(block.inner, slow_norm(block.outer_norm, x))
        x = x + slow_dense(block.outer, array(ops.gelu(inner, approximate=False)))
    expected = slow_norm(encoder.output_norm, x).reshape(1, GRID, GRID, SIZE)
    found = array(captioner.encode([photo]))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_places_begin_as_waves():
    """By hand: the patch in row 2, column 3, with the rates 1 and 1 / 10."""
    fresh = build_encoder(Config(encoder=NAME))
    found = array(vision_transformer.find_transformer(fresh).places)[0, 2 * GRID + 3]
    expected = [
        wave(place * rate)
        for place in (2, 3)
        for wave in (math.sin, math.cos)
        for rate in (1.0, 0.1)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_nothing_is_lost_without_biases(photo):
    """CP-LRP through decoder and encoder; AttnLRP loses some to the softmax."""
    bare = build()
    for weight in bare.encoder.weights + bare.decoder.weights:
        if weight.name in ("bias", "beta", "places"):
            weight.assign(np.zeros(weight.shape))
    kept, lossy = (
        explain(bare, photo, caption=TEXT, decoder_rules=rules)
        for rules in ("cp_lrp", "attn_lrp")
    )
    assert kept.lrp_preset is None and kept.decoder_rules == "cp_lrp"
    scale = np.abs(kept.logits).max()
    np.testing.assert_allclose(kept.lost, 0, atol=1e-4 * scale)
    assert np.abs(lossy.lost).max() > 1e-3 * scale


def test_maps_lie_on_the_grid(captioner, photo):
    """Rollout, by hand, from the attention that is shown."""
    methods = ["attention_mean", "attention_rollout", "grad_cam"]
    mean, rolled, cam = explain_each(captioner, photo, methods, TEXT)
    steps = len(TEXT.split())
    assert cam.features.shape == (steps, GRID, GRID, SIZE)
    weights = captioner.vision_transformer.run(
        Operations(), ops.convert_to_tensor(preprocess(photo[None], NAME))
    )[1]
    first, second = (array(w)[0] for w in weights)
    seen = mean.attention.reshape(steps, 16).astype("float64")
    expected = seen @ (second + np.eye(16)) / 2 @ (first + np.eye(16)) / 2
    np.testing.assert_allclose(rolled.attention.reshape(steps, 16), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda captioner, photo: build_encoder(Config(encoder=NAME), "imagenet"),
            "no published weights.*--encoder-weights none",
        ),
        (
            lambda captioner, photo: build(feature_scale=0.05),
            r"feature_scale must be 1 .*received 0.05. Add --set feature_scale=1",
        ),
        (
            lambda captioner, photo: explain(
                captioner, photo, caption="a dog", lrp_preset="epsilon"
            ),
            "is of convolutional encoders; .*--decoder-rules",
        ),
        (
            lambda captioner, photo: explain(captioner, photo, "guided_grad_cam"),
            "guides rectifiers, and the encoder has none",
        ),
        (
            lambda captioner, photo: build(
                LRPInferenceCaptioner, objective="lrp_inference", lrp_mode="mean"
            ),
            "lrp_mode=mean takes relevance back through a convolutional encoder; "
            "received vision_transformer. Set lrp_mode=context",
        ),
        (
            lambda captioner, photo: copy_captioner(captioner),
            "Weights are shuffled in convolutional encoders",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(captioner, photo, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(captioner, photo)


@pytest.mark.slow
def test_it_is_trained_and_explained(data_dir, tmp_path, quick, photo):
    """By cross-entropy, then by LRP inference."""
    run, weighed = tmp_path / "run", tmp_path / "weighed"
    settings = {"encoder": NAME, "trainable_from": NAME, "heads": 2}
    settings |= {"epochs": 1, "images_per_batch": 8, "warmup_steps": 0}  # one step
    arguments = arguments_of(data_dir, run, "--decoder", "transformer", **settings)
    assert train.main(arguments) == 0
    more = ["--from", run, "--objective", "lrp_inference", "--run", weighed]
    more += ["--data-dir", data_dir, "--cache-dir", tmp_path / "cache"]
    assert train.main([*map(str, more)]) == 0
    first, second = (load_captioner(folder) for folder in (run, weighed))
    keras.utils.set_random_seed(first.config.seed)
    begun = build_encoder(first.config)
    values = [
        np.concatenate([weights.ravel() for weights in encoder.get_weights()])
        for encoder in (begun, first.encoder, second.encoder)
    ]
    assert (np.diff(values, axis=0) != 0).mean() > 0.9
    e = explain(second, photo)
    assert np.isfinite(e.pixels).all() and np.abs(e.pixels).max() > 0
