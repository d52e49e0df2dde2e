"""Agreement with other libraries, each in an environment of its own."""

import stopping  # noqa: F401
