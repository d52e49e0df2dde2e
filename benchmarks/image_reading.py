"""Reads photographs as the feature cache does and prints how many in a second.

python -m benchmarks.image_reading DIR/images --workers 1 2
"""

import argparse
import itertools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from command_line import positive
from dataset.images import ImageError, load_image

SUFFIXES = (".jpg", ".jpeg", ".png")


def main(argv: list[str] | None = None) -> int:
    """Prints images a second by the clock, and by the processor's time of one core."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="searched with its subfolders")
    parser.add_argument("--workers", type=positive, nargs="+", default=[1])
    parser.add_argument("--limit", type=positive, default=1000, help="images to read")
    arguments = parser.parse_args(argv)
    found = (p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    paths = list(itertools.islice(found, arguments.limit))
    if not paths:
        print(f"image_reading: no images in {arguments.folder}", file=sys.stderr)
        return 2
    try:
        for workers in arguments.workers:
            clock, processor = time_reading(paths, workers)
            print(
                f"{len(paths)} images, {workers} workers: {len(paths) / clock:.0f} "
                f"images/s, {len(paths) / processor:.0f} for each core's second"
            )
    except ImageError as error:
        print(f"image_reading: {error}", file=sys.stderr)
        return 2
    return 0


def time_reading(paths: list[Path], workers: int) -> tuple[float, float]:
    """Returns the seconds of the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(load_image, paths):
            pass
    return time.perf_counter() - clock, time.process_time() - processor


if __name__ == "__main__":
    sys.exit(main())
