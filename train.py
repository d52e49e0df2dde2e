"""Trains a captioner on cached features, or its encoder and decoder together.

python train.py --config flickr8k --data-dir DIR --run runs/frozen
python train.py --from runs/frozen --data-dir DIR --run runs/tuned \
        --set trainable_from=block5_conv1 learning_rate=1e-4
python train.py --from runs/tuned --objective lrp_inference --data-dir DIR \
        --run runs/weighed --set learning_rate=1e-5 epochs=1
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras starts it

from command_line import positive, run_script
from config import DECODERS, HALVES, OBJECTIVES, PRESETS
from dataset import CaptionedImage
from models.captioner import Captioner
from training.callbacks import BACKUP, build_callbacks, finished_epochs
from training.data import (
    check_disk,
    encode_images,
    read_training,
    training_batches,
)
from training.dev_scores import read_captions, write_scores
from training.devices import (
    Devices,
    add_device_options,
    own_folder,
    report_devices,
    start_devices,
)
from training.self_critical import fit_self_critical
from training.start import create, find_start, learning_rate, new_config, start_run

DEFAULT_METRICS = ("bleu", "rouge_l", "cider")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=PRESETS, help="default: flickr30k")
    parser.add_argument("--decoder", choices=DECODERS)
    parser.add_argument("--objective", choices=OBJECTIVES, help="what is minimized")
    parser.add_argument("--from", dest="start", help="captioner to go on from")
    parser.add_argument("--run", type=Path, required=True, help="folder to write")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument(
        "--encoder-weights",
        metavar="FILE",
        help="imagenet (downloaded; the default), none, a file, or a shipped "
        "captioner's name",
    )
    parser.add_argument(
        "--mixed-precision",
        nargs="?",
        choices=HALVES,
        const="bfloat16",
        help="train in bfloat16 (the default) or float16; the weights stay float32",
    )
    parser.add_argument("--cache-dir", type=Path, default=Path("cache"))
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--limit", type=positive, help="use only the first images")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on with a run")
    existing.add_argument("--overwrite", action="store_true", help="replace a run")
    add_device_options(parser)
    arguments = parser.parse_args(argv)
    for name in ("run", "cache_dir"):
        folder = own_folder(getattr(arguments, name), arguments.host)
        setattr(arguments, name, folder)
    return arguments


def main_attention(arguments: argparse.Namespace) -> Path:
    """Trains, keeps the best weights of the validation and returns the run folder."""
    options = arguments.distribute, arguments.host, arguments.coordinator
    devices = start_devices(*options)
    with devices.scope():
        return train_on(devices, arguments)


def prepare(
    devices: Devices, arguments: argparse.Namespace
) -> tuple[Captioner, Sequence[CaptionedImage], Sequence[CaptionedImage]]:
    """Returns the captioner to train and the images of train and dev.

    Raises:
        ValueError: What cannot be trained so; nothing is written yet.
        OSError: The disk is too small.
    """
    captioner = find_start(arguments)
    config = new_config(arguments) if captioner is None else captioner.config
    devices.check(config)
    images, validation_images = read_training(
        config, arguments.data_dir, arguments.limit
    )
    if captioner is None:
        captioner = create(config, images, arguments.encoder_weights or "imagenet")
    check_disk(captioner, images, validation_images, arguments.cache_dir)
    return captioner, images, validation_images


def train_on(devices: Devices, arguments: argparse.Namespace) -> Path:
    """Trains on one device or on several; see `main_attention`."""
    run = arguments.run
    captioner, images, validation_images = prepare(devices, arguments)
    config = captioner.config
    report_devices(devices, captioner.dtype_policy.name)
    if not arguments.resume:
        start_run(captioner, run)
    batches = training_batches(captioner, images, arguments.cache_dir)
    validation = encode_images(captioner, validation_images, arguments.cache_dir)
    rate = learning_rate(config, config.epochs * len(batches))
    captioner.compile_for_training(rate)
    first = finished_epochs(run, len(batches))
    callbacks = build_callbacks(captioner, validation, run, first, devices.agree)
    if config.objective == "self_critical":
        fit_self_critical(captioner, batches, first, callbacks)
    else:
        batches.start_epoch(first)
        captioner.fit(
            devices.own_rows(batches),
            epochs=config.epochs,
            initial_epoch=first,
            shuffle=False,  # the batches are shuffled; Keras' order cannot be resumed
            callbacks=callbacks,
        )
    # Written last: a run with scores is finished.
    captions = read_captions(run, validation_images)
    write_scores(run, validation_images, captions, DEFAULT_METRICS)
    (run / BACKUP).unlink()
    return run


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("train.py", lambda: print(main_attention(parse(argv))))


if __name__ == "__main__":
    sys.exit(main())
