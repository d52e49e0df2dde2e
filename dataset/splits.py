"""The splits of a dataset, and how people spell them."""

import hashlib
import re
from pathlib import PurePosixPath

from dataset.ids import without_suffix

SPLITS = ("train", "dev", "test")
_SPELLINGS = {
    "train": ("train", "training", "restval"),
    "dev": ("dev", "val", "valid", "validation"),
    "test": ("test", "testing"),
}
_OF_SPELLING = {text: split for split, texts in _SPELLINGS.items() for text in texts}
_YEAR = re.compile(r"(?:19|20)\d\d$")  # of train2017
SHARES = {"train": 0.8, "dev": 0.1, "test": 0.1}  # where nothing names the splits


def split_of(text: str) -> str | None:
    """Returns the split that a text names, in any of its spellings; None for others."""
    return _OF_SPELLING.get(_YEAR.sub("", text.strip().lower()))


def share_by_name(name: str) -> str:
    """Returns the split of a photograph by its name alone, with the shares of SHARES.

    The same name is always in the same split, whatever else is in the dataset. Its
    folder and its suffix do not count.
    """
    stem = without_suffix(PurePosixPath(name.replace("\\", "/")).name)
    digest = hashlib.sha256(stem.encode(errors="surrogatepass")).digest()
    place = int.from_bytes(digest[:8]) / 2**64  # in [0, 1)
    if place < SHARES["train"]:
        return "train"
    return "dev" if place < SHARES["train"] + SHARES["dev"] else "test"
