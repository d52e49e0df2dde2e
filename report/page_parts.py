"""The style, markup and script that the report and the live page have in common."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from report.look import USUAL, Look
from report.overlays import ATTENTION_COLOURS, PHOTO_STRENGTH, on_white

STYLE = Path(__file__).with_name("page.css")
STAGE = Path(__file__).with_name("stage.html")
WORDS_SCRIPT = Path(__file__).with_name("words.js")


def page_style(look: Look = USUAL) -> str:
    """Returns the style sheet.

    Args:
        look: The colours.
    """
    is_usual = look.colour_map is None
    opposes, supports = (" ".join(map(str, look.colours[end, :3])) for end in (0, -1))
    return fill(
        STYLE.read_text(encoding="utf-8"),
        {
            "photo_strength": str(PHOTO_STRENGTH),
            "relevance_gradient": _gradient(look.colours),
            "attention_gradient": _gradient(ATTENTION_COLOURS),
            "supports": supports,
            "opposes": opposes,
            "supports_in_the_dark": "240 70 84" if is_usual else supports,
            "opposes_in_the_dark": "92 136 255" if is_usual else opposes,
        },
    )


def stage_markup() -> str:
    """Returns the photo, what lies over it, its controls and its legend."""
    return STAGE.read_text(encoding="utf-8")


def words_script() -> str:
    """Returns the script that draws one word."""
    return WORDS_SCRIPT.read_text(encoding="utf-8")


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replaces every @@name@@ in one pass, so that no value is read again."""
    return re.sub(r"@@(\w+)@@", lambda match: values[match[1]], template)


def _gradient(colours: np.ndarray) -> str:
    """Writes every seventh colour of a table, on white, as stops of a gradient."""
    return ", ".join(f"rgb({r} {g} {b})" for r, g, b in on_white(colours)[::7])
