"""What explain_image.py is asked for: its options and its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import report
from command_line import (
    DEFAULT_MODEL,
    MODEL_HELP,
    WHOLE,
    Part,
    add_existing_options,
    fill_options,
    make_parser,
    part,
    positive,
    some_words,
    split_names,
)
from files.reading import file_hash
from models import BaseCaptioner
from models.explainers.explanation import PRECISION
from models.explainers.rules import choose_rules
from models.run_files import model_name
from scoring.options import add_method_option, add_rule_options, way_settings

NOTED_IF_CHOSEN = (
    *("note", "against", "phrases", "sentence"),
    *("scale", "colour_map", "figure_format"),
)


@dataclass(frozen=True)
class ExplainOptions:
    """Which photos are explained, and how.

    Attributes:
        images: Files and folders.
        model: The captioner, see `load_captioner`; or several, separated by commas.
        method: Names from METHODS separated by commas, or "all"; see
            `choose_methods`.
        lrp_preset: The encoder's rules in the method lrp; None for its own.
        decoder_rules: The decoder's rules in LRP; None for its own.
        precision: Of the way back through the encoder.
        caption: The text to explain; the captioner's own if None.
        words: These of it, separated by commas; all if None. Those that it lacks are
            left out.
        contrast: The word that each is compared with, if any.
        against: The caption that the caption is compared with, if any.
        phrases: Explained as one each, separated by commas, if any.
        sentence: Whether the whole caption is explained as one; and the words and
            phrases, if any are named.
        beam_size: Of the search; the captioner's own if None.
        resume: Whether to leave photos alone that are explained the same way.
        overwrite: Whether to replace earlier explanations of the photos.
        shard: The part of the photos that is explained.
        note: A sentence to show below the captions, if any.
        scale: One of SCALES, see `report.Look`.
        colour_map: A name of matplotlib's; None for blue and red.
        figure_format: One of FORMATS.
        output: The folder to write.
    """

    images: tuple[Path, ...]
    model: str = DEFAULT_MODEL
    method: str = "lrp"
    lrp_preset: str | None = None
    decoder_rules: str | None = None
    precision: str = PRECISION
    caption: str | None = None
    words: str | None = None
    contrast: str | None = None
    against: str | None = None
    phrases: str | None = None
    sentence: bool = False
    beam_size: int | None = None
    resume: bool = False
    overwrite: bool = False
    shard: Part = WHOLE
    note: str | None = None
    scale: str = report.SCALES[0]
    colour_map: str | None = None
    figure_format: str = report.FORMATS[0]
    output: Path = Path("explanations")

    @property
    def models(self) -> list[str]:
        """The names of the captioners."""
        return list(dict.fromkeys(map(model_name, split_names(self.model))))

    @property
    def look(self) -> report.Look:
        """How the heatmaps are coloured."""
        return report.Look(self.scale, self.colour_map)

    def settings_of(self, photo: Path, captioner: BaseCaptioner, weights: str) -> dict:
        """Returns what the explanations of a photo depend on, as JSON keeps it.

        Args:
            photo: The file.
            captioner: Is explained; the first of several.
            weights: Identifies the captioners, see `fingerprint`.
        """
        rules = choose_rules(captioner, self.lrp_preset, self.decoder_rules)
        chosen = {
            name: getattr(self, name)
            for name in NOTED_IF_CHOSEN
            if getattr(self, name) != getattr(ExplainOptions, name)
        }
        return {
            "model": ",".join(self.models),
            "weights": weights,
            "method": self.method,
            "lrp_preset": rules.encoder,
            **way_settings(rules, self.precision),
            "caption": self.caption,
            "words": self.words,
            "contrast": self.contrast,
            "beam_size": self.beam_size,
            **chosen,
            "photo": report.place_of(photo, self.output),
            "bytes": photo.stat().st_size,
            "content": file_hash(photo)[:16],
        }


def parse(argv: list[str] | None, description: str) -> ExplainOptions:
    """Reads the command line.

    Args:
        argv: Its words.
        description: What the script does.
    """
    parser = make_parser(description)
    add = parser.add_argument
    add(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="a file, or a folder: the images in it, without its subfolders",
    )
    add(
        "--model",
        default=DEFAULT_MODEL,
        metavar="MODEL,...",
        help=f"{MODEL_HELP}; several are explained beside each other",
    )
    add_method_option(parser, "method", "lrp")
    add_choices(parser)
    add(
        "--beam-size",
        type=positive,
        metavar="N",
        help="beam size of the search; default: the model's own",
    )
    add_rule_options(parser)
    add("--note", metavar="TEXT", help="a sentence to show below the captions")
    add_look_options(parser)
    add(
        "--output",
        type=Path,
        default=Path("explanations"),
        metavar="DIR",
        help="a folder; each photo gets its own in it",
    )
    add(
        "--shard",
        type=part,
        default=WHOLE,
        metavar="INDEX/COUNT",
        help="only a part of the photos; the whole with --resume then adds the index",
    )
    add_existing_options(
        parser,
        "skip photos explained the same way, explain the others",
        "replace earlier explanations of these photos",
    )
    parsed = parser.parse_args(argv)
    if parsed.contrast is not None and (parsed.phrases is not None or parsed.sentence):
        parser.error(
            "--contrast is of words: leave it out, or --phrases and --sentence."
        )
    return fill_options(ExplainOptions, parsed)


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Adds what chooses a caption, and words and phrases of it."""
    add = parser.add_argument
    add("--caption", metavar="TEXT", help="explain this text, not the captioner's own")
    add(
        "--words",
        type=some_words,
        metavar="WORD,...",
        help="explain only these words; those that a caption lacks are named",
    )
    add("--contrast", metavar="WORD", help="explain why each word and not this one")
    add(
        "--against",
        metavar="TEXT",
        help="explain why the caption and not this one: the difference of their "
        "log-probabilities, where their words differ",
    )
    add(
        "--phrases",
        type=some_words,
        metavar="PHRASE,...",
        help='explain each of these as one, as "a red shirt,riding a bike"; those that '
        "a caption lacks are named",
    )
    add("--sentence", action="store_true", help="explain the whole caption as one")


def add_look_options(parser: argparse.ArgumentParser) -> None:
    """Adds --scale, --colour-map and --figure-format."""
    add = parser.add_argument
    add(
        "--scale",
        choices=report.SCALES,
        default=report.SCALES[0],
        help="which relevance has full colour: each word's strongest, or that of all "
        "words, so that a word which hardly reads the photo is pale",
    )
    add(
        "--colour-map",
        type=_colour_map,
        metavar="NAME",
        help="one of matplotlib's, as RdBu_r; default: blue and red",
    )
    add(
        "--figure-format",
        choices=report.FORMATS,
        default=report.FORMATS[0],
        help="of the figures",
    )


def _colour_map(name: str) -> str:
    try:
        return report.Look(colour_map=name).colour_map
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
