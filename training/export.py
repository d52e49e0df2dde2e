"""Makes a finished run small enough to ship, and scores what is shipped.

python -m training.export RUN --data-dir DIR --output models/pretrained/NAME

The weights of several runs that began with the same one are averaged.
Source: Wortsman et al. 2022 (arXiv 2203.05482), model soups.
"""

import argparse
import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from command_line import not_negative, run_script
from dataset.files import write_whole
from models.captioner import Captioner, load_captioner
from models.run_files import SHARED_ENCODER
from scoring.captions import check_metrics
from training.data import encode_images, read_split
from training.dev_scores import SCORES, caption_images, write_scores


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument(
        "--shares",
        type=float,
        nargs="+",
        metavar="X",
        help="of each run in the average; default: equal ones",
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--cache-dir", type=Path, default=Path("cache"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--metrics", default="bleu,meteor,rouge_l,cider")
    parser.add_argument(
        "--length-penalty",
        type=not_negative,
        metavar="X",
        help="of the search; default: the last run's",
    )
    parser.add_argument(
        "--encoder-of",
        metavar="NAME",
        help="a shipped captioner with the same encoder, which is not kept twice",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    return parser.parse_args(argv)


def export(arguments: argparse.Namespace) -> Path:
    """Writes the average of the runs in half precision with its scores on dev.

    Returns:
        The folder written.

    Raises:
        ValueError: A run is not finished or does not fit the others, the output
            exists, or a metric cannot be computed.
    """
    runs, output = arguments.runs, arguments.output
    metrics = arguments.metrics.split(",")
    check_metrics(metrics)
    for run in runs:
        if not (run / SCORES).is_file():
            raise ValueError(
                f"{run} holds no finished run (it has no {SCORES}). Finish it with "
                f"train.py --run {run} --resume."
            )
    if output.exists() and not arguments.overwrite:
        raise ValueError(
            f"{output} exists. Replace it (--overwrite) or name another (--output)."
        )
    captioner = average(runs, arguments.shares or [1 / len(runs)] * len(runs))
    if arguments.length_penalty is not None:
        changed = captioner.config.replace(length_penalty=arguments.length_penalty)
        captioner.config = changed
    images = read_split(captioner.config, arguments.data_dir, "dev")
    captioner.save_run(output, half=True)
    if arguments.encoder_of is not None:
        share_encoder(output, arguments.encoder_of)
    shutil.copyfile(runs[-1] / "history.csv", output / "history.csv")
    shipped = load_captioner(output)
    encoded = encode_images(shipped, images, arguments.cache_dir)
    write_scores(output, images, caption_images(shipped, encoded), metrics)
    return output


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
    captioners = [load_captioner(run) for run in runs]
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
    own, other = load_captioner(folder).encoder, load_captioner(name).encoder
    pairs = list(zip(own.get_weights(), other.get_weights(), strict=False))
    if len(own.weights) != len(other.weights) or not all(
        np.array_equal(one, another) for one, another in pairs
    ):
        raise ValueError(
            f"--encoder-of: the encoder of {name} is not that of {folder}; leave the "
            "option out."
        )
    reference = json.dumps({"captioner": name}) + "\n"
    write_whole(folder / SHARED_ENCODER, reference.encode())
    (folder / "encoder.weights.h5").unlink()


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("training.export", lambda: print(export(parse(argv))))


if __name__ == "__main__":
    sys.exit(main())
