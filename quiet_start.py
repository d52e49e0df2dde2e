"""Starts Keras without what its backend's libraries write about themselves.

They write while they are imported, before they read any setting of theirs. Scripts and
`models` import this module before all others that use Keras.
"""

import os

import stopping  # noqa: F401

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # from then on: nothing but crashes


def start() -> None:
    """Imports Keras while the error stream of the process leads nowhere."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no such stream
        import keras

        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


start()

from keras_lrp.backend import allow_many_shapes  # noqa: E402

allow_many_shapes()  # captions of several lengths are compiled one after the other
