"""What values of a JSON or CSV file must be: checks that name the place of a fault."""

import math
from collections.abc import Callable, Mapping
from itertools import count

from files.messages import shortened

Check = Callable[[object], object]


def anything(value: object) -> object:
    """Takes any value."""
    return value


def text(value: object) -> str:
    """Takes a text."""
    return _expect(isinstance(value, str), value, "a text")


def filled(value: object) -> str:
    """Takes a text that has more than blanks."""
    return _expect(isinstance(value, str) and value.strip(), value, "a text")


def flag(value: object) -> bool:
    """Takes true or false."""
    return _expect(isinstance(value, bool), value, "true or false")


def whole(low: int, high: int) -> Check:
    """Takes a whole number of a range; true is none."""

    def check(value: object) -> int:
        fits = type(value) is int and low <= value <= high
        return _expect(fits, value, f"a whole number from {low:,} to {high:,}")

    return check


def number(value: object) -> float:
    """Takes a finite number."""
    fits = _is_number(value) and -1e300 < value < 1e300 and math.isfinite(value)
    return _expect(fits, value, "a finite number")


def within(low: float, high: float) -> Check:
    """Takes a number of a range."""

    def check(value: object) -> float:
        fits = _is_number(value) and low <= value <= high
        return _expect(fits, value, f"a number from {low:,} to {high:,}")

    return check


def one_of(*names: str) -> Check:
    """Takes one of some texts."""

    def check(value: object) -> str:
        fits = isinstance(value, str) and value in names
        return _expect(fits, value, f"one of {', '.join(names)}")

    return check


def number_or_nan(value: object) -> float:
    """Takes a finite number, or the NaN of a score that is not defined."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return value if is_nan else number(value)


def image_id(value: object) -> int | str:
    """Takes a whole number or a text."""
    fits = type(value) is int or (isinstance(value, str) and value)
    return _expect(fits, value, "a whole number or a text")


def optional(check: Check) -> Check:
    """Takes null too."""
    return lambda value: None if value is None else check(value)


def either(what: str, *checks: Check) -> Check:
    """Takes what one of the checks takes."""

    def check(value: object) -> object:
        for one in checks:
            try:
                return one(value)
            except ValueError:
                continue
        return _expect(False, value, what)

    return check


def items(check: Check, least: int = 0, most: float = math.inf) -> Check:
    """Takes a list of values."""

    def check_all(values: object) -> list:
        fits = isinstance(values, list) and least <= len(values) <= most
        bounds = "".join(
            f" of {word} {size} entries"
            for word, size in (("at least", least), ("at most", most))
            if 0 < size < math.inf
        )
        _expect(fits, values, f"a list{bounds}")
        return [
            _at(f"[{place}]", check, value)
            for place, value in zip(count(), values, strict=False)
        ]

    return check_all


def table(check: Check) -> Check:
    """Takes an object whose values are of one kind."""

    def check_all(values: object) -> dict:
        _expect(isinstance(values, dict), values, "an object")
        return {name: _at(f".{name}", check, value) for name, value in values.items()}

    return check_all


def record(required: Mapping[str, Check], **others: Check) -> Check:
    """Takes an object that has some names; names without a check may have any value.

    Args:
        required: The checks of names that must be there.
        **others: Those of names that may be there.
    """

    def check_all(values: object) -> dict:
        _expect(isinstance(values, dict), values, "an object")
        if missing := [name for name in required if name not in values]:
            raise ValueError(f": {missing[0]} is missing")
        checks = {**required, **others}
        return {
            name: _at(f".{name}", checks.get(name, anything), value)
            for name, value in values.items()
        }

    return check_all


def same_names(check: Check) -> Check:
    """Takes objects of objects that all have the names of the first one."""
    first: list[dict] = []

    def check_all(values: object) -> dict:
        found = table(table(check))(values)
        names = {name: set(below) for name, below in found.items()}
        first.append(names) if not first else None
        if names != first[0]:
            others = set(names) ^ set(first[0]) or names
            raise ValueError(f": the names of {min(others)} are not those before")
        return found

    return check_all


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _at(place: str, check: Check, value: object) -> object:
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{place[:40]}{error}") from None


def _expect(fits: object, value: object, what: str):
    if not fits:
        raise ValueError(f": expected {what}, received {shortened(value)}")
    return value
