"""LRP-inference: its weights, its loss, what has no gradient, and whole runs.

Numbers in brackets, such as (T5), are those of docs/architecture.md.
"""

import keras
import numpy as np
import pytest
from conftest import tiny_captioner
from keras import ops
from tiny_training import (
    arguments_of,
    assert_goes_on_exactly,
    read_history,
    resume_arguments,
)

import models.lrp_inference
import train
from benchmarks import lrp_inference_step, training_step
from config import Config
from dataset.batches import pack_captions
from dataset.function_words import FUNCTION_WORDS
from dataset.vocabulary import END, START
from evaluation.word_statistics import map_statistics
from keras_lrp.backend import run_once, vector_jacobian_product
from keras_lrp.operations import Operations, stabilizer
from models import explain
from models.captioner import Captioner, load_captioner
from models.decoders import DECODERS
from models.encoders import preprocess
from models.explainers.methods import RELEVANCE
from models.lrp_inference import (
    LRPInferenceCaptioner,
    WeighedWords,
    choose_words,
    parts_relevance,
    scaled,
)
from training.objectives import compile_for_training, objective_of

pytestmark = pytest.mark.usefixtures("quick")

B, N, T, Q, V = 2, 3, 9, 11, 13  # images, captions, steps, predicted words, vocabulary
PLAIN = Operations()


def build(kind=LRPInferenceCaptioner, seed=0, **changes):
    """A tiny captioner of the class; the same weights for the same decoder."""
    settings = {"objective": "lrp_inference", "lrp_words": 4, "dropout": 0.3} | changes
    source = tiny_captioner(seed, **settings)
    captioner = kind(source.config, source.vocabulary, source.encoder)
    captioner.take_weights(source)
    return captioner


def random_batch(seed=1):
    """Inputs, targets and weights of two images with three captions."""
    generator = np.random.default_rng(seed)
    captions = [
        [
            np.append(generator.integers(3, V, n), END)
            for n in generator.integers(2, 8, N)
        ]
        for _ in range(B)
    ]
    tokens, positions, targets, weights = pack_captions(captions, T - 1, Q, generator)
    features = generator.random((B, 4, 5, 7)).astype("float32")
    inputs = {"features": features, "tokens": tokens, "positions": positions}
    return inputs, targets, weights


def parts_of(captioner, inputs) -> list:
    """Both parts before it predicts, without dropout: h or residual, and context."""
    decoder = captioner.decoder

    def read(features, tokens, positions):
        memory, embedded = decoder.project(PLAIN, features), decoder.embed(tokens)
        state = decoder.initial_state(B, N)
        return decoder.read(PLAIN, memory, embedded, state, positions, False).parts

    features = inputs["features"].reshape(B, 20, 7)
    parts = run_once(read, features, inputs["tokens"], inputs["positions"])
    return [parts[name] for name in decoder.part_names]


def numpy_of(*tensors) -> list[np.ndarray]:
    return [ops.convert_to_numpy(tensor).astype("float64") for tensor in tensors]


def slow_weights(kernel, bias, h, context, kept, token):
    """(T6) and, with strength 1, (T7) of one word, retyped in float64."""

    def share(z):
        return 1 / (z + (1e-7 if z >= 0 else -1e-7))

    mixed = kept * (h + context)
    logit = float(mixed @ kernel[:, token] + bias[token])
    weights = []
    for part in (h, context):
        relevance = np.zeros(len(part))
        for unit in range(len(part)):
            of_mixed = mixed[unit] * kernel[unit, token] * share(logit) * logit
            total = h[unit] + context[unit]
            relevance[unit] = part[unit] * share(total) * of_mixed
        largest = max(abs(relevance))
        weights.append(1 + relevance / largest if largest > 0 else np.ones(len(part)))
    return weights


