"""Makes a finished run small enough to ship, and scores what is shipped.

python -m training.export RUN --data-dir DIR --output models/pretrained/NAME
"""

import argparse
import json
import logging
import shutil
import sys
from pathlib import Path

import numpy as np

from dataset.files import write_whole
from evaluation.captions import check_metrics
from models.captioner import load_captioner
from models.run_files import SHARED_ENCODER
from training.data import encode_images, read_split
from training.scoring import SCORES, write_scores


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--cache-dir", type=Path, default=Path("cache"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--metrics", default="bleu,meteor,rouge_l,cider")
    parser.add_argument(
        "--encoder-of",
        metavar="NAME",
        help="a shipped captioner with the same encoder, which is not kept twice",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        export(arguments)
    except (ValueError, OSError) as error:
        print(f"training.export: {error}", file=sys.stderr)
        return 2
    print(arguments.output)
    return 0


def export(arguments: argparse.Namespace) -> None:
    """Writes the run in half precision with its scores on the dev split.

    Raises:
        ValueError: The run is not finished, the output exists, or a metric cannot
            be computed.
    """
    run, output, metrics = arguments.run, arguments.output, arguments.metrics.split(",")
    check_metrics(metrics)
    if not (run / SCORES).is_file():
        raise ValueError(
            f"{run} holds no finished run (it has no {SCORES}). Finish it with "
            f"train.py --run {run} --resume."
        )
    if output.exists() and not arguments.overwrite:
        raise ValueError(
            f"{output} exists. Replace it (--overwrite) or name another (--output)."
        )
    captioner = load_captioner(run)
    images = read_split(captioner.config, arguments.data_dir, "dev")
    captioner.save_run(output, half=True)
    if arguments.encoder_of is not None:
        share_encoder(output, arguments.encoder_of)
    shutil.copyfile(run / "history.csv", output / "history.csv")
    shipped = load_captioner(output)
    encoded = encode_images(shipped, images, arguments.cache_dir)
    write_scores(output, shipped, encoded, metrics)


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


if __name__ == "__main__":
    sys.exit(main())
