"""Counts how many statements of captions are true of their rendered scenes.

python -m dataset.scenes.truth --captions captions.json
"""

import argparse
import itertools
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from command_line import make_parser, run_script
from dataset.scenes.captions import NUMBERS, PLACES, SceneObject, plural, relations
from dataset.scenes.drawing import COLOURS, KINDS
from dataset.scenes.scenes import SPLITS, Scene, render_scene, scene_seed

KIND_OF = {kind: kind for kind in KINDS} | {plural(kind): kind for kind in KINDS}
RELATIONS = ("in front of", "behind", "left of", "right of", "above", "below")
RELATIONS += ("next to",)
PLACE_OF = {text: place for place, texts in PLACES.items() for text in texts}


def one_of(name: str, texts: Sequence[str]) -> str:
    """Writes a pattern that finds one of some texts as whole words."""
    return rf"(?P<{name}>{'|'.join(sorted(texts, key=len, reverse=True))})\b"


NOUN = re.compile(
    rf"\b(?:{one_of('number', NUMBERS)} )?(?:{one_of('size', ('small', 'large'))} )?"
    rf"(?:{one_of('colour', COLOURS)} )?{one_of('kind', (*KIND_OF, 'objects'))}"
)
RELATION = re.compile(rf" (?:is )?{one_of('relation', RELATIONS)} (?:an? )?")
PLACE = re.compile(one_of("place", PLACE_OF))


class Statement(NamedTuple):
    """One thing that a caption says.

    Attributes:
        about: Of what it speaks: object, colour, size, number, relation or place.
        is_true: Whether the scene has it.
    """

    about: str
    is_true: bool


def statements(caption: str, scene: Scene) -> Iterator[Statement]:
    """Yields what a caption says of a scene.

    Articles count: a caption that names a red ball twice speaks of two red balls.
    """
    nouns = list(NOUN.finditer(caption))
    for noun in nouns:
        yield from _of_noun(noun, scene.objects)
    named = Counter(noun[0] for noun in nouns if noun["number"] is None)
    for noun in {noun[0]: noun for noun in nouns}.values():
        if named[noun[0]] > 1:
            found = len(_matching(noun, scene.objects))
            yield Statement("number", named[noun[0]] <= found)
    for one, other in itertools.pairwise(nouns):
        between = RELATION.fullmatch(caption[one.end() : other.start()])
        if between:
            is_true = _are_related(one, between["relation"], other, scene.objects)
            yield Statement("relation", is_true)
    for place in PLACE.finditer(caption):
        yield Statement("place", PLACE_OF[place["place"]] == scene.background)


def _of_noun(noun: re.Match, objects: Sequence[SceneObject]) -> Iterator[Statement]:
    """Yields what a noun with its adjectives and its number says."""
    if noun["kind"] != "objects":
        kind = KIND_OF[noun["kind"]]
        alike = [o for o in objects if o.kind == kind]
        yield Statement("object", bool(alike))
        if noun["colour"]:
            alike = [o for o in alike if o.colour == noun["colour"]]
            yield Statement("colour", bool(alike))
        if noun["size"]:
            yield Statement("size", any(o.size == noun["size"] for o in alike))
    if noun["number"]:
        number = NUMBERS.index(noun["number"])
        yield Statement("number", len(_matching(noun, objects)) == number)


def _matching(noun: re.Match, objects: Sequence[SceneObject]) -> list[int]:
    """Returns the indices of the objects that a noun with its adjectives fits."""
    wanted = (KIND_OF.get(noun["kind"]), noun["colour"], noun["size"])
    return [
        index
        for index, o in enumerate(objects)
        if all(
            want in (None, has)
            for want, has in zip(wanted, (o.kind, o.colour, o.size), strict=True)
        )
    ]


def _are_related(one, relation: str, other, objects: Sequence[SceneObject]) -> bool:
    return any(
        relation in relations(objects, first, second)
        for first in _matching(one, objects)
        for second in _matching(other, objects)
        if first != second
    )


def read_captions(path: Path) -> dict[str, str]:
    """Reads a file of `inference.py`.

    Raises:
        ValueError: An image is no rendered scene.
    """
    entries = json.loads(path.read_text("utf-8"))
    captions = {str(entry["image_id"]): entry["caption"] for entry in entries}
    for image_id in captions:
        if not re.fullmatch(rf"({'|'.join(SPLITS)})_\d+", image_id):
            raise ValueError(
                f"{path}: {image_id!r} is no rendered scene; expected ids such as "
                "dev_000012, as inference.py --dataset scenes writes them."
            )
    return captions


def count(captions: dict[str, str], seed: int) -> dict[str, tuple[int, int]]:
    """Returns for each kind of statement how many are true, and how many there are.

    Args:
        captions: By image id.
        seed: Of the rendered dataset.
    """
    counts = defaultdict(lambda: [0, 0])
    for image_id, caption in captions.items():
        split, index = image_id.split("_")
        said = list(
            statements(caption, render_scene(scene_seed(split, int(index), seed)))
        )
        whole = Statement("whole caption", all(one.is_true for one in said))
        for one in (*said, whole):
            counts[one.about][0] += one.is_true
            counts[one.about][1] += 1
    return {about: tuple(pair) for about, pair in counts.items()}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m dataset.scenes.truth")
    add = parser.add_argument
    add(
        "--captions",
        type=Path,
        required=True,
        metavar="FILE.json",
        help="captions that inference.py wrote for rendered scenes",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of the scenes")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Prints the shares."""
    counts = count(read_captions(arguments.captions), arguments.seed)
    for about, (true, total) in counts.items():
        print(f"{about:14} {true:5} of {total:5} true, {true / total:.3f}")


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("dataset.scenes.truth", lambda: run(parse(argv)))


if __name__ == "__main__":
    sys.exit(main())
