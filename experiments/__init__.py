"""Experiments of several trainings, each one command that can be stopped anywhere."""

import stopping  # noqa: F401
