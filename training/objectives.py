"""What training minimizes: for each objective its captioner, its loss and its fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from config import Config
from models.captioner import Captioner
from models.lrp_inference import LRPInferenceCaptioner
from models.objective import Adam, TokenCrossEntropy, token_accuracy
from training.callbacks import show_progress
from training.devices import JIT_COMPILE
from training.self_critical import fit_self_critical

Fit = Callable[[Captioner, keras.utils.PyDataset, int, Sequence], None]


def cross_entropy(config: Config) -> TokenCrossEntropy:
    """Returns the mean over the words, smoothed as config has it."""
    return TokenCrossEntropy(config.label_smoothing)


def weighted_sum(config: Config) -> TokenCrossEntropy:
    """Returns the mean over all places, for words whose weights have both signs."""
    return TokenCrossEntropy(
        temperature=config.temperature, reduction="sum_over_batch_size"
    )


def fit_batches(
    captioner: Captioner,
    batches: keras.utils.PyDataset,
    first: int,
    callbacks: Sequence,
) -> None:
    """Trains a compiled captioner with Keras' own loop.

    Args:
        captioner: Compiled.
        batches: What it is trained on.
        first: The epoch to begin with.
        callbacks: Keras callbacks.
    """
    captioner.fit(
        batches,
        epochs=captioner.config.epochs,
        initial_epoch=first,
        shuffle=False,  # the batches are shuffled; Keras' order cannot be resumed
        **show_progress(callbacks),
    )


@dataclass(frozen=True)
class Objective:
    """How a captioner is trained.

    Attributes:
        captioner: The class whose predictions the loss reads.
        loss: (config) -> what is minimized.
        metrics: What is shown beside it, (tokens, logits) -> a value for each token.
        fit: (compiled captioner, batches, first epoch, callbacks) -> trains. The
            batches stand at the first epoch.
        num_images: Of train, at least.
    """

    captioner: type[Captioner] = Captioner
    loss: Callable[[Config], keras.losses.Loss] = cross_entropy
    metrics: tuple[Callable, ...] = (token_accuracy,)
    fit: Fit = fit_batches
    num_images: int = 1


def self_critical(captioner: type[Captioner]) -> Objective:
    """Returns the objective that rewards drawn captions, for a class of captioners."""
    return Objective(  # CIDEr has no value for one image
        captioner, weighted_sum, metrics=(), fit=fit_self_critical, num_images=2
    )


OBJECTIVES = {
    "cross_entropy": Objective(),
    "lrp_inference": Objective(captioner=LRPInferenceCaptioner),
    "self_critical": self_critical(Captioner),
    "lrp_self_critical": self_critical(LRPInferenceCaptioner),
}


def objective_of(config: Config) -> Objective:
    """Returns the objective that config names."""
    return OBJECTIVES[config.objective]


def check_num_images(config: Config, num_images: int) -> None:
    """Refuses to train on fewer images than the objective needs.

    Raises:
        ValueError: There are too few.
    """
    needed = objective_of(config).num_images
    if num_images < needed:
        raise ValueError(
            f"objective={config.objective} rewards captions with their CIDEr, which "
            f"has no value for one image: train needs {needed} images or more; "
            f"received {num_images}. Take another objective, or more images."
        )


def compile_for_training(captioner: Captioner, learning_rate) -> None:
    """Compiles with Adam, the loss of the objective and the settings of config.

    Args:
        captioner: What is trained.
        learning_rate: A number or a schedule.
    """
    config, objective = captioner.config, objective_of(captioner.config)
    average = config.weight_average
    captioner.compile(
        optimizer=Adam(
            learning_rate,
            rate_factors(captioner),
            clip_value=config.clip_value,
            use_ema=average > 0,
            ema_momentum=average or 0.99,
        ),
        loss=objective.loss(config),
        weighted_metrics=[*objective.metrics] or None,
        jit_compile=JIT_COMPILE,
    )


def rate_factors(captioner: Captioner) -> list[float]:
    """Returns the factor on the rate of every trained variable, in their order."""
    of_encoder = {id(variable) for variable in captioner.encoder.variables}
    rates = (1.0, captioner.config.encoder_rate)
    return [rates[id(v) in of_encoder] for v in captioner.trainable_variables]
