"""The decoder against reference numbers, against itself and against slow numpy."""

import keras
import numpy as np
from conftest import tiny_captioner
from keras import ops

from config import Config
from dataset.vocabulary import Vocabulary
from models.captioner import Captioner
from models.decoder_relevance import explain_decoder
from models.explainers import GRADIENT, RELEVANCE
from models.relevance_rules import Operations

B, N, T, L, D = 2, 3, 4, 20, 7
PLAIN = Operations()


def reference_captioner(arrays) -> Captioner:
    """The captioner whose random weights the reference numbers were made with."""
    vocabulary = Vocabulary([f"w{number}" for number in range(23 - 3)])
    config = Config(embedding_size=5, hidden_size=6)
    inputs = keras.Input((3, 3, 7))
    encoder = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    captioner = Captioner(config, vocabulary, encoder)
    decoder = captioner.decoder
    names = {
        "embedding": decoder.embedding.embeddings,
        "image_features_kernel": decoder.image_features.kernel,
        "image_features_bias": decoder.image_features.bias,
        "global_img_feature_kernel": decoder.global_feature.kernel,
        "global_img_feature_bias": decoder.global_feature.bias,
        "lstm_kernel": decoder.lstm.kernel,
        "lstm_recurrent_kernel": decoder.lstm.recurrent_kernel,
        "lstm_bias": decoder.lstm.bias,
        "Wv": decoder.attention.value_kernel,
        "Wg": decoder.attention.query_kernel,
        "Vatt": decoder.attention.score_kernel,
        "Wx": decoder.attention.input_kernel,
        "Wh": decoder.attention.state_kernel,
        "Ws": decoder.attention.sentinel_kernel,
        "output_kernel": decoder.predictor.kernel,
        "output_bias": decoder.predictor.bias,
    }
    assert len(names) == len(decoder.trainable_variables)
    for name, weight in names.items():
        weight.assign(arrays[f"w_{name}"])
    return captioner


def test_relevance_equals_the_reference(shared, precise, monkeypatch):
    arrays = np.load(shared / "reference" / "adaptive_attention_lrp.npz")
    captioner = reference_captioner(arrays)
    monkeypatch.setattr("models.decoder_relevance.START", int(arrays["start_token"]))
    stage = explain_decoder(
        captioner,
        RELEVANCE,
        ops.convert_to_tensor(arrays["features"][None], keras.config.floatx()),
        arrays["tokens"],
        np.arange(6),
    )
    relevance = stage.features * stage.feature_gradient
    close(relevance, arrays["feature_relevance"], precise)
    close(stage.preceding_words, arrays["word_relevance"], precise)
    close(stage.logits, arrays["explained_logits"], precise)
    close(stage.attention.reshape(6, 9), arrays["attention"], precise)
    close(stage.beta, arrays["beta"], precise)


def close(found, expected, tolerance):
    """The largest difference is below `tolerance` of the largest value."""
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < tolerance


def random_inputs(captioner, seed=1):
    generator = np.random.default_rng(seed)
    features = np.abs(generator.normal(size=(B, L, D))).astype("float32")
    tokens = generator.integers(1, len(captioner.vocabulary), size=(B, N, T))
    return features, tokens.astype("int32")


def decode(captioner, features, tokens, operations=PLAIN, **arguments):
    decoder = captioner.decoder
    memory = decoder.project(operations, ops.convert_to_tensor(features))
    return decoder.decode(operations, memory, decoder.embed(tokens), **arguments)


