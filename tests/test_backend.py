"""Derivatives on every backend, and what a backend without them still does."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import IS_JAX, IS_TENSORFLOW, tiny_captioner
from keras import ops

from keras_lrp import backend
from keras_lrp.backend import (
    compiled,
    is_traced,
    recorded,
    run_once,
    vector_jacobian_product,
)

pytestmark = pytest.mark.compiled

ROOT = Path(__file__).parents[1]


def test_gradients_auxiliaries_and_unused_inputs():
    """Of (x y, x + 1): y and x times the cotangent; nothing of z."""
    x, y, z = np.float32([1, 2]), np.float32([3, 4]), np.float32([[5]])
    output, auxiliary, gradients = vector_jacobian_product(
        lambda x, y, z: (x * y, {"next": x + 1}), [x, y, z], lambda out: 2 * out
    )
    np.testing.assert_array_equal(output, [3, 8])
    np.testing.assert_array_equal(auxiliary["next"], [2, 3])
    for found, expected in zip(gradients, ([18, 64], [6, 32], [[0]]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_function_that_depends_on_nothing_has_gradient_zero():
    _, _, (gradient,) = vector_jacobian_product(
        lambda x: (ops.stop_gradient(x) + 1.0, ()), [ops.ones((2,))], ops.ones_like
    )
    np.testing.assert_array_equal(gradient, [0, 0])


def test_several_cotangents_are_pulled_back_through_what_is_computed_once():
    """Of (x * x, [3, x + 1]), nested: 2 x times the first cotangent plus the last."""
    x, calls = np.float32([[1, 2], [3, 4]]), []

    def nested(x):
        calls.append(x)
        return {"square": x * x, "rest": [3.0 * ops.ones(5), x + 1]}

    first = np.float32([[[1, 0], [0, 0]], [[2, 1], [0, -1]], [[0, 0], [0, 0]]])
    last = np.float32([[[0, 0], [0, 1]], [[0, 5], [0, 0]], [[0, 0], [0, 0]]])
    given = {"square": first, "rest": [np.ones((3, 5), "float32"), last]}

    def both(x, given):
        result, pull_back = recorded(nested, x)
        return result, pull_back(given)

    for run in (both, compiled(both)):
        calls.clear()
        result, gradients = run(x, given)
        np.testing.assert_allclose(result["rest"][1], x + 1)
        np.testing.assert_allclose(gradients, 2 * x * first + last)
        assert len(calls) == 1


def test_weights_are_read_at_every_call():
    layer = keras.layers.Dense(1, use_bias=False)
    layer.build((None, 2))
    layer.kernel.assign([[1.0], [2.0]])
    function = compiled(layer, layer)
    x = np.float32([[3, 4]])
    np.testing.assert_array_equal(function(x), [[11]])
    layer.kernel.assign([[0.0], [1.0]])
    np.testing.assert_array_equal(function(x), [[4]])


def test_what_runs_once_is_compiled_on_jax_alone():
    layer = keras.layers.Dense(1, use_bias=False)
    layer.build((None, 2))
    layer.kernel.assign([[1.0], [2.0]])
    traced = []

    def double(x):
        traced.append(is_traced(x))
        return 2.0 * layer(x)

    x = ops.convert_to_tensor(np.float32([[3, 4]]))
    found = run_once(double, x, model=layer)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [[22]])
    assert traced == [IS_JAX]


def test_results_can_be_read_as_arrays():
    """Inside of a compiled function derivatives are taken, outside none is recorded."""
    layer = keras.layers.Dense(1, use_bias=False)
    layer.build((None, 2))
    layer.kernel.assign([[1.0], [2.0]])

    def slope(x):
        return vector_jacobian_product(lambda x: (layer(x), ()), [x], ops.ones_like)

    output, _, (gradient,) = compiled(slope, layer)(np.float32([[3, 4]]))
    np.testing.assert_array_equal(np.asarray(output), [[11]])
    np.testing.assert_array_equal(np.asarray(gradient), [[1, 2]])


WITHOUT_DERIVATIVES = """
import numpy as np
from conftest import tiny_captioner
from models import explain
captioner = tiny_captioner(max_caption_words=3)
image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype="uint8")
print(captioner.caption_features(captioner.encode(image[None]))[0].text)
try:
    explain(captioner, image, caption="a dog")
except ValueError as error:
    print(error)
"""


def test_other_backends_are_refused_when_a_derivative_is_asked_for(monkeypatch):
    monkeypatch.setattr(backend, "BACKEND", "openvino")
    assert compiled(len)([1, 2]) == 2
    with pytest.raises(ValueError, match=r"'openvino' of .* of tensorflow, jax, torch"):
        vector_jacobian_product(lambda x: (x, ()), [np.ones(2)], ops.ones_like)
    with pytest.raises(ValueError, match=r"'openvino' of .* of tensorflow, jax, torch"):
        recorded(lambda x: x, np.ones(2))


@pytest.mark.skipif(
    not IS_TENSORFLOW or find_spec("jax") is None,
    reason="the numpy backend, which needs JAX, is the same beside every other",
)
def test_a_backend_without_derivatives_captions_and_says_what_explaining_needs():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DERIVATIVES],
        env=os.environ
        | {"KERAS_BACKEND": "numpy", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    text, message = done.stdout.splitlines()
    captioner = tiny_captioner(max_caption_words=3)
    assert set(text.split()) <= set(captioner.vocabulary.words)
    assert message.startswith(
        "Explanations need derivatives, which the backend 'numpy'"
    )
    assert "Set KERAS_BACKEND" in message