def slow_loss(captioner, inputs, targets, weights, smoothing=0.1) -> float:
    """(T5), (T8) and (T10): the loss of the mode context without dropout."""
    config, (h, context) = captioner.config, numpy_of(*parts_of(captioner, inputs))
    kernel, bias = numpy_of(*captioner.decoder.predictor.weights)
    total = 0.0
    for image in range(B):
        num_weighed = 0
        for place in range(Q):
            of_h, of_c = h[image, place], context[image, place]
            p = (of_h + of_c) @ kernel + bias
            q, word = p, int(np.argmax(p))
            if is_content(captioner, word) and num_weighed < config.lrp_words:
                num_weighed += 1
                omega = slow_weights(kernel, bias, of_h, of_c, np.ones(6), word)
                omega_h, omega_c = (
                    1 + config.lrp_strength * (part - 1) for part in omega
                )
                q = (omega_h * of_h + omega_c * of_c) @ kernel + bias
            entropies = [
                cross_entropy(logits, targets[image, place], smoothing)
                for logits in (p, q)
            ]
            shares = (config.lrp_lambda, 1 - config.lrp_lambda)
            total += weights[image, place] * np.dot(shares, entropies)
    return total / weights.sum()


def is_content(captioner, token: int) -> bool:
    return token > END and captioner.vocabulary.words[token] not in FUNCTION_WORDS


def cross_entropy(logits, target, smoothing=0.1) -> float:
    """(T1)."""
    log_probabilities = logits - np.log(np.exp(logits).sum())
    plain = (1 - smoothing) * log_probabilities[target]
    return -(plain + smoothing * log_probabilities.mean())


# The weights


@pytest.mark.parametrize("dropped", [False, True])
def test_relevance_equals_the_formulas(dropped):
    generator = np.random.default_rng(0)
    predictor = keras.layers.Dense(V)
    predictor.build((None, 6))
    predictor.bias.assign(generator.normal(size=V))
    h, context = generator.normal(size=(2, 2, 3, 6)).astype("float32")
    kept = np.ones_like(h)
    if dropped:
        kept = generator.choice([0.0, 2.0], kept.shape).astype("float32")
    tokens = generator.integers(0, V, (2, 3))
    found = parts_relevance(predictor, (h, context), kept, tokens)
    found = [1 + part for part in numpy_of(*map(scaled, found))]
    kernel, bias = numpy_of(*predictor.weights)
    for image, place in np.ndindex(2, 3):
        arrays = (part[image, place].astype("float64") for part in (h, context, kept))
        expected = slow_weights(kernel, bias, *arrays, tokens[image, place])
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[image, place], other, atol=1e-4)


def test_relevance_follows_the_explainers_rules():
    """(T6) gives what (R1) and (R2) give in the decoder's own predictor."""
    captioner, (inputs, *_) = build(), random_batch()
    h, context = parts_of(captioner, inputs)
    tokens = np.random.default_rng(2).integers(3, V, (B, Q))
    found = parts_relevance(
        captioner.decoder.predictor, (h, context), ops.ones_like(h), tokens
    )

    def logits(h, context):
        mixed = RELEVANCE.sum(h + context)
        return captioner.decoder.predict_words(RELEVANCE, mixed), ()

    seeds = ops.one_hot(tokens, V)
    output, _, gradients = run_once(
        lambda *parts: vector_jacobian_product(logits, parts, seeds), h, context
    )
    for part, of_part, gradient in zip(found, (h, context), gradients, strict=True):
        np.testing.assert_allclose(part, of_part * gradient, rtol=1e-4, atol=1e-5)
    # Relevance is conserved but for the bias and the stabilizers.
    total = sum(part.sum(-1) for part in numpy_of(*found))
    bias = numpy_of(captioner.decoder.predictor.bias)[0][tokens]
    logit = (numpy_of(output)[0] * numpy_of(seeds)[0]).sum(-1)
    np.testing.assert_allclose(total, logit - bias, atol=1e-3)


