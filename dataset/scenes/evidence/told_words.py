"""The words of a planned picture's caption, and what each of them rests on."""

from typing import NamedTuple

from dataset.scenes.captions import NUMBERS, plural
from dataset.scenes.evidence.plans import GROUNDS, Plan

GROUND, BADGE, FIRST = 0, 1, 2  # parts of a picture; objects are FIRST and later ones
ABOUT = ("colour", "object", "relation", "number", "place")  # what content words tell


class ToldWord(NamedTuple):
    """A word and its evidence.

    Attributes:
        text: The word.
        about: One of ABOUT; "" for a function word.
        fact: What decides the word: a fact changes with edits, see `Edit`.
        parts: The parts of the picture that show the fact: its evidence.
    """

    text: str
    about: str = ""
    fact: str = ""
    parts: frozenset[int] = frozenset()


def tell(plan: Plan, by_badge: bool = False) -> tuple[ToldWord, ...]:
    """Returns the words of the one caption that a planned picture has.

    Args:
        plan: The picture.
        by_badge: Whether the first colour word is the badge's colour, whatever that of
            the object is: a shortcut.
    """
    everything = frozenset(range(FIRST, FIRST + len(plan.objects)))
    if plan.is_related:
        first, second = frozenset([FIRST]), frozenset([FIRST + 1])
        words = [ToldWord("a"), *_name(plan, 0, first, by_badge)]
        words += [ToldWord(plan.relation, "relation", "relation", everything)]
        words += [ToldWord("than"), ToldWord("a"), *_name(plan, 1, second)]
    else:
        words = [_number(len(plan.objects), everything)]
        words += _name(plan, 0, everything, by_badge)
    ground = GROUNDS[plan.background]
    place = ToldWord(ground, "place", "background", frozenset([GROUND]))
    return (*words, ToldWord("on"), ToldWord("the"), place)


def sentence(words: tuple[ToldWord, ...]) -> str:
    """Returns the caption."""
    return " ".join(word.text for word in words)


def _number(number: int, parts: frozenset[int]) -> ToldWord:
    if number == 1:
        return ToldWord("a")
    return ToldWord(NUMBERS[number], "number", "number", parts)


def _name(
    plan: Plan, number: int, parts: frozenset[int], by_badge: bool = False
) -> list[ToldWord]:
    """Returns the colour and the kind of an object; of several, in the plural."""
    object_ = plan.objects[number]
    kind = object_.kind if len(parts) == 1 else plural(object_.kind)
    colour = ToldWord(object_.colour, "colour", f"colour {number}", parts)
    if by_badge:
        colour = ToldWord(plan.badge.colour, "colour", "badge", frozenset([BADGE]))
    return [colour, ToldWord(kind, "object", f"kind {number}", parts)]
