"""How a training begins: anew, from another captioner, or where it stopped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from command_line import WHOLE, Part
from config import Config, choose, whole_number
from dataset import DATASETS, CaptionedImage
from dataset.vocabulary import Vocabulary
from files.locks import refuse_same
from files.writing import check_room, current_file, finish_change, holds_something
from models.captioner import Captioner, load_run
from models.decoders import DECODERS
from models.encoders import ENCODERS, build_encoder
from models.run_files import OF_TRAINING, find_encoder, shipped_captioners
from models.weights import load_weights
from training.dev_scores import SCORES
from training.objectives import objective_of

SETTLED = {  # what a run fixes: the option of train.py and its field
    "--config": "preset",
    "--dataset": "dataset",
    "--decoder": "decoder",
    "--objective": "objective",
    "--mixed-precision": "mixed_precision",
    "--encoder-weights": "encoder_weights",
}


@dataclass(frozen=True)
class TrainingOptions:
    """What a training is asked for with.

    Attributes:
        run: The folder to write.
        data_dir: Of the dataset.
        preset: A key of DATASETS, for the settings of a new captioner; that of
            `Config` if None.
        dataset: A key of DATASETS, where it is not that of the settings. Alone it is
            the preset, too.
        decoder: See `Config`, as the next two; None leaves it as it is.
        objective: What is minimized.
        mixed_precision: The precision of training.
        start: The captioner to go on from, see `load_run`; None begins anew.
        encoder_weights: Of a new captioner: imagenet (if None), none, a file, or a
            shipped captioner's name.
        cache_dir: The features of images.
        settings: Changes of the settings, texts field=value.
        limit: Of the images of each split; None for all.
        resume: Whether to go on with the run.
        overwrite: Whether to replace a run.
        distribute: The engine for several devices, see `start_devices`; None for one.
        host: This host among all; each needs a `run` and a `cache_dir` of its own, see
            `own_folder`.
        coordinator: The address of the first host.

    Raises:
        ValueError: A run is to be both resumed and replaced, or the limit is no number
            of images.
    """

    run: Path
    data_dir: Path
    preset: str | None = None
    dataset: str | None = None
    decoder: str | None = None
    objective: str | None = None
    mixed_precision: str | None = None
    start: str | None = None
    encoder_weights: str | None = None
    cache_dir: Path = Path("cache")
    settings: tuple[str, ...] = ()
    limit: int | None = None
    resume: bool = False
    overwrite: bool = False
    distribute: str | None = None
    host: Part = WHOLE
    coordinator: str | None = None

    def __post_init__(self):
        if self.resume and self.overwrite:
            raise ValueError(f"The run in {self.run} is either resumed or overwritten.")
        if self.limit is not None:
            whole_number("limit", self.limit)


def find_start(options: TrainingOptions) -> Captioner | None:
    """Returns the captioner that --resume or --from goes on with, if either is given.

    Raises:
        ValueError: The run exists and may not be written, or is to be resumed and
            cannot be, or there is no captioner to go on with.
    """
    if options.resume:
        check_unfinished(options.run)
        if options.settings or options.start:
            raise ValueError(
                "--resume goes on with the settings of the run; no --set and no --from."
            )
        refuse_settled("--resume", SETTLED, options)
        return resume(options.run)
    check_folder(options.run, options.overwrite)
    if options.start is None:
        return None
    refuse_same([Path(options.start)], options.run, is_folder=True)
    refuse_settled("--from", ("--config", "--encoder-weights"), options)
    return tune(options.start, list_settings(options))


def check_unfinished(run: Path) -> None:
    """Refuses to resume what is no run, or is finished.

    Raises:
        ValueError: Which of both.
    """
    finish_change(run)
    if not (run / "config.json").is_file():
        raise ValueError(
            f"--resume: there is no run in {run}, or it was stopped before it began. "
            "Begin it with the same command without --resume."
        )
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
    if current_file(run, "config.json").is_file():
        if not overwrite:
            raise ValueError(
                f"{run} holds a run already. Go on with it (--resume), replace it "
                "(--overwrite) or name another folder (--run)."
            )
    elif holds_something(run):
        raise ValueError(
            f"{run} is no run (it has no config.json); expected a new or empty folder, "
            "or a run. Name another folder with --run."
        )


def refuse_settled(
    option: str, others: Iterable[str], options: TrainingOptions
) -> None:
    """Refuses options whose settings the loaded captioner fixes.

    Args:
        option: Loads the captioner.
        others: Those that do not go with it, from SETTLED.
        options: What is given.
    """
    given = [name for name in others if getattr(options, SETTLED[name]) is not None]
    if given:
        raise ValueError(
            f"{option} goes on with a captioner that has its settings and weights; "
            f"leave out {given[0]}."
        )


def list_settings(options: TrainingOptions) -> list[str]:
    """Returns what --dataset, --decoder, --objective and others like it change."""
    changed = {
        "dataset": options.dataset,
        "decoder": options.decoder,
        "objective": options.objective,
        "mixed_precision": options.mixed_precision,
    }
    given = [f"{name}={value}" for name, value in changed.items() if value]
    return [*given, *options.settings]


def new_config(options: TrainingOptions) -> Config:
    """Returns the settings of a captioner that begins anew.

    Raises:
        ValueError: There is no such preset, or a setting is wrong.
    """
    name = options.preset or options.dataset or Config.dataset
    dataset = choose("preset", name, DATASETS)
    return check_names(dataset.preset.with_settings(list_settings(options)))


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
    return objective_of(config).captioner(config, vocabulary, encoder)


def tune(name: str, settings: Sequence[str]) -> Captioner:
    """Builds a captioner that begins with the words and weights of another.

    Args:
        name: The other one; see `load_run`.
        settings: What is to change of its settings, texts field=value.
    """
    start = load_run(name)
    config = check_names(start.config.with_settings(settings))
    keras.utils.set_random_seed(config.seed)
    encoder = build_encoder(config)
    kind = objective_of(config).captioner
    captioner = kind(config, start.vocabulary, encoder)
    captioner.take_weights(start)
    return captioner


def resume(run: Path) -> Captioner:
    """Loads the captioner of a run that goes on."""
    config = check_names(Config.from_json(run / "config.json"))
    keras.utils.set_random_seed(config.seed)
    return load_run(run, objective_of(config).captioner)


def start_encoder(config: Config, weights: str) -> keras.Model:
    """Builds the encoder with the weights that --encoder-weights names."""
    shipped = shipped_captioners().get(weights)
    if shipped is None:
        return build_encoder(config, None if weights == "none" else weights)
    encoder = build_encoder(config)
    load_weights(encoder, find_encoder(shipped))
    return encoder


def start_run(captioner: Captioner, run: Path) -> None:
    """Writes the untrained captioner; what a run before left goes with the change."""
    captioner.save_run(run, removed=OF_TRAINING)


def check_run_room(captioner: Captioner, run: Path) -> None:
    """Refuses a disk too small for the weights, twice, and the optimizer's state.

    Raises:
        WriteError: The disk has too little room.
    """
    values = sum(weight.size for weight in map(np.asarray, captioner.weights))
    trained = sum(int(np.prod(v.shape)) for v in captioner.trainable_variables)
    check_room(run, 4 * (3 * values + 3 * trained), "The run")


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
