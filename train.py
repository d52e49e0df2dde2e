"""Trains a captioner on cached features, or its encoder and decoder together.

python train.py --config flickr8k --data-dir DIR --run runs/frozen
python train.py --from runs/frozen --data-dir DIR --run runs/tuned \
        --set trainable_from=block5_conv1 learning_rate=1e-4
python train.py --from runs/tuned --objective lrp_inference --data-dir DIR \
        --run runs/weighed --set learning_rate=1e-5 epochs=1

The same from Python:

    from pathlib import Path
    from train import TrainingOptions, main_attention

    run = main_attention(
        TrainingOptions(
            run=Path("runs/frozen"), data_dir=Path("DIR"), preset="flickr8k"
        )
    )
"""

import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import quiet_start  # noqa: F401
from command_line import (
    add_cache_option,
    add_existing_options,
    fill_options,
    make_parser,
    positive,
    print_paths,
    run_script,
)
from config import HALVES, OBJECTIVES, Config
from dataset import DATASETS, CaptionedImage
from files.locks import locked, refuse_same
from files.writing import check_room
from models.captioner import Captioner
from models.decoders import DECODERS
from models.run_files import BACKUP
from scoring.captions import (
    MetricError,
    score_lines,
    score_possible,
    tokenizer_name,
)
from training.callbacks import build_callbacks, finished_epochs
from training.cider_reward import mean_cider
from training.data import (
    check_disk,
    encode_images,
    read_training,
    training_batches,
)
from training.dev_scores import Score, read_captions, write_scores
from training.devices import (
    Devices,
    add_device_options,
    own_folder,
    report_devices,
    start_devices,
)
from training.objectives import (
    check_num_images,
    compile_for_training,
    objective_of,
)
from training.start import (
    TrainingOptions,
    check_folder,
    check_run_room,
    check_unfinished,
    create,
    find_start,
    learning_rate,
    new_config,
    start_run,
)

logger = logging.getLogger(__name__)
DEFAULT_METRICS = ("bleu", "rouge_l", "cider")


