"""Captions and references that anyone wrote, brought together by their images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dataset.ids import by_key, key_function
from files.messages import shortened
from files.reading import read_json
from files.values import either, filled, image_id, items, record, table, text
from scoring.caption_files import CAPTIONS, WAY_OUT

REFERENCES_OUT = (
    'It holds no references: {"annotations": [{"image_id": ..., "caption": ...}, ...]} '
    'as MSCOCO has them, or {"ID": ["...", ...], ...}.'
)
ANNOTATIONS = record(
    {"annotations": items(record({"image_id": image_id, "caption": text}), least=1)},
    images=items(record({"id": image_id}, file_name=text)),
)
BY_ID = table(either("a caption, or a list of captions", filled, items(text, least=1)))


class References(NamedTuple):
    """The reference captions of images.

    Attributes:
        by_id: Of each image, by its id.
        by_name: The same by the names of the images' files, where these are known.
    """

    by_id: dict[int | str, list[str]]
    by_name: dict[str, list[str]]


def read_references(path: Path) -> References:
    """Reads references: captions as MSCOCO has them, or lists of captions by id.

    Raises:
        FileError: The file is missing, damaged, or holds something else.
    """
    return read_json(path, _check_references, REFERENCES_OUT)


def _check_references(content: object) -> References:
    if not isinstance(content, Mapping) or "annotations" not in content:
        found = BY_ID(content)
        lists = {id_: [c] if isinstance(c, str) else c for id_, c in found.items()}
        return References(lists, {})
    content, by_id = ANNOTATIONS(content), {}
    for entry in content["annotations"]:
        by_id.setdefault(entry["image_id"], []).append(entry["caption"])
    named = (image for image in content.get("images", ()) if "file_name" in image)
    by_name = {image["file_name"]: by_id.get(image["id"]) for image in named}
    return References(by_id, {name: found for name, found in by_name.items() if found})


def read_candidates(path: Path) -> list[tuple[int | str, str]]:
    """Reads captions in COCO's results format, each with the id of its image.

    Raises:
        FileError: The file is missing, damaged, or holds something else.
    """
    entries = read_json(path, CAPTIONS, WAY_OUT)
    return [(entry["image_id"], entry["caption"].strip()) for entry in entries]


def bring_together(
    candidates: Sequence[tuple[int | str, str]], references: References, partly: bool
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Returns the references and the caption of each image by the same keys.

    Captions name an image by its id in the references, or by its file; see
    `dataset.ids.image_key` for the spellings that are one.

    Args:
        candidates: From `read_candidates`.
        references: From `read_references`.
        partly: Whether to leave out references of images without a caption, and not
            to refuse them.

    Raises:
        ValueError: An id is none, an image has several captions or none, or a caption
            has no references.
    """
    ways = [_match(candidates, some) for some in references if some]
    found, wanted = max(ways, key=lambda way: len(way[0].keys() & way[1].keys()))
    unknown = [id_ for id_ in found if id_ not in wanted]
    without = [id_ for id_ in wanted if id_ not in found]
    if unknown or not found:
        such = f", such as {shortened(unknown[0])}" if unknown else ""
        raise ValueError(
            f"{len(unknown)} of {len(found)} captions are of images without "
            f"references{such}. Name images as the references do."
        )
    if without and not partly:
        raise ValueError(
            f"{len(without)} of {len(wanted)} images with references have no caption, "
            f"such as {shortened(without[0])}. Caption all, or score the others alone "
            "with --captioned-only."
        )
    return {id_: wanted[id_] for id_ in found}, found


def _match(
    candidates: Sequence[tuple[int | str, str]], references: Mapping
) -> tuple[dict[str, str], dict[str, list[str]]]:
    key = key_function(map(str, references))
    wanted = by_key(references.items(), key)
    try:
        return by_key(candidates, key), wanted
    except ValueError as error:
        reason = f"The captions cannot be told apart: {error}"
        raise ValueError(f"{reason}. Expected one caption of an image.") from None
