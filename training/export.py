"""Makes a finished run small enough to ship, and scores what is shipped.

python -m training.export RUN --data-dir DIR --output models/pretrained/NAME
"""

import argparse
import logging
import shutil
import sys
from pathlib import Path

from evaluation.captions import METRICS, check_metrics
from models.captioner import load_captioner
from training.data import encode_images, read_split
from training.scoring import SCORES, write_scores


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--cache-dir", type=Path, default=Path("cache"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--metrics", default=",".join(METRICS))
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
    shutil.copyfile(run / "history.csv", output / "history.csv")
    shipped = load_captioner(output)
    encoded = encode_images(shipped, images, arguments.cache_dir)
    write_scores(output, shipped, encoded, metrics)


if __name__ == "__main__":
    sys.exit(main())
