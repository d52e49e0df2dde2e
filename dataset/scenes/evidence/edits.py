"""Edits of planned pictures: rendered again with one fact changed."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dataset.scenes.evidence.plans import (
    FIRST_KINDS,
    GROUNDS,
    MOST_ALIKE,
    SECOND_KINDS,
    SIDES,
    Plan,
    place,
    visible_colours,
)
from dataset.scenes.evidence.told_words import BADGE, FIRST, GROUND, ToldWord

TIMES = 2  # edits of each fact, where there are as many


class Edit(NamedTuple):
    """A picture with one fact changed.

    Attributes:
        fact: The changed one.
        parts: The parts of the first picture that look different.
        plan: Of the edited picture; None where it is not known any more.
    """

    fact: str
    parts: frozenset[int]
    plan: Plan | None = None

    def is_of_evidence(self, word: ToldWord) -> bool:
        """Whether it changes what decides a word."""
        return self.fact == word.fact

    def is_elsewhere(self, word: ToldWord) -> bool:
        """Whether it leaves all of a word's evidence as it was."""
        return not self.parts & word.parts


def edits_of(plan: Plan, rng: np.random.Generator) -> list[Edit]:
    """Returns the edits of a picture, about two of each fact that its caption tells.

    Colours and kinds of the objects are exchanged for others; objects are resized,
    taken away or become more; the ground and the badge's colour change.

    Args:
        plan: The picture.
        rng: Chooses what takes a fact's place, and where.
    """
    if plan.is_related:
        told = [*_looks(plan, rng, [0]), *_looks(plan, rng, [1]), *_sizes(plan, rng)]
    else:
        told = [*_looks(plan, rng, range(len(plan.objects))), *_numbers(plan, rng)]
    return [*told, *_backgrounds(plan, rng), *_badges(plan, rng)]


def _choose(rng: np.random.Generator, choices: Sequence) -> list:
    """Returns up to TIMES of some choices, in random order."""
    return [choices[number] for number in rng.permutation(len(choices))[:TIMES]]


def _looks(plan: Plan, rng, numbers: Sequence[int]) -> Iterator[Edit]:
    """Yields other colours and kinds of an object, or of all objects together."""
    parts = frozenset(FIRST + number for number in numbers)
    taken = {object_.colour for object_ in plan.objects}
    free = [c for c in visible_colours(plan.background) if c not in taken]
    for colour in _choose(rng, free):
        edited = _with_objects(plan, numbers, colour=colour)
        yield Edit(f"colour {numbers[0]}", parts, edited)
    own = plan.objects[numbers[0]].kind
    kinds = FIRST_KINDS if own in FIRST_KINDS else SECOND_KINDS
    for kind in _choose(rng, [kind for kind in kinds if kind != own]):
        edited = _with_objects(plan, numbers, kind=kind)
        yield Edit(f"kind {numbers[0]}", parts | {GROUND}, edited)


def _with_objects(plan: Plan, numbers: Sequence[int], **changes) -> Plan:
    """Returns a plan with fields of some objects changed."""
    objects = [
        dataclasses.replace(one, **changes) if number in numbers else one
        for number, one in enumerate(plan.objects)
    ]
    return plan.replace(objects=tuple(objects))


def _sizes(plan: Plan, rng) -> Iterator[Edit]:
    """Yields the objects in sizes of the other relation, and the first one alone."""
    parts = frozenset([GROUND, FIRST, FIRST + 1])
    is_larger = plan.relation == "larger"
    for sides in _choose(rng, list(itertools.combinations(SIDES, 2))):
        pair = zip(plan.looks, sides if is_larger else reversed(sides), strict=True)
        looks = [look._replace(side=side) for look, side in pair]
        placed = place(rng, looks, [plan.badge])
        if placed is not None:
            yield Edit("relation", parts, plan.replace(objects=placed))
    alone = plan.replace(objects=plan.objects[:1])
    yield Edit("relation", frozenset([GROUND, FIRST + 1]), alone)


def _numbers(plan: Plan, rng) -> Iterator[Edit]:
    """Yields the objects without one of them, and with one more."""
    number = len(plan.objects)
    if number == 1:  # is told by an article
        return
    parts = frozenset([GROUND, *range(FIRST, FIRST + number)])
    for gone in _choose(rng, range(number)):
        kept = plan.objects[:gone] + plan.objects[gone + 1 :]
        yield Edit("number", parts, plan.replace(objects=kept))
    if number < MOST_ALIKE:
        more = place(rng, plan.looks[:1], [plan.badge, *plan.objects])
        if more is not None:
            yield Edit("number", parts, plan.replace(objects=plan.objects + more))


def _backgrounds(plan: Plan, rng) -> Iterator[Edit]:
    """Yields other grounds on which all colours are seen."""
    colours = {plan.badge.colour, *(o.colour for o in plan.objects)}
    others = [
        ground
        for ground in GROUNDS
        if ground != plan.background and colours <= set(visible_colours(ground))
    ]
    for ground in _choose(rng, others):
        yield Edit("background", frozenset([GROUND]), plan.replace(background=ground))


def _badges(plan: Plan, rng) -> Iterator[Edit]:
    """Yields other colours of the badge."""
    free = [c for c in visible_colours(plan.background) if c != plan.badge.colour]
    for colour in _choose(rng, free):
        badge = dataclasses.replace(plan.badge, colour=colour)
        yield Edit("badge", frozenset([BADGE]), plan.replace(badge=badge))
