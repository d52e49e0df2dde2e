"""Scores explanations on scenes of which it is known what every word rests on.

Captioners of every kind learn to describe rendered scenes. A second one of each kind
learns a shortcut: it names the colour of a badge in the corner in place of the first
object's. Pictures are edited to find the words that change with their evidence, and
with nothing else; of these words it is scored how much of each method's heat lies on
the evidence.

    python -m experiments.ground_truth --output runs/ground_truth

Stopped anywhere, the same command goes on.
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from command_line import GOES_ON, fill_options, make_parser, print_paths, run_script
from dataset.scenes import SCENES
from dataset.scenes.evidence import EvidenceScene, read_evidence, write_evidence_scenes
from experiments.ground_truth.checks import check_words, summarize_checks
from experiments.ground_truth.scores import score_scenes
from experiments.ground_truth.tables import summarize, tables
from experiments.workbench import Workbench
from models import METHODS, load_captioner
from models.decoders import DECODERS

CHUNK = 10  # scenes whose scores are kept at once
SLOW = ("occlusion",)  # minutes for a picture


@dataclass(frozen=True)
class Size:
    """How much is rendered and learned.

    Attributes:
        images: Scenes of train, dev and test.
        train: Settings of a captioner, texts field=value.
        tune: Those of learning the shortcut after it.
    """

    images: tuple[int, int, int]
    train: tuple[str, ...]
    tune: tuple[str, ...]


COMMON = ("max_caption_words=14", "words_per_image=14", "captions_per_image=1")
COMMON += ("beam_size=1",)
SIZES = {
    "full": Size(
        (1000, 60, 40),
        (*COMMON, "epochs=24", "dropout=0.2"),
        ("epochs=10", "learning_rate=2e-3"),
    ),
    "small": Size(
        (12, 3, 2),
        (*COMMON, "epochs=1", "embedding_size=8", "hidden_size=8", "warmup_steps=0"),
        ("epochs=1",),
    ),
}
HALVES = {"honest": None, "shortcut": "badge"}  # the fact whose words alone are scored


@dataclass(frozen=True)
class TruthOptions:
    """Which captioners are trained, and where.

    Attributes:
        output: The folder to write or go on with.
        size: A key of SIZES.
        decoders: Some of DECODERS.
        encoder_weights: See `TrainingOptions`.
    """

    output: Path
    size: str
    decoders: tuple[str, ...]
    encoder_weights: str


def parse(argv: Sequence[str] | None) -> TruthOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m experiments.ground_truth")
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder to write or go on with")
    add("--size", choices=SIZES, default="full", help="small: a try, in seconds")
    add(
        "--decoders",
        nargs="+",
        choices=DECODERS,
        default=list(DECODERS),
        help="kinds of captioners",
    )
    add(
        "--encoder-weights",
        default="flickr8k-adaptive-attention",
        metavar="NAME",
        help="the shipped captioner whose encoder is taken",
    )
    return fill_options(TruthOptions, parser.parse_args(argv))


def run_experiment(options: TruthOptions) -> list[Path]:
    """Renders, trains, checks and scores; returns the files of the results."""
    size = SIZES[options.size]
    benches = {
        half: Workbench(options.output, options.output / half, options.output / "cache")
        for half in HALVES
    }
    bench = benches["honest"]
    settings = {"encoder_weights": options.encoder_weights, **dataclasses.asdict(size)}
    bench.begin(settings)
    counts = dict(zip(("train", "dev", "test"), size.images, strict=True))
    for half in HALVES:
        folder = benches[half].data_dir
        write_evidence_scenes(folder, counts, by_badge=half == "shortcut")
    checks, scores = {}, {}
    for decoder in options.decoders:
        for half, run in train_both(benches, decoder, options).items():
            name = f"{decoder}, {half}"
            found, scored = examine(benches[half], run, HALVES[half])
            checks[name], scores[name] = summarize_checks(found), summarize(scored)
    results = {"settings": settings, "checks": checks, "scores": scores}
    return bench.report(results, list(tables(checks, scores)))


def train_both(
    benches: Mapping[str, Workbench], decoder: str, options: TruthOptions
) -> dict[str, Path]:
    """Trains a captioner, and teaches it the shortcut; returns both runs."""
    size = SIZES[options.size]
    honest = benches["honest"].train(
        f"{decoder}-honest",
        preset=SCENES.name,
        decoder=decoder,
        encoder_weights=options.encoder_weights,
        settings=size.train,
    )
    shortcut = benches["shortcut"].train(
        f"{decoder}-shortcut", start=str(honest), settings=size.tune
    )
    return {"honest": honest, "shortcut": shortcut}


def examine(
    bench: Workbench, run: Path, fact: str | None
) -> tuple[list[dict], list[dict]]:
    """Checks and scores the words of the test; each part is done once.

    Args:
        bench: Of the run.
        run: The captioner.
        fact: See `score_scenes`.

    Returns:
        What `check_words` and `score_scenes` return.
    """
    scenes = read_evidence(bench.data_dir, "test")
    captioner = functools.cache(load_captioner)

    def check() -> list[dict]:
        return check_words(captioner(run), scenes, bench.cache_dir)

    def score(chunk: Sequence[EvidenceScene]) -> list[dict]:
        methods = [
            name
            for name, method in METHODS.items()
            if name not in SLOW and not method.misfit(captioner(run))
        ]
        return score_scenes(captioner(run), chunk, checks, methods, fact)

    checks = bench.score(f"checks-{run.name}", check)
    records = []
    for start in range(0, len(scenes), CHUNK):
        chunk = scenes[start : start + CHUNK]
        name = f"scores-{run.name}-{start:03d}"
        records += bench.score(name, functools.partial(score, chunk))
    return checks, records


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script(
        "ground_truth", lambda: print_paths(*run_experiment(parse(argv))), GOES_ON
    )


if __name__ == "__main__":
    sys.exit(main())