def parse(argv: list[str] | None) -> TrainingOptions:
    """Reads the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add(
        "--config",
        dest="preset",
        choices=DATASETS,
        help=f"the dataset and its settings; default: {Config.dataset}",
    )
    add(
        "--dataset",
        choices=DATASETS,
        help="another dataset with the settings of --config or --from; alone: --config",
    )
    add(
        "--decoder",
        choices=DECODERS,
        help=f"decoder of a new captioner; default: {Config.decoder}",
    )
    add(
        "--objective",
        choices=OBJECTIVES,
        help=f"objective to minimize; default: {Config.objective}, or that of --from",
    )
    add(
        "--from",
        dest="start",
        metavar="MODEL",
        help="go on from a captioner: a shipped one's name, a run directory, or "
        "hf://USER/MODEL",
    )
    add("--run", type=Path, required=True, metavar="DIR", help="folder to write")
    add(
        "--data-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the dataset's folder, see dataset/README.md",
    )
    add(
        "--encoder-weights",
        metavar="FILE",
        help="encoder weights of a new captioner: imagenet (downloaded; the default), "
        "none, a file, or a shipped captioner's name",
    )
    add(
        "--mixed-precision",
        nargs="?",
        choices=HALVES,
        const="bfloat16",
        help="train in bfloat16 (if no name follows) or float16; the weights stay "
        "float32",
    )
    add_cache_option(parser)
    add(
        "--set",
        dest="settings",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help="change settings; config.py lists them with their defaults",
    )
    add(
        "--limit",
        type=positive,
        metavar="N",
        help="only the first images of each split",
    )
    add_existing_options(
        parser, "go on with a run that was stopped", "replace the run in --run"
    )
    add_device_options(parser)
    options = fill_options(TrainingOptions, parser.parse_args(argv))
    return dataclasses.replace(
        options,
        run=own_folder(options.run, options.host),
        cache_dir=own_folder(options.cache_dir, options.host),
    )


def main_attention(options: TrainingOptions) -> Path:
    """Trains, keeps the best weights of the validation and returns the run folder."""
    devices = start_devices(options.distribute, options.host, options.coordinator)
    with devices.scope():
        return train_on(devices, options)


def prepare(
    devices: Devices, options: TrainingOptions
) -> tuple[Captioner, Sequence[CaptionedImage], Sequence[CaptionedImage]]:
    """Returns the captioner to train and the images of train and dev.

    Raises:
        ValueError: What cannot be trained so; nothing is written yet.
        OSError: The disk is too small.
    """
    captioner = find_start(options)
    config = new_config(options) if captioner is None else captioner.config
    devices.check(config)
    images, validation_images = read_training(config, options.data_dir, options.limit)
    check_num_images(config, len(images))
    if captioner is None:
        captioner = create(config, images, options.encoder_weights or "imagenet")
    check_disk(captioner, images, validation_images, options.cache_dir)
    return captioner, images, validation_images


def score_validation(images: Sequence[CaptionedImage]) -> Score:
    """Returns what scores dev, however small it is, as the official tools do.

    CIDEr has no value for a single image, nor where all images of dev share their
    words. Its document frequencies are then those of train and dev together.

    Args:
        images: Of train.
    """
    told = set()

    def score(references, captions, metrics):
        scores, missing = score_possible(references, captions, metrics)
        if why := missing.pop("cider", None):
            if why not in told:
                logger.warning("CIDEr of dev counts train as well, since %s", why)
            told.add(why)
            others = [image.captions for image in images]
            texts = [captions[key] for key in references]
            scores["cider"] = mean_cider(list(references.values()), texts, others)
            scores["cider_documents"] = "train and dev"
        for metric, why in missing.items():
            raise MetricError(f"{metric} of dev cannot be computed: {why}")
        return scores

    return score


def train_on(devices: Devices, options: TrainingOptions) -> Path:
    """Trains on one device or on several; see `main_attention`."""
    check_run(options)
    check_room(options.run)
    with locked(options.run, is_folder=True):
        return train_run(devices, options)


def check_run(options: TrainingOptions) -> None:
    """Refuses a run that cannot be begun or gone on with; nothing is loaded yet."""
    if options.resume:
        check_unfinished(options.run)
    else:
        check_folder(options.run, options.overwrite)
    weights = options.encoder_weights
    if weights is not None and Path(weights).is_file():
        refuse_same([Path(weights)], options.run, is_folder=True)


def train_run(devices: Devices, options: TrainingOptions) -> Path:
    """Does the work of `train_on`; the run is held."""
    run = options.run
    captioner, images, validation_images = prepare(devices, options)
    config = captioner.config
    report_devices(devices, captioner.dtype_policy.name)
    check_run_room(captioner, run)
    if not options.resume:
        start_run(captioner, run)
    batches = training_batches(captioner, images, options.cache_dir)
    validation = encode_images(captioner, validation_images, options.cache_dir)
    compile_for_training(captioner, learning_rate(config, config.epochs * len(batches)))
    tokenizer = tokenizer_name()
    first = finished_epochs(run, len(batches), tokenizer)
    score = score_validation(images)
    callbacks = build_callbacks(
        captioner, validation, run, first, score, tokenizer, devices.agree
    )
    batches.start_epoch(first)
    fit = objective_of(config).fit
    fit(captioner, devices.own_rows(batches), first, callbacks)
    # Written last: a run with scores is finished.
    captions = read_captions(run, validation_images)
    scores = write_scores(run, validation_images, captions, DEFAULT_METRICS, score)
    print(*score_lines(scores), sep="\n")
    (run / BACKUP).unlink()
    return run


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("train.py", lambda: print_paths(main_attention(parse(argv))))


if __name__ == "__main__":
    sys.exit(main())
