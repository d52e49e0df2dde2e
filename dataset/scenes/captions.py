"""The words of rendered scenes: objects, their relations and five true captions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset.records import Box

NUMBERS = ("zero", "one", "two", "three", "four")
PLACES = {
    "grass": ("on the grass", "on the lawn"),
    "sand": ("on the sand", "on the beach"),
    "snow": ("in the snow", "on the snow"),
    "water": ("on the water", "on the sea"),
    "night": ("in the night sky", "at night"),
    "wood": ("on the wooden floor", "on the floor"),
}
NEAR = 0.1  # largest gap of "next to", as a share of the image's width


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object of a rendered scene.

    Attributes:
        kind: A key of `drawing.KINDS`.
        colour: A key of `drawing.COLOURS`.
        size: "small" or "large".
        box: The tight box of the mask, its edges as shares of width and height.
        mask: The bool pixels (224, 224) in which the object is seen.
    """

    kind: str
    colour: str
    size: str
    box: Box
    mask: np.ndarray

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box as (x, y)."""
        box = self.box
        return (box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2


def plural(kind: str) -> str:
    """Returns the word for several objects of a kind: "balls", "boxes"."""
    return kind + ("es" if kind.endswith("x") else "s")


def relations(objects: Sequence[SceneObject], first: int, second: int) -> list[str]:
    """Returns every phrase that is true between two objects of a scene.

    Args:
        objects: The objects from back to front.
        first: Index of the object the phrase is about.
        second: Index of the object it is compared with.

    Returns:
        Some of "in front of" and "behind" where one hides a part of the other;
        else of "left of", "right of", "above", "below" and "next to", by the
        centres of the boxes along the axis on which these lie further apart.
    """
    one, other = objects[first], objects[second]
    if _touch(one.mask, other.mask):
        return ["in front of" if first > second else "behind"]
    across = other.centre[0] - one.centre[0]
    down = other.centre[1] - one.centre[1]
    if abs(across) < abs(down):
        return ["above" if down > 0 else "below"]
    gap = max(other.box.xmin - one.box.xmax, one.box.xmin - other.box.xmax)
    beside = ["next to"] if gap <= NEAR and abs(down) <= NEAR else []
    return ["left of" if across > 0 else "right of", *beside]


def write_captions(
    background: str,
    objects: Sequence[SceneObject],
    rng: np.random.Generator,
    wordings: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Words a scene in five ways, in random order.

    Args:
        background: A key of PLACES.
        objects: Two to four objects from back to front.
        rng: Chooses among phrases that are all true.
        wordings: Keys of WORDINGS, the others are left out; all if None.

    Returns:
        Lower-case captions of at most 20 words, one for each wording.
    """
    captions = [
        (name, write(str(rng.choice(PLACES[background])), objects, rng))
        for name, write in WORDINGS.items()
    ]
    shuffled = (captions[index] for index in rng.permutation(len(captions)))
    return tuple(text for name, text in shuffled if name in (wordings or WORDINGS))


def _detailed(place: str, objects, rng: np.random.Generator) -> str:
    """Relates two objects with all that is known of them."""
    one, relation, other = _random_relation(objects, rng)
    return f"{_name(one, size=True)} {relation} {_name(other, size=True)} {place}"


def _sentence(place: str, objects, rng: np.random.Generator) -> str:
    """Relates two objects, named by their colours, in a whole sentence."""
    one, relation, other = _random_relation(objects, rng)
    sentence = f"{_name(one)} is {relation} {_name(other)}"
    return str(rng.choice([sentence, f"{place} {sentence}"]))


def _counts(place: str, objects, rng: np.random.Generator) -> str:
    """Counts the objects of each kind."""
    counts = Counter(object_.kind for object_ in _from_left(objects))
    names = [_counted(number, "", kind) for kind, number in counts.items()]
    verb = "are" if next(iter(counts.values())) > 1 else "is"
    start = str(rng.choice(["", f"there {verb} "]))
    return f"{start}{_listed(names)} {place}"


def _colours(place: str, objects, rng: np.random.Generator) -> str:
    """Names every object by its colour, from left to right."""
    counts = Counter((o.colour, o.kind) for o in _from_left(objects))
    names = [_counted(number, *key) for key, number in counts.items()]
    return str(rng.choice(["a picture of ", ""])) + _listed(names)


def _number(place: str, objects, rng: np.random.Generator) -> str:
    """Says how many objects there are and names one that has no twin."""
    counts = Counter((o.colour, o.kind) for o in objects)
    single = [o for o in objects if counts[o.colour, o.kind] == 1]
    start = f"{NUMBERS[len(objects)]} objects {place}"
    if not single:
        return start
    chosen = single[rng.integers(len(single))]
    return f"{start}, one of them is {_name(chosen, size=True)}"


WORDINGS = {
    "detailed": _detailed,
    "sentence": _sentence,
    "counts": _counts,
    "colours": _colours,
    "number": _number,
}


def _random_relation(objects, rng: np.random.Generator):
    """Returns two objects that are named differently and a phrase between them."""
    indices = range(len(objects))
    pairs = [
        (first, second)
        for first in indices
        for second in indices
        if _name(objects[first]) != _name(objects[second])
    ]
    first, second = pairs[rng.integers(len(pairs))]
    phrases = relations(objects, first, second)
    return objects[first], phrases[rng.integers(len(phrases))], objects[second]


def _name(object_: SceneObject, size: bool = False) -> str:
    words = f"{object_.colour} {object_.kind}"
    return _with_article(f"{object_.size} {words}" if size else words)


def _with_article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _counted(number: int, colour: str, kind: str) -> str:
    words = f"{colour} {kind if number == 1 else plural(kind)}".strip()
    return _with_article(words) if number == 1 else f"{NUMBERS[number]} {words}"


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _from_left(objects: Sequence[SceneObject]) -> list[SceneObject]:
    return sorted(objects, key=lambda object_: object_.centre)


def _touch(one: np.ndarray, other: np.ndarray) -> bool:
    """Tells whether two disjoint masks have neighbouring pixels."""
    near = one.copy()
    near[1:] |= one[:-1]
    near[:-1] |= one[1:]
    near[:, 1:] |= one[:, :-1]
    near[:, :-1] |= one[:, 1:]
    return bool(np.any(near & other))
