"""Times `explain_image.py` on one photo as a new process, and its peak memory.

python -m benchmarks.cold_start [--photo FILE] [--model NAME]
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from skimage import data

from benchmarks import peak_memory
from command_line import DEFAULT_MODEL, MODEL_HELP, make_parser

ROOT = Path(__file__).parents[1]


def main(argv: list[str] | None = None) -> int:
    """Prints wall time, processor time and peak memory, or the child's error."""
    parser = make_parser(__doc__, "python -m benchmarks.cold_start")
    parser.add_argument("--photo", type=Path, help="default: a photo of scikit-image")
    parser.add_argument("--model", default=DEFAULT_MODEL, help=MODEL_HELP)
    parser.add_argument("--rounds", type=int, default=3, help="timed starts")
    arguments = parser.parse_args(argv)
    walls, processors = [], []
    with tempfile.TemporaryDirectory() as folder:
        photo = arguments.photo or Path(folder) / "chelsea.jpg"
        if arguments.photo is None:
            Image.fromarray(data.chelsea()).save(photo)
        command = [sys.executable, "explain_image.py", str(photo)]
        command += ["--model", arguments.model, "--output", folder, "--overwrite"]
        for _ in range(arguments.rounds):
            before, start = os.times(), time.perf_counter()
            child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if child.returncode != 0:
                print(child.stderr, end="", file=sys.stderr)
                return child.returncode
            walls.append(time.perf_counter() - start)
            after = os.times()
            processors.append(
                after.children_user
                + after.children_system
                - before.children_user
                - before.children_system
            )
    peak = peak_memory(resource.RUSAGE_CHILDREN)
    print(
        f"explain_image.py, one photo: wall {statistics.median(walls):.1f} s "
        f"(first {walls[0]:.1f} s), processor {statistics.median(processors):.1f} s, "
        f"peak memory {peak:.2f} GB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
