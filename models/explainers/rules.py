"""Which rules LRP follows through the encoder and the decoder of a captioner."""

from typing import NamedTuple

from keras_lrp.operations import RELEVANCE_RULES
from models.base_captioner import BaseCaptioner
from models.captioner import LRP_PRESETS


class Rules(NamedTuple):
    """How LRP explains a captioner.

    Attributes:
        encoder: A preset of LRP_PRESETS; None for an encoder that follows the
            decoder's rules.
        decoder: A key of RELEVANCE_RULES.
    """

    encoder: str | None
    decoder: str


def check_rules(lrp_preset: str | None, decoder_rules: str | None) -> None:
    """Refuses rules that no captioner has.

    Raises:
        ValueError: Which rules, and what there is.
    """
    if lrp_preset is not None and lrp_preset not in LRP_PRESETS:
        raise ValueError(
            f"Unknown LRP preset {lrp_preset!r}; expected one of "
            f"{', '.join(LRP_PRESETS)}."
        )
    if decoder_rules is not None and decoder_rules not in RELEVANCE_RULES:
        raise ValueError(
            f"Unknown rules of the decoder {decoder_rules!r}; expected one of "
            f"{', '.join(RELEVANCE_RULES)}."
        )


def choose_rules(
    captioner: BaseCaptioner,
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
) -> Rules:
    """Returns the rules of LRP for a captioner.

    Args:
        captioner: The model.
        lrp_preset: The encoder's, one of LRP_PRESETS; the default if None.
        decoder_rules: A key of RELEVANCE_RULES; the decoder's default if None.

    Raises:
        ValueError: There are no such rules, or they have no meaning for it.
    """
    check_rules(lrp_preset, decoder_rules)
    presets, known = captioner.encoder_presets, captioner.decoder.relevance_rules
    if lrp_preset is not None and not presets:
        raise ValueError(
            f"The LRP preset {lrp_preset} is of convolutional encoders; the encoder of "
            f"{captioner.config.decoder} follows the decoder's rules "
            f"({', '.join(known)}). Choose these instead (--decoder-rules)."
        )
    if decoder_rules is not None and decoder_rules not in known:
        raise ValueError(
            f"The rules {decoder_rules} are of Transformers; the decoder "
            f"{captioner.config.decoder} has {', '.join(known)}."
        )
    default = presets[0] if presets else None
    return Rules(lrp_preset or default, decoder_rules or known[0])
