"""Collects the example photographs that come inside scikit-image.

python -m example_images --output explanations/photographs
"""

import sys
from pathlib import Path

from PIL import Image
from skimage import data

from command_line import ANEW, make_parser, run_script

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    parser = make_parser(__doc__, "python -m example_images")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write"
    )
    folder = parser.parse_args(argv).output
    return run_script("example_images", lambda: print(collect(folder)), ANEW)


def collect(folder: Path) -> Path:
    """Writes every photograph as a JPEG file; returns the folder.

    Raises:
        ValueError: The folder is a file.
    """
    if folder.is_file():
        raise ValueError(f"{folder} is a file; expected a folder. Name another one.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOGRAPHS:
        pixels = getattr(data, name)()
        Image.fromarray(pixels).save(folder / f"{name}.jpg", quality=92)
    return folder


if __name__ == "__main__":
    sys.exit(main())
