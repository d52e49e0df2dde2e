"""The files of a script that scores explanations: FILE.json and what lies beside."""

import contextlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset.files import write_whole
from keras_lrp import __version__
from scoring.journal import Journal, refuse_existing, require_json


@dataclass(frozen=True)
class ScoreFiles:
    """The files of one run over many images.

    The journal grows while images are scored; the others are written at the end.

    Attributes:
        results: The settings and the summary; ends in .json.
        endings: Of the other files, which take the place of .json.
    """

    results: Path
    endings: tuple[str, ...]

    def __post_init__(self):
        require_json(self.results, "scores")

    @property
    def journal(self) -> Journal:
        """The scores of each image."""
        return Journal(self._path(".jsonl"))

    @property
    def written(self) -> list[Path]:
        """All but the journal."""
        return [self.results, *map(self._path, self.endings)]

    def refuse_existing(self) -> None:
        """Refuses to replace scores; see `refuse_existing`."""
        refuse_existing([*self.written, self.journal.path])

    def start(self, settings: Mapping, records: Iterable[Mapping]) -> None:
        """Begins the journal, and removes what no longer belongs to it."""
        self.journal.start(settings, records)
        for path in self.written:
            path.unlink(missing_ok=True)

    def lacks(self, setting: str, journals: Iterable[Path]) -> bool:
        """Tells whether one of some journals was begun without a setting."""
        for path in filter(Path.is_file, journals):
            with contextlib.suppress(ValueError, LookupError, TypeError):
                with path.open("rb") as file:
                    header = json.loads(file.readline())
                if header["settings"].get(setting) is None:
                    return True
        return False

    def write_results(self, content: Mapping) -> None:
        """Writes the results as JSON; what is not defined (NaN) becomes null."""
        content = {**content, "version": __version__}
        text = json.dumps(_without_nan(content), indent=2)
        write_whole(self.results, (text + "\n").encode())

    def write(self, ending: str, content: bytes) -> None:
        """Writes the file of one of the endings."""
        write_whole(self._path(ending), content)

    def _path(self, ending: str) -> Path:
        return self.results.with_name(self.results.stem + ending)


def _without_nan(content):
    if isinstance(content, Mapping):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
