"""Explains with iNNvestigate; runs in the environment of `requirements.txt`."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from importlib.metadata import version

import tensorflow as tf
from innvestigate.analyzer import LRPSequentialPresetA
from tensorflow import keras

from comparisons.external_worker import Explain, answer


class GivenRelevance(LRPSequentialPresetA):
    """Preset A, started from a given relevance of the features.

    iNNvestigate itself starts from the largest, one or all of a vector of outputs.
    """

    def _prepare_model(self, model):
        self._given = keras.Input(model.output_shape[1:], name="relevance")
        inputs = [*model.inputs, self._given]
        return keras.Model(inputs, model.outputs), [self._given], [self._given]

    def _head_mapping(self, output):
        return self._given


ANALYZERS = {"LRPSequentialPresetA": GivenRelevance}


def prepare(method: str, weights, dtype: str) -> Explain:
    """Builds VGG16 and its analyzer in a graph of their own."""
    keras.backend.set_floatx(dtype)
    graph = tf.Graph()
    with graph.as_default():
        base = keras.applications.VGG16(
            include_top=False, weights=None, input_shape=(224, 224, 3)
        )
        model = keras.Model(base.input, base.get_layer("block5_conv3").output)
        model.set_weights(weights)
        analyzer = ANALYZERS[method](model)
        analyzer.create_analyzer_model()

    def explain(images, relevance):
        with graph.as_default():
            return analyzer._analyzer_model.predict_on_batch([images, relevance])

    return explain


if __name__ == "__main__":
    answer(prepare, version("innvestigate"))
