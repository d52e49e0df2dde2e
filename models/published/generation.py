"""How a published captioner writes: its generation_config.json."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from files.messages import shortened
from files.reading import read_json
from models.published.settings import AGAIN, GENERATION
from models.run_files import CaptionerError

UNKNOWN = (  # would change the captions, and are not known here
    "bad_words_ids",
    "begin_suppress_tokens",
    "constraints",
    "diversity_penalty",
    "exponential_decay_length_penalty",
    "force_words_ids",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "penalty_alpha",
    "sequence_bias",
    "suppress_tokens",
)
DEFAULT_LENGTH = 20  # tokens, of the library


@dataclass(frozen=True)
class Generation:
    """How captions are searched; the names are those of the library.

    Attributes:
        decoder: The family of captioners.
        start: The token before the first one.
        end: The tokens after the last one.
        padding: The token that fills up.
        beam_size: Hypotheses that are kept; 1 takes the likeliest token every time.
        length_penalty: Hypotheses are ranked by log-probability / tokens ** this.
        max_tokens: Written at most, the end token among them.
        min_tokens: Before them no end token is written.
        repetition_penalty: Scores of tokens that occurred are divided by it (above 0)
            or multiplied by it (below 0).
        no_repeat_ngram_size: No phrase of so many tokens occurs twice; 0 for any.
        early_stopping: True ends a search with as many finished hypotheses as the
            beam holds, False when none can become better as long as it is, "never"
            when none can become better at all.
    """

    decoder: str
    start: int
    end: tuple[int, ...]
    padding: int
    beam_size: int = 1
    length_penalty: float = 1.0
    max_tokens: int = DEFAULT_LENGTH - 1
    min_tokens: int = 0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    early_stopping: bool | str = False

    def __post_init__(self):
        numbers = {
            "num_beams": self.beam_size,
            "max_length": self.max_tokens,
            "repetition_penalty": self.repetition_penalty,
        }
        for name, value in numbers.items():
            if not value > 0:
                raise CaptionerError(
                    f"The generation setting {name} allows no caption: {value!r}."
                )


def read_generation(
    folder: Path,
    family: str,
    config: Mapping,
    specials: tuple[int, int, int],
    places: int,
) -> Generation:
    """Reads how captions are written.

    Args:
        folder: With generation_config.json; without it, config.json says it.
        family: Of the captioner.
        config: The part of config.json that may say it, checked.
        specials: The start, end and padding tokens.
        places: The longest sentence the decoder knows, in tokens.

    Raises:
        CaptionerError: It asks for what is not known here.
        FileError: The file is damaged.
    """
    path = Path(folder) / "generation_config.json"
    settings = dict(config)
    if path.is_file():
        settings = read_json(path, GENERATION, AGAIN)
    known = {name: value for name, value in settings.items() if value is not None}
    _refuse_unknown(known)
    start, end, padding = specials
    longest = known.get("max_length", DEFAULT_LENGTH) - 1  # without the start token
    longest = known.get("max_new_tokens", longest)
    return Generation(
        family,
        start,
        tuple(end) if isinstance(end, list) else (end,),
        padding,
        known.get("num_beams", 1),
        known.get("length_penalty", 1.0),
        min(longest, places - 1),
        known.get("min_new_tokens", known.get("min_length", 1) - 1),
        known.get("repetition_penalty", 1.0),
        known.get("no_repeat_ngram_size", 0),
        known.get("early_stopping", False),
    )


def _refuse_unknown(settings: Mapping) -> None:
    for name in UNKNOWN:
        if settings.get(name):
            raise CaptionerError(
                f"The generation setting {name} is not known here: received "
                f"{shortened(settings[name])}. Remove it from generation_config.json."
            )
    if settings.get("num_beam_groups", 1) != 1:
        raise CaptionerError(
            "The generation setting num_beam_groups is not known here but as 1; "
            f"received {settings['num_beam_groups']!r}."
        )
    if settings.get("do_sample"):
        logging.warning(
            "The generation settings draw captions at random (do_sample); here the "
            "likeliest ones are searched."
        )