def test_all_steps_at_once_equal_step_by_step():
    captioner = tiny_captioner()
    features, tokens = random_inputs(captioner)
    whole = decode(captioner, features, tokens)
    logits = np.reshape(whole.logits, (B, N, T, -1))
    state = None
    for step in range(T):
        one = decode(captioner, features, tokens[:, :, step : step + 1], state=state)
        state = one.state
        np.testing.assert_allclose(one.logits, logits[:, :, step], atol=1e-5)
    for found, expected in zip(state, whole.state, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_forward_equals_the_equations_retyped():
    captioner = tiny_captioner()
    features, tokens = random_inputs(captioner)
    output = decode(captioner, features, tokens)
    expected = slow_logits(captioner.decoder, features.astype("float64"), tokens)
    np.testing.assert_allclose(
        np.reshape(output.logits, (B, N, T, -1)), expected, atol=1e-4
    )


def slow_logits(decoder, features, tokens):
    """DESIGN: one word at a time, equation by equation."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def array(weight):
        return weight.numpy().astype("float64")

    attention, lstm = decoder.attention, decoder.lstm
    embedding = array(decoder.embedding.embeddings)
    logits = np.zeros((B, N, T, array(decoder.predictor.bias).size))
    for b in range(B):
        v = np.maximum(
            features[b] @ array(decoder.image_features.kernel)
            + array(decoder.image_features.bias),
            0,
        )
        v_g = np.maximum(
            features[b].mean(0) @ array(decoder.global_feature.kernel)
            + array(decoder.global_feature.bias),
            0,
        )
        for n in range(N):
            h, c = np.zeros(6), np.zeros(6)
            for t in range(T):
                x = np.concatenate([embedding[tokens[b, n, t]], v_g])
                z = (
                    x @ array(lstm.kernel)
                    + h @ array(lstm.recurrent_kernel)
                    + array(lstm.bias)
                )
                i, f, g, o = np.split(z, 4)
                h_before = h
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
                query = h @ array(attention.query_kernel)
                w = array(attention.score_kernel)[:, 0]
                scores = [
                    w @ np.tanh(v_i @ array(attention.value_kernel) + query)
                    for v_i in v
                ]
                alpha = np.exp(scores) / np.exp(scores).sum()
                gate = sigmoid(
                    x @ array(attention.input_kernel)
                    + h_before @ array(attention.state_kernel)
                )
                s = gate * np.tanh(c)
                last = w @ np.tanh(s @ array(attention.sentinel_kernel) + query)
                beta = np.exp(last) / (np.exp(scores).sum() + np.exp(last))
                context = beta * s + (1 - beta) * (alpha @ v)
                logits[b, n, t] = (h + context) @ array(
                    decoder.predictor.kernel
                ) + array(decoder.predictor.bias)
    return logits


def test_relevance_and_gradient_keep_the_forward_values():
    captioner = tiny_captioner()
    features, tokens = random_inputs(captioner)
    plain = decode(captioner, features, tokens)
    for operations in (RELEVANCE, GRADIENT):
        other = decode(captioner, features, tokens, operations=operations)
        np.testing.assert_allclose(other.logits, plain.logits, atol=1e-5)


def test_chosen_positions_equal_all():
    captioner = tiny_captioner()
    features, tokens = random_inputs(captioner)
    whole = decode(captioner, features, tokens)
    positions = np.array([[0, 7, 3], [11, 2, 2]], "int32")
    some = decode(captioner, features, tokens, positions=positions)
    expected = np.take_along_axis(np.array(whole.logits), positions[..., None], 1)
    np.testing.assert_allclose(some.logits, expected, atol=1e-6)


def test_words_together_equal_one_at_a_time():
    captioner = tiny_captioner()
    generator = np.random.default_rng(3)
    features = np.abs(generator.normal(size=(1, 4, 5, D))).astype("float32")
    tokens = np.array([3, 5, 4, 8], "int32")
    together = explain_decoder(captioner, RELEVANCE, features, tokens, np.arange(4))
    for step in range(4):
        one = explain_decoder(captioner, RELEVANCE, features, tokens, np.array([step]))
        np.testing.assert_allclose(
            one.feature_gradient[0], together.feature_gradient[step], atol=1e-5
        )
        np.testing.assert_allclose(
            one.preceding_words[0], together.preceding_words[step], atol=1e-5
        )


def test_relevance_is_conserved_without_biases():
    captioner = tiny_captioner()
    for weight in captioner.decoder.weights:
        if weight.name == "bias":
            weight.assign(np.zeros(weight.shape))
    generator = np.random.default_rng(4)
    features = np.abs(generator.normal(size=(1, 4, 5, D))).astype("float32")
    tokens = np.array([3, 5, 4, 8, 6], "int32")
    stage = explain_decoder(captioner, RELEVANCE, features, tokens, np.arange(5))
    relevance = stage.features * stage.feature_gradient
    total = stage.preceding_words.sum(1) + relevance.sum((1, 2, 3))
    np.testing.assert_allclose(total, stage.logits, rtol=1e-3, atol=1e-4)


def test_later_words_take_no_relevance():
    captioner = tiny_captioner()
    features = np.ones((1, 4, 5, D), "float32")
    tokens = np.array([3, 5, 4, 8], "int32")
    stage = explain_decoder(captioner, RELEVANCE, features, tokens, np.arange(4))
    assert np.all(np.triu(stage.preceding_words, 1) == 0)
    assert np.all(np.diag(stage.preceding_words) != 0)


def test_gradient_equals_finite_differences():
    captioner = tiny_captioner()
    features = np.ones((1, 4, 5, D), "float32")
    tokens = np.array([3, 5, 4], "int32")
    stage = explain_decoder(captioner, PLAIN, features, tokens, np.arange(3))
    step = 1e-2
    moved = features.copy()
    moved[0, 1, 2, 3] += step
    after = explain_decoder(captioner, PLAIN, moved, tokens, np.arange(3))
    moved[0, 1, 2, 3] -= 2 * step
    before = explain_decoder(captioner, PLAIN, moved, tokens, np.arange(3))
    slope = (after.logits - before.logits) / (2 * step)
    np.testing.assert_allclose(
        stage.feature_gradient[:, 1, 2, 3], slope, atol=2e-3, rtol=2e-2
    )


def test_training_drops_units_and_inference_does_not():
    captioner = tiny_captioner()
    features, tokens = random_inputs(captioner)
    positions = np.tile(np.arange(N * T, dtype="int32"), (B, 1))
    inputs = {
        "features": features.reshape(B, 4, 5, D),
        "tokens": tokens,
        "positions": positions,
    }
    first = np.array(captioner(inputs, training=True))
    assert np.abs(first - np.array(captioner(inputs, training=True))).max() > 1e-3
    np.testing.assert_array_equal(captioner(inputs), captioner(inputs))
