"""What the scripts that score explanations over a dataset are asked for with."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from command_line import WHOLE, Part, add_shard_options, positive
from dataset import DATASETS, CaptionedImage
from models import LRP_PRESETS, METHODS, Captioner
from models.explainers.methods import EXTRAS, LRP_PRESET, choose_methods
from scoring.captioning import fingerprint


@dataclass(frozen=True)
class ScoringOptions:
    """Which explanations are scored, on which images, and where the scores go.

    Attributes:
        model: The captioner, see `load_captioner`.
        dataset: A key of DATASETS.
        data_dir: Its folder.
        output: The results; ends in .json.
        split: train, dev or test.
        limit: Of the images; None for all.
        methods: Names from METHODS separated by commas, or "all".
        lrp_preset: The encoder's rules in the method lrp.
        batch_size: Images encoded and described together.
        shard: The part of the images that is scored.
        merge: The outputs of shards, whose scores are taken over.
        resume: Whether to go on where a run ended.
        overwrite: Whether to replace the output.
    """

    model: str
    dataset: str
    data_dir: Path
    output: Path
    split: str = "dev"
    limit: int | None = None
    methods: str = "all"
    lrp_preset: str = LRP_PRESET
    batch_size: int = 8
    shard: Part = WHOLE
    merge: tuple[Path, ...] = ()
    resume: bool = False
    overwrite: bool = False


def scoring_parser(description: str) -> argparse.ArgumentParser:
    """Makes the parser of the fields of `ScoringOptions`."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--model", required=True, help="name or run directory")
    add("--dataset", choices=DATASETS, required=True)
    add("--data-dir", type=Path, metavar="DIR", required=True, help="its folder")
    add("--split", choices=["test", "dev", "train"], default="dev")
    add("--limit", type=positive, metavar="N", help="only the first images")
    add(
        "--methods",
        default="all",
        metavar="NAME,...",
        help=f"some of {', '.join(METHODS)}; all (default): without "
        f"{' and '.join(EXTRAS)}",
    )
    add("--lrp-preset", choices=LRP_PRESETS, default=LRP_PRESET, help="rules of lrp")
    add("--batch-size", type=positive, default=8, metavar="N")
    add("--output", type=Path, required=True, metavar="FILE.json")
    add_shard_options(parser)
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on where it ended")
    existing.add_argument("--overwrite", action="store_true", help="begin anew")
    return parser


def read_images(
    options: ScoringOptions, with_objects: bool = True
) -> list[CaptionedImage]:
    """Returns the images of the split or of a shard of it, with their objects."""
    read = DATASETS[options.dataset].read
    images = read(options.data_dir, options.split, with_objects=with_objects)
    return options.shard.of(images[: options.limit])


def scoring_settings(captioner: Captioner, options: ScoringOptions) -> dict:
    """Returns what the explanations depend on, as JSON keeps it."""
    methods = choose_methods(options.methods, captioner)
    return {
        "model": options.model,
        "weights": fingerprint(captioner),
        "dataset": options.dataset,
        "split": options.split,
        "methods": methods,
        "lrp_preset": options.lrp_preset if "lrp" in methods else None,
    }
