"""One self-contained page that explains captions word by word."""

import base64
import html
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from files.pictures import photo_jpeg, shrunk
from files.writing import write_whole
from report.checks import check_explanation, lengths_of, num_read
from report.look import USUAL, Look
from report.overlays import (
    ATTENTION_COLOURS,
    CLIPPED_PERCENTILE,
    attention_levels,
    heatmaps,
    palette_png,
    photo_of,
    relevance_levels,
)
from report.page_parts import fill, page_style, stage_markup, words_script
from report.wording import (
    METHOD_ADVICE,
    VISUAL_SHARE,
    likelihood,
    mean_probability,
    method_label,
    number,
    sureness,
)

TEMPLATE = Path(__file__).with_name("template.html")
LONGEST_SIDE = 1000  # pixels of the photograph
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
    "by places",
    "by the mean feature",
)


def write_report(
    path: str | Path,
    photos: Sequence[Sequence],
    captioner: str | Sequence[str] | None = None,
    note: str | None = None,
    look: Look = USUAL,
) -> Path:
    """Writes a page that needs no network and no other file.

    The fragment of the address chooses what the page shows first, counted from 0:
    `report.html#photo=0&word=3&method=lrp&view=attention`.

    Args:
        path: The page to write.
        photos: See `report_page`, as the others.
        captioner: The name of the model, or one for each photo.
        note: A sentence.
        look: The colours.

    Returns:
        The path.
    """
    page = report_page(photos, captioner, note, look)
    return write_whole(path, page.encode("utf-8"))


def report_page(
    photos: Sequence[Sequence],
    captioner: str | Sequence[str] | None = None,
    note: str | None = None,
    look: Look = USUAL,
) -> str:
    """Returns a page that needs no network and no other file.

    Args:
        photos: For each photo its explanations, one per method.
        captioner: The name of the model. Or one for each photo, where the photos are
            one that several captioners describe: they lie beside each other.
        note: A sentence of the user, below the caption.
        look: The colours, and whether each word or the caption has a scale.

    Raises:
        ValueError: If there is nothing to show, or arrays do not fit their words.
    """
    if not photos or not all(photos):
        raise ValueError(
            "Expected at least one photo and one explanation for each, received "
            f"{[len(explanations) for explanations in photos]} explanations."
        )
    is_one = captioner is None or isinstance(captioner, str)
    names = [captioner] * len(photos) if is_one else captioner
    is_beside = not is_one and len(photos) > 1
    records = [
        photo_record(photo, name, note, look)
        for photo, name in zip(photos, names, strict=True)
    ]
    return fill(
        TEMPLATE.read_text(encoding="utf-8"),
        {
            "title": html.escape(photos[0][0].caption),
            "style": page_style(look),
            "stage": stage_markup(),
            "words_script": words_script(),
            "hint": _hint(look),
            "data": script_json(
                {"photos": records, "beside": is_beside, **_levels(look)}
            ),
            "numbers": "\n".join(_number_tables(record) for record in records),
        },
    )


def photo_record(
    explanations: Sequence,
    captioner: str | None = None,
    note: str | None = None,
    look: Look = USUAL,
) -> dict:
    """Gathers what the page needs of one photo; pictures are stored once each.

    Args:
        explanations: The explanations of one photo, one per method.
        captioner: See `write_report`, as the others.
        note: A sentence.
        look: The colours.

    Returns:
        A record for JSON; a word's `heatmap` and `attention` (None for a decoder
        without) count into `images`.
    """
    for explanation in explanations:
        check_explanation(explanation)
    first = explanations[0]
    photo = shrunk(photo_of(first), LONGEST_SIDE)
    methods = [_method_record(explanation, look) for explanation in explanations]
    words = [word for method in methods for word in method["words"]]
    pictures = [word[view] for word in words for view in ("heatmap", "attention")]
    images = [picture for picture in dict.fromkeys(pictures) if picture is not None]
    places = {picture: index for index, picture in enumerate(images)} | {None: None}
    for word in words:
        word |= {view: places[word[view]] for view in ("heatmap", "attention")}
    return {
        "image": data_uri("jpeg", photo_jpeg(photo)),
        "height": photo.shape[0],
        "width": photo.shape[1],
        "facts": sureness(captioner, mean_probability(first)),
        "note": note or "",
        "images": images,
        "methods": methods,
    }


