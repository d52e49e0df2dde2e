"""What a caller chooses among: methods by name, and the ways that they take."""

from collections.abc import Sequence

from keras_lrp import PRECISIONS
from models.base_captioner import BaseCaptioner
from models.explainers.explanation import PRECISION
from models.explainers.methods import EXTRAS, METHODS, Method, choose_method
from models.explainers.rules import Rules, choose_rules

ALL = "all"  # stands for every method but the extras


def choose_methods(names: str, captioner: BaseCaptioner) -> list[str]:
    """Returns the methods of "lrp,attention"; of "all", those that fit but the extras.

    Raises:
        ValueError: There is no such method, or it has no meaning for the captioner.
    """
    chosen = list(dict.fromkeys(split_methods(names)))
    if chosen == [ALL]:
        fitting = [name for name, m in METHODS.items() if not m.misfit(captioner)]
        return [name for name in fitting if name not in EXTRAS]
    refuse_methods(chosen, captioner)
    return chosen


def split_methods(names: str) -> list[str]:
    """Returns the names in "lrp,attention"; "all" stays as it is.

    Raises:
        ValueError: There is no such method, or "all" has others beside it.
    """
    split = [name.strip() for name in names.split(",")]
    if split == [ALL]:
        return split
    if ALL in split:
        raise ValueError(
            f"{ALL} stands alone for every method but {', '.join(EXTRAS)}; received "
            f"{names!r}. Write {ALL}, or name the methods."
        )
    for name in split:
        choose_method(name)
    return split


def refuse_methods(names: Sequence[str], captioner: BaseCaptioner) -> None:
    """Refuses methods that are unknown or have no meaning for a captioner.

    Raises:
        ValueError: Which method, and the way out.
    """
    for name in names:
        reason = choose_method(name).misfit(captioner)
        if reason:
            raise ValueError(f"The method {name} {reason}. Choose another method.")


def choose_ways(
    captioner: BaseCaptioner,
    names: Sequence[str],
    lrp_preset: str | None = None,
    decoder_rules: str | None = None,
    precision: str = PRECISION,
) -> tuple[Rules, dict[str, Method]]:
    """Returns the rules of a captioner, and methods by name that follow them.

    Args:
        captioner: The model.
        names: From METHODS.
        lrp_preset: See `choose_rules`; counts in the method lrp alone.
        decoder_rules: See `choose_rules`; counts in LRP alone.
        precision: One of PRECISIONS; counts in methods that pass the encoder.

    Raises:
        ValueError: One is unknown, or has no meaning for the captioner or for any of
            the methods.
    """
    rules = choose_rules(captioner, lrp_preset, decoder_rules)
    methods = {name: choose_method(name) for name in names}
    refuse_precision(captioner, precision)
    asked = {"lrp_preset": lrp_preset, "decoder_rules": decoder_rules}
    refuse_unused(
        names, **asked, precision=None if precision == PRECISION else precision
    )
    return rules, {
        name: method.under(rules, precision) for name, method in methods.items()
    }


def refuse_precision(captioner: BaseCaptioner, precision: str) -> None:
    """Refuses a precision that is unknown, or that the encoder does not have.

    Raises:
        ValueError: Why, and the way out.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"Unknown precision {precision!r}; expected one of {', '.join(PRECISIONS)}."
        )
    if precision != PRECISION and not captioner.encoder_presets:
        raise ValueError(
            f"The precision {precision} is one of the way back through convolutional "
            f"encoders; that of {captioner.config.decoder} is none. Leave the "
            "precision out."
        )


def refuse_unused(names: Sequence[str], **choices: str | None) -> None:
    """Refuses a choice that none of the methods takes.

    Args:
        names: From METHODS.
        **choices: See `Method.takes`; None where nothing was chosen.

    Raises:
        ValueError: Which choice, and the way out.
    """
    for choice, chosen in choices.items():
        takers = [name for name, method in METHODS.items() if method.takes(choice)]
        if chosen is not None and not set(takers) & set(names):
            what = choice.replace("_", " ").replace("lrp", "LRP")
            raise ValueError(
                f"The {what} {chosen} would change nothing: it counts in "
                f"{', '.join(takers)} alone; received {', '.join(names)}. Leave it "
                "out, or add one of these methods."
            )
