"""The forward pass of a graph, and its comparison with the network's own."""

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from keras_lrp.backend import run_once, watch
from keras_lrp.graph import Graph, call_model, nodes_of
from keras_lrp.steps import Step

# How far two computations of a layer may lie apart, over its largest output. In
# float64 Keras computes batch-norms in float32 on JAX.
TOLERANCES = {"float64": 1e-5, "float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}


def run_steps(steps: Sequence[Step], weights: Mapping, values: Mapping) -> dict:
    """Adds the value of every step whose sources are known.

    Args:
        steps: In the order of computation.
        weights: (kernel, bias) of the steps that have them, by output value.
        values: Arrays by their numbers.
    """
    values = dict(values)
    for step in steps:
        if not all(source in values for source in step.sources):
            continue
        inputs = [values[source] for source in step.sources]
        if step.weights is None:
            values[step.output] = step.call(*inputs)
        elif step.output in weights:
            kernel, bias = weights[step.output]
            values[step.output] = step.call(*inputs, kernel) + bias
    return values


def read_weights(steps: Sequence[Step], dtype: str) -> dict:
    """Reads (kernel, bias) of the steps that have them, by output value."""
    return {s.output: s.weights(dtype) for s in steps if s.weights is not None}


def precision_of(graph: Graph) -> str:
    """The precision in which a network is explained: float64 if it has that."""
    layers = [section.call.layer for section in graph.sections]
    dtypes = {getattr(layer, "compute_dtype", None) for layer in layers}
    return "float64" if "float64" in dtypes else "float32"


class ForwardCheck:
    """Compares the forward pass of a graph with the network's own, layer by layer.

    Each layer gets the network's own inputs, so differences do not add up; the
    tolerance is that of the layer's own precision. It checks at the first call and
    when weights were assigned since (see `backend.watch`), on one image.

    Args:
        model: The network.
        graph: What it was read into.
    """

    def __init__(self, model: keras.Model, graph: Graph):
        self._model = model
        self._graph = graph
        self._dtype = precision_of(graph)
        self._was_assigned = watch(model.variables)
        self._tolerances = [
            _tolerance(section.call.layer, model) for section in graph.sections
        ]

    def __call__(self, images) -> None:
        """Checks, if there is a reason to.

        Args:
            images: (B, ...), the first one is used.

        Raises:
            ValueError: Names the first layer that differs.
        """
        if not self._was_assigned():
            return
        found = run_once(self._differences, images[:1], model=self._model)
        differences = ops.convert_to_numpy(found)
        for section, difference, tolerance in zip(
            self._graph.sections, differences, self._tolerances, strict=False
        ):
            if not difference <= tolerance:
                self._refuse(section.call.layer, difference, tolerance)
        if not differences[-1] <= max(self._tolerances):
            self._refuse(self._model, differences[-1], max(self._tolerances))

    def _refuse(self, layer, difference: float, tolerance: float) -> None:
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) cannot be explained: it "
            "computes something else than layers of its kind. Its outputs differ by "
            f"{difference:.2g} of the largest, expected at most {tolerance:.0e}. NaN "
            "stands for outputs that are not finite. Use Keras' own layer, or the "
            "preset 'gradient' on a model where this layer is a class of its own."
        )

    def _differences(self, images):
        """Returns the relative differences of all calls, and of the whole network."""
        own, found = {0: ops.cast(images, self._graph.input_dtype or self._dtype)}, []
        for section in self._graph.sections:
            inputs = [own[source] for source in section.call.sources]
            outputs = section.call.run(*inputs)
            values = {
                source: ops.cast(value, self._dtype)
                for source, value in zip(section.call.sources, inputs, strict=True)
            }
            weights = read_weights(section.steps, self._dtype)
            values = run_steps(section.steps, weights, values)
            pairs = list(zip(section.outputs, outputs, strict=True))
            found.append(_largest([(values[number], value) for number, value in pairs]))
            for number, value in pairs:
                own.setdefault(number, value)
        if nodes_of(self._model) is None:  # it was read by calling it
            whole = call_model(self._model, own[0])
            found.append(_largest([(own[self._graph.output], whole)]))
        return ops.stack([ops.cast(value, "float32") for value in found])


def _largest(pairs) -> object:
    """Returns the largest |a - b| / max |b|; NaN where one is not finite."""
    differences = []
    for ours, own in pairs:
        own = ops.cast(own, ours.dtype)
        scale = ops.max(ops.abs(own))
        difference = ops.max(ops.abs(ours - own))
        differences.append(difference / ops.maximum(scale, 1e-30))
    return ops.max(ops.stack(differences))


def _tolerance(layer, model: keras.Model) -> float:
    dtypes = (
        getattr(layer, "compute_dtype", None),
        None if isinstance(layer, keras.layers.Layer) else model.compute_dtype,
    )
    return max(
        TOLERANCES.get(dtype, TOLERANCES["float32"]) for dtype in dtypes if dtype
    )
