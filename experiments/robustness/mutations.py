"""Wrong bytes and wrong values."""

import copy
import json
from collections.abc import Callable, Iterator

import numpy as np

PIECES = (
    *(b"\x00", b"\xff\xfe", b"\r", b"\xe2\x80\xa8", b"\n\n", b"\t", b"#", b"|", b'"'),
    *(b"[" * 3000, b"{", b"1e999", b"-1", b"9" * 5000, b"null", b"NaN", b"../../x"),
    *(b"&x;", b"<a>", b"]]>", b"\x89HDF", b"\xf0\x9f\x90\x95", b"\xed\xa0\x80"),
)
WRONG_VALUES = (  # of no field that expects a text, a list, or a number in a range
    *(None, True, -7, 1.9, 10**400, -1e300, float("inf"), float("nan")),
    *([], {}, [[]], {"a": {}}, ["a", 1], -(10**30)),
)


def mutate_bytes(content: bytes, generator: np.random.Generator) -> bytes:
    """Returns bytes with one to four random faults."""
    changed = bytearray(content)
    for _ in range(generator.integers(1, 5)):
        place = int(generator.integers(0, len(changed) + 1))
        end = min(len(changed), place + int(generator.integers(1, 40)))
        kind = generator.integers(0, 6)
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << int(generator.integers(0, 8))
        elif kind == 1:
            del changed[place:]
        elif kind == 2:
            del changed[place:end]
        elif kind == 3:
            changed[place:place] = changed[place:end]
        elif kind == 4:
            changed[place:place] = PIECES[generator.integers(0, len(PIECES))]
        else:
            changed[place:end] = generator.bytes(end - place)
    return bytes(changed)


def wrong_value(generator: np.random.Generator) -> object:
    """Returns one of WRONG_VALUES."""
    return copy.deepcopy(WRONG_VALUES[generator.integers(0, len(WRONG_VALUES))])


def places(content: object, names: str) -> Iterator[tuple[object, object]]:
    """Yields what holds the values of a path, and their names or places in it.

    Args:
        content: As JSON has it.
        names: Divided by dots; `*` is every entry of a list or object.
    """
    name, _, rest = names.partition(".")
    if name == "*":
        found = range(len(content)) if isinstance(content, list) else list(content)
    else:
        found = [name]
    for one in found:
        if rest:
            yield from places(content[one], rest)
        else:
            yield content, one


def change(content: object, names: str, make: Callable, generator) -> tuple:
    """Changes one value of a path; returns the new content and the value's place.

    Args:
        content: As JSON has it.
        names: See `places`.
        make: (value) -> the new value; DELETED takes the name away.
        generator: Chooses the place.
    """
    changed = copy.deepcopy(content)
    found = list(places(changed, names))
    number = int(generator.integers(0, len(found)))
    holder, key = found[number]
    value = make(holder[key])
    if value is DELETED:
        del holder[key]
    else:
        holder[key] = value
    return changed, number


DELETED = object()


def dump(content: object) -> bytes:
    """Returns JSON with NaN and Infinity, as careless programs write it."""
    return json.dumps(content).encode()
