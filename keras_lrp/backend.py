"""Derivatives and compilation: with training/devices.py what names a backend.

Keras has `keras.ops` for every forward computation, but no derivative and no way to
compile a function outside `fit`. These functions are what the project needs of
both, for TensorFlow, JAX and torch. On another backend functions run as they are, and
a derivative raises an error.
"""

import functools
import logging
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
from keras import ops

BACKEND = keras.backend.backend()


def _is_no_retracing(record: logging.LogRecord) -> bool:
    """Leaves out that a function is compiled for one shape after another."""
    return "triggered tf.function retracing" not in record.getMessage()


if BACKEND == "tensorflow":
    import tensorflow as tf

    logging.getLogger("tensorflow").addFilter(_is_no_retracing)
elif BACKEND == "jax":
    import jax
elif BACKEND == "torch":
    import torch


def compiled(function: Callable, model: keras.layers.Layer | None = None) -> Callable:
    """Compiles a function of arrays that may use a model's weights.

    The weights are read at every call, so training between calls is seen. Torch
    compiles nothing; there the function runs without a record for derivatives.

    Args:
        function: Takes and returns (nested) arrays.
        model: Whose variables the function reads.
    """
    if BACKEND == "tensorflow":
        return tf.function(function, reduce_retracing=False, autograph=False)
    variables = [] if model is None else model.variables
    if BACKEND == "jax":
        stateless = jax.jit(_stateless(function, variables))
        return lambda *arguments: stateless([v.value for v in variables], *arguments)
    if BACKEND == "torch":
        return _unrecorded(function, variables)
    return function


def run_once(function: Callable, *arguments, model: keras.layers.Layer | None = None):
    """Calls a function that is not called again, as fast as the backend can.

    Outside of a compiled function JAX compiles every operation by itself, which takes
    several times as long as to compile the whole. The others run it as it is.

    Args:
        function: Takes and returns (nested) arrays.
        *arguments: Are handed to it.
        model: Whose variables the function reads.
    """
    return (compiled(function, model) if BACKEND == "jax" else function)(*arguments)


@contextmanager
def compilation(enabled: bool) -> Iterator[None]:
    """Compiles functions, or runs them as they are, for a while.

    A function that runs once takes a third of the time uncompiled on TensorFlow. JAX
    compiles each operation alone then, which takes longer, so it always compiles.

    Args:
        enabled: Whether functions are compiled.
    """
    if BACKEND != "tensorflow":
        yield
        return
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(not enabled)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _stateless(function: Callable, variables: Sequence[keras.Variable]) -> Callable:
    """Makes the values of variables the first argument of a function."""

    def stateless(values, *arguments):
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    return stateless


def _unrecorded(function: Callable, variables: Sequence[keras.Variable]) -> Callable:
    """Runs a function on torch; a derivative inside records inputs, not weights."""
    stateless = _stateless(function, variables)

    def run(*arguments):
        arguments = keras.tree.map_structure(ops.convert_to_tensor, arguments)
        with torch.no_grad():
            return stateless([v.value.detach() for v in variables], *arguments)

    return run


def vector_jacobian_product(function: Callable, inputs: Sequence, cotangent) -> tuple:
    """Pulls a cotangent of a function's output back to its inputs.

    Only first derivatives: on torch the results have no derivative of their own.

    Args:
        function: Takes the inputs, returns (output, auxiliary); the auxiliary is
            handed through without a derivative.
        inputs: Arrays.
        cotangent: An array shaped like the output, or a function of the output
            that returns one.

    Returns:
        (output, auxiliary, gradients), one gradient per input and shaped like it.

    Raises:
        ValueError: The backend has no derivatives.
    """
    _check_derivatives()
    inputs = [ops.convert_to_tensor(value) for value in inputs]
    seed = cotangent if callable(cotangent) else lambda _: cotangent
    return _PRODUCTS[BACKEND](function, inputs, seed)


def _check_derivatives() -> None:
    if BACKEND not in _PRODUCTS:
        raise ValueError(
            f"Explanations need derivatives, which the backend {BACKEND!r} of Keras "
            f"has not; expected one of {', '.join(_PRODUCTS)}. Set KERAS_BACKEND to "
            "one of these before Python starts."
        )


