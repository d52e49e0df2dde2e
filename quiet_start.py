"""What scripts, and packages that use Keras, import before all others.

Ctrl-C ends a command while it imports, and Keras is imported silently.
"""

import stopping  # noqa: F401

# isort: split
import keras_lrp.silence  # noqa: F401
