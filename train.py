"""Trains a captioner on cached features, or its encoder and decoder together.

python train.py --config flickr8k --data-dir DIR --run runs/frozen
python train.py --from runs/frozen --data-dir DIR --run runs/tuned \
        --set trainable_from=block5_conv1 learning_rate=1e-4
python train.py --from runs/tuned --objective lrp_inference --data-dir DIR \
        --run runs/weighed --set learning_rate=1e-5 epochs=1
"""

import argparse
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras starts it

import keras

from command_line import positive
from config import DECODERS, HALVES, OBJECTIVES, PRESETS, Config
from dataset.vocabulary import Vocabulary
from models.captioner import Captioner, load_captioner
from models.encoder import build_encoder
from models.lrp_inference import LRPInferenceCaptioner
from models.run_files import find_encoder, load_weights, shipped_captioners
from training.callbacks import (
    BACKUP,
    build_callbacks,
    finished_epochs,
)
from training.data import (
    check_disk,
    encode_images,
    read_training,
    training_batches,
)
from training.devices import (
    Devices,
    add_device_options,
    own_folder,
    start_devices,
)
from training.scoring import SCORES, write_scores
from training.self_critical import fit_self_critical

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


def choose_captioner(arguments: argparse.Namespace) -> Captioner:
    """Returns the captioner to train, new or from the run that is resumed.

    Raises:
        ValueError: The run exists and may not be written, or is to be resumed and
            does not exist.
    """
    run = arguments.run
    if not arguments.resume:
        check_folder(run, arguments.overwrite)
        return start_captioner(arguments)
    if not (run / "config.json").is_file():
        raise ValueError(f"--resume: there is no run in {run}.")
    if (run / SCORES).is_file():
        raise ValueError(
            f"--resume: the run in {run} is finished. Train a new one from it with "
            f"--from {run} and another --run."
        )
    if arguments.set or arguments.start:
        raise ValueError(
            "--resume goes on with the settings of the run; no --set and no --from."
        )
    settled = "config decoder objective mixed_precision encoder_weights"
    refuse_new_settings(arguments, "--resume", settled.split())
    config = Config.from_json(run / "config.json")
    keras.utils.set_random_seed(config.seed)
    return load_captioner(run, captioner_class(config))


def check_folder(run: Path, overwrite: bool) -> None:
    """Refuses a folder in which a new run would replace what it may not.

    Raises:
        ValueError: The folder holds a run and is not to be overwritten, or holds
            something else.
    """
    if (run / "config.json").is_file():
        if not overwrite:
            raise ValueError(
                f"{run} holds a run already. Go on with it (--resume), replace it "
                "(--overwrite) or name another folder (--run)."
            )
    elif run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise ValueError(
            f"{run} is no run (it has no config.json); expected a new or empty folder, "
            "or a run. Name another folder with --run."
        )


def refuse_new_settings(
    arguments: argparse.Namespace, option: str, names: Sequence[str]
) -> None:
    """Refuses what the captioner that is gone on with has already."""
    given = [name for name in names if getattr(arguments, name) is not None]
    if given:
        raise ValueError(
            f"{option} goes on with a captioner that has its settings and weights; "
            f"leave out --{given[0].replace('_', '-')}."
        )


def start_run(captioner: Captioner, run: Path) -> None:
    """Writes the untrained captioner and removes the rest of a run it replaces."""
    if (run / "config.json").is_file():
        shutil.rmtree(run / "logs", ignore_errors=True)
        for name in (BACKUP, "history.csv", SCORES):
            (run / name).unlink(missing_ok=True)
    captioner.save_run(run)


def start_captioner(arguments: argparse.Namespace) -> Captioner:
    """Builds a new captioner, or takes the weights of the one given by --from."""
    if arguments.start is None:
        config = adapt(PRESETS[arguments.config or "flickr30k"], arguments)
        keras.utils.set_random_seed(config.seed)
        images, _ = read_training(config, arguments.data_dir, arguments.limit)
        captions = (caption for image in images for caption in image.captions)
        vocabulary = Vocabulary.from_captions(captions, config.min_word_count)
        encoder = start_encoder(config, arguments.encoder_weights or "imagenet")
        return captioner_class(config)(config, vocabulary, encoder)
    refuse_new_settings(arguments, "--from", ("config", "encoder_weights"))
    start = load_captioner(arguments.start)
    config = adapt(start.config, arguments)
    keras.utils.set_random_seed(config.seed)
    encoder = build_encoder(config)
    captioner = captioner_class(config)(config, start.vocabulary, encoder)
    captioner.take_weights(start)
    return captioner


def adapt(config: Config, arguments: argparse.Namespace) -> Config:
    """Applies --decoder, --objective, --mixed-precision and --set."""
    given = [
        f"{name}={getattr(arguments, name)}"
        for name in ("decoder", "objective", "mixed_precision")
        if getattr(arguments, name)
    ]
    return config.with_settings([*given, *arguments.set])


def captioner_class(config: Config) -> type[Captioner]:
    """Returns the class whose `fit` minimizes the objective."""
    return LRPInferenceCaptioner if config.objective == "lrp_inference" else Captioner


def start_encoder(config: Config, weights: str) -> keras.Model:
    """Builds the encoder with the weights that --encoder-weights names."""
    shipped = shipped_captioners().get(weights)
    if shipped is None:
        return build_encoder(config, None if weights == "none" else weights)
    encoder = build_encoder(config)
    load_weights(encoder, find_encoder(shipped))
    return encoder


def learning_rate(config: Config, num_steps: int):
    """Returns the rate, or its schedule over the steps of the whole training."""
    if config.schedule == "constant":
        return config.learning_rate
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, num_steps - config.warmup_steps),
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup_steps,
    )


def main_attention(arguments: argparse.Namespace) -> Path:
    """Trains, keeps the best weights of the validation and returns the run folder."""
    options = arguments.distribute, arguments.host, arguments.coordinator
    devices = start_devices(*options)
    with devices.scope():
        return train_on(devices, arguments)


def train_on(devices: Devices, arguments: argparse.Namespace) -> Path:
    """Trains on one device or on several; see `main_attention`."""
    run = arguments.run
    captioner = choose_captioner(arguments)
    config = captioner.config
    devices.check(config)
    images, validation_images = read_training(
        config, arguments.data_dir, arguments.limit
    )
    check_disk(captioner, images, validation_images, arguments.cache_dir)
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
    write_scores(run, load_captioner(run), validation, DEFAULT_METRICS)
    (run / BACKUP).unlink()
    return run


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print(main_attention(parse(argv)))
    except (ValueError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
