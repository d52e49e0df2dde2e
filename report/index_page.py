"""A page that leads to the reports of several photos."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from files.writing import write_whole
from report.wording import sureness

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>What the captioner saw</title>
<style>
body {{ margin: 0 auto; max-width: 1100px; padding: 24px; font: 16px/1.4 system-ui, sans-serif; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 28px 24px; }}
a {{ color: inherit; text-decoration: none; }}
a:hover, a:focus {{ text-decoration: underline; }}
small, em {{ display: block; margin-top: 4px; font-size: .85rem; }}
small {{ opacity: .7; }}
img {{ display: block; width: 100%; border-radius: 10px; margin-bottom: 6px; }}
</style>
</head>
<body>
<h1>What the captioner saw</h1>
<p>Choose a picture. Its report shows, for every word, the pixels and the preceding words
that the captioner relied on. The surest captions come first.</p>
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
        captioner: The name of the model.
        probability: The mean probability of the words; None if it is not known.
        note: A sentence of the user, if any.
    """

    caption: str
    folder: str
    captioner: str | None = None
    probability: float | None = None
    note: str | None = None


def write_index(path: str | Path, cards: Sequence[Card]) -> Path:
    """Writes the page; returns its path."""
    text = PAGE.format(cards="\n".join(_card(card) for card in cards))
    return write_whole(Path(path), text.encode("utf-8"))


def _card(card: Card) -> str:
    folder = html.escape(quote(card.folder), quote=True)
    photo = f'<img src="{folder}/photo.jpg" alt="" loading="lazy">'
    lines = [html.escape(card.caption)]
    if card.probability is not None:
        facts = html.escape(sureness(card.captioner, card.probability))
        lines.append(f"<small>{facts}</small>")
    if card.note:
        lines.append(f"<em>{html.escape(card.note)}</em>")
    text = "\n".join(lines)
    return f'<a href="{folder}/report.html">{photo}{text}</a>'
