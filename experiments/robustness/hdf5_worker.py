"""Reads HDF5 files whose names come line by line; answers 0 where one is sound."""

import contextlib
import io
import sys

from files.hdf5 import main

for name in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(name.rstrip("\n"))
    print(code, flush=True)
