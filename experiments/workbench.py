"""The trainings of an experiment: each done once, its scores kept, all in one table."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import train
from config import LRP_MODES
from files.reading import read_bytes, read_json
from files.values import anything
from files.writing import write_whole
from training.dev_scores import SCORES
from training.start import TrainingOptions

REWARD, WEIGHED = "objective=self_critical", "objective=lrp_self_critical"
CREDIT = ("hallucination_penalty=0.5", "object_credit=0.25")
REWARDED_MODES = {  # the settings of each; both counts are in CIDEr
    "rewarded": (REWARD, "hallucination_penalty=0", "object_credit=0"),
    "penalized": (REWARD, "hallucination_penalty=0.5", "object_credit=0"),
    "credited": (REWARD, *CREDIT),
    "mild": (REWARD, "hallucination_penalty=0.3", "object_credit=0.3"),
    "credited_context": (WEIGHED, *CREDIT),
}
MODES = ("plain", *LRP_MODES, *REWARDED_MODES)
PIXEL_WORDS = 1  # of an image that the modes by pixels weigh; each is explained
RESULTS = ("results.json", "results.md")


@dataclass(frozen=True)
class Workbench:
    """The folder of an experiment.

    Attributes:
        folder: Holds `runs`, `scores` and the results.
        data_dir: The images and captions.
        cache_dir: The features of images.
        limit: Trains on the first images only, and validates on as many; on all if
            None.
    """

    folder: Path
    data_dir: Path
    cache_dir: Path
    limit: int | None = None

    def begin(self, settings: Mapping) -> None:
        """Keeps the settings of a new experiment.

        Raises:
            ValueError: The folder holds an experiment with others.
        """
        path, text = (
            self.folder / "settings.json",
            json.dumps(settings, indent=2) + "\n",
        )
        if path.is_file() and read_bytes(path) != text.encode():
            raise ValueError(
                f"{self.folder} holds an experiment with other settings "
                f"({path.name}). Go on with the same, or name another --output."
            )
        write_whole(path, text.encode())

    def train(self, name: str, **wanted) -> Path:
        """Trains a run unless it is finished; one that was stopped goes on.

        Args:
            name: Of the run.
            **wanted: Fields of `TrainingOptions`, but the folders and the limit.

        Returns:
            The run directory.
        """
        run = self.folder / "runs" / name
        if (run / SCORES).is_file():
            return run
        if (run / "config.json").is_file():
            wanted = {"resume": True}
        options = TrainingOptions(
            run=run,
            data_dir=self.data_dir,
            cache_dir=self.cache_dir,
            limit=self.limit,
            **wanted,
        )
        return train.main_attention(options)

    def score(self, name: str, compute: Callable[[], object]):
        """Returns what is computed, or what was computed before, as JSON has it."""
        path = self.folder / "scores" / f"{name}.json"
        if not path.is_file():
            write_whole(path, (json.dumps(compute(), indent=2) + "\n").encode())
        return read_json(path, anything, "Delete it to compute it again.")

    def report(self, results: Mapping, tables: Sequence[str]) -> list[Path]:
        """Prints the tables, and writes them and the results; returns the paths."""
        text = "\n\n".join(tables) + "\n"
        print(text)
        contents = (json.dumps(results, indent=2) + "\n", text)
        return [
            write_whole(self.folder / name, content.encode())
            for name, content in zip(RESULTS, contents, strict=True)
        ]


def tuning_settings(mode: str, seed: int) -> list[str]:
    """Returns the settings of fine-tuning in one of MODES, as `train.py --set` has it.

    Seed and settings apart from these decide the order of the data and what is
    dropped: they are the same in every mode.

    Args:
        mode: One of MODES.
        seed: Of the training.
    """
    if mode == "plain":
        return [f"seed={seed}", "objective=cross_entropy"]
    if mode in REWARDED_MODES:
        return [f"seed={seed}", *REWARDED_MODES[mode]]
    settings = [f"seed={seed}", "objective=lrp_inference", f"lrp_mode={mode}"]
    return settings if mode == "context" else [*settings, f"lrp_words={PIXEL_WORDS}"]


def over_seeds(scores: Sequence[Mapping[str, float]]) -> dict[str, dict]:
    """Returns each score's mean and deviation over the seeds, and its values.

    The deviation is that of a sample; of one value it is 0. NaN stays NaN.
    """
    names = scores[0] if scores else ()
    columns = {name: [of_seed[name] for of_seed in scores] for name in names}
    return {
        name: {
            "mean": float(np.mean(values)),
            "deviation": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
            "values": values,
        }
        for name, values in columns.items()
    }


def differences(
    scores: Sequence[Mapping[str, float]], twins: Sequence[Mapping[str, float]]
) -> dict[str, dict]:
    """Returns how far each score lies above that of the twin with the same seed.

    Args:
        scores: Of every seed.
        twins: Of the same seeds, tuned in another mode.

    Returns:
        As `over_seeds`, with the standard error of the mean as "deviation".
    """
    pairs = zip(scores, twins, strict=True)
    found = over_seeds([{n: own[n] - twin[n] for n in own} for own, twin in pairs])
    for of_name in found.values():
        of_name["deviation"] /= len(of_name["values"]) ** 0.5
    return found


def table(head: str, rows: Mapping[str, Mapping[str, dict]]) -> str:
    """Writes scores over seeds as a Markdown table.

    Args:
        head: Of the column of the names.
        rows: Of each name what `over_seeds` returns; all have the same scores.
    """
    names = list(next(iter(rows.values()), ()))
    lines = [
        [row, *(f"{s[n]['mean']:.3f} ± {s[n]['deviation']:.3f}" for n in names)]
        for row, s in rows.items()
    ]
    return markdown([head, *(name.replace("_", " ") for name in names)], lines)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes cells as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_interval(found: Mapping) -> str:
    """Writes a "mean" with its "interval"."""
    low, high = found["interval"]
    return f"{found['mean']:.3f} [{low:.3f}, {high:.3f}]"
