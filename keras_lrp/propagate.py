"""LRP, gradients and guided backprop through any Keras CNN.

The network is read as a list of steps, computed once for each image, and walked
backwards for all targets of the image together. A preset names one rule for each kind
of step.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from keras_lrp.arguments import check_classes, check_images, check_relevance
from keras_lrp.backend import compiled, is_traced
from keras_lrp.backward import Backward
from keras_lrp.forward import ForwardCheck, precision_of, read_weights, run_steps
from keras_lrp.graph import call_model, read_graph
from keras_lrp.presets import choose_rules, refuse_unknown

PRECISIONS = ("float32", "bfloat16")  # of the backward pass


class LRP:
    """Relevance of a network's input, by the rules of a preset.

    The network is read once; a call is compiled once for each shape of its arguments.
    The weights are read at every call. A final softmax, log-softmax or sigmoid of a
    classifier is left out: its logits are explained. Everything is computed in
    float32, in float64 for a network in float64, whatever its own precision.

    The first call, and the first after weights were assigned, compares the forward
    pass with the network's own, layer by layer. On JAX assignment is told by the
    identity of the arrays; on TensorFlow by the sum of the bits of each variable,
    which misses a mere change of order. A call inside a function that is being
    compiled compares nothing: explain an image once before.

    Args:
        model: A CNN with one input and one output. The presets `gradient` and
            `guided_backprop` take any network that is differentiable; a rectifier
            inside a layer that cannot be read keeps its plain derivative.
        preset: A key of `PRESETS`, or a mapping of the same form: kind of step to
            rule, where "first" replaces the rule of the layers that see the image.
        pixel_range: Smallest and largest preprocessed pixel, each one number or one
            per channel, for the box rule. By default each image's own range.
        precision: One of `PRECISIONS` takes the convolutions and dense layers of the
            backward pass in it. The forward pass and the result stay as they are, and
            so does everything if it is None.

    Raises:
        ValueError: An argument is unknown, a layer has no rule, or the model has
            several inputs or outputs.

    Example:
        >>> lrp = LRP(keras.applications.VGG16(), "epsilon_plus")
        >>> lrp(images).shape  # of each image's likeliest class
        (8, 1, 224, 224, 3)
        >>> lrp(images, classes=[243, 281]).shape
        (8, 2, 224, 224, 3)
    """

    def __init__(
        self,
        model: keras.Model,
        preset: str | Mapping = "alpha1_beta0",
        pixel_range: tuple | None = None,
        precision: str | None = None,
    ):
        if precision not in (None, *PRECISIONS):
            raise ValueError(
                f"precision must be None or one of {', '.join(PRECISIONS)}; received "
                f"{precision!r}."
            )
        self.model = model
        self.precision = precision
        self._rules = choose_rules(preset, pixel_range)
        self._graph = read_graph(model)
        refuse_unknown(self._graph, self._rules)
        self._dtype = precision_of(self._graph)
        self._check = ForwardCheck(model, self._graph)
        self._propagate = compiled(self._walk, model)

    def __call__(
        self, images, classes: int | Sequence[int] | None = None, relevance=None
    ):
        """Explains N targets of each image.

        Args:
            images: Preprocessed (B, H, W, channels).
            classes: N numbers in [0, C), the targets of every image, or one number;
                each class's logit has relevance 1. By default each image's class of
                the largest score.
            relevance: Instead of classes: of the model's output, (B, N, ...).

        Returns:
            The relevance of the images, (B, N, H, W, channels). LRP shares out the
            relevance of the output, less what the biases take; the presets
            `gradient` and `guided_backprop` give derivatives.

        Raises:
            ValueError: The images, classes or relevance do not fit the model, or the
                model computes something else than what was read.
        """
        images = check_images(images, self._graph.input_shape)
        if not is_traced(images, *(v.value for v in self.model.variables)):
            self._check(images)
        if relevance is None:
            relevance = self._seeds(images, classes)
        elif classes is not None:
            raise ValueError("Give classes or relevance, not both.")
        return self._propagate(images, relevance)

    def _seeds(self, images, classes):
        """Returns relevance 1 of the chosen classes (B, N, C)."""
        scores, shape = None, self._graph.output_shape
        if classes is None or shape is None:
            scores = call_model(self.model, images)
            shape = (None, *scores.shape[1:])
        if len(shape) != 2:
            raise ValueError(
                "classes need a classifier with scores (B, C); received outputs "
                f"{shape}. Give the relevance of the output instead."
            )
        if classes is None:
            chosen = ops.argmax(scores, -1)[:, None]  # (B, 1)
        else:
            chosen = np.array([check_classes(classes, shape[-1])])
            chosen = np.repeat(chosen, len(images), axis=0)
        return ops.one_hot(chosen, shape[-1], dtype=self._dtype)

    def _walk(self, images, relevance):
        images, relevance = (ops.cast(v, self._dtype) for v in (images, relevance))
        weights = read_weights(self._graph.steps, self._dtype)
        values = run_steps(self._graph.steps, weights, {0: images})
        check_relevance(relevance, values[self._graph.output].shape)
        backward = Backward(self._graph, self._rules, weights, values, self.precision)
        return backward.run(relevance)


def class_relevance(
    model: keras.Model,
    images,
    classes: int | Sequence[int] | None = None,
    preset: str | Mapping = "alpha1_beta0",
):
    """Explains classes of a classifier once; `LRP` keeps what is compiled.

    Args:
        model: See `LRP`; with scores (B, C), softmax or not.
        images: Preprocessed (B, H, W, channels).
        classes: See `LRP.__call__`.
        preset: See `LRP`.

    Returns:
        The relevance of the images, (B, N, H, W, channels).

    Raises:
        ValueError: The model cannot be explained, or has no such class.

    Example:
        >>> class_relevance(keras.applications.ResNet50(), images).shape
        (8, 1, 224, 224, 3)
    """
    return LRP(model, preset)(images, classes)
