"""Checks of what a caller explains: images, classes, relevance."""

import operator
from collections.abc import Sequence

import numpy as np
from keras import ops, tree

from keras_lrp.backend import is_traced


def check_images(images, expected: tuple | None):
    """Returns the images as one array.

    Args:
        images: (B, ...) of numbers, or a dict or list that holds one such array.
        expected: The shape of the model's input, (None, ...); None: not known.

    Raises:
        ValueError: They are no numbers, not finite, or do not fit the model.
    """
    if isinstance(images, dict):
        flat = tree.flatten(images)
        if len(flat) != 1:
            raise ValueError(
                f"images must be one array, as the model has one input; received "
                f"{len(flat)}: {', '.join(map(repr, images))}."
            )
        (images,) = flat
    if not hasattr(images, "dtype"):
        images = np.asarray(images)
    name = getattr(images.dtype, "name", str(images.dtype)).rpartition(".")[2]
    if not name.startswith(("float", "bfloat", "int", "uint")):
        raise ValueError(
            f"images must be an array of real numbers; received dtype {name}. Convert "
            "them, as np.asarray(images, 'float32')."
        )
    _check_shape(tuple(images.shape), expected)
    if name.startswith(("float", "bfloat")) and not is_traced(images):
        _check_finite("images", images)
    return images


def _check_shape(received: tuple, expected: tuple | None) -> None:
    if expected is None:
        return
    shown = f"({', '.join(map(str, ('B', *expected[1:])))})"
    fits = (
        len(received) == len(expected)
        and all(
            wanted is None or length in (None, wanted)  # None: not known yet
            for length, wanted in zip(received[1:], expected[1:], strict=True)
        )
    )
    if fits and received[0] != 0:
        return
    hint = ""
    if len(received) == len(expected) - 1:
        hint = " The batch axis is missing: give images[None]."
    raise ValueError(
        f"images must have the shape of the model's input, {shown}; received "
        f"{received}.{hint}"
    )


def _check_finite(what: str, array) -> None:
    if not np.isfinite(ops.convert_to_numpy(ops.cast(array, "float32"))).all():
        raise ValueError(f"{what} must be finite; received NaN or infinity among them.")


def check_classes(classes, num_classes: int) -> list[int]:
    """Returns the classes as a list.

    Args:
        classes: One number or several, each in [0, num_classes).
        num_classes: C.

    Raises:
        ValueError: They are no such numbers, or there are none.
    """
    try:
        listed = [operator.index(n) for n in np.asarray(classes).ravel().tolist()]
        if np.ndim(classes) > 1 or isinstance(classes, bool | np.bool_):
            raise TypeError
    except TypeError:
        listed = []
    if not listed or not all(0 <= number < num_classes for number in listed):
        raise ValueError(
            f"classes must be numbers from 0 to {num_classes - 1}; received "
            f"{classes}. Give one number or a list."
        )
    return listed


def check_relevance(relevance, output_shape: Sequence[int]) -> None:
    """Checks that relevance fits the model's output.

    Args:
        relevance: (B, N, ...).
        output_shape: (B, ...).

    Raises:
        ValueError: It has another shape, or no targets.
    """
    received, output_shape = tuple(relevance.shape), tuple(output_shape)
    fits = len(received) >= 2 and (received[0], *received[2:]) == output_shape
    if not fits or received[1] == 0:
        raise ValueError(
            "relevance must have the shape of the model's output with an axis of N "
            f"targets after the batch, {(output_shape[0], 'N', *output_shape[1:])}; "
            f"received {received}."
        )