def test_scaled_by_hand():
    """R / max |R| of (T7) and (T9)."""
    relevance = np.array([[1.0, -4.0, 2.0], [0.0, 0.0, 0.0]], "float32")
    expected = [[0.25, -1.0, 0.5], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(scaled(relevance), expected)
    assert stabilizer(np.float32(0.0), 1e-7) > 0


def test_the_first_content_words_are_chosen():
    """Of five places the likeliest words are 1, 3, 0, 3, 2; 2 and 3 are content."""
    logits = np.eye(4, dtype="float32")[[[1, 3, 0, 3, 2]]]
    content = np.array([0, 0, 1, 1], "float32")
    words = choose_words(logits, content, 2)
    np.testing.assert_array_equal(words.places, [[1, 3]])
    np.testing.assert_array_equal(words.tokens, [[3, 3]])
    np.testing.assert_array_equal(words.weight, [[1, 1]])
    words = choose_words(logits, content, 9)
    np.testing.assert_array_equal(words.places, [[1, 3, 4, 0, 2]])
    np.testing.assert_array_equal(words.weight, [[1, 1, 1, 0, 0]])


def test_function_words_and_special_tokens_stay_as_they_are():
    captioner = build()
    names = np.array(captioner.vocabulary.words)
    assert set(names[captioner.is_content == 0]) == {
        *("<padding>", "<start>", "<end>", "a", "on", "the")
    }
    inputs, *_ = random_batch()
    for content in (captioner.is_content, 0 * captioner.is_content):
        captioner.is_content = content
        logits, places, weighed = run_once(captioner, inputs)
        tokens, same = np.argmax(logits, -1), np.take_along_axis
        logits = same(np.array(logits), np.array(places)[..., None], 1)
        tokens = same(tokens, np.array(places), 1)
        change = np.abs(np.array(weighed) - logits).max(-1)
        assert np.all(change[content[tokens] == 0] < 1e-5)
        assert np.all(change[content[tokens] == 1] > 1e-3)


# The pixels


@pytest.mark.parametrize("decoder", DECODERS)
def test_pixel_relevance_equals_the_explanations(decoder):
    captioner = build(decoder=decoder, lrp_mode="mean")
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    texts = ["a dog sits on grass", "the green cat runs"]
    tokens = np.full((2, N, T), START, "int32")  # the texts are caption 1 of 3
    for row, text in enumerate(texts):
        words = captioner.vocabulary.encode(text, T)[:-1]
        tokens[row, 1, 1 : len(words)] = words[:-1]
    places = np.array([[2, 0], [1, 3]])
    positions = np.arange(T, 2 * T)[None].repeat(2, axis=0)
    explained = [
        captioner.vocabulary.encode(text, T)[of_text]
        for text, of_text in zip(texts, places, strict=True)
    ]
    features = ops.reshape(captioner.encode(images), (2, 20, 7))
    inputs = {
        "tokens": tokens,
        "positions": positions,
        "images": preprocess(images, "vgg16"),
    }
    words = WeighedWords(places, np.array(explained), np.ones((2, 2)))
    found = numpy_of(captioner.pixel_relevance(inputs, features, words))[0]
    for image, text, maps, steps in zip(images, texts, found, places, strict=True):
        expected = explain(captioner, image, caption=text).pixels.sum(-1)
        for one, step in zip(maps, steps, strict=True):
            other = expected[step]
            distance = np.linalg.norm(one.reshape(224, 224) - other)
            assert distance < 2e-3 * np.linalg.norm(other)


@pytest.mark.parametrize(
    ("mode", "name"),
    [("mean", "mean"), ("pos_mean", "positive_mean"), ("quantile", "quantile_0.9")],
)
def test_statistics_are_those_of_the_evaluation(mode, name):
    maps = np.random.default_rng(4).normal(0.2, size=(2, 3, 7 * 5)).astype("float32")
    found = models.lrp_inference.STATISTICS[mode](scaled(maps))
    expected = [
        [map_statistics(one.reshape(7, 5))[name] for one in image] for image in maps
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_logit_is_scaled_by_the_statistic(monkeypatch):
    """(T9) of two words; relevance 1, -1, 4, 4 has the mean 2 of its largest 4."""
    captioner = build(lrp_mode="mean", lrp_strength=2.0)
    relevance = np.array([[[1.0, -1.0, 4.0, 4.0], [0.0, 0.0, 0.0, 1.0]]], "float32")
    monkeypatch.setattr(captioner, "pixel_relevance", lambda *_: relevance)
    logits = np.arange(12, dtype="float32").reshape(1, 3, 4)
    words = WeighedWords(
        np.array([[2, 0]]), np.array([[1, 3]]), np.ones((1, 2), "float32")
    )
    weighed = captioner._scale_logits(logits, {}, None, words)
    np.testing.assert_allclose(weighed, [[[8, 18, 10, 11], [0, 1, 2, 4.5]]])


# The loss


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_loss_equals_the_formulas(decoder):
    """No decoder knows strength and lambda, so that one has others than the rest."""
    changed = {"lrp_strength": 0.7, "lrp_lambda": 0.2}
    settings = changed if decoder == "adaptive_attention" else {}
    captioner = build(seed=3, decoder=decoder, label_smoothing=0.1, **settings)
    compile_for_training(captioner, 1e-3)
    batch = random_batch()
    loss, _ = captioner.test_on_batch(*batch)
    assert loss == pytest.approx(slow_loss(captioner, *batch), rel=1e-4)
    plain, _ = compiled(
        build(Captioner, 3, decoder=decoder, label_smoothing=0.1)
    ).test_on_batch(*batch)
    assert abs(plain - loss) > 1e-3


@pytest.mark.parametrize("decoder", DECODERS)
def test_drawn_words_are_weighed_as_given_ones_are(decoder):
    """Their weights have both signs: the loss is a mean over the places."""
    captioner = build(seed=3, decoder=decoder, objective="lrp_self_critical")
    assert objective_of(captioner.config).captioner is LRPInferenceCaptioner
    inputs, targets, weights = random_batch()
    gains = np.random.default_rng(4).normal(size=weights.shape).astype("float32")
    batch = (inputs, targets, weights * gains)
    loss = compiled(captioner).test_on_batch(*batch)
    places = B * (Q + captioner.config.lrp_words)
    expected = slow_loss(captioner, *batch, smoothing=0) * batch[2].sum() / places
    assert loss == pytest.approx(expected, rel=1e-4)


def compiled(captioner, rate=1e-2):
    compile_for_training(captioner, rate)
    return captioner


@pytest.mark.parametrize("decoder", DECODERS)
def test_lambda_1_is_plain_training(decoder):
    """(T10) is (T2) then."""
    trained = []
    for kind in (LRPInferenceCaptioner, Captioner):
        captioner = compiled(build(kind, decoder=decoder, lrp_lambda=1.0))
        logs = captioner.train_on_batch(*random_batch())
        trained.append((logs, [weight.numpy() for weight in captioner.decoder.weights]))
    (logs, weights), (plain_logs, plain_weights) = trained
    np.testing.assert_allclose(logs, plain_logs, rtol=1e-6)
    for one, other, weight in zip(
        weights, plain_weights, captioner.decoder.weights, strict=True
    ):
        if weight.path.endswith("key/bias"):
            continue  # changes no softmax: Adam enlarges a gradient of mere rounding
        # The sums of the loss run over more terms: the last bits may differ.
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_no_gradient_flows_through_the_weights(monkeypatch):
    """Relevance that is computed and the same as constants teach the same."""
    computed, kept = parts_relevance, []

    def remember(*arguments):
        kept.append(numpy_of(*computed(*arguments)))
        return computed(*arguments)

    batch, steps = random_batch(), []
    monkeypatch.setattr(models.lrp_inference, "parts_relevance", remember)
    build(dropout=0.0)(batch[0])
    constants = [part.astype("float32") for part in kept[0]]
    for function in (computed, lambda *_: map(ops.convert_to_tensor, constants)):
        monkeypatch.setattr(models.lrp_inference, "parts_relevance", function)
        captioner = build(dropout=0.0)
        before = captioner.decoder.get_weights()
        compile_for_training(captioner, 1.0)
        captioner.compile(keras.optimizers.SGD(1.0), captioner.loss)
        captioner.train_on_batch(*batch)
        after = captioner.decoder.get_weights()
        steps.append([a - b for a, b in zip(after, before, strict=True)])
    for one, other in zip(*steps, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
        assert np.abs(one).max() > 1e-4


def test_pixel_weights_are_trained_with_and_change_little():
    """A step of each mode on real pixels; the encoder's trained part moves too."""
    inputs, *labels = random_batch()
    generator = np.random.default_rng(5)
    images = generator.integers(0, 256, (B, 224, 224, 3), dtype=np.uint8)
    losses = {}
    for mode in ("mean", "quantile"):
        captioner = build(lrp_mode=mode, lrp_words=2, trainable_from="last")
        frozen = captioner.freeze_features(images).astype("float16")
        before = captioner.encoder.get_weights()
        batch = inputs | {"features": frozen, "images": preprocess(images, "vgg16")}
        losses[mode] = compiled(captioner).train_on_batch(batch, *labels)[0]
        after = captioner.encoder.get_weights()
        changed = [np.any(a != b) for a, b in zip(after, before, strict=True)]
        assert changed == [False, False, True, True]
    assert np.isfinite(list(losses.values())).all()
    assert losses["mean"] != losses["quantile"]


# Whole runs


@pytest.fixture(scope="module")
def start(quick, data_dir, tmp_path_factory):
    """A plain run to go on from."""
    run = tmp_path_factory.mktemp("start") / "run"
    assert train.main(arguments_of(data_dir, run, epochs=1)) == 0
    return run


def tune_arguments(data_dir, run, start, *settings, epochs=2) -> list[str]:
    paths = resume_arguments(data_dir, run)[:-1]
    fields = ["learning_rate=0.01", "label_smoothing=0.1", f"epochs={epochs}"]
    fields += ["images_per_batch=8", *settings]  # a step for each epoch
    objective = ["--objective", "lrp_inference"]
    return [*paths, "--from", str(start), *objective, "--set", *fields]


@pytest.mark.slow
def test_a_killed_run_goes_on_exactly(data_dir, start, tmp_path, monkeypatch):
    """By its pixels; whole runs by the context are those of the experiments."""
    settings = ["lrp_mode=pos_mean", "lrp_words=1", "flip_images=true"]
    run = assert_goes_on_exactly(
        tmp_path,
        data_dir,
        monkeypatch,
        ("batch", 1, 0),
        lambda run: tune_arguments(data_dir, run, start, *settings),
    )
    assert list(read_history(run)[0]) == [
        "epoch",
        "loss",
        "token_accuracy",
        "val_cider",
    ]
    captioner = load_captioner(run)
    assert type(captioner) is Captioner
    assert captioner.config.objective == "lrp_inference"
    assert captioner.config.weight_average == 0.5


def test_lambda_1_is_a_plain_run(data_dir, start, tmp_path):
    histories = []
    for name in ("lrp_inference", "cross_entropy"):
        run = tmp_path / name
        arguments = tune_arguments(data_dir, run, start, "lrp_lambda=1", epochs=1)
        arguments[arguments.index("lrp_inference")] = name
        assert train.main(arguments) == 0
        histories.append(read_history(run))
    for one, other in zip(*histories, strict=True):
        for column, value in one.items():
            assert float(value) == pytest.approx(float(other[column]), rel=1e-4)


def test_the_benchmark_compares_in_one_run(monkeypatch, capsys):
    monkeypatch.setattr(training_step, "GRID", (4, 5))
    monkeypatch.setattr(training_step, "CHANNELS", 7)
    monkeypatch.setattr(training_step, "NUM_WORDS", V)
    monkeypatch.setattr(training_step, "CAPTION_WORDS", 4)
    monkeypatch.setattr(lrp_inference_step, "VOCABULARY", tiny_captioner().vocabulary)
    monkeypatch.setattr(lrp_inference_step, "NUM_IMAGES", 2)
    options = ["--mode", "mean", "--words", "1", "--rounds", "1"]
    assert lrp_inference_step.main(options) == 0
    _, head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["median", "s", "/", "plain"]
    names = ["plain step", "mean step", "the words' encoder passes"]
    assert [row[:32].strip() for row in rows] == names
    assert float(rows[0].split()[-1]) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lrp_mode": "sum"}, "lrp_mode must be one of context, mean, .*'sum'"),
        ({"lrp_lambda": 1.5}, r"lrp_lambda must be in \[0, 1\]; received 1.5"),
        ({"lrp_words": 0}, "lrp_words must be at least 1; received 0"),
        ({"lrp_strength": -1.0}, "lrp_strength must be 0 or more; received -1.0"),
        (
            {"objective": "lrp_inference", "lrp_mode": "mean", "window_share": 0.9},
            "lrp_mode=mean explains by whole photographs; received window_share=0.9",
        ),
        (
            {"objective": "lrp_self_critical", "lrp_mode": "mean"},
            "lrp_mode must be context; received mean. Set lrp_mode=context, or",
        ),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**settings)
