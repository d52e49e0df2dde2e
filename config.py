"""The settings of one captioner: what it reads, what it is, how it is trained."""

import dataclasses
import difflib
import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from files.messages import shortened
from files.reading import read_json
from files.values import anything, table

Entry = TypeVar("Entry")

SCHEDULES = ("constant", "cosine")
HALVES = ("bfloat16", "float16")
SELF_CRITICAL = ("self_critical", "lrp_self_critical")
OBJECTIVES = ("cross_entropy", "lrp_inference", *SELF_CRITICAL)
LRP_MODES = ("context", "mean", "pos_mean", "quantile")


class Range(NamedTuple):
    """The values that a setting may have.

    Attributes:
        low: The smallest, or what all are above.
        high: The largest, or what all are below.
        with_low: Whether `low` itself is allowed.
        with_high: Whether `high` itself is allowed.
    """

    low: float
    high: float
    with_low: bool = True
    with_high: bool = True

    def holds(self, value: float) -> bool:
        """Returns whether a value lies in the range; NaN lies in none."""
        above = self.low <= value if self.with_low else self.low < value
        return above and (value <= self.high if self.with_high else value < self.high)

    def expected(self, value: float) -> str:
        """Returns what a message says about a value that does not lie in it."""
        if self.high <= 1:
            left = "[" if self.with_low else "("
            right = "]" if self.with_high else ")"
            return f"in {left}{self.low:g}, {self.high:g}{right}"
        if value > self.high and value != math.inf:
            return f"at most {self.high:,}"
        if not self.with_low:
            return f"above {self.low:g}"
        return f"at least {self.low}" if self.low else "0 or more"


MAX_BEAM = 1_000
RANGES = {  # far beyond what is of use, and not beyond what a computer holds
    "min_word_count": Range(1, 1_000_000),
    "max_caption_words": Range(1, 1_000),
    "captions_per_image": Range(1, 1_000),
    "words_per_image": Range(1, 100_000),
    "image_size": Range(32, 4_096),
    "feature_scale": Range(0, 1e6, with_low=False),
    "embedding_size": Range(1, 16_384),
    "hidden_size": Range(1, 16_384),
    "dropout": Range(0, 1, with_high=False),
    "depth": Range(1, 1_000),
    "heads": Range(1, 1_000),
    "temperature": Range(0, 1e6, with_low=False),
    "hallucination_penalty": Range(0, 1e3),
    "object_credit": Range(0, 1e3),
    "lrp_lambda": Range(0, 1),
    "lrp_strength": Range(0, 1e6),
    "lrp_words": Range(1, 100_000),
    "images_per_batch": Range(1, 100_000),
    "epochs": Range(1, 1_000_000),
    "learning_rate": Range(0, 1e3, with_low=False),
    "encoder_rate": Range(0, 1e6, with_low=False),
    "warmup_steps": Range(0, 1_000_000_000),
    "label_smoothing": Range(0, 1, with_high=False),
    "clip_value": Range(0, 1e9),
    "weight_average": Range(0, 1, with_high=False),
    "early_stopping_patience": Range(1, 1_000_000),
    "plateau_patience": Range(1, 1_000_000),
    "window_share": Range(0, 1, with_low=False),
    "seed": Range(0, 2**32 - 1),
    "beam_size": Range(1, MAX_BEAM),
    "length_penalty": Range(0, 1e3),
}


