"""One self-contained page that explains captions word by word."""

import base64
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from files.writing import write_whole
from report.checks import check_explanation, num_read
from report.overlays import (
    ATTENTION_COLOURS,
    PHOTO_STRENGTH,
    RELEVANCE_COLOURS,
    attention_levels,
    heatmaps,
    on_white,
    palette_png,
    photo_jpeg,
    relevance_levels,
)
from report.wording import (
    VISUAL_SHARE,
    mean_probability,
    method_label,
    number,
    percent,
    sureness,
)

TEMPLATE = Path(__file__).with_name("template.html")
STYLE = Path(__file__).with_name("page.css")
WORDS_SCRIPT = Path(__file__).with_name("words.js")
COLUMNS = (
    "word",
    "probability",
    VISUAL_SHARE,
    "logit",
    "image",
    "words",
    "lost",
    "pixels",
    "lost in the encoder",
)


def write_report(
    path: str | Path,
    photos: Sequence[Sequence],
    captioner: str | None = None,
    note: str | None = None,
) -> Path:
    """Writes a page that needs no network and no other file.

    The fragment of the address chooses what the page shows first, counted from 0:
    `report.html#photo=0&word=3&method=lrp&view=attention`.

    Args:
        path: The page to write.
        photos: For each photo its explanations, one per method.
        captioner: The name of the model.
        note: A sentence of the user, below the caption.

    Returns:
        The path.

    Raises:
        ValueError: If there is nothing to show, or arrays do not fit their words.
    """
    page = report_page(photos, captioner, note)
    return write_whole(path, page.encode("utf-8"))


def report_page(
    photos: Sequence[Sequence], captioner: str | None = None, note: str | None = None
) -> str:
    """Returns the page of `write_report`."""
    if not photos or not all(photos):
        raise ValueError(
            "Expected at least one photo and one explanation for each, received "
            f"{[len(explanations) for explanations in photos]} explanations."
        )
    records = [photo_record(photo, captioner, note) for photo in photos]
    return _fill(
        TEMPLATE.read_text(encoding="utf-8"),
        {
            "title": html.escape(photos[0][0].caption),
            "style": page_style(),
            "words_script": words_script(),
            "data": script_json({"photos": records}),
            "numbers": "\n".join(_number_tables(record) for record in records),
        },
    )


def page_style() -> str:
    """Returns the style sheet of the report, which the live page begins with."""
    return _fill(
        STYLE.read_text(encoding="utf-8"),
        {
            "photo_strength": str(PHOTO_STRENGTH),
            "relevance_gradient": _gradient(RELEVANCE_COLOURS),
            "attention_gradient": _gradient(ATTENTION_COLOURS),
        },
    )


def words_script() -> str:
    """Returns the script that draws one word, of the report and of the live page."""
    return WORDS_SCRIPT.read_text(encoding="utf-8")


def photo_record(
    explanations: Sequence, captioner: str | None = None, note: str | None = None
) -> dict:
    """Gathers what the page needs of one photo; pictures are stored once each.

    Args:
        explanations: The explanations of one photo, one per method.
        captioner: See `write_report`, as `note`.
        note: A sentence.

    Returns:
        A record for JSON; a word's `heatmap` and `attention` (None for a decoder
        without) count into `images`.
    """
    for explanation in explanations:
        check_explanation(explanation)
    first = explanations[0]
    methods = [_method_record(explanation) for explanation in explanations]
    words = [word for method in methods for word in method["words"]]
    pictures = [word[view] for word in words for view in ("heatmap", "attention")]
    images = [picture for picture in dict.fromkeys(pictures) if picture is not None]
    places = {picture: index for index, picture in enumerate(images)} | {None: None}
    for word in words:
        word |= {view: places[word[view]] for view in ("heatmap", "attention")}
    return {
        "image": data_uri("jpeg", photo_jpeg(first.image)),
        "height": first.image.shape[0],
        "width": first.image.shape[1],
        "facts": sureness(captioner, mean_probability(first)),
        "note": note or "",
        "images": images,
        "methods": methods,
    }


def _method_record(explanation) -> dict:
    relevance = heatmaps(explanation.pixels)
    rows = range(len(explanation.words))
    return {
        "name": explanation.method,
        "label": method_label(explanation),
        "caption": explanation.caption,
        "sentence": _sentence(explanation),
        "words": [_word_record(explanation, relevance[row], row) for row in rows],
    }


