"""The code in documents, run as it stands there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[str]:
    """Returns the Python code of a document, with the lines that it has there."""
    text = (ROOT / name).read_text("utf-8")
    found = _BLOCK.finditer(text)
    return ["\n" * text[: one.start(1)].count("\n") + one[1] for one in found]


def run_block(name: str, number: int, known: dict | None = None) -> dict:
    """Runs one block of a document; returns all names that it knows then."""
    known = {"__name__": f"{name}, block {number}"} if known is None else known
    exec(compile(blocks(name)[number], ROOT / name, "exec"), known)
    return known