@dataclass(frozen=True)
class Config:
    """Every setting of a captioner and its training; the defaults are the paper's.

    The names of a dataset, an encoder and a decoder are checked where they are looked
    up; see `choose`.

    Raises:
        ValueError: A field has a value outside its range; the message names the
            field, what was expected and what was received.
    """

    dataset: str = "flickr30k"  # its name
    min_word_count: int = 3  # words seen less often in training are discarded
    max_caption_words: int = 20  # longer captions are cut
    captions_per_image: int = 5  # captions of an image trained together
    words_per_image: int = 80  # predicted words of these; of more, some are drawn

    encoder: str = "vgg16"  # its name
    image_size: int = 224  # height and width in pixels of what the encoder reads
    feature_scale: float = 1.0  # factor on the encoder's last feature map
    trainable_from: str = ""  # first encoder layer that is trained; "" trains none

    decoder: str = "adaptive_attention"  # its name
    embedding_size: int = 512  # E
    hidden_size: int = 512  # H
    dropout: float = 0.5  # share of dropped units, [0, 1)
    depth: int = 2  # blocks (transformer only)
    heads: int = 8  # of each attention, a divisor of H (transformer only)

    objective: str = "cross_entropy"  # one of OBJECTIVES
    temperature: float = 1.0  # of captions drawn in SELF_CRITICAL; lower: likelier ones
    hallucination_penalty: float = 0.0  # in SELF_CRITICAL, CIDEr that an object costs
    object_credit: float = 0.0  # in SELF_CRITICAL, CIDEr for each object rightly named
    lrp_mode: str = "context"  # what LRP inference weighs words by; one of LRP_MODES
    lrp_lambda: float = 0.5  # share of the plain loss in that of LRP inference
    lrp_strength: float = 1.0  # factor on how far its weights are from 1
    lrp_words: int = 48  # an image's words that it weighs; few where it reads pixels
    mixed_precision: str = ""  # one of HALVES, for training's products; "" for none
    images_per_batch: int = 16  # each with its captions_per_image captions
    epochs: int = 20
    learning_rate: float = 5e-4  # peak rate of Adam
    encoder_rate: float = 1.0  # factor on the rate of the encoder's trained layers
    schedule: str = "constant"  # one of SCHEDULES
    warmup_steps: int = 0  # steps in which the rate rises from 0 (cosine only)
    label_smoothing: float = 0.0  # share of the target spread over the vocabulary
    clip_value: float = 0.1  # largest absolute gradient entry; 0 switches it off
    weight_average: float = 0.0  # momentum of the averaged weights; 0 switches it off
    early_stopping_patience: int = 5  # epochs without a better validation CIDEr
    plateau_patience: int = 3  # such epochs before the rate is halved (constant only)
    flip_images: bool = False  # mirror half of the training images
    window_share: float = 1.0  # side of the window of the features trained on, (0, 1]
    seed: int = 0

    beam_size: int = 3  # hypotheses kept at each step of the search
    length_penalty: float = 0.0  # exponent of the length that divides the log-prob.

    def __post_init__(self):
        """Checks every field."""
        for name, kind in _field_types().items():
            value = getattr(self, name)
            _check(name, value, _is_a(value, kind), kind.__name__)
        _one_of("schedule", self.schedule, SCHEDULES)
        self._check_objective()
        self._check_precision()
        for name, allowed in RANGES.items():
            value = getattr(self, name)
            _check(name, value, allowed.holds(value), allowed.expected(value))
        if self.warmup_steps > 0 and self.schedule == "constant":
            raise ValueError(
                f"warmup_steps must be 0 where schedule is constant; received "
                f"{self.warmup_steps}. Set schedule=cosine, or warmup_steps=0."
            )

    def _check_objective(self) -> None:
        _one_of("objective", self.objective, OBJECTIVES)
        _one_of("lrp_mode", self.lrp_mode, LRP_MODES)
        if self.objective in SELF_CRITICAL and self.captions_per_image < 2:
            raise ValueError(
                f"objective={self.objective} compares the captions drawn for an image: "
                f"captions_per_image must be 2 or more; received "
                f"{self.captions_per_image}."
            )
        if self.objective == "lrp_self_critical" and self.lrp_mode != "context":
            raise ValueError(
                "objective=lrp_self_critical weighs drawn words by the relevance of "
                f"what predicts them: lrp_mode must be context; received "
                f"{self.lrp_mode}. Set lrp_mode=context, or objective=lrp_inference."
            )
        if self.trains_on_pixels and self.window_share < 1:
            raise ValueError(
                f"lrp_mode={self.lrp_mode} explains by whole photographs; received "
                f"window_share={self.window_share}. Set window_share=1, or "
                "lrp_mode=context."
            )
        if self.trainable_from and self.window_share < 1:
            raise ValueError(
                "window_share cuts the features of an encoder that is not trained; "
                f"received {self.window_share} and trainable_from="
                f"{shortened(self.trainable_from)}. Set window_share=1, or "
                "trainable_from= to train nothing of the encoder."
            )

    def _check_precision(self) -> None:
        known, expected = ("", *HALVES), "empty or one of " + ", ".join(HALVES)
        half = self.mixed_precision
        _check("mixed_precision", half, half in known, expected)
        if self.mixed_precision and self.trains_on_pixels:
            raise ValueError(
                f"lrp_mode={self.lrp_mode} explains while it trains, and explanations "
                f"are computed in float32; received mixed_precision="
                f"{self.mixed_precision}. Leave it out, or set lrp_mode=context."
            )

    @property
    def dtype_policy(self) -> str | None:
        """Keras' name of the precision of training; None for Keras' own."""
        return f"mixed_{self.mixed_precision}" if self.mixed_precision else None

    @property
    def trains_on_pixels(self) -> bool:
        """Whether the objective reads the photographs beside their features."""
        return self.objective == "lrp_inference" and self.lrp_mode != "context"

    def replace(self, **changes) -> "Config":
        """Returns a copy with some fields changed; unknown names raise."""
        _refuse_unknown(changes)
        return dataclasses.replace(self, **changes)

    def with_settings(self, settings: list[str]) -> "Config":
        """Returns a copy with `field=value` texts applied, as `--set` passes them.

        Raises:
            ValueError: A text has no `=`, an unknown field or a value of another type.
        """
        changes = {}
        for setting in settings:
            name, separator, text = setting.partition("=")
            if not separator:
                raise ValueError(
                    f"--set expects field=value; received {shortened(setting)}."
                )
            _refuse_unknown({name: text})
            changes[name] = _parse(name, text)
        return self.replace(**changes)

    def to_json(self) -> str:
        """Returns the fields as indented JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, path: str | Path) -> "Config":
        """Reads a file written from `to_json`.

        Raises:
            ValueError: The file is no JSON object of known fields with valid values.
        """
        way_out = "Expected the settings of a captioner, as training writes them."
        fields = read_json(Path(path), table(anything), way_out)
        try:
            _refuse_unknown(fields)
            return cls(**fields)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _field_types() -> dict[str, type]:
    return {field.name: field.type for field in dataclasses.fields(Config)}


def _is_a(value, kind: type) -> bool:
    kinds = (int, float) if kind is float else kind
    return isinstance(value, kinds) and isinstance(value, bool) == (kind is bool)


def _refuse_unknown(names) -> None:
    for name in names:
        if name not in _field_types():
            close = difflib.get_close_matches(name, _field_types(), n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "config.py lists them."
            raise ValueError(f"Unknown setting {shortened(name)}. {hint}")


def _parse(name: str, text: str):
    kind = _field_types()[name]
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(
                f"{name} must be true or false; received {shortened(text)}."
            )
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ValueError(
            f"{name} must be {kind.__name__}; received {shortened(text)}."
        ) from None


def choose(name: str, value: str, registry: Mapping[str, Entry]) -> Entry:
    """Returns the entry of a registry that a setting names.

    Args:
        name: Of the setting.
        value: Of the setting.
        registry: The entries by their names.

    Raises:
        ValueError: There is no such entry; the message names those there are.
    """
    _one_of(name, value, registry)
    return registry[value]


def whole_number(name: str, value, least: int = 1, most: float = math.inf) -> int:
    """Returns a whole number that a caller gave.

    Args:
        name: What it is called in the call.
        value: What was given; numpy's whole numbers are such, truth values are not.
        least: The smallest that has a meaning.
        most: The largest that a computer can do.

    Raises:
        ValueError: It is no whole number, below `least`, or above `most`.
    """
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    valid = is_whole and value >= least
    _check(name, value, valid, f"a whole number, {least} or above")
    _check(name, value, value <= most, f"at most {most:,}")
    return int(value)


def not_negative(name: str, value) -> float:
    """Returns a number of 0 or above that a caller gave.

    Args:
        name: What it is called in the call.
        value: What was given.

    Raises:
        ValueError: It is no such number.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    _check(name, value, is_number and 0 <= value < math.inf, "a number, 0 or above")
    return float(value)


def _one_of(name: str, value, choices) -> None:
    _check(name, value, value in choices, "one of " + ", ".join(choices))


def _check(name: str, value, valid: bool, expected: str) -> None:
    if not valid:
        raise ValueError(f"{name} must be {expected}; received {shortened(value)}.")
