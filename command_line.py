"""What the command lines of several scripts have in common."""

import argparse


def positive(text: str) -> int:
    """Reads a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected 1, 2, 3, ...; received {text!r}")
    return int(text)
