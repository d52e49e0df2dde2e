"""What `train.py` puts together: the start of a run, its data and its callbacks."""

import stopping  # noqa: F401
