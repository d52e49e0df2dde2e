"""The kinds of files that the project reads, and what is right about faults in them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.robustness.mutations import DELETED, change, dump, wrong_value


class Refused:
    """What is right about a file that cannot be used: an error that names it."""

    def __repr__(self):
        return "refused"


REFUSED = Refused()
Edit = Callable[[object, np.random.Generator], tuple[bytes, object]]


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: Of the kind.
        file: In its folder, the one that is broken.
        write: (folder) writes good files.
        read: (folder) -> what the project reads of them, comparable by `==`.
        is_sound: (what was read) -> whether such a value may come of any bytes.
        load: (bytes) -> what the edits work on.
        edits: (content, generator) -> bytes with a wrong value, and what is right:
            REFUSED, or what is read.
        share: How many inputs it gets, as a factor; slow readers get fewer.
    """

    name: str
    file: str
    write: Callable[[Path], None]
    read: Callable[[Path], object]
    is_sound: Callable[[object], bool]
    load: Callable[[bytes], object]
    edits: tuple[Edit, ...]
    share: float = 1.0


def put(folder: Path, name: str, content: bytes | str) -> None:
    """Writes a file of a kind."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


# Edits of JSON


def wrong(names: str, right: Callable | object = REFUSED, *more: object) -> Edit:
    """Puts a value that the field cannot have in a place of the path.

    Args:
        names: See `mutations.places`.
        right: What is right, or (content, place) -> that.
        *more: Values that are wrong there too.
    """

    def edit(content: object, generator: np.random.Generator) -> tuple[bytes, object]:
        if more and generator.random() < 0.4:
            value = more[generator.integers(0, len(more))]
        else:
            value = wrong_value(generator)
        changed, place = change(content, names, lambda _: value, generator)
        return dump(changed), right(content, place) if callable(right) else right

    return edit


def missing(names: str, right: Callable | object = REFUSED) -> Edit:
    """Takes a name of the path away; see `wrong`."""

    def edit(content: object, generator: np.random.Generator) -> tuple[bytes, object]:
        changed, place = change(content, names, lambda _: DELETED, generator)
        return dump(changed), right(content, place) if callable(right) else right

    return edit


def made(names: str, make: Callable, right: Callable | object = REFUSED) -> Edit:
    """Puts make(value, generator) in a place of the path.

    Args:
        names: See `mutations.places`.
        make: Makes the new value of the old one.
        right: What is right, or (content, place, changed content) -> that.
    """

    def edit(content: object, generator: np.random.Generator) -> tuple[bytes, object]:
        changed, place = change(content, names, lambda v: make(v, generator), generator)
        is_told = callable(right)
        return dump(changed), right(content, place, changed) if is_told else right

    return edit


def instead(make: Callable, right: object = REFUSED) -> Edit:
    """Puts other content in its place.

    Args:
        make: (content, generator) -> the new content.
        right: What is right.
    """
    return lambda content, generator: (dump(make(content, generator)), right)


# Edits of lines


def line(make: Callable[[str], str | None], right: Callable | object = REFUSED) -> Edit:
    """Changes one line of a text; None takes it away.

    Args:
        make: (line) -> the new one.
        right: What is right, or (lines, place, changed lines) -> that.
    """

    def edit(lines: list[str], generator: np.random.Generator) -> tuple[bytes, object]:
        place = int(generator.integers(0, len(lines)))
        new = make(lines[place])
        changed = [*lines[:place], *([] if new is None else [new]), *lines[place + 1 :]]
        text = "".join(f"{one}\n" for one in changed)
        content = text.encode("utf-8", "surrogateescape")
        return content, right(lines, place, changed) if callable(right) else right

    return edit


def whole(make: Callable[[bytes], bytes], right: object) -> Edit:
    """Changes the whole text.

    Args:
        make: (bytes) -> the new ones.
        right: What is right: REFUSED, or what is read.
    """

    def edit(lines: list[str], generator: np.random.Generator) -> tuple[bytes, object]:
        return make("".join(f"{one}\n" for one in lines).encode()), right

    return edit


def split_lines(content: bytes) -> list[str]:
    """Returns the lines that edits work on."""
    return content.decode().split("\n")[:-1]
