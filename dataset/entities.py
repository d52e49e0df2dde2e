"""Flickr30k Entities: which phrase of a caption names which box of the photograph.

FOLDER/Annotations/<number>.xml   boxes in pixels, each with the ids it belongs to
FOLDER/Sentences/<number>.txt     captions: [/EN#<id>/<kind> a little girl] climbing ...

The number is that of the photograph's file name, up to its `_` in Flickr8k.
Source: Plummer et al. 2015, arXiv 1505.04870.
"""

import collections
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from dataset.coordinates import Annotated, place_objects
from dataset.problems import check_folder, refuse_entries, warn_skipped
from dataset.records import Box, CaptionedImage, ObjectBox, share_of_image
from dataset.words import compose

ENTITIES = (
    "https://github.com/BryanPlummer/flickr30k_entities "
    "(annotations.zip, unpacked into entities/)"
)
_PHRASE = re.compile(r"\[/en#(\d+)(?:/[^\s/\]]+)* ([^\]]+)\]")


def read_entities(
    folder: str | Path, images: Sequence[CaptionedImage], get: str
) -> list[tuple[ObjectBox, ...]]:
    """Reads the boxes of photographs; a box that no phrase names is left out.

    Args:
        folder: The folder with Annotations and Sentences.
        images: The photographs.
        get: Where to get the folder.

    Returns:
        The boxes of each photograph, with all phrases that name them, as
        `place_objects` has them. Boxes without area or outside their photograph are
        left out, and a warning names them.

    Raises:
        DatasetError: Files are missing or damaged; all of them are listed.
    """
    folder = Path(folder)
    check_folder(folder, get)
    found, problems, faults = {}, [], []
    for image in images:
        number = image.path.stem.partition("_")[0]
        paths = (
            folder / "Annotations" / f"{number}.xml",
            folder / "Sentences" / f"{number}.txt",
        )
        try:
            phrases = _read_phrases(paths[1])
            found[image.image_id] = _read_boxes(paths[0], phrases, faults)
        except OSError as error:
            problems.append(f"{error.filename}: {error.strerror}")
        except (SyntaxError, TypeError, LookupError, ValueError) as error:
            problems.append(f"{paths[0]}: damaged ({error})")
    refuse_entries(folder, problems, f"get them: {get}")
    warn_skipped(folder, faults)
    return [image.objects for image in place_objects(folder, images, found)]


def _read_phrases(path: Path) -> dict[str, list[str]]:
    """Returns the lower-case phrases of every entity, each once."""
    text = compose(path.read_text(encoding="utf-8", errors="replace").lower())
    phrases = collections.defaultdict(dict)
    for entity, phrase in _PHRASE.findall(text):
        phrases[entity][" ".join(phrase.split())] = None
    return {entity: list(found) for entity, found in phrases.items()}


def _read_boxes(
    path: Path, phrases: dict[str, list[str]], faults: list[str]
) -> Annotated:
    """Reads the boxes of one file; adds those that cannot be used to `faults`."""
    root = ElementTree.parse(path).getroot()
    size = [int(root.findtext(f"size/{name}")) for name in ("width", "height")]
    boxes = []
    for element in root.iter("object"):
        names = [str(name.text) for name in element.findall("name")]
        named = dict.fromkeys(p for name in names for p in phrases.get(name, ()))
        for box in element.findall("bndbox") if named else ():
            try:
                edges = [float(box.findtext(edge)) for edge in Box._fields]
                boxes.append(ObjectBox(tuple(named), share_of_image(edges, *size)))
            except (TypeError, ValueError) as error:
                faults.append(f"{path.name}, object {', '.join(names)}: {error}")
    return Annotated(*size, boxes)
