"""The decoders against reference numbers, themselves and slow numpy.

Numbers in brackets, such as (D1), are those of docs/architecture.md.
"""

import keras
import numpy as np
import pytest
from conftest import IS_DOUBLE, IS_TENSORFLOW, REFERENCE, tiny_captioner
from keras import ops
from retyped import array, slow_dense, slow_heads, slow_norm

from config import Config
from dataset.vocabulary import Vocabulary
from keras_lrp.backend import run_once
from keras_lrp.operations import RELEVANCE_RULES, Operations
from models.captioner import Captioner
from models.decoders import DECODERS
from models.explainers.decoder_stage import explain_decoder
from models.explainers.methods import GRADIENT, RELEVANCE

B, N, T, L, D = 2, 3, 4, 20, 7
PLAIN = Operations()

pytestmark = pytest.mark.usefixtures("unrecorded")

ATTENTION_PARTS = ["value", "query", "score", "input", "state", "sentinel"]
REFERENCE_NAMES = {  # of the attention's matrices; of the LSTMs
    "adaptive_attention": ("Wv Wg Vatt Wx Wh Ws", {"lstm": "lstm"}),
    "grid_td": (
        "W_va W_ha W_a W_x W_h W_s",
        {"topdown_lstm": "topdown_lstm", "language_lstm": "language_lstm"},
    ),
}


@pytest.fixture(params=DECODERS)
def captioner(request) -> Captioner:
    return tiny_captioner(decoder=request.param)


def reference_captioner(arrays, decoder_name: str) -> Captioner:
    """The captioner whose random weights the reference numbers were made with."""
    vocabulary = Vocabulary([f"w{number}" for number in range(23 - 3)])
    config = Config(embedding_size=5, hidden_size=6, decoder=decoder_name)
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
        "output_kernel": decoder.predictor.kernel,
        "output_bias": decoder.predictor.bias,
    }
    attention_names, lstms = REFERENCE_NAMES[decoder_name]
    for name, part in zip(attention_names.split(), ATTENTION_PARTS, strict=True):
        names[name] = getattr(decoder.attention, f"{part}_kernel")
    for prefix, attribute in lstms.items():
        cell = getattr(decoder, attribute)
        names[f"{prefix}_kernel"] = cell.kernel
        names[f"{prefix}_recurrent_kernel"] = cell.recurrent_kernel
        names[f"{prefix}_bias"] = cell.bias
    assert len(names) == len(decoder.trainable_variables)
    for name, weight in names.items():
        weight.assign(arrays[f"w_{name}"])
    return captioner


@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_relevance_equals_the_reference(name, precise, monkeypatch):
    """(R1) to (R5), through the whole decoder."""
    arrays = np.load(REFERENCE / f"{name}_lrp.npz")
    captioner = reference_captioner(arrays, name)
    monkeypatch.setattr(captioner.vocabulary, "start", int(arrays["start_token"]))
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
    close(stage.shown_attention.reshape(6, 9), arrays["attention"], precise)
    close(stage.beta, arrays["beta"], precise)


@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_the_mean_feature_has_a_place_of_its_own(name, precise, monkeypatch):
    """It takes what is missing where the mean is held constant."""
    arrays = np.load(REFERENCE / f"{name}_lrp.npz")

    def explained(captioner):
        features = ops.convert_to_tensor(
            arrays["features"][None], keras.config.floatx()
        )
        given = (captioner, RELEVANCE, features, arrays["tokens"])
        return explain_decoder(*given, np.arange(6))

    stage = explained(reference_captioner(arrays, name))
    assert np.abs(stage.mean_relevance).max() > 1e-3 * np.abs(stage.logits).max()
    holding = reference_captioner(arrays, name)
    project = holding.decoder.project

    def project_held(operations, features, training=False):
        mean = ops.stop_gradient(ops.mean(features, axis=1))
        return project(operations, features, training, mean)

    monkeypatch.setattr(holding.decoder, "project", project_held)
    monkeypatch.setattr(holding.decoder, "reads_mean", False)
    held = explained(holding)
    assert held.mean_relevance is None
    located = held.features * held.located_gradient
    close(stage.features * stage.located_gradient, located, precise)
    whole = (stage.features * stage.feature_gradient).sum((1, 2, 3))
    close(stage.mean_relevance, whole - located.sum((1, 2, 3)), precise)


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

    def run(features, tokens, arguments):
        memory = decoder.project(operations, features)
        return decoder.decode(operations, memory, decoder.embed(tokens), **arguments)

    return run_once(run, ops.convert_to_tensor(features), tokens, arguments)


