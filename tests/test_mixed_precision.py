"""Mixed precision: what is half, what is not, and that only training knows of it."""

import csv
import json

import keras
import numpy as np
import pytest
from conftest import WORDS, randomize, tiny_captioner, tiny_encoder
from tiny_training import (
    arguments_of,
    assert_goes_on_exactly,
    assert_says_what_was_kept,
)

import train
from config import HALVES, Config
from dataset.batches import pack_captions
from dataset.vocabulary import Vocabulary
from models import explain, load_captioner
from models.decoders import DECODERS
from models.encoders import computing_in
from models.lrp_inference import LRPInferenceCaptioner
from training.callbacks import averaged_weights
from training.objectives import compile_for_training
from training.start import new_config

pytestmark = pytest.mark.usefixtures("quick")

# bfloat16 keeps 8 bits and float16 11; a loss sums a few roundings.
TOLERANCES = {"bfloat16": 2e-2, "float16": 2e-3}
IMAGE = np.random.default_rng(4).integers(0, 256, (224, 224, 3), dtype=np.uint8)
CASES = [(decoder, half) for decoder in DECODERS for half in HALVES]


def batch_of(captioner) -> tuple:
    """A batch of two images with three captions of five words."""
    generator = np.random.default_rng(0)
    texts = list(generator.integers(3, len(captioner.vocabulary), (2, 3, 5)))
    tokens, positions, targets, weights = pack_captions(texts, 5, 15, generator)
    shape = (2, *captioner.frozen_part.output_shape[1:])
    features = generator.random(shape).astype("float16")
    inputs = {"features": features, "tokens": tokens, "positions": positions}
    return inputs, targets, weights


def half_captioner(half="bfloat16", **changes):
    return tiny_captioner(mixed_precision=half, dropout=0.3, **changes)


@pytest.mark.parametrize(("decoder", "half"), CASES)
def test_only_softmax_and_logits_are_computed_in_float32(monkeypatch, decoder, half):
    captioner = half_captioner(half, decoder=decoder)
    seen = {}

    def spy(owner, name, pick):
        original = getattr(owner, name)

        def recorded(*arguments, **options):
            result = original(*arguments, **options)
            seen[name] = keras.backend.standardize_dtype(pick(arguments, result).dtype)
            return result

        monkeypatch.setattr(owner, name, recorded)

    spy(keras.ops, "softmax", lambda arguments, result: arguments[0])
    if decoder != "transformer":
        spy(keras.ops, "logsumexp", lambda arguments, result: arguments[0])
    spy(captioner.decoder, "project", lambda _, memory: keras.tree.flatten(memory)[0])
    spy(captioner.decoder, "read", lambda arguments, seen: seen.parts["context"])
    logits = captioner(batch_of(captioner)[0], training=True)
    single = dict.fromkeys(seen.keys() & {"softmax", "logsumexp"}, "float32")
    assert single and seen == single | {"project": half, "read": half}
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert {weight.dtype for weight in captioner.decoder.trainable_weights} == {
        "float32"
    }


