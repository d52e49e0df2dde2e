"""Collects the example photographs that come inside scikit-image.

python -m example_images --output explanations/photographs
"""

import sys
from pathlib import Path

from PIL import Image
from skimage import data

from command_line import ANEW, make_parser, print_paths, run_script

PHOTOGRAPHS = {  # by folder: what the captioner of photographs learned from, and not
    "familiar": {"photographer": data.camera},  # a person outdoors
    "unfamiliar": {
        "cat": data.chelsea,
        "motorcycle": lambda: data.stereo_motorcycle()[1],
    },
}


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    parser = make_parser(__doc__, "python -m example_images")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write"
    )
    folder = parser.parse_args(argv).output
    return run_script("example_images", lambda: print_paths(*collect(folder)), ANEW)


def collect(output: Path) -> list[Path]:
    """Writes every photograph as a JPEG file; returns the folders.

    Raises:
        ValueError: The output is a file.
    """
    if output.is_file():
        raise ValueError(f"{output} is a file; expected a folder. Name another one.")
    for folder, photographs in PHOTOGRAPHS.items():
        (output / folder).mkdir(parents=True, exist_ok=True)
        for name, read in photographs.items():
            photograph = Image.fromarray(read()).convert("RGB")
            photograph.save(output / folder / f"{name}.jpg", quality=92)
    return [output / folder for folder in PHOTOGRAPHS]


if __name__ == "__main__":
    sys.exit(main())
