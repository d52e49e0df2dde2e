"""Renders the dataset `scenes`.

python -m dataset.scenes --output data/scenes
python -m dataset.scenes --layout coco2017 --output data/like_coco
"""

import argparse
import sys
from pathlib import Path

from command_line import run_script
from dataset.scenes.other_layouts import write_like_coco2017, write_like_flickr30k
from dataset.scenes.scenes import write_scenes

LAYOUTS = {
    "scenes": write_scenes,
    "flickr30k": write_like_flickr30k,
    "coco2017": write_like_coco2017,
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--layout", choices=LAYOUTS, default="scenes")
    parser.add_argument("--train", type=int, default=800, help="number of images")
    parser.add_argument("--dev", type=int, default=100)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def render(arguments: argparse.Namespace) -> Path:
    """Writes the dataset; returns its folder."""
    counts = {name: getattr(arguments, name) for name in ("train", "dev", "test")}
    LAYOUTS[arguments.layout](arguments.output, counts, arguments.seed)
    return arguments.output


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("dataset.scenes", lambda: print(render(parse(argv))))


if __name__ == "__main__":
    sys.exit(main())
