"""Makes a finished run small enough to ship, and scores what is shipped.

python -m training.export RUN --data-dir DIR --output models/pretrained/NAME
"""

import sys
from pathlib import Path

from command_line import (
    ANEW,
    add_cache_option,
    fill_options,
    make_parser,
    not_negative,
    print_paths,
    run_script,
    split_names,
)
from scoring.captions import check_metrics, score_defined, score_lines
from training.export import ExportOptions, export


def parse(argv: list[str] | None) -> ExportOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m training.export")
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="run directories; the weights of several are averaged",
    )
    parser.add_argument(
        "--shares",
        type=float,
        nargs="+",
        metavar="X",
        help="share of each run in the average; default: equal",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the dataset's folder",
    )
    add_cache_option(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write"
    )
    parser.add_argument(
        "--metrics",
        type=split_names,
        default="bleu,meteor,rouge_l,cider",
        metavar="NAME,...",
        help="metrics of dev",
    )
    parser.add_argument(
        "--length-penalty",
        type=not_negative,
        metavar="X",
        help="length penalty; default: the last run's",
    )
    parser.add_argument(
        "--encoder-of",
        metavar="NAME",
        help="a shipped captioner with the same encoder, which is not kept twice",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    return fill_options(ExportOptions, parser.parse_args(argv))


def run(options: ExportOptions) -> None:
    """Exports; prints the scores and the folder."""
    check_metrics(options.metrics)
    print(*score_lines(export(options, score_defined)), sep="\n")
    print_paths(options.output)


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("training.export", lambda: run(parse(argv)), ANEW)


if __name__ == "__main__":
    sys.exit(main())
