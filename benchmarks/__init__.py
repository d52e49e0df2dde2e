"""What the README reports, measured; every figure has its command."""

import resource
import sys
import time
from collections.abc import Callable, Hashable, Mapping

import numpy as np

import quiet_start  # noqa: F401


def peak_memory(who: int) -> float:
    """Returns the largest resident memory so far in GB (1024**3 bytes).

    Args:
        who: `resource.RUSAGE_SELF` or `resource.RUSAGE_CHILDREN`.
    """
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KB
    return resource.getrusage(who).ru_maxrss * unit / 1024**3


def seconds(call: Callable) -> float:
    """Times one call until its result has arrived."""
    start = time.perf_counter()
    np.asarray(call())
    return time.perf_counter() - start


def timed_rounds(
    calls: Mapping[Hashable, Callable], rounds: int
) -> list[dict[Hashable, float]]:
    """Times all calls in turn, so often; returns the seconds of each round by name."""
    return [
        {name: seconds(call) for name, call in calls.items()} for _ in range(rounds)
    ]


def measured(call: Callable) -> tuple[float, float]:
    """Returns the wall and the processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor
