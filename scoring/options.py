"""What the scripts that score explanations over a dataset are asked for with."""

import argparse
import collections
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from command_line import (
    MODEL_HELP,
    WHOLE,
    Part,
    add_existing_options,
    add_output_option,
    add_shard_options,
    make_parser,
    positive,
)
from dataset import DATASETS, CaptionedImage, Dataset
from dataset.function_words import FUNCTION_WORDS
from dataset.vocabulary import split_words
from keras_lrp import PRECISIONS, RELEVANCE_RULES
from models import LRP_PRESETS, METHODS, BaseCaptioner
from models.explainers.choices import ALL, choose_methods, choose_ways, split_methods
from models.explainers.explanation import PRECISION
from models.explainers.methods import EXTRAS
from models.explainers.rules import Rules
from models.run_files import model_name
from scoring.captioning import fingerprint

SPLITS = ("test", "dev", "train")
NAMED = 20  # words, where the user is to choose


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
        lrp_preset: The encoder's rules in the method lrp; None for its own.
        decoder_rules: The decoder's rules in LRP; None for its own.
        precision: Of the way back through the encoder.
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
    lrp_preset: str | None = None
    decoder_rules: str | None = None
    precision: str = PRECISION
    batch_size: int = 8
    shard: Part = WHOLE
    merge: tuple[Path, ...] = ()
    resume: bool = False
    overwrite: bool = False


def add_method_option(
    parser: argparse.ArgumentParser, field: str, default: str
) -> None:
    """Adds --method, which is --methods too; unknown names are refused at once.

    Args:
        parser: Of the script.
        field: Of the script's options, which gets the names separated by commas.
        default: As it is written in the command line.
    """
    parser.add_argument(
        "--method",
        "--methods",
        dest=field,
        type=_method_names,
        default=default,
        metavar="NAME,...",
        help=f"some of {', '.join(METHODS)}; or {ALL}: every one but "
        f"{', '.join(EXTRAS)}",
    )


def _method_names(text: str) -> str:
    try:
        return ",".join(split_methods(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def scoring_parser(description: str) -> argparse.ArgumentParser:
    """Makes the parser of the fields of `ScoringOptions`."""
    parser = make_parser(description)
    add = parser.add_argument
    add("--model", required=True, help=MODEL_HELP)
    add("--dataset", choices=DATASETS, required=True, help="dataset to score")
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        required=True,
        help="the dataset's folder",
    )
    add("--split", choices=SPLITS, default="dev", help="split to score")
    add("--limit", type=positive, metavar="N", help="only the first images")
    add_method_option(parser, "methods", ALL)
    add_rule_options(parser)
    add(
        "--batch-size",
        type=positive,
        default=8,
        metavar="N",
        help="images encoded and described together",
    )
    add_output_option(parser, "the scores")
    add_shard_options(parser)
    add_existing_options(parser)
    return parser


def add_rule_options(parser: argparse.ArgumentParser) -> None:
    """Adds --lrp-preset, --decoder-rules and --precision."""
    parser.add_argument(
        "--lrp-preset",
        choices=LRP_PRESETS,
        help="the rules of a convolutional encoder in the method lrp; default: "
        f"{LRP_PRESETS[0]}",
    )
    parser.add_argument(
        "--decoder-rules",
        choices=RELEVANCE_RULES,
        help="the rules of the decoder, and of a vision Transformer, in the method "
        "lrp; default: the decoder's own",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISION,
        help="of the way back through the encoder: bfloat16 is faster where the "
        "processor has it, and close (docs/lrp.md)",
    )


def way_settings(rules: Rules, precision: str) -> dict[str, str]:
    """Returns what settings keep of the decoder's rules and of the precision.

    Nothing of the usual ones, which earlier runs had and did not say.
    """
    settings = {} if precision == PRECISION else {"precision": precision}
    if rules.decoder != "epsilon":
        settings["decoder_rules"] = rules.decoder
    return settings


def read_images(
    options: ScoringOptions, with_objects: bool = True
) -> list[CaptionedImage]:
    """Returns the images of the split, of all shards, with their objects."""
    read = DATASETS[options.dataset].read
    images = read(options.data_dir, options.split, with_objects=with_objects)
    return images[: options.limit]


def object_words(
    dataset: Dataset, chosen: Sequence[str], images: Sequence[CaptionedImage]
) -> tuple[str, ...]:
    """Returns the object words that are looked at: those chosen, else the dataset's.

    Raises:
        ValueError: There are neither; the words that are frequent in the captions are
            named.
    """
    words = tuple(chosen) or dataset.frequent_words
    if words:
        return words
    spoken = collections.Counter(
        word
        for image in images
        for caption in image.captions
        for word in set(split_words(caption)) - FUNCTION_WORDS
    )
    frequent = ",".join(word for word, _ in spoken.most_common(NAMED))
    raise ValueError(
        f"Which words are objects is not known of the dataset {dataset.name}. Name "
        f"them with --words; these are frequent in its captions: {frequent}."
    )


def scoring_settings(captioner: BaseCaptioner, options: ScoringOptions) -> dict:
    """Returns what the explanations depend on, as JSON keeps it."""
    methods = choose_methods(options.methods, captioner)
    rules, chosen = choose_ways(
        captioner,
        methods,
        options.lrp_preset,
        options.decoder_rules,
        options.precision,
    )
    takes_preset = any(method.takes("lrp_preset") for method in chosen.values())
    return {
        "model": model_name(options.model),
        "weights": fingerprint(captioner),
        "dataset": options.dataset,
        "split": options.split,
        "methods": methods,
        "lrp_preset": rules.encoder if takes_preset else None,
        **way_settings(rules, options.precision),
    }
