"""Where published arrays go: each name with its shape and the weights it fills."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import numpy as np

from models.run_files import CaptionerError

FEW = 5  # names that a message lists


class Slot(NamedTuple):
    """The place of one published array.

    Attributes:
        shape: As published.
        targets: The weights that it fills, each with what is made of the array.
    """

    shape: tuple[int, ...]
    targets: tuple[tuple[keras.Variable, Callable], ...]


Slots = dict[str, Slot]


def as_it_is(array: np.ndarray) -> np.ndarray:
    """Returns the array."""
    return array


def whole(variable: keras.Variable, name: str, shape: tuple | None = None) -> Slots:
    """Fills a weight with an array of its own size, perhaps of another shape."""
    target = tuple(variable.shape)
    fill = ((variable, lambda array: array.reshape(target)),)
    return {name: Slot(target if shape is None else shape, fill)}


def linear(layer: keras.layers.Dense, name: str) -> Slots:
    """Fills a linear layer, whose published kernel is (O, I)."""
    return fused([layer], name)


def fused(layers: list[keras.layers.Dense], name: str) -> Slots:
    """Fills linear layers whose outputs are published as one layer's: (sum O, I)."""
    return _joined(layers, name, transposed=True)


def convolved(layers: list[keras.layers.Dense], name: str) -> Slots:
    """Fills linear layers published as one of GPT-2's, with a kernel (I, sum O)."""
    return _joined(layers, name, transposed=False)


def _joined(layers: list, name: str, transposed: bool) -> Slots:
    kernel_targets, bias_targets, start = [], [], 0
    for layer in layers:
        inputs, outputs = layer.kernel.shape
        part = slice(start, start + outputs)
        kernel_targets.append((layer.kernel, _columns(part, transposed)))
        if layer.use_bias:
            bias_targets.append((layer.bias, _columns(part, transposed=False)))
        start += outputs
    shape = (start, inputs) if transposed else (inputs, start)
    slots = {f"{name}.weight": Slot(shape, tuple(kernel_targets))}
    if bias_targets:
        slots[f"{name}.bias"] = Slot((start,), tuple(bias_targets))
    return slots


def _columns(part: slice, transposed: bool) -> Callable:
    def take(array):
        return (array.T if transposed else array)[..., part]

    return take


def norm(layer: keras.layers.LayerNormalization, name: str) -> Slots:
    """Fills a layer normalization."""
    return whole(layer.gamma, f"{name}.weight") | whole(layer.beta, f"{name}.bias")


def patches(layer: keras.layers.Dense, size: int, name: str) -> Slots:
    """Fills the layer of the patches, published as a convolution (O, 3, p, p)."""
    outputs = layer.kernel.shape[1]

    def turn(array):
        return array.transpose(2, 3, 1, 0).reshape(-1, outputs)

    slots = {f"{name}.weight": Slot((outputs, 3, size, size), ((layer.kernel, turn),))}
    return slots | (whole(layer.bias, f"{name}.bias") if layer.use_bias else {})


def fill(
    slots: Slots,
    arrays: Mapping[str, np.ndarray],
    unused: Callable[[str], bool],
    copies: Mapping[str, str],
) -> None:
    """Fills the weights of a model with published arrays.

    Args:
        slots: By published names.
        arrays: By published names.
        unused: Tells names that a captioner has no use for.
        copies: Published copies of other arrays; where one is there, it must be equal.

    Raises:
        CaptionerError: Arrays are missing, not known or of another shape.
    """
    missing = [name for name in slots if name not in arrays]
    extra = [n for n in arrays if not (n in slots or n in copies or unused(n))]
    shapes = [
        f"{name} {tuple(arrays[name].shape)}, expected {slot.shape}"
        for name, slot in slots.items()
        if name in arrays and tuple(arrays[name].shape) != slot.shape
    ]
    changed = [
        f"{copy}, a copy of {name}"
        for copy, name in copies.items()
        if copy in arrays and name in arrays
        if not np.array_equal(arrays[copy], arrays[name])
    ]
    reasons = {
        "missing": missing,
        "not known": extra,
        "of another shape": shapes,
        "different from what they copy": changed,
    }
    for reason, names in reasons.items():
        if names:
            more = f" and {len(names) - FEW} more" if names[FEW:] else ""
            raise CaptionerError(
                f"The weights do not fit config.json. Arrays that are {reason}: "
                f"{'; '.join(names[:FEW])}{more}."
            )
    for name, slot in slots.items():
        for variable, make in slot.targets:
            variable.assign(np.asarray(make(arrays[name]), variable.dtype))
