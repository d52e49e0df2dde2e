"""Imports Keras without what its backend's libraries write about themselves.

They write to the error stream while they are imported, before they read any setting of
theirs. Who sets TF_CPP_MIN_LOG_LEVEL=0 sees it all, and who imports Keras before this
library sees what that writes.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def is_wanted() -> bool:
    """Tells whether this library imports Keras first, and the user set no level 0."""
    return "keras" not in sys.modules and os.environ.get(LEVEL) != "0"


def import_keras() -> None:
    """Imports Keras; from then on TensorFlow tells of crashes alone."""
    os.environ.setdefault(LEVEL, "3")
    with silent_errors():
        import keras  # noqa: F401


@contextlib.contextmanager
def silent_errors() -> Iterator[None]:
    """Lets the error stream of the process lead nowhere for a while."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no such stream
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


if is_wanted():
    import_keras()
