"""Derivatives and compilation: with training/devices.py what names a backend.

Keras has `keras.ops` for every forward computation, but no derivative and no way to
compile a function outside `fit`. These functions are what the project needs of
both, for TensorFlow and for JAX.
"""

import logging
from collections.abc import Callable, Sequence

import keras
from keras import ops

BACKEND = keras.backend.backend()

if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax
else:
    raise ImportError(
        "Explanations need the TensorFlow or the JAX backend of Keras; received "
        f"{BACKEND!r}. Set KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax."
    )


def compiled(function: Callable, model: keras.layers.Layer | None = None) -> Callable:
    """Compiles a function of arrays that may use a model's weights.

    The weights are read at every call, so training between calls is seen.

    Args:
        function: Takes and returns (nested) arrays.
        model: Whose variables the function reads.
    """
    if BACKEND == "tensorflow":
        return tf.function(function, reduce_retracing=False, autograph=False)
    variables = [] if model is None else model.variables

    @jax.jit
    def stateless(values, *arguments):
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    return lambda *arguments: stateless([v.value for v in variables], *arguments)


def vector_jacobian_product(function: Callable, inputs: Sequence, cotangent) -> tuple:
    """Pulls a cotangent of a function's output back to its inputs.

    Args:
        function: Takes the inputs, returns (output, auxiliary); the auxiliary is
            handed through without a derivative.
        inputs: Arrays.
        cotangent: An array shaped like the output, or a function of the output
            that returns one.

    Returns:
        (output, auxiliary, gradients), one gradient per input and shaped like it.
    """
    inputs = [ops.convert_to_tensor(value) for value in inputs]
    seed = cotangent if callable(cotangent) else lambda _: cotangent
    if BACKEND == "tensorflow":
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
    output, pull_back, auxiliary = jax.vjp(function, *inputs, has_aux=True)
    return output, auxiliary, list(pull_back(seed(output)))


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


def allow_many_shapes() -> None:
    """Silences the warning that a function is compiled for one shape after another."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
