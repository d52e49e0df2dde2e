"""Each decoder operation against its LRP rule, retyped in slow numpy.

Numbers in brackets, such as (R1), are those of docs/architecture.md.
"""

import numpy as np
import pytest
from keras import ops

from keras_lrp.backend import compiled, transpose, vector_jacobian_product
from keras_lrp.operations import (
    RELEVANCE_RULES,
    GammaOperations,
    Operations,
    RelevanceOperations,
)
from models.explainers.methods import GRADIENT, RELEVANCE

B, IN, OUT = 2, 3, 4
PLAIN = Operations()
ATTENTION, CONSTANT = RELEVANCE_RULES["attn_lrp"], RELEVANCE_RULES["cp_lrp"]

pytestmark = pytest.mark.usefixtures("unrecorded")


def arrays(*shapes, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=shape).astype("float32") for shape in shapes]


def relevance_of(function, inputs, relevance):
    """(R6): input times gradient, where the output carries a given relevance."""
    output, _, gradients = vector_jacobian_product(
        lambda *values: (function(*values), ()),
        inputs,
        lambda z: ops.convert_to_tensor(relevance) / z,
    )
    pairs = zip(inputs, gradients, strict=True)
    values = [np.asarray(value) * np.asarray(slope) for value, slope in pairs]
    return np.asarray(output), values


def test_linear_is_the_epsilon_rule_with_the_bias_in_the_denominator():
    """(R2)."""
    x, kernel, bias, relevance = arrays((B, IN), (IN, OUT), (OUT,), (B, OUT))
    operations = RelevanceOperations(epsilon=0.1)
    weights = [ops.convert_to_tensor(weight) for weight in (kernel, bias)]
    z, (found,) = relevance_of(lambda x: operations.linear(x, *weights), [x], relevance)
    expected = np.zeros((B, IN))
    for b in range(B):
        for j in range(OUT):
            total = sum(x[b, i] * kernel[i, j] for i in range(IN)) + bias[j]
            stable = total + (0.1 if total >= 0 else -0.1)
            for i in range(IN):
                expected[b, i] += x[b, i] * kernel[i, j] / stable * relevance[b, j]
    np.testing.assert_allclose(z, x @ kernel + bias, rtol=1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_sums_share_in_proportion():
    """(R1)."""
    a, b, relevance = (np.abs(v) for v in arrays((B, IN), (B, IN), (B, IN)))
    _, found = relevance_of(lambda a, b: RELEVANCE.sum(a + b), [a, b], relevance)
    np.testing.assert_allclose(found[0], a / (a + b) * relevance, rtol=1e-4)
    np.testing.assert_allclose(found[1], b / (a + b) * relevance, rtol=1e-4)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_activations_hand_relevance_through(name):
    """(R3)."""
    z, relevance = arrays((B, IN), (B, IN))
    z = np.abs(z) + 0.1
    activated, (found,) = relevance_of(getattr(RELEVANCE, name), [z], relevance)
    np.testing.assert_allclose(found, relevance, rtol=1e-5)
    np.testing.assert_allclose(activated, getattr(PLAIN, name)(z), rtol=1e-6)


def test_a_closed_rectifier_hands_nothing_through():
    """(R3) where the output is 0."""
    z = np.float32([[-1.0, 0.0, 2.0]])
    output, _, (gradient,) = vector_jacobian_product(
        lambda z: (RELEVANCE.relu(z), ()), [z], ops.ones_like
    )
    np.testing.assert_array_equal(output, [[0, 0, 2]])
    assert np.asarray(gradient)[0, 0] == 0
    assert np.isfinite(np.asarray(gradient)).all()


def test_a_gate_takes_nothing():
    """(R4)."""
    signal, gate, relevance = arrays((B, IN), (B, IN), (B, IN))
    _, found = relevance_of(RELEVANCE.gate, [signal, gate], relevance)
    np.testing.assert_allclose(found[0], relevance, rtol=1e-5)
    np.testing.assert_array_equal(found[1], np.zeros((B, IN)))


@pytest.mark.parametrize(
    ("operations", "gate_is_fixed", "attention_is_fixed"),
    [(PLAIN, False, False), (GRADIENT, False, True), (RELEVANCE, True, True)],
)
def test_what_is_held_fixed(operations, gate_is_fixed, attention_is_fixed):
    """(R4) and (R5): LRP holds both, the gradient methods the attention alone."""
    signal, weights = (ops.convert_to_tensor(v) for v in arrays((B, IN), (B, IN)))
    for function, fixed in (
        (lambda w: operations.gate(signal, w), gate_is_fixed),
        (lambda w: signal * operations.attention(w), attention_is_fixed),
    ):
        _, _, (gradient,) = vector_jacobian_product(
            lambda w, call=function: (call(w), ()), [weights], ops.ones_like
        )
        expected = np.zeros((B, IN)) if fixed else np.asarray(signal)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_transpose_of_a_matrix():
    kernel, cotangent = arrays((IN, OUT), (B, OUT))
    found = transpose(
        lambda x: ops.matmul(x, kernel), (B, IN), ops.convert_to_tensor(cotangent)
    )
    np.testing.assert_allclose(found, cotangent @ kernel.T, rtol=1e-5)


def test_compiled_functions_return_nested_results():
    function = compiled(lambda x, y: {"sum": x + y, "parts": (x, y)})
    x, y = (ops.convert_to_tensor(v) for v in arrays((B, IN), (B, IN)))
    result = function(x, y)
    np.testing.assert_allclose(result["sum"], np.asarray(x) + np.asarray(y))
    np.testing.assert_array_equal(result["parts"][1], y)


def test_both_factors_of_a_product_take_half():
    """(R7)."""
    a, b, relevance = arrays((B, 3, 4), (B, 4, 5), (B, 3, 5))
    _, found = relevance_of(ATTENTION.product, [a, b], relevance)
    expected = [np.zeros_like(a), np.zeros_like(b)]
    for n, i, j, k in np.ndindex(B, 3, 4, 5):
        share = 0.5 * a[n, i, j] * b[n, j, k] / (a[n] @ b[n])[i, k]
        expected[0][n, i, j] += share * relevance[n, i, k]
        expected[1][n, j, k] += share * relevance[n, i, k]
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-3, atol=1e-4)


