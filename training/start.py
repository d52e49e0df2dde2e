"""How a training begins: anew, from another captioner, or where it stopped."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras

from config import Config, choose
from dataset import DATASETS, CaptionedImage
from dataset.vocabulary import Vocabulary
from models.captioner import Captioner, load_captioner
from models.decoders import DECODERS
from models.encoders import ENCODERS, build_encoder
from models.lrp_inference import LRPInferenceCaptioner
from models.run_files import find_encoder, load_weights, shipped_captioners
from training.callbacks import BACKUP
from training.dev_scores import CAPTIONS, SCORES


def find_start(arguments: argparse.Namespace) -> Captioner | None:
    """Returns the captioner that --resume or --from goes on with, if either is given.

    Raises:
        ValueError: The run exists and may not be written, or is to be resumed and
            cannot be, or there is no captioner to go on with.
    """
    if arguments.resume:
        check_unfinished(arguments.run)
        if arguments.set or arguments.start:
            raise ValueError(
                "--resume goes on with the settings of the run; no --set and no --from."
            )
        settled = "config decoder objective mixed_precision encoder_weights"
        refuse_new_settings(arguments, "--resume", settled.split())
        return resume(arguments.run)
    check_folder(arguments.run, arguments.overwrite)
    if arguments.start is None:
        return None
    refuse_new_settings(arguments, "--from", ("config", "encoder_weights"))
    return tune(arguments.start, list_settings(arguments))


def check_unfinished(run: Path) -> None:
    """Refuses to resume what is no run, or is finished.

    Raises:
        ValueError: Which of both.
    """
    if not (run / "config.json").is_file():
        raise ValueError(f"--resume: there is no run in {run}.")
    if (run / SCORES).is_file():
        raise ValueError(
            f"--resume: the run in {run} is finished. Train a new one from it with "
            f"--from {run} and another --run."
        )


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


def list_settings(arguments: argparse.Namespace) -> list[str]:
    """Returns what --decoder, --objective, --mixed-precision and --set change."""
    given = [
        f"{name}={getattr(arguments, name)}"
        for name in ("decoder", "objective", "mixed_precision")
        if getattr(arguments, name)
    ]
    return [*given, *arguments.set]


def new_config(arguments: argparse.Namespace) -> Config:
    """Returns the settings of a captioner that begins anew."""
    preset = DATASETS[arguments.config or Config.dataset].preset
    return check_names(preset.with_settings(list_settings(arguments)))


def check_names(config: Config) -> Config:
    """Returns settings whose dataset, encoder and decoder are known.

    Raises:
        ValueError: A name is unknown, or the dataset's captions do not allow
            mirrored images.
    """
    dataset = choose("dataset", config.dataset, DATASETS)
    choose("encoder", config.encoder, ENCODERS)
    choose("decoder", config.decoder, DECODERS)
    if config.flip_images and dataset.captions_tell_sides:
        raise ValueError(
            f"flip_images cannot be used on {dataset.name}: their captions say left "
            "and right."
        )
    return config


def create(config: Config, images: Sequence[CaptionedImage], weights: str) -> Captioner:
    """Builds a new captioner with the words of the training images.

    Args:
        config: Its settings.
        images: Of train.
        weights: See `start_encoder`.
    """
    keras.utils.set_random_seed(config.seed)
    captions = (caption for image in images for caption in image.captions)
    vocabulary = Vocabulary.from_captions(captions, config.min_word_count)
    encoder = start_encoder(config, weights)
    return captioner_class(config)(config, vocabulary, encoder)


def tune(name: str, settings: list[str]) -> Captioner:
    """Builds a captioner that begins with the words and weights of another.

    Args:
        name: The other one; see `load_captioner`.
        settings: What is to change of its settings, texts field=value.
    """
    start = load_captioner(name)
    config = check_names(start.config.with_settings(settings))
    keras.utils.set_random_seed(config.seed)
    encoder = build_encoder(config)
    captioner = captioner_class(config)(config, start.vocabulary, encoder)
    captioner.take_weights(start)
    return captioner


def resume(run: Path) -> Captioner:
    """Loads the captioner of a run that goes on."""
    config = check_names(Config.from_json(run / "config.json"))
    keras.utils.set_random_seed(config.seed)
    return load_captioner(run, captioner_class(config))


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


def start_run(captioner: Captioner, run: Path) -> None:
    """Writes the untrained captioner and removes the rest of a run it replaces."""
    if (run / "config.json").is_file():
        shutil.rmtree(run / "logs", ignore_errors=True)
        for name in (BACKUP, "history.csv", CAPTIONS, SCORES):
            (run / name).unlink(missing_ok=True)
    captioner.save_run(run)


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
