"""Renders the dataset `scenes`.

python -m dataset.scenes --output data/scenes
python -m dataset.scenes --layout coco2017 --output data/like_coco
python -m dataset.scenes --layout evidence --output data/evidence
"""

import argparse
import sys
from pathlib import Path

from command_line import ANEW, make_parser, print_paths, run_script
from dataset.scenes.captions import WORDINGS
from dataset.scenes.evidence import write_evidence_scenes
from dataset.scenes.other_layouts import write_like_coco2017, write_like_flickr30k
from dataset.scenes.scenes import write_scenes

LAYOUTS = {
    "scenes": write_scenes,
    "evidence": write_evidence_scenes,
    "flickr30k": write_like_flickr30k,
    "coco2017": write_like_coco2017,
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = make_parser(__doc__, "python -m dataset.scenes")
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--layout", choices=LAYOUTS, default="scenes", help="layout of the files")
    for split, count in (("train", 800), ("dev", 100), ("test", 100)):
        add(
            f"--{split}",
            type=int,
            default=count,
            metavar="N",
            help=f"number of images of {split}",
        )
    add(
        "--wordings",
        nargs="+",
        choices=WORDINGS,
        help="captions of these wordings alone; default: all five",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of the drawing")
    return parser.parse_args(argv)


def render(arguments: argparse.Namespace) -> Path:
    """Writes the dataset; returns its folder."""
    counts = {name: getattr(arguments, name) for name in ("train", "dev", "test")}
    write, options = LAYOUTS[arguments.layout], {}
    if arguments.wordings is not None:
        if write is not write_scenes:
            raise ValueError(
                f"--wordings is for --layout scenes; received {arguments.layout}. "
                "Leave one of them out."
            )
        options["wordings"] = arguments.wordings
    write(arguments.output, counts, arguments.seed, **options)
    return arguments.output


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("dataset.scenes", lambda: print_paths(render(parse(argv))), ANEW)


if __name__ == "__main__":
    sys.exit(main())
