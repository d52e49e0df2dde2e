"""Makes a finished run small enough to ship, and scores what is shipped.

The weights of several runs that began with the same one are averaged.
Source: Wortsman et al. 2022 (arXiv 2203.05482), model soups.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from files.locks import locked, refuse_same
from files.writing import check_room, holds_something, write_json, write_whole
from models.captioner import Captioner, load_run
from models.run_files import OF_TRAINING, SHARED_ENCODER
from training.data import encode_images, read_split
from training.dev_scores import SCORES, Score, Scores, caption_images, write_scores


@dataclass(frozen=True)
class ExportOptions:
    """What is shipped, and how.

    Attributes:
        runs: The run directories.
        output: The folder to write.
        data_dir: Of the dataset.
        shares: Of each run in the average; equal ones if None.
        cache_dir: The features of images.
        metrics: Scored on dev.
        length_penalty: Of the search; the last run's if None.
        encoder_of: A shipped captioner with the same encoder, which is not kept twice.
        overwrite: Whether to replace the output.
    """

    runs: tuple[Path, ...]
    output: Path
    data_dir: Path
    shares: tuple[float, ...] | None = None
    cache_dir: Path = Path("cache")
    metrics: tuple[str, ...] = ("bleu", "meteor", "rouge_l", "cider")
    length_penalty: float | None = None
    encoder_of: str | None = None
    overwrite: bool = False


def export(options: ExportOptions, score: Score) -> Scores:
    """Writes the average of the runs in half precision with its scores on dev.

    Args:
        options: What is shipped, and how.
        score: Scores captions.

    Returns:
        The scores.

    Raises:
        ValueError: A run is not finished or does not fit the others, or the output
            exists.
    """
    runs, output = options.runs, options.output
    for run in runs:
        if not (run / SCORES).is_file():
            raise ValueError(
                f"{run} holds no finished run (it has no {SCORES}). Finish it with "
                f"train.py --run {run} --resume."
            )
    if holds_something(output) and not options.overwrite:
        raise ValueError(
            f"{output} exists. Replace it (--overwrite) or name another (--output)."
        )
    refuse_same(list(runs), output, is_folder=True)
    check_room(output)
    with locked(output, is_folder=True):
        return _export(options, score)


def _export(options: ExportOptions, score: Score) -> Scores:
    """Does the work of `export`; the output is held."""
    runs, output = options.runs, options.output
    captioner = average(runs, options.shares or [1 / len(runs)] * len(runs))
    if options.length_penalty is not None:
        changed = captioner.config.replace(length_penalty=options.length_penalty)
        captioner.config = changed
    images = read_split(captioner.config, options.data_dir, "dev")
    captioner.save_run(output, half=True, removed=OF_TRAINING)
    if options.encoder_of is not None:
        share_encoder(output, options.encoder_of)
    write_whole(output / "history.csv", (runs[-1] / "history.csv").read_bytes())
    shipped = load_run(output)
    encoded = encode_images(shipped, images, options.cache_dir)
    captions = caption_images(shipped, encoded)
    return write_scores(output, images, captions, options.metrics, score)


def average(runs: Sequence[Path], shares: Sequence[float]) -> Captioner:
    """Averages the weights of runs; all else is the last run's.

    Args:
        runs: Run directories.
        shares: Of each run; they sum to 1.

    Raises:
        ValueError: The runs differ in more than their weights, or the shares do not
            fit them.
    """
    if len(shares) != len(runs) or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        raise ValueError(
            f"--shares must be {len(runs)} numbers with the sum 1, one for each run; "
            f"received {' '.join(map(str, shares))}."
        )
    captioners = [load_run(run) for run in runs]
    kinds = [
        (captioner.vocabulary.words, [weight.shape for weight in captioner.weights])
        for captioner in captioners
    ]
    for run, kind in zip(runs, kinds, strict=True):
        if kind != kinds[-1]:
            raise ValueError(
                f"{run} and {runs[-1]} have other words or other layers: only runs "
                "that began with the same run can be averaged."
            )
    for same in zip(*(captioner.weights for captioner in captioners), strict=True):
        parts = zip(shares, same, strict=True)
        same[-1].assign(sum(share * weight.numpy() for share, weight in parts))
    return captioners[-1]


def share_encoder(folder: Path, name: str) -> None:
    """Replaces a run's encoder by the name of a shipped captioner that has it too.

    Raises:
        ValueError: No such captioner is shipped, or its encoder is another one.
    """
    own, other = load_run(folder).encoder, load_run(name).encoder
    pairs = list(zip(own.get_weights(), other.get_weights(), strict=False))
    if len(own.weights) != len(other.weights) or not all(
        np.array_equal(one, another) for one, another in pairs
    ):
        raise ValueError(
            f"--encoder-of: the encoder of {name} is not that of {folder}; leave the "
            "option out."
        )
    write_json(folder / SHARED_ENCODER, {"captioner": name}, indent=None)
    (folder / "encoder.weights.h5").unlink()
