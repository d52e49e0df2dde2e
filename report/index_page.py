"""A page that leads to the reports of several photos."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from files.writing import write_whole

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>What the captioner saw</title>
<style>
body {{ margin: 0 auto; max-width: 1100px; padding: 24px; font: 16px/1.4 system-ui, sans-serif; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 20px; }}
a {{ color: inherit; text-decoration: none; }}
a:hover, a:focus {{ text-decoration: underline; }}
img {{ display: block; width: 100%; border-radius: 10px; margin-bottom: 6px; }}
</style>
</head>
<body>
<h1>What the captioner saw</h1>
<main>
{cards}
</main>
</body>
</html>
"""  # noqa: E501


@dataclass(frozen=True)
class Card:
    """One photo of the index.

    Attributes:
        caption: The sentence below the photo.
        folder: Of its photo and report, relative to the index.
    """

    caption: str
    folder: str


def write_index(path: str | Path, cards: Sequence[Card]) -> Path:
    """Writes the page; returns its path."""
    text = PAGE.format(cards="\n".join(_card(card) for card in cards))
    return write_whole(Path(path), text.encode("utf-8"))


def _card(card: Card) -> str:
    caption = html.escape(card.caption)
    folder = html.escape(quote(card.folder), quote=True)
    photo = f'<img src="{folder}/photo.jpg" alt="" loading="lazy">'
    return f'<a href="{folder}/report.html">{photo}{caption}</a>'