def _tensorflow_product(function: Callable, inputs: list, seed: Callable) -> tuple:
    inputs = [tf.identity(value) for value in inputs]  # the function may know them
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        output, auxiliary = function(*inputs)
    gradients = tape.gradient(
        output,
        inputs,
        output_gradients=seed(output),
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return output, auxiliary, gradients


def _jax_product(function: Callable, inputs: list, seed: Callable) -> tuple:
    output, pull_back, auxiliary = jax.vjp(function, *inputs, has_aux=True)
    return output, auxiliary, list(pull_back(seed(output)))


def _torch_product(function: Callable, inputs: list, seed: Callable) -> tuple:
    inputs = [value.detach().requires_grad_() for value in inputs]
    with torch.enable_grad():
        recorded, auxiliary = function(*inputs)
    output, auxiliary = keras.tree.map_structure(
        lambda part: part.detach() if torch.is_tensor(part) else part,
        (recorded, auxiliary),
    )
    if not recorded.requires_grad:  # it depends on none of the inputs
        return output, auxiliary, [torch.zeros_like(value) for value in inputs]
    gradients = torch.autograd.grad(
        recorded,
        inputs,
        ops.convert_to_tensor(seed(output)),
        allow_unused=True,
        materialize_grads=True,
    )
    return output, auxiliary, list(gradients)


_PRODUCTS = {
    "tensorflow": _tensorflow_product,
    "jax": _jax_product,
    "torch": _torch_product,
}


def recorded(function: Callable, value) -> tuple:
    """Computes a function once, to pull several cotangents back through it.

    They are pulled back one after the other, so that memory does not grow with them.

    Args:
        function: Of one array; returns arrays, nested as it likes.
        value: Its argument.

    Returns:
        The function's result; and a function of cotangents, nested and shaped like
        the result with a first axis R, that returns the gradients (R, ...), each
        shaped like the argument.

    Raises:
        ValueError: The backend has no derivatives.
    """
    _check_derivatives()
    value = ops.convert_to_tensor(value)
    if BACKEND == "tensorflow":
        value = tf.identity(value)  # the function may know it
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(value)
            output = function(value)
        return output, functools.partial(_tensorflow_pull_back, tape, output, value)
    if BACKEND == "jax":
        output, pull_back = jax.vjp(function, value)
        return output, lambda cotangents: jax.lax.map(
            lambda one: pull_back(one)[0], cotangents
        )
    value = value.detach().requires_grad_()
    with torch.enable_grad():
        output = function(value)
    found = keras.tree.map_structure(lambda part: part.detach(), output)
    return found, functools.partial(_torch_pull_back, output, value)


def _tensorflow_pull_back(tape, output, value, cotangents):
    output = keras.tree.flatten(output)

    def pull_back(one):
        return tape.gradient(
            output,
            value,
            output_gradients=one,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    cotangents = [ops.convert_to_tensor(c) for c in keras.tree.flatten(cotangents)]
    return tf.map_fn(
        pull_back, cotangents, fn_output_signature=value.dtype, parallel_iterations=1
    )


def _torch_pull_back(output, value, cotangents):
    output = keras.tree.flatten(output)
    cotangents = [ops.convert_to_tensor(c) for c in keras.tree.flatten(cotangents)]
    pairs = [p for p in zip(output, cotangents, strict=True) if p[0].requires_grad]
    if not pairs:  # nothing depends on the value
        return torch.zeros((len(cotangents[0]), *value.shape), dtype=value.dtype)
    output, cotangents = zip(*pairs, strict=True)
    found = [
        torch.autograd.grad(output, value, one, retain_graph=True)[0]
        for one in zip(*cotangents, strict=True)
    ]
    return torch.stack(found)


def transpose(function: Callable, shape: Sequence[int], cotangent):
    """Applies the transpose of a linear function.

    Args:
        function: A linear function of one array.
        shape: The shape of its argument.
        cotangent: An array shaped like its result.

    Returns:
        An array of the given shape.
    """
    zeros = ops.zeros(shape, dtype=cotangent.dtype)
    _, _, (result,) = vector_jacobian_product(
        lambda x: (function(x), ()), [zeros], cotangent
    )
    return result


def is_traced(*arrays) -> bool:
    """Whether arrays have no values yet, inside a function that is being compiled."""
    if BACKEND == "tensorflow":
        return not tf.executing_eagerly()
    if BACKEND == "jax":
        return any(isinstance(array, jax.core.Tracer) for array in arrays)
    return False


def watch(variables: Sequence) -> Callable[[], bool]:
    """Returns a function that says whether a variable was assigned since its last call.

    Its first answer is yes. JAX's arrays never change, so it compares which arrays
    the variables hold; torch counts the changes of an array. TensorFlow's variables
    change in place, so it compares the sum of the bits of each variable's values; it
    misses a mere change of their order.

    Args:
        variables: Of Keras.
    """
    known = []

    def was_assigned() -> bool:
        if BACKEND == "tensorflow":
            now = tuple(bits().numpy())
            same = known == [now]
            known[:] = [now]
            return not same
        if BACKEND == "torch":
            now = [(id(v.value), v.value._version) for v in variables]
            same, known[:] = known == [now], [now]
            return not same
        now = [v.value for v in variables]
        same = len(known) == len(now) + 1 and all(
            reference() is value for reference, value in zip(known, now, strict=False)
        )
        known[:] = [*map(weakref.ref, now), True]
        return not same

    if BACKEND == "tensorflow":
        bits = tf.function(
            lambda: tf.stack([_sum_of_bits(v.value) for v in variables] or [0]),
            autograph=False,
        )
    return was_assigned


def _sum_of_bits(values):
    values = tf.convert_to_tensor(values)
    if values.dtype.size in (4, 8):
        values = tf.bitcast(values, tf.int32)
    elif values.dtype.size == 2:
        values = tf.cast(tf.bitcast(values, tf.int16), tf.int32)
    return tf.reduce_sum(tf.cast(values, tf.int32))


def share_of_replica(weights):
    """Returns the sum of a device's weights as a share of the mean of all devices.

    Keras averages the losses of devices that train together. With this factor on each
    of their weighted means, the average is the mean of all they see. It is 1 where
    one device trains.
    """
    if BACKEND != "tensorflow" or tf.distribute.get_strategy().num_replicas_in_sync < 2:
        return 1.0
    replica = tf.distribute.get_replica_context()
    if replica is None:  # Keras builds the model outside of its replicas
        return 1.0
    total = ops.sum(weights)
    return total / replica.all_reduce(tf.distribute.ReduceOp.MEAN, total)
