"""The captioners that the live page offers, loaded when they are first asked for."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from models import BaseCaptioner, load_captioner
from models.run_files import HUB

MOST_LOADED = 2  # at a time: a published captioner takes gigabytes


class Captioners:
    """Captioners by the names that the page shows.

    A request says one of these names, so it can load nothing else.

    Args:
        names: As `load_captioner` takes them; the page begins with the first.
        load: Returns the captioner of a name.
    """

    def __init__(
        self,
        names: Sequence[str],
        load: Callable[[str], BaseCaptioner] = load_captioner,
    ):
        self._names, self._load = _shown(names), load
        self._loaded: OrderedDict[str, BaseCaptioner] = OrderedDict()

    @property
    def names(self) -> list[str]:
        """The names on the page (N,), the first one first."""
        return list(self._names)

    def has(self, name: str) -> bool:
        """Tells whether a captioner is loaded."""
        return name in self._loaded

    def get(self, name: str) -> BaseCaptioner:
        """Returns a captioner; the one unused for longest makes room for it.

        Raises:
            CaptionerError: It cannot be loaded.
            ValueError: The page does not offer it.
        """
        if name not in self._names:
            raise ValueError(
                f"There is no captioner of this name; expected one of "
                f"{', '.join(self._names)}."
            )
        if name not in self._loaded:
            captioner = self._load(self._names[name])
            while len(self._loaded) >= MOST_LOADED:
                self._loaded.popitem(last=False)
            self._loaded[name] = captioner
        self._loaded.move_to_end(name)
        return self._loaded[name]


def _shown(names: Sequence[str]) -> dict[str, str]:
    """Returns names by what the page shows: of a folder its last part, if it is alone.

    Raises:
        ValueError: There is no name.
    """
    names = list(dict.fromkeys(names))
    if not names:
        raise ValueError("The page needs a captioner. Name one with --model.")
    short = [name if name.startswith(HUB) else Path(name).name for name in names]
    counts = Counter(short)
    return {
        brief if brief and counts[brief] == 1 else name: name
        for brief, name in zip(short, names, strict=True)
    }
