"""What the command lines of several scripts have in common."""

import argparse
import math


def positive(text: str) -> int:
    """Reads a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected 1, 2, 3, ...; received {text!r}")
    return int(text)


def not_negative(text: str) -> float:
    """Reads a number that is 0 or above."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected 0 or above; received {text!r}")
    return number