def test_a_softmax_hands_on_its_derivative_times_its_input():
    """(R8): x_i (R_i - s_i sum_j R_j)."""
    x, relevance = arrays((B, IN), (B, IN))
    s, (found,) = relevance_of(ATTENTION.softmax, [x], relevance)
    expected = x * (relevance - s * relevance.sum(1, keepdims=True))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    _, (constant,) = relevance_of(CONSTANT.softmax, [x], relevance)
    np.testing.assert_array_equal(constant, np.zeros((B, IN)))


def test_a_normalization_is_linear_with_a_constant_deviation():
    """(R9)."""
    x, gamma, beta, relevance = arrays((B, IN), (IN,), (IN,), (B, IN))
    weights = [ops.convert_to_tensor(weight) for weight in (gamma, beta)]
    y, (found,) = relevance_of(
        lambda x: ATTENTION.normalize(x, *weights, 1e-5), [x], relevance
    )
    expected = np.zeros((B, IN))
    for b in range(B):
        centred = x[b] - x[b].mean()
        deviation = np.sqrt((centred**2).mean() + 1e-5)
        for i, j in np.ndindex(IN, IN):
            weight = ((i == j) - 1 / IN) * gamma[j] / deviation
            expected[b, i] += x[b, i] * weight / y[b, j] * relevance[b, j]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_gamma_favours_summands_of_the_sign_of_the_output():
    """(R10)."""
    x, kernel, bias, relevance = arrays((B, IN), (IN, OUT), (OUT,), (B, OUT))
    weights = [ops.convert_to_tensor(weight) for weight in (kernel, bias)]
    operations = GammaOperations(gamma=0.5, pixel_gamma=2.0)
    for gamma, function in ((0.5, operations.linear), (2.0, operations.patches)):
        z, (found,) = relevance_of(
            lambda x, call=function: call(x, *weights), [x], relevance
        )
        expected = np.zeros((B, IN))
        for b, j in np.ndindex(B, OUT):
            summands = np.append(x[b] * kernel[:, j], bias[j])
            favoured = np.where(summands * z[b, j] > 0, 1 + gamma, 1.0) * summands
            expected[b] += favoured[:-1] / favoured.sum() * relevance[b, j]
        np.testing.assert_allclose(z, x @ kernel + bias, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
