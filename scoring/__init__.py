"""Loops over datasets: caption, explain, score, and keep what was done."""

import stopping  # noqa: F401