def _word_record(explanation, relevance: np.ndarray, row: int) -> dict:
    """Gathers one word's pictures, numbers and balance."""
    beta = None if explanation.beta is None else _finite(explanation.beta[row])
    heatmap = palette_png(relevance_levels(relevance), RELEVANCE_COLOURS)
    return {
        "word": explanation.words[row],
        "step": int(explanation.steps[row]),
        "probability": math.exp(explanation.log_probabilities[row]),
        "beta": beta,
        "preceding": [_finite(value) for value in _preceding(explanation, row)],
        "balance": balance(explanation, row),
        "heatmap": data_uri("png", heatmap),
        "attention": _attention_picture(explanation, row),
    }


def _attention_picture(explanation, row: int) -> str | None:
    if explanation.attention is None:
        return None
    size = explanation.image.shape[:2]
    levels = attention_levels(explanation.attention[row], *size)
    return data_uri("png", palette_png(levels, ATTENTION_COLOURS))


def balance(explanation, row: int) -> dict[str, float | None]:
    """Splits a word's logit into what image and words gave, and what was lost.

    logit = image + words + lost;  image = pixels + encoder_lost.

    Args:
        explanation: An explanation of one caption.
        row: The explained word, from 0.

    Returns:
        Each part in the logit's unit; all but the logit are None where the method
        keeps no balance.
    """
    lost, encoder_lost = explanation.lost[row]
    decoder = {
        "image": np.sum(explanation.features[row], dtype=np.float64),
        "words": np.sum(_preceding(explanation, row)),
        "lost": lost,
    }
    encoder = {
        "pixels": np.sum(explanation.pixels[row], dtype=np.float64),
        "encoder_lost": encoder_lost,
    }
    parts = {"logit": _finite(explanation.logits[row])}
    for stage in (decoder, encoder):
        known = np.isfinite(list(stage.values())).all()
        parts |= {name: _finite(v) if known else None for name, v in stage.items()}
    return parts


def _preceding(explanation, row: int) -> np.ndarray:
    """Returns the relevance of what the decoder had read when it wrote the word."""
    return explanation.preceding_words[row][: num_read(explanation)[row]]


def _sentence(explanation) -> list[str]:
    """Returns the start token and all words of the caption."""
    if explanation.has_pieces:
        return list(explanation.words_read)
    return [explanation.words_read[0], *explanation.caption.split()]


def _finite(value: float) -> float | None:
    """Rounds for the page; JSON has no NaN."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def data_uri(kind: str, content: bytes) -> str:
    """Writes an image of this kind as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def script_json(record: dict) -> str:
    """Writes JSON that no word in it can end or leave a script element with."""
    text = json.dumps(record, allow_nan=False, separators=(",", ":"))
    return re.sub(r"[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _gradient(colours: np.ndarray) -> str:
    """Writes every seventh colour of a table, on white, as stops of a gradient."""
    return ", ".join(f"rgb({r} {g} {b})" for r, g, b in on_white(colours)[::7])


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Replaces every @@name@@ in one pass, so that no value is read again."""
    return re.sub(r"@@(\w+)@@", lambda match: values[match[1]], template)


def _number_tables(record: dict) -> str:
    """Writes every number of a photo as tables, one per method."""
    return "\n".join(
        f"<h3>{html.escape(method['caption'])} <small>{html.escape(method['label'])}"
        f"</small></h3>\n<div class='wide'><table>\n{_table(method)}\n</table></div>"
        for method in record["methods"]
    )


def _table(method: dict) -> str:
    head = "".join(f"<th scope='col'>{column}</th>" for column in COLUMNS)
    rows = [f"<tr>{head}</tr>", *(_table_row(word) for word in method["words"])]
    return "\n".join(rows)


def _table_row(word: dict) -> str:
    parts = [math.nan if part is None else part for part in word["balance"].values()]
    beta = math.nan if word["beta"] is None else word["beta"]
    cells = [percent(word["probability"]), *map(number, (1 - beta, *parts))]
    columns = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr><th scope='row'>{html.escape(word['word'])}</th>{columns}</tr>"