def test_all_steps_at_once_equal_step_by_step(captioner):
    features, tokens = random_inputs(captioner)
    whole = decode(captioner, features, tokens)
    logits = np.reshape(np.asarray(whole.logits), (B, N, T, -1))
    state = None
    for step in range(T):
        one = decode(captioner, features, tokens[:, :, step : step + 1], state=state)
        state = one.state
        np.testing.assert_allclose(one.logits, logits[:, :, step], atol=1e-5)
    pairs = zip(*map(keras.tree.flatten, (state, whole.state)), strict=True)
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_forward_equals_the_equations_retyped(captioner):
    features, tokens = random_inputs(captioner)
    output = decode(captioner, features, tokens)
    is_transformer = captioner.config.decoder == "transformer"
    slow = slow_transformer if is_transformer else slow_logits
    expected = slow(captioner, features.astype("float64"), tokens)
    np.testing.assert_allclose(
        np.reshape(np.asarray(output.logits), (B, N, T, -1)), expected, atol=1e-4
    )


def slow_logits(captioner, features, tokens):
    """(D1) to (D3) and (D11): one word at a time, equation by equation."""
    decoder = captioner.decoder
    say = {"adaptive_attention": slow_adaptive, "grid_td": slow_grid_td}
    embedding = array(decoder.embedding.embeddings)
    logits = np.zeros((B, N, T, len(captioner.vocabulary)))
    for b in range(B):
        v = np.maximum(slow_dense(decoder.image_features, features[b]), 0)
        v_g = np.maximum(slow_dense(decoder.global_feature, features[b].mean(0)), 0)
        for n in range(N):
            state = np.zeros((4, 6))
            for t in range(T):
                word = embedding[tokens[b, n, t]]
                mixed, state = say[captioner.config.decoder](
                    decoder, v, v_g, word, state
                )
                logits[b, n, t] = slow_dense(decoder.predictor, mixed)
    return logits


def slow_adaptive(decoder, v, v_g, word, state):
    """(A1) to (A3); returns the sum of (D11)."""
    h_before, c, *_ = state
    x = np.concatenate([word, v_g])
    h, c = slow_lstm(decoder.lstm, x, h_before, c)
    context = slow_context(decoder.attention, v, x, h_before, h, c)
    return h + context, (h, c)


def slow_grid_td(decoder, v, v_g, word, state):
    """(G1) to (G5); returns the sum of (D11)."""
    h1_before, c1, h2, c2 = state
    x1 = np.concatenate([h2, v_g, word])
    h1, c1 = slow_lstm(decoder.topdown_lstm, x1, h1_before, c1)
    context = slow_context(decoder.attention, v, x1, h1_before, h1, c1)
    x2 = np.concatenate([context, h1])
    h2, c2 = slow_lstm(decoder.language_lstm, x2, h2, c2)
    return h2 + context, (h1, c1, h2, c2)


def slow_transformer(captioner, features, tokens):
    """(F1) to (F4): one sentence and head at a time; whole sentences."""
    decoder = captioner.decoder
    embedding, places = map(array, (decoder.embedding.embeddings, decoder.stack.places))
    logits = np.zeros((B, N, T, len(captioner.vocabulary)))
    for b, n in np.ndindex(B, N):
        image = slow_norm(
            decoder.image_norm, slow_dense(decoder.image_features, features[b])
        )
        x = slow_dense(decoder.words, embedding[tokens[b, n]]) + places[:T]
        for block in decoder.stack.blocks:
            read = slow_norm(block.attention_norm, x)
            x = x + slow_heads(block.attention, read, read, np.tri(T, dtype=bool))
            read = slow_norm(block.cross_norm, x)
            x = x + slow_heads(block.cross, read, image, np.ones((T, L), bool))
            inner = slow_dense(block.inner, slow_norm(block.outer_norm, x))
            x = x + slow_dense(block.outer, array(ops.gelu(inner, approximate=False)))
        logits[b, n] = slow_dense(decoder.predictor, x)
    return logits


