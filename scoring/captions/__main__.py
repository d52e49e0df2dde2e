"""Scores captions that any captioner wrote against references.

python -m scoring.captions CAPTIONS.json REFERENCES.json

CAPTIONS.json is in COCO's results format, [{"image_id": ..., "caption": ...}, ...].
REFERENCES.json holds captions as MSCOCO has them, or {"ID": ["...", ...], ...}.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import quiet_start  # noqa: F401
from command_line import ANEW, fill_options, make_parser, run_script
from files.locks import refuse_same
from files.writing import check_room
from scoring.caption_files import write_caption_scores
from scoring.captions import score_possible
from scoring.journal import require_json
from scoring.metric_options import (
    ALL,
    add_metric_options,
    choose_metrics,
    show_scores,
)
from scoring.references import bring_together, read_candidates, read_references


@dataclass(frozen=True)
class CaptionScoreOptions:
    """Which captions are scored, and how.

    Attributes:
        captions: The captions.
        references: The references of the same images.
        captioned_only: Whether images without a caption are left out, not refused.
        output: The scores, ends in .json; None writes no file.
        overwrite: Whether to replace the output.
        metrics: Names from METRICS, separated by commas, or "all".
        bert_model: Of bert_score: a name the library knows, or a folder.
    """

    captions: Path
    references: Path
    captioned_only: bool
    output: Path | None
    overwrite: bool
    metrics: str
    bert_model: str


def parse(argv: list[str] | None) -> CaptionScoreOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m scoring.captions")
    add = parser.add_argument
    add(
        "captions",
        type=Path,
        metavar="CAPTIONS.json",
        help='captions in the format of results, [{"image_id": ..., "caption": ...}]',
    )
    add(
        "references",
        type=Path,
        metavar="REFERENCES.json",
        help='captions as MSCOCO has them, or {"ID": ["...", ...], ...}',
    )
    add(
        "--captioned-only",
        action="store_true",
        help="leave out the images that have no caption",
    )
    add_metric_options(parser, ALL)
    add("--output", type=Path, metavar="FILE.json", help="write the scores, too")
    add("--overwrite", action="store_true", help="replace the output")
    return fill_options(CaptionScoreOptions, parser.parse_args(argv))


def check_output(options: CaptionScoreOptions) -> None:
    """Refuses an output that cannot be written, before anything is scored."""
    if options.output is None:
        return
    require_json(options.output, "scores")
    refuse_same([options.captions, options.references], options.output)
    if options.output.exists() and not options.overwrite:
        raise ValueError(
            f"{options.output} exists. Replace it (--overwrite) or name another "
            "(--output)."
        )
    check_room(options.output.parent)


def run(options: CaptionScoreOptions) -> list[str]:
    """Scores; returns the problems."""
    check_output(options)
    metrics = choose_metrics(options.metrics)
    candidates = read_candidates(options.captions)
    all_references = read_references(options.references)
    references, captions = bring_together(
        candidates, all_references, options.captioned_only
    )
    left_out = len(all_references.by_id) - len(references)
    if left_out:
        print(f"scored {len(captions)} images; {left_out} without a caption left out")
    scored = score_possible(references, captions, metrics, options.bert_model)
    problems = show_scores(options.metrics, *scored)
    if options.output is not None:
        what = {
            "captions": str(options.captions),
            "references": str(options.references),
            "num_left_out": left_out,
        }
        write_caption_scores(options.output, what, len(captions), *scored)
        print(options.output)
    return problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("scoring.captions", lambda: run(parse(argv)), ANEW)


if __name__ == "__main__":
    sys.exit(main())
