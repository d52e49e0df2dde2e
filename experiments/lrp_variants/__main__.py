"""Seeks better relevance: what is explained, how the features are read, which rules.

LRP of a captioner whose encoder is VGG16 is varied in three ways (`variants.py`). The
words that name an object with a box, in photographs of Flickr8k dev, are scored by

- location, the mean of the correctness at thresholds 0 and .5;
- drop, what the word's probability falls by without the 20 of 784 patches that the
  variant ranks first.

The criterion adds both, less those of plain LRP, each in units of the standard
deviation of plain LRP's over the words. It was fixed before anything was computed.
Photographs with an even place choose: first among the targets and readings under the
paper's rules, then among the rules. Those with an odd place report, once.

    python -m experiments.lrp_variants --data-dir DIR --output runs/lrp_variants

Stopped anywhere, the same command goes on.
"""

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from command_line import (
    GOES_ON,
    MODEL_HELP,
    fill_options,
    make_parser,
    positive,
    run_script,
)
from dataset import CaptionedImage
from dataset.flickr import FLICKR8K
from evaluation.score_tables import average_scores
from experiments.lrp_variants.scores import criterion_of, score_images, table
from experiments.lrp_variants.variants import READINGS, RULES, TARGETS, Variant
from experiments.workbench import Workbench
from models import Captioner, load_captioner

OTHERS = ("attention", "grad_cam", "guided_grad_cam")
CHUNK = 10  # photographs whose scores are kept at once
PLAIN = Variant()


@dataclass(frozen=True)
class VariantOptions:
    """Which captioner is explained, and on what.

    Attributes:
        data_dir: Flickr8k with its boxes.
        output: The folder to write or go on with.
        model: The captioner.
        limit: Photographs with boxes, half of which choose.
    """

    data_dir: Path
    output: Path
    model: str
    limit: int


@dataclass(frozen=True)
class Half:
    """Photographs whose words are scored.

    Attributes:
        bench: Keeps the scores.
        captioner: What is explained.
        name: Of the half.
        images: The photographs.
    """

    bench: Workbench
    captioner: Captioner
    name: str
    images: Sequence[CaptionedImage]

    def score(
        self, part: str, variants: Sequence[Variant], methods: Sequence[str] = ()
    ) -> list[dict]:
        """Scores variants and methods; each part is done once.

        Returns:
            A record of each photograph, as `average_scores` reads it.
        """
        records = []
        for start in range(0, len(self.images), CHUNK):
            chunk = self.images[start : start + CHUNK]
            records += self.bench.score(
                f"{self.name}-{part}-{start:03d}",
                functools.partial(
                    score_images, self.captioner, chunk, variants, methods
                ),
            )
        return records


def parse(argv: Sequence[str] | None) -> VariantOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m experiments.lrp_variants")
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, metavar="DIR", help="Flickr8k")
    add("--output", type=Path, required=True, help="folder to write or go on with")
    add("--model", default="flickr8k-adaptive-attention", help=MODEL_HELP)
    add(
        "--limit",
        type=positive,
        default=150,
        metavar="N",
        help="photographs with boxes; half of them choose",
    )
    return fill_options(VariantOptions, parser.parse_args(argv))


def run_experiment(options: VariantOptions) -> list[Path]:
    """Chooses on one half and reports on the other; returns the files."""
    bench = Workbench(options.output, options.data_dir, options.output / "cache")
    settings = {"model": options.model, "limit": options.limit}
    bench.begin(settings)
    captioner = load_captioner(options.model)
    images = FLICKR8K.read(options.data_dir, "dev", with_objects=True)
    images = [image for image in images if image.objects][: options.limit]
    halves = [
        Half(bench, captioner, name, images[place::2])
        for place, name in enumerate(("even", "odd"))
    ]
    chosen, tried = choose(halves[0])
    records = halves[1].score("report", distinct(PLAIN, *alone(chosen)), OTHERS)
    shown = {name: average_scores(records, less) for name, less in _TABLES.items()}
    results = {"settings": settings, "chosen": chosen, "tried": tried, **shown}
    tables = [table(head, found) for head, found in {**tried, **shown}.items()]
    return bench.report(results, tables)


_TABLES = {
    "odd places": None,
    f"less {PLAIN}": str(PLAIN),
    **{f"less {name}": name for name in OTHERS},
}


def choose(half: Half) -> tuple[Variant, dict[str, dict]]:
    """Chooses target and reading, then the rules; returns it and the means of all."""
    variants = [Variant(target, reading) for target in TARGETS for reading in READINGS]
    first = half.score("targets-readings", variants)
    best = _best(first, variants)
    variants = distinct(PLAIN, *(best._replace(rules=name) for name in RULES))
    second = half.score("rules", variants)
    tried = {
        f"even places, {part}": criterion_of(records, str(PLAIN))
        for part, records in (("targets and readings", first), ("rules", second))
    }
    return _best(second, variants), tried


def _best(records: Sequence[dict], variants: Sequence[Variant]) -> Variant:
    means = criterion_of(records, str(PLAIN))
    return max(variants, key=lambda one: means[str(one)]["criterion"]["mean"])


def alone(chosen: Variant) -> list[Variant]:
    """Returns what was chosen, and each of its choices alone."""
    fields = chosen._asdict().items()
    return [*(PLAIN._replace(**{name: choice}) for name, choice in fields), chosen]


def distinct(*variants: Variant) -> list[Variant]:
    """Leaves out what was there before."""
    return list(dict.fromkeys(variants))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script(
        "lrp_variants", lambda: print(*run_experiment(parse(argv)), sep="\n"), GOES_ON
    )


if __name__ == "__main__":
    sys.exit(main())
