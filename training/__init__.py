"""What `train.py` puts together: the start of a run, its data and its callbacks."""

import quiet_start  # noqa: F401
