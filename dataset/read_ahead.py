"""Files that threads read ahead of the computation that needs them."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

NUM_WORKERS = min(8, os.cpu_count() or 1)  # Pillow decodes without Python's lock
NUM_AHEAD = 64  # files; 10 MB of pixels at 224x224


def read_ahead(
    read: Callable,
    paths: Iterable[Path],
    num_workers: int = NUM_WORKERS,
    num_ahead: int = NUM_AHEAD,
) -> Iterator[Future]:
    """Reads files in several threads and hands them over in order.

    Memory is bounded: no more is read while `num_ahead` files wait to be used. Close
    the iterator (`contextlib.closing`) where it may not be used up.

    Args:
        read: (path) -> content; called in the threads.
        paths: The files.
        num_workers: Threads.
        num_ahead: Files that wait at most.

    Yields:
        For each path a future, whose `result()` is the content or raises the error,
        so that an error appears in its place and stops no other file.
    """
    with ThreadPoolExecutor(num_workers) as pool:
        waiting: deque[Future] = deque()
        try:
            for path in paths:
                waiting.append(pool.submit(read, path))
                if len(waiting) > num_ahead:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for future in waiting:
                future.cancel()
