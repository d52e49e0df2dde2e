"""How training steps: the clipping, which several devices do on their sum.

Numbers in brackets, such as (T11), are those of docs/architecture.md.
"""

import keras
import numpy as np

from keras_lrp.backend import share_of_replica
from models.objective import Adam

GRADIENTS = np.array([[0.5, -0.02, 0.07], [-3.0, 0.1, 0.0]], "float32")


def first_moment(clip_value):
    variable = keras.Variable(np.zeros((2, 3), "float32"))
    optimizer = Adam(0.1, [1.0], clip_value, beta_1=0.75)
    optimizer.build([variable])
    optimizer.apply([keras.ops.convert_to_tensor(GRADIENTS)])
    return next(v.numpy() for v in optimizer.variables if "momentum" in v.path)


def test_gradients_are_clipped_entry_by_entry():
    """(T11); Adam's first moment of one step is (1 - beta_1) times the gradient."""
    expected = np.array([[0.1, -0.02, 0.07], [-0.1, 0.1, 0.0]]) / 4
    np.testing.assert_allclose(first_moment(0.1), expected, rtol=1e-6)
    np.testing.assert_allclose(first_moment(0.0), GRADIENTS / 4, rtol=1e-6)


def test_one_device_has_the_whole_share():
    """(T12) of one device."""
    assert share_of_replica(np.ones((2, 3))) == 1.0