def train_three_steps(captioner) -> list[float]:
    """Returns the loss of each step."""
    compile_for_training(captioner, 0.04)
    batch = batch_of(captioner)
    return [float(captioner.train_on_batch(*batch)[0]) for _ in range(3)]


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_loss_is_that_of_float32_and_falls(decoder):
    """All decoders are trained in bfloat16 by the next test too."""
    halves = HALVES if decoder == "adaptive_attention" else ("float16",)
    losses = {}
    for half in ("", *halves):
        captioner = tiny_captioner(
            mixed_precision=half,
            decoder=decoder,
            dropout=0.0,
            trainable_from="last",
            weight_average=0.5,
        )
        for weight in captioner.decoder.weights:  # its gradients fit in float16
            weight.assign(0.5 * weight if decoder == "transformer" else weight)
        losses[half] = train_three_steps(captioner)
        assert losses[half][-1] < 0.95 * losses[half][0]
        assert {weight.dtype for weight in captioner.trainable_weights} == {"float32"}
        scales = isinstance(captioner.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scales == (half == "float16")
        last = captioner.decoder.predictor.kernel.numpy()
        with averaged_weights(captioner):
            average = captioner.decoder.predictor.kernel.numpy()
        assert np.abs(average - last).max() > 1e-3
    for half in halves:
        np.testing.assert_allclose(losses[half], losses[""], rtol=TOLERANCES[half])


@pytest.mark.parametrize("decoder", DECODERS)
def test_words_are_judged_again_in_mixed_precision(decoder):
    losses = {}
    for precision in ("", "bfloat16"):
        config = Config(
            objective="lrp_inference",
            mixed_precision=precision,
            decoder=decoder,
            embedding_size=5,
            hidden_size=6,
            heads=2,
            max_caption_words=8,
            dropout=0.0,
        )
        keras.utils.set_random_seed(0)
        encoder = tiny_encoder()
        captioner = LRPInferenceCaptioner(config, Vocabulary(WORDS), encoder)
        randomize(captioner.decoder, 0)
        compile_for_training(captioner, 0.01)
        losses[precision] = float(captioner.train_on_batch(*batch_of(captioner))[0])
    assert losses["bfloat16"] == pytest.approx(losses[""], rel=0.05)


def test_a_step_whose_gradients_are_not_finite_is_left_out():
    captioner = half_captioner("float16")
    compile_for_training(captioner, 0.1)
    optimizer, batch = captioner.optimizer, batch_of(captioner)
    optimizer.build(captioner.trainable_variables)
    optimizer.dynamic_scale.assign(2.0**120)
    before = captioner.decoder.predictor.kernel.numpy()
    captioner.train_on_batch(*batch)
    np.testing.assert_array_equal(captioner.decoder.predictor.kernel, before)
    assert float(optimizer.dynamic_scale.numpy()) == 2.0**119
    optimizer.dynamic_scale.assign(2.0**10)
    captioner.train_on_batch(*batch)
    assert np.abs(captioner.decoder.predictor.kernel.numpy() - before).max() > 1e-3


@pytest.mark.parametrize("decoder", DECODERS)
def test_captions_and_explanations_are_computed_in_float32(tmp_path, decoder):
    changes = {"decoder": decoder, "trainable_from": "last", "max_caption_words": 3}
    half, single = half_captioner(**changes), tiny_captioner(**changes)
    single.take_weights(half)
    for one, other in zip(
        half.caption_features(half.encode(IMAGE[None])),
        single.caption_features(single.encode(IMAGE[None])),
        strict=True,
    ):
        assert one.tokens == other.tokens
        np.testing.assert_array_equal(one.log_probabilities, other.log_probabilities)
    frozen = half.freeze_features(IMAGE[None]).astype("float16")
    np.testing.assert_array_equal(
        half.finish_features(frozen), single.finish_features(frozen)
    )
    caption = "a dog runs"
    explanations = [explain(one, IMAGE, "lrp", caption) for one in (half, single)]
    for name in ("pixels", "preceding_words", "logits", "lost"):
        found, expected = (getattr(one, name) for one in explanations)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_the_trained_layers_of_the_encoder_are_half_for_a_while():
    captioner = half_captioner(trainable_from="last")
    layer, seen = captioner.encoder.get_layer("last"), []
    call = layer.call
    layer.call = lambda inputs: seen.append(inputs.dtype) or call(inputs)
    inputs, *_ = batch_of(captioner)
    captioner(inputs, training=True)
    frozen = np.zeros((1, *captioner.frozen_part.output_shape[1:]), "float16")
    captioner.finish_features(frozen)
    kinds = [keras.backend.standardize_dtype(dtype) for dtype in seen]
    assert kinds == ["bfloat16", "float32"]
    assert layer.dtype_policy.name == "float32"
    with (
        pytest.raises(KeyError),
        computing_in(keras.dtype_policies.get("float16"), captioner.encoder),
    ):
        raise KeyError
    assert layer.dtype_policy.name == "float32"


@pytest.mark.slow
def test_a_run_is_resumed_and_loads_in_float32(data_dir, tmp_path, monkeypatch):
    options = ["--mixed-precision", "float16"]
    settings = {"epochs": 2, "trainable_from": "block5_conv3", "images_per_batch": 8}
    run = assert_goes_on_exactly(
        tmp_path,
        data_dir,
        monkeypatch,
        ("batch", 1, 0),
        lambda run: arguments_of(data_dir, run, *options, **settings),
    )
    assert json.loads((run / "config.json").read_text())["mixed_precision"] == "float16"
    captioner = load_captioner(run)
    assert {weight.dtype for weight in captioner.decoder.trainable_weights} == {
        "float32"
    }
    assert_says_what_was_kept(run, data_dir)  # the validation is in float32 too
    with (run / "history.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert np.isfinite(losses).all()


def test_the_option_is_bfloat16_unless_it_says_more():
    paths = ["--run", "r", "--data-dir", "d"]
    for options, expected in (
        (["--mixed-precision"], "bfloat16"),
        (["--mixed-precision", "float16"], "float16"),
        ([], ""),
    ):
        parsed = train.parse([*paths, *options])
        assert new_config(parsed).mixed_precision == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"mixed_precision": "half"},
            "empty or one of bfloat16, float16; received 'half'",
        ),
        (
            {
                "mixed_precision": "float16",
                "objective": "lrp_inference",
                "lrp_mode": "mean",
            },
            "explanations are computed in float32; received mixed_precision=float16",
        ),
    ],
)
def test_what_cannot_be_trained_so_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**settings)
