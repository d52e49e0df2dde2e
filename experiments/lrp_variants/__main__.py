"""Seeks better relevance: what is explained, how the features are read, which rules.

LRP of a captioner whose encoder is VGG16 is varied in three ways (`variants.py`). The
words that name an object with a box, in photographs of Flickr8k dev, are scored by

- location, the mean of the correctness at thresholds 0 and .5;
- drop, what the word's probability falls by without the 20 of 784 patches that the
  variant ranks first.

The criterion adds both, less those of plain LRP, each in units of the standard
deviation of plain LRP's over the words. It was fixed before anything was computed.
Photographs with an even place choose, those with an odd place report: first the targets
and readings under the paper's rules, then the rules. Photographs of MSCOCO, which are
unlike those that the captioner learned from, report once more.

    python -m experiments.lrp_variants --data-dir DIR --output runs/lrp_variants

Stopped anywhere, the same command goes on.
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from command_line import (
    GOES_ON,
    MODEL_HELP,
    fill_options,
    make_parser,
    positive,
    print_paths,
    run_script,
)
from dataset import CaptionedImage, Dataset
from dataset.coco import COCO2017
from dataset.flickr import FLICKR8K
from evaluation.score_tables import average_scores
from experiments.lrp_variants.scores import (
    CRITERION,
    criterion_of,
    only_balance,
    only_maps,
    score_images,
    table,
)
from experiments.lrp_variants.variants import (
    READINGS,
    RULES,
    TARGETS,
    Variant,
    distinct,
)
from experiments.workbench import Workbench
from models import Captioner, load_captioner

OTHERS = ("attention", "grad_cam", "guided_grad_cam")
CHUNK = 5  # photographs whose scores are kept at once
PLAIN = Variant()
FIRST = [Variant(target, reading) for target in TARGETS for reading in READINGS]


@dataclass(frozen=True)
class VariantOptions:
    """Which captioner is explained, and on what.

    Attributes:
        data_dir: Flickr8k with its boxes.
        output: The folder to write or go on with.
        model: The captioner.
        limit: Photographs with boxes, half of which choose.
        coco_dir: MSCOCO 2017 with its boxes; it can be given later. None for none.
    """

    data_dir: Path
    output: Path
    model: str
    limit: int
    coco_dir: Path | None


@dataclass(frozen=True)
class Part:
    """Photographs whose words are scored.

    Attributes:
        bench: Keeps the scores.
        captioner: What is explained.
        name: Of the files of its scores.
        title: Of the tables.
        images: The photographs.
    """

    bench: Workbench
    captioner: Captioner
    name: str
    title: str
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
    add("--coco-dir", type=Path, metavar="DIR", help="MSCOCO 2017, to report on too")
    return fill_options(VariantOptions, parser.parse_args(argv))


def run_experiment(options: VariantOptions) -> list[Path]:
    """Chooses on one half and reports on the other; returns the files."""
    bench = Workbench(options.output, options.data_dir, options.output / "cache")
    settings = {"model": options.model, "limit": options.limit}
    bench.begin(settings)
    captioner = load_captioner(options.model)
    images = read_with_boxes(FLICKR8K, options.data_dir, "dev", options.limit)
    even, odd = (
        Part(bench, captioner, name, f"{name} places", images[place::2])
        for place, name in enumerate(("even", "odd"))
    )
    best, tables = choose(even, "readings", FIRST)
    tables |= report(odd, "readings", distinct(PLAIN, *alone(best)), OTHERS)
    bench.report({"settings": settings, "chosen": best, **tables}, written(tables))
    rules = distinct(PLAIN, *(best._replace(rules=name) for name in RULES))
    last, tried = choose(even, "rules", rules)
    tables |= tried | report(odd, "rules", distinct(PLAIN, best, *alone(last)))
    if options.coco_dir:
        half = options.limit // 2
        images = read_with_boxes(COCO2017, options.coco_dir, "test", half)
        coco = Part(bench, captioner, "coco", "photographs of MSCOCO", images)
        tables |= report(coco, "chosen", distinct(PLAIN, *alone(best), last), OTHERS)
    return bench.report(
        {"settings": settings, "chosen": last, **tables}, written(tables)
    )


def read_with_boxes(
    dataset: Dataset, data_dir: Path, split: str, limit: int
) -> list[CaptionedImage]:
    """Returns the first images of a split that have boxes."""
    images = dataset.read(data_dir, split, with_objects=True)
    return [image for image in images if image.objects][:limit]


def choose(
    half: Part, part: str, variants: Sequence[Variant]
) -> tuple[Variant, dict[str, dict]]:
    """Returns the variant with the largest criterion, and the means of all by title."""
    means = criterion_of(only_maps(half.score(part, variants)), str(PLAIN))
    best = max(variants, key=lambda one: means[str(one)][CRITERION]["mean"])
    return best, {f"{part} on {half.title}": means}


def report(
    images: Part, part: str, variants: Sequence[Variant], methods: Sequence[str] = ()
) -> dict[str, dict]:
    """Returns the means of variants and methods and of their differences, by title."""
    records = images.score(part, variants, methods)
    maps, title = only_maps(records), f"{part} on {images.title}"
    baselines = (str(PLAIN), *methods)
    return {
        title: average_scores(maps),
        **{f"{title} less {name}": average_scores(maps, name) for name in baselines},
        f"{title}: the logit": average_scores(only_balance(records)),
    }


def written(tables: Mapping[str, dict]) -> list[str]:
    """Writes tables by title in Markdown."""
    return [table(*one) for one in tables.items()]


def alone(chosen: Variant) -> list[Variant]:
    """Returns what was chosen, and each of its choices alone."""
    fields = chosen._asdict().items()
    return [*(PLAIN._replace(**{name: choice}) for name, choice in fields), chosen]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script(
        "lrp_variants", lambda: print_paths(*run_experiment(parse(argv))), GOES_ON
    )


if __name__ == "__main__":
    sys.exit(main())