def _method_record(explanation, look: Look) -> dict:
    relevance = heatmaps(explanation.pixels)  # (R, H, W)
    limits = look.limits(relevance)
    words = []
    for row, (heat, limit) in enumerate(zip(relevance, limits, strict=True)):
        levels = relevance_levels(heat, limit)
        pictures = {
            "heatmap": data_uri("png", palette_png(levels, look.colours)),
            "attention": _attention_picture(explanation, row, look),
        }
        record = _word_record(explanation, row) | {"limit": _finite(limit)}
        words.append(record | pictures)
    return {
        "name": explanation.method,
        "label": method_label(explanation),
        "advice": METHOD_ADVICE.get(explanation.method, ""),
        "additive": bool(explanation.is_additive),
        "compares": explanation.against is not None,
        "caption": explanation.caption,
        "sentence": _sentence(explanation),
        "words": words,
    }


def _word_record(explanation, row: int) -> dict:
    """Gathers one word's numbers and balance."""
    beta = None if explanation.beta is None else _finite(explanation.beta[row])
    return {
        "word": explanation.words[row],
        "step": int(explanation.steps[row]),
        "length": int(lengths_of(explanation)[row]),
        "probability": math.exp(min(explanation.log_probabilities[row], 700)),
        "likelihood": likelihood(explanation, row),
        "beta": beta,
        "preceding": [_finite(value) for value in _preceding(explanation, row)],
        "balance": balance(explanation, row),
    }


def _attention_picture(explanation, row: int, look: Look) -> str | None:
    if explanation.attention is None:
        return None
    size = explanation.image.shape[:2]
    largest = look.largest(explanation.attention)
    levels = attention_levels(explanation.attention[row], *size, largest)
    return data_uri("png", palette_png(levels, ATTENTION_COLOURS))


def balance(explanation, row: int) -> dict[str, float | None]:
    """Splits a word's logit into what image and words gave, and what was lost.

    logit = image + words + lost;  image = pixels + encoder_lost = places + mean.

    Args:
        explanation: An explanation of one caption.
        row: The explained word, from 0.

    Returns:
        Each part in the logit's unit; all but the logit are None where the method
        keeps no balance, places and mean where no mean feature is read.
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
    of_mean = explanation.mean_feature
    mean = np.nan if of_mean is None else np.float64(of_mean[row])
    kinds = {"places": decoder["image"] - mean, "mean": mean}
    parts = {"logit": _finite(explanation.logits[row])}
    for stage in (decoder, encoder, kinds):
        known = np.isfinite(list(stage.values())).all()
        parts |= {name: _finite(v) if known else None for name, v in stage.items()}
    return parts


def _preceding(explanation, row: int) -> np.ndarray:
    """Returns the relevance of what the decoder had read when it wrote the word."""
    return explanation.preceding_words[row][: num_read(explanation)[row]]


def _sentence(explanation) -> list[str]:
    """Returns the start token and all words of the caption, or of both captions."""
    if explanation.has_pieces or explanation.against is not None:
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


def _levels(look: Look) -> dict:
    """Returns what the page adds maps up with."""
    return {
        "colours": look.colours.tolist(),
        "percentile": CLIPPED_PERCENTILE,
        "shared": look.is_shared,
    }


def _hint(look: Look) -> str:
    """Says what the colours mean."""
    hint = "Red supports the word, blue opposes it."
    if look.colour_map is not None:
        hint = "The scale below the photo says which colour supports the word."
    if look.is_shared:
        hint += " All words have one scale: a pale word hardly reads the photo."
    return hint


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
    cells = [word["likelihood"].removeprefix("p "), *map(number, (1 - beta, *parts))]
    columns = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr><th scope='row'>{html.escape(word['word'])}</th>{columns}</tr>"
