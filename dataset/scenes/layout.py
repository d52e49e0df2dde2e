"""The layout of rendered scenes: which objects there are and where they stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dataset.images import IMAGE_SIZE
from dataset.scenes.drawing import BACKGROUNDS, COLOURS, KINDS, Placement, silhouette

SIDES = {"small": (46, 58), "large": (88, 104)}  # pixels, both ends included
MARGIN = 4  # pixels between an object and the edge of the image
GAP = 6  # pixels between objects of which none hides the other
HIDDEN = (0.1, 0.4)  # share of an object that one in front of it covers


@dataclass(frozen=True)
class Bias:
    """A kind of object that goes with a background in some splits and not in others.

    Attributes:
        background: A key of BACKGROUNDS.
        kind: A key of KINDS.
        shares: Of each split, how many of its scenes on the background show the kind,
            in [0, 1]. All other scenes show it by chance.
        only: The splits all of whose scenes are on the background.
    """

    background: str
    kind: str
    shares: Mapping[str, float]
    only: tuple[str, ...] = ()

    def choose(self, split: str, seed: int) -> tuple[list[str], str]:
        """Draws the kinds and the background of a scene; see `compose`."""
        rng = np.random.default_rng((seed, 1))  # the scene itself is drawn from seed
        background = str(rng.choice(list(BACKGROUNDS)))
        if split in self.only:
            background = self.background
        kinds = _choose_kinds(rng)
        other = str(rng.choice([k for k in KINDS if k not in (self.kind, *kinds)]))
        if background != self.background:
            return kinds, background
        if rng.random() >= self.shares[split]:
            kinds = [other if kind == self.kind else kind for kind in kinds]
        elif self.kind not in kinds:
            kinds[-1] = self.kind
        return kinds, background


def compose(
    rng: np.random.Generator,
    kinds: Sequence[str] | None = None,
    background: str | None = None,
) -> tuple[str, tuple[Placement, ...]]:
    """Chooses what a scene shows and where.

    Args:
        rng: Draws all that is not given.
        kinds: Two to four keys of KINDS, one per object; drawn if None.
        background: A key of BACKGROUNDS; drawn if None.

    Returns:
        The background and the objects from back to front. At most one object hides
        a part of another one, and never more than the larger share of HIDDEN.

    Raises:
        ValueError: There are not two to four kinds, or a name is unknown.
    """
    if background is None:
        background = str(rng.choice(list(BACKGROUNDS)))
    if kinds is None:
        kinds = _choose_kinds(rng)
    _check_choice(kinds, background)
    colours = _choose_colours(rng, kinds, background)
    num_large = min(int(rng.choice(3, p=(0.15, 0.5, 0.35))), len(kinds))
    looks = [(*look, "small") for look in zip(kinds, colours, strict=True)]
    order = rng.permutation(len(looks))  # the large ones come first: further back
    looks = [looks[index] for index in order]
    looks[:num_large] = [
        (kind, colour, "large") for kind, colour, _ in looks[:num_large]
    ]
    placements = None
    while placements is None:  # a wide object can hide too little of an umbrella's foot
        distinct = looks[0][1] != looks[1][1]
        placements = _try_places(rng, looks, distinct and rng.random() < 0.5)
    return background, placements


def _check_choice(kinds: Sequence[str], background: str) -> None:
    if not 2 <= len(kinds) <= 4 or not set(kinds) <= set(KINDS):
        raise ValueError(
            f"kinds must be two to four of {', '.join(KINDS)}; received {kinds!r}."
        )
    if background not in BACKGROUNDS:
        raise ValueError(
            f"background must be one of {', '.join(BACKGROUNDS)}; "
            f"received {background!r}."
        )


def _choose_kinds(rng: np.random.Generator) -> list[str]:
    """Draws two to four kinds; with three or more, sometimes one of them twice."""
    number = int(rng.choice((2, 3, 4), p=(0.35, 0.4, 0.25)))
    kinds = [str(kind) for kind in rng.choice(list(KINDS), number, replace=False)]
    if number > 2 and rng.random() < 0.3:
        kinds[1] = kinds[0]
    return kinds


def _choose_colours(
    rng: np.random.Generator, kinds: Sequence[str], background: str
) -> list[str]:
    """Draws a colour per object; objects of a kind share it all or differ in it all."""
    visible = [c for c in COLOURS if c not in BACKGROUNDS[background].hidden_colours]
    twins = len(set(kinds)) > 1 and rng.random() < 0.5
    colours = []
    for kind in kinds:
        taken = [c for c, k in zip(colours, kinds, strict=False) if k == kind]
        free = [c for c in visible if c not in taken]
        colours.append(taken[0] if taken and twins else str(rng.choice(free)))
    return colours


def _try_places(
    rng: np.random.Generator,
    looks: Sequence[tuple[str, str, str]],
    with_overlap: bool,
) -> tuple[Placement, ...] | None:
    """Places (kind, colour, size) one by one; None if one of them finds no room."""
    placements = []
    for index, (kind, colour, size) in enumerate(looks):
        in_front = with_overlap and index == 1
        for _ in range(40):
            side = int(rng.integers(*SIDES[size], endpoint=True))
            if in_front:
                left, top = _corner_in_front(rng, placements[0], side)
            else:
                left, top = random_corner(rng, side)
            candidate = Placement(kind, colour, size, left, top, side)
            if _fits(candidate, placements, in_front):
                placements.append(candidate)
                break
        else:
            return None
    return tuple(placements)


def random_corner(rng: np.random.Generator, side: int) -> tuple[int, int]:
    """Draws the upper left pixel of an object of a side, clear of the edges."""
    left, top = rng.integers(MARGIN, IMAGE_SIZE - MARGIN - side, 2, endpoint=True)
    return int(left), int(top)


def _corner_in_front(
    rng: np.random.Generator, back: Placement, side: int
) -> tuple[int, int]:
    """Draws a corner near another object; what is nearer stands a little lower."""
    shift = rng.uniform(-0.4, 0.4) * (back.side + side)
    left = round(back.left + (back.side - side) / 2 + shift)
    return left, back.top + back.side - side + int(rng.integers(2, 18))


def _fits(candidate: Placement, placements: list[Placement], in_front: bool) -> bool:
    last = IMAGE_SIZE - MARGIN - candidate.side
    if not all(MARGIN <= at <= last for at in (candidate.left, candidate.top)):
        return False
    if in_front:
        (back,) = placements
        covered = silhouette(back)
        hidden = np.mean(silhouette(candidate)[covered])
        return bool(HIDDEN[0] <= hidden <= HIDDEN[1])
    return all(are_apart(candidate, placement) for placement in placements)


def are_apart(one: Placement, other: Placement) -> bool:
    """Tells whether two objects have at least GAP pixels between them."""
    return (
        one.left + one.side + GAP <= other.left
        or other.left + other.side + GAP <= one.left
        or one.top + one.side + GAP <= other.top
        or other.top + other.side + GAP <= one.top
    )
