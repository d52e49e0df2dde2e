"""A page that leads to the reports of several photos."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from dataset.files import write_whole
from report.html_report import data_uri
from report.overlays import photo_jpeg

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
        image: uint8 RGB (H, W, 3).
        link: The address of its report, relative to the index.
    """

    caption: str
    image: np.ndarray
    link: str


def write_index(path: str | Path, cards: Sequence[Card]) -> Path:
    """Writes the page; returns its path."""
    text = PAGE.format(cards="\n".join(_card(card) for card in cards))
    return write_whole(Path(path), text.encode("utf-8"))


def _card(card: Card) -> str:
    picture = data_uri("jpeg", photo_jpeg(card.image))
    caption = html.escape(card.caption)
    link = html.escape(quote(card.link), quote=True)
    return f'<a href="{link}"><img src="{picture}" alt="">{caption}</a>'
