"""The files of a script that scores explanations: FILE.json and what lies beside."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from files.values import (
    Check,
    anything,
    items,
    number_or_nan,
    record,
    same_names,
    text,
    whole,
)
from files.writing import write_json, write_whole
from keras_lrp import __version__
from scoring.journal import Journal, require_json


@dataclass(frozen=True)
class ScoreFiles:
    """The files of one run over many images.

    The journal grows while images are scored; the others are written at the end.

    Attributes:
        results: The settings and the summary; ends in .json.
        endings: Of the other files, which take the place of .json.
        values: What the journal holds of an image; see `Journal`.
    """

    results: Path
    endings: tuple[str, ...]
    values: Callable[[Mapping], Mapping[str, Check]] = lambda settings: {}

    def __post_init__(self):
        require_json(self.results, "scores")

    @property
    def journal(self) -> Journal:
        """The scores of each image."""
        return Journal(self._path(".jsonl"), self.values)

    @property
    def written(self) -> list[Path]:
        """All but the journal."""
        return [self.results, *map(self._path, self.endings)]

    def all(self) -> list[Path]:
        """Returns all files, the results first."""
        return [*self.written, self.journal.path]

    def start(self, settings: Mapping, records: Iterable[Mapping]) -> None:
        """Begins the journal, and removes what no longer belongs to it."""
        self.journal.start(settings, records)
        for path in self.written:
            path.unlink(missing_ok=True)

    def write_results(self, content: Mapping) -> None:
        """Writes the results as JSON; what is not defined (NaN) becomes null."""
        content = {**content, "version": __version__}
        write_json(self.results, _without_nan(content))

    def write(self, ending: str, content: bytes) -> None:
        """Writes the file of one of the endings."""
        write_whole(self._path(ending), content)

    def _path(self, ending: str) -> Path:
        return self.results.with_name(self.results.stem + ending)


def scored_words(methods: Iterable[str], **others: Check) -> Check:
    """Takes the words of an image with their scores by method and name.

    Args:
        methods: That every word has.
        **others: Checks of what words have beside their steps and scores.
    """
    methods, names = list(methods), same_names(number_or_nan)

    def scores(value: object) -> dict:
        record(dict.fromkeys(methods, anything))(value)
        return names(value)

    known = {"step": whole(0, 1_000_000), "word": text, "scores": scores}
    return items(record(known | others))


def _without_nan(content):
    if isinstance(content, Mapping):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
