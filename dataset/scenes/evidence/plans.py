"""Plans of pictures: what is drawn where, in two sorts of scenes.

Two objects are compared by their size: one of FIRST_KINDS with one of SECOND_KINDS. Or
there are one to three objects of one kind and colour. A badge stands in a corner of
every picture. No caption names it.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dataset.images import IMAGE_SIZE
from dataset.scenes.captions import SceneObject
from dataset.scenes.drawing import BACKGROUNDS, Placement, draw_scene
from dataset.scenes.layout import are_apart, random_corner
from dataset.scenes.scenes import Scene, tight_box

FIRST_KINDS = ("ball", "box", "car")
SECOND_KINDS = ("cup", "house", "umbrella")
COLOURS = ("red", "yellow", "green", "blue", "black")
GROUNDS = {  # what captions call the backgrounds
    "grass": "grass",
    "sand": "sand",
    "snow": "snow",
    "water": "water",
    "wood": "floor",
}
SIDES = (58, 78, 104)  # of objects, in pixels
RELATIONS = ("smaller", "larger")
BADGE = "star"  # its kind
BADGE_SIDE = 40  # in pixels
BADGE_EDGE = (4, 12)  # pixels between the badge and the edges of its corner
MOST_ALIKE = 3  # objects of one kind
SHARE_RELATED = 0.65  # of the scenes
TRIES = 400


class Look(NamedTuple):
    """What an object looks like, wherever it stands."""

    kind: str
    colour: str
    side: int


@dataclass(frozen=True)
class Plan:
    """What a picture is drawn from.

    Attributes:
        background: A key of GROUNDS.
        badge: The placement of the badge.
        objects: Those of the objects, in the order in which captions name them.
        texture: The seed of the background's texture.
    """

    background: str
    badge: Placement
    objects: tuple[Placement, ...]
    texture: int

    @property
    def is_related(self) -> bool:
        """Whether there are two objects of different kinds."""
        return len({object_.kind for object_ in self.objects}) == 2

    @property
    def relation(self) -> str:
        """What the first object is beside the second, one of RELATIONS."""
        first, second = self.objects
        return RELATIONS[first.side > second.side]

    @property
    def looks(self) -> list[Look]:
        """What the objects look like."""
        return [Look(o.kind, o.colour, o.side) for o in self.objects]

    def replace(self, **changes) -> "Plan":
        """Returns a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def compose_plan(rng: np.random.Generator, agrees: bool = False) -> Plan:
    """Draws a plan.

    Args:
        rng: Draws everything.
        agrees: Whether the badge has the colour of the first object; else its colour
            is drawn.
    """
    background = str(rng.choice(list(GROUNDS)))
    colours = visible_colours(background)
    is_related = rng.random() < SHARE_RELATED
    looks = (_draw_pair if is_related else _draw_alike)(rng, colours)
    badge = _corner_badge(rng, looks[0].colour if agrees else str(rng.choice(colours)))
    objects = None
    while objects is None:
        objects = place(rng, looks, [badge])
    return Plan(background, badge, objects, int(rng.integers(2**31)))


def visible_colours(background: str) -> list[str]:
    """Returns the colours that are seen well on a background."""
    hidden = BACKGROUNDS[background].hidden_colours
    return [colour for colour in COLOURS if colour not in hidden]


def place(
    rng: np.random.Generator, looks: Sequence[Look], others: Sequence[Placement]
) -> tuple[Placement, ...] | None:
    """Places objects at random, clear of each other and of others.

    Returns:
        The placements; None if no room was found for all of them.
    """
    for _ in range(TRIES):
        placed = list(others)
        for look in looks:
            corner = random_corner(rng, look.side)
            candidate = Placement(look.kind, look.colour, "", *corner, look.side)
            if all(are_apart(candidate, other) for other in placed):
                placed.append(candidate)
        if len(placed) == len(looks) + len(others):
            return tuple(placed[len(others) :])
    return None


def render_plan(plan: Plan, captions: tuple[str, ...]) -> Scene:
    """Draws a plan; the badge is the first object of the scene."""
    placements = (plan.badge, *plan.objects)
    rng = np.random.default_rng(plan.texture)
    image, masks = draw_scene(plan.background, placements, rng)
    objects = tuple(
        SceneObject(p.kind, p.colour, _size(p.side), tight_box(mask), mask)
        for p, mask in zip(placements, masks, strict=True)
    )
    return Scene(image, captions, plan.background, objects)


def _size(side: int) -> str:
    return "large" if side == max(SIDES) else "small"


def _corner_badge(rng: np.random.Generator, colour: str) -> Placement:
    gaps = rng.integers(*BADGE_EDGE, 2, endpoint=True)
    is_far = rng.integers(0, 2, 2)  # at the right, at the bottom
    left, top = np.where(is_far, IMAGE_SIZE - BADGE_SIDE - gaps, gaps).tolist()
    return Placement(BADGE, colour, "", left, top, BADGE_SIDE)


def _draw_pair(rng: np.random.Generator, colours: Sequence[str]) -> list[Look]:
    kinds = [str(rng.choice(kinds)) for kinds in (FIRST_KINDS, SECOND_KINDS)]
    chosen = rng.choice(colours, 2, replace=False).tolist()
    sides = list(itertools.permutations(SIDES, 2))
    return list(map(Look, kinds, chosen, sides[rng.integers(len(sides))]))


def _draw_alike(rng: np.random.Generator, colours: Sequence[str]) -> list[Look]:
    number = int(rng.integers(1, MOST_ALIKE, endpoint=True))
    kind, colour = str(rng.choice(FIRST_KINDS + SECOND_KINDS)), str(rng.choice(colours))
    side = int(rng.choice(SIDES)) if number == 1 else min(SIDES)
    return [Look(kind, colour, side)] * number
