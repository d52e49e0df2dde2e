"""Lists the captioners that come with the project, with their scores.

python -m models.pretrained
"""

import sys
from pathlib import Path

from command_line import ANEW, make_parser, run_script
from config import Config
from files.reading import read_json
from files.values import number, record
from models.run_files import shipped_captioners

SCORES = ("cider", "bleu_4", "meteor", "rouge_l")


def describe(folder: Path) -> list[str]:
    """Returns the cells of a captioner's row in the table."""
    config = Config.from_json(folder / "config.json")
    check = record({"dev": record(dict.fromkeys(SCORES, number))})
    scores = read_json(folder / "scores.json", check)["dev"]
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    return [
        folder.name,
        config.dataset,
        config.encoder,
        *(f"{scores[name]:.3f}" if name in scores else "missing" for name in SCORES),
        f"{size:.0f} MB",
    ]


def list_captioners(argv: list[str] | None) -> None:
    """Prints the table; the scores are those of the dev split."""
    make_parser(__doc__, "python -m models.pretrained").parse_args(argv)
    header = ["name", "dataset", "encoder", *SCORES, "size"]
    folders = shipped_captioners()
    rows = [header, *(describe(folders[name]) for name in sorted(folders))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_script("models.pretrained", lambda: list_captioners(argv), ANEW)


if __name__ == "__main__":
    sys.exit(main())