def slow_lstm(cell, x, h, c):
    """(D4)."""
    z = x @ array(cell.kernel) + h @ array(cell.recurrent_kernel) + array(cell.bias)
    i, f, g, o = np.split(z, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def slow_context(attention, v, x, h_before, h, c):
    """(D5) to (D10), beta from the softmax over positions and sentinel."""
    query = h @ array(attention.query_kernel)
    w = array(attention.score_kernel)[:, 0]
    scores = [w @ np.tanh(v_i @ array(attention.value_kernel) + query) for v_i in v]
    alpha = np.exp(scores) / np.exp(scores).sum()
    gate = x @ array(attention.input_kernel) + h_before @ array(attention.state_kernel)
    s = sigmoid(gate) * np.tanh(c)
    last = w @ np.tanh(s @ array(attention.sentinel_kernel) + query)
    beta = np.exp(last) / (np.exp(scores).sum() + np.exp(last))
    return beta * s + (1 - beta) * (alpha @ v)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_relevance_and_gradient_keep_the_forward_values(captioner):
    """The factors of (R6) change derivatives only."""
    features, tokens = random_inputs(captioner)
    plain = decode(captioner, features, tokens)
    rules = (RELEVANCE_RULES[name] for name in captioner.decoder.relevance_rules)
    for operations in (*rules, GRADIENT):
        other = decode(captioner, features, tokens, operations=operations)
        np.testing.assert_allclose(other.logits, plain.logits, atol=1e-5)


def test_chosen_positions_equal_all(captioner):
    features, tokens = random_inputs(captioner)
    whole = decode(captioner, features, tokens)
    positions = np.array([[0, 7, 3], [11, 2, 2]], "int32")
    some = decode(captioner, features, tokens, positions=positions)
    expected = np.take_along_axis(np.array(whole.logits), positions[..., None], 1)
    np.testing.assert_allclose(some.logits, expected, atol=1e-6)


def test_words_together_equal_one_at_a_time(captioner):
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


def test_relevance_is_conserved_without_biases(captioner):
    """(B1), with nothing lost."""
    shared, logits = shared_out(captioner, RELEVANCE)
    np.testing.assert_allclose(shared, logits, rtol=1e-3, atol=1e-4)


def test_cp_lrp_conserves_to_rounding(double):
    """(R1) with epsilon 0; attention weights and deviations are constants."""
    captioner = tiny_captioner(decoder="transformer")
    shared, logits = shared_out(captioner, RELEVANCE_RULES["cp_lrp"])
    tolerance = 1e-9 if IS_DOUBLE else 1e-4
    np.testing.assert_allclose(shared, logits, rtol=tolerance, atol=tolerance)


def shared_out(captioner, operations):
    """Explains five words without biases: words plus image, and the logits."""
    for weight in captioner.decoder.weights:
        if weight.name in ("bias", "beta", "places"):
            weight.assign(np.zeros(weight.shape))
    generator = np.random.default_rng(4)
    features = np.abs(generator.normal(size=(1, 4, 5, D)))
    features = features.astype(keras.config.floatx())
    tokens = np.array([3, 5, 4, 8, 6], "int32")
    stage = explain_decoder(captioner, operations, features, tokens, np.arange(5))
    relevance = stage.features * stage.feature_gradient
    total = stage.preceding_words.sum(1) + relevance.sum((1, 2, 3))
    return total, stage.logits


def test_later_words_take_no_relevance(captioner):
    features = np.ones((1, 4, 5, D), "float32")
    tokens = np.array([3, 5, 4, 8], "int32")
    stage = explain_decoder(captioner, RELEVANCE, features, tokens, np.arange(4))
    assert np.all(np.triu(stage.preceding_words, 1) == 0)
    assert np.all(np.diag(stage.preceding_words) != 0)


def test_gradient_equals_finite_differences(captioner):
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


def test_no_two_weights_have_one_path(captioner):
    """By paths, `take_weights` finds what fits."""
    paths = [weight.path for weight in captioner.decoder.weights]
    assert len(set(paths)) == len(paths)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=r"heads=4 and hidden_size=6\. Set one"):
        tiny_captioner(decoder="transformer", heads=4)


def test_the_context_is_what_the_last_block_saw():
    """Without its values nothing but the bias is left; weights sum to 1."""
    captioner = tiny_captioner(decoder="transformer")
    features, tokens = random_inputs(captioner)
    decoder = captioner.decoder
    memory = decoder.project(PLAIN, ops.convert_to_tensor(features))
    embedded, state = decoder.embed(tokens), decoder.initial_state(B, N)
    seen = decoder.read(PLAIN, memory, embedded, state, None, False)
    for maps in seen.attention.values():
        np.testing.assert_allclose(ops.sum(maps, axis=-1), 1, atol=1e-5)
    last = memory[-1]._replace(values=0 * memory[-1].values)
    blind = decoder.read(PLAIN, [*memory[:-1], last], embedded, state, None, False)
    bias = ops.convert_to_numpy(decoder.stack.blocks[-1].cross.mixed.bias)
    found = ops.convert_to_numpy(blind.parts["context"])
    np.testing.assert_allclose(found, np.tile(bias, (B, N * T, 1)), atol=1e-5)


def batch_of(captioner) -> dict:
    features, tokens = random_inputs(captioner)
    positions = np.tile(np.arange(N * T, dtype="int32"), (B, 1))
    return {
        "features": features.reshape(B, 4, 5, D),
        "tokens": tokens,
        "positions": positions,
    }


@pytest.mark.skipif(not IS_TENSORFLOW, reason="only TensorFlow leaves sizes open")
def test_batches_of_any_size_are_compiled_once(captioner):
    """As in `fit`, where the last batch may be smaller."""
    import tensorflow as tf

    inputs = {
        name: tf.TensorSpec((None, *array.shape[1:]), array.dtype)
        for name, array in batch_of(captioner).items()
    }
    train = tf.function(lambda inputs: captioner(inputs, training=True))
    assert train.get_concrete_function(inputs).structured_outputs.shape[2] == 13


def test_training_drops_units_and_inference_does_not(captioner):
    inputs = batch_of(captioner)
    first = np.array(captioner(inputs, training=True))
    assert np.abs(first - np.array(captioner(inputs, training=True))).max() > 1e-3
    np.testing.assert_array_equal(captioner(inputs), captioner(inputs))
