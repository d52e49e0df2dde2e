"""Broken inputs and failing machines: what the project's readers and scripts do."""

import quiet_start  # noqa: F401
