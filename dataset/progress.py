"""How far some work is, for who looks at a terminal."""

from collections.abc import Iterable

from tqdm import tqdm


def progress(items: Iterable | None = None, **options) -> tqdm:
    """Shows a bar where the error stream is a terminal, else nothing.

    Args:
        items: What is worked on; None where `update` is called.
        **options: See tqdm.
    """
    return tqdm(items, **{"disable": None} | options)
