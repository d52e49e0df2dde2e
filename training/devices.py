"""Training on several devices, by the engines that Keras 3 has for it.

data_parallel   JAX: the devices of one host or of several
mirrored        TensorFlow: the devices of one host

Each device computes its rows of every batch; the step is that of one device on the
whole batch. Dropout aside: mirrored devices draw the same mask for their rows.
"""

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from command_line import WHOLE, Part, part
from config import Config

ENGINES = {"data_parallel": "jax", "mirrored": "tensorflow"}  # and their backends
JIT_COMPILE = keras.backend.backend() == "jax"  # whether Keras compiles whole steps


@dataclass(frozen=True)
class Devices:
    """What trains together.

    Attributes:
        engine: A key of ENGINES; None is one device.
        count: The devices of all hosts.
        host: This host among all.
        scope: Makes the context in which the captioner is built and trained.
    """

    engine: str | None = None
    count: int = 1
    host: Part = WHOLE
    scope: Callable = contextlib.nullcontext

    def check(self, config: Config) -> None:
        """Refuses settings that the engine cannot train with.

        Raises:
            ValueError: Which setting, and why.
        """
        if self.engine is None:
            return
        if config.objective != "cross_entropy":
            raise ValueError(
                "--distribute trains objective=cross_entropy alone; received "
                f"{config.objective}, which draws or explains captions batch by batch "
                "on one device. Leave out --distribute."
            )
        if config.images_per_batch % self.count:
            raise ValueError(
                f"--distribute gives each of the {self.count} devices as many images "
                "of a batch: images_per_batch must be a multiple of their number; "
                f"received {config.images_per_batch}."
            )
        if self.engine == "mirrored" and config.mixed_precision == "float16":
            raise ValueError(
                "--distribute mirrored cannot train in float16: Keras asks the first "
                "device alone whether the gradients are finite. Use bfloat16."
            )

    def own_rows(self, batches: keras.utils.PyDataset) -> keras.utils.PyDataset:
        """Returns what this host computes of every batch."""
        return batches if self.host.count == 1 else HostBatches(batches, self.host)

    def agree(self, score: float) -> float:
        """Returns the score of the first host, so that all decide the same."""
        if self.host.count == 1:
            return score
        from jax.experimental import multihost_utils

        return float(multihost_utils.broadcast_one_to_all(np.float32(score)))


class HostBatches(keras.utils.PyDataset):
    """A host's rows of batches that have the same number of rows for every host.

    Args:
        batches: Items of nested arrays (B, ...).
        host: Which of the hosts.
    """

    def __init__(self, batches: keras.utils.PyDataset, host: Part):
        super().__init__(workers=1, use_multiprocessing=False)
        self.batches, self.host = batches, host

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int):
        def own(array: np.ndarray) -> np.ndarray:
            return np.split(array, self.host.count)[self.host.index]

        return keras.tree.map_structure(own, self.batches[index])

    def on_epoch_end(self) -> None:
        """Moves on to the next epoch."""
        self.batches.on_epoch_end()


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `start_devices` takes."""
    group = parser.add_argument_group("several devices")
    group.add_argument(
        "--distribute",
        choices=ENGINES,
        help="train on all devices; data_parallel needs JAX, mirrored TensorFlow",
    )
    group.add_argument(
        "--host",
        type=part,
        default=WHOLE,
        metavar="I/N",
        help="the place of this host among N, from 0; all but host 0 write their own "
        "copies of the run and the cache beside them",
    )
    group.add_argument(
        "--coordinator", metavar="ADDRESS:PORT", help="of host 0, for all hosts"
    )


def own_folder(folder: Path, host: Part) -> Path:
    """Returns the folder that a host writes: for the first one the folder itself."""
    if host.index == 0:
        return folder
    return folder.with_name(f"{folder.name}-host{host.index}")


def start_devices(
    engine: str | None, host: Part = WHOLE, coordinator: str | None = None
) -> Devices:
    """Starts the devices that train together, before anything is computed.

    Args:
        engine: A key of ENGINES, or None for one device.
        host: This host among all.
        coordinator: The address of the first one, where there are several.

    Raises:
        ValueError: The engine cannot do it; the message says why.
    """
    if (host.count > 1) != (coordinator is not None):
        raise ValueError(
            "Several hosts need both: --host I/N, and --coordinator ADDRESS:PORT of "
            "host 0."
        )
    if host.count > 1 and engine != "data_parallel":
        raise ValueError(
            "Several hosts train with --distribute data_parallel on JAX; TensorFlow's "
            "engine for them cannot run Keras 3's fit (keras issue 20585)."
        )
    if engine is None:
        return Devices()
    if engine not in ENGINES:
        raise ValueError(
            f"--distribute must be one of {', '.join(ENGINES)}; received {engine!r}."
        )
    _check_backend(engine)
    starts = {"data_parallel": _start_data_parallel, "mirrored": _start_mirrored}
    devices = starts[engine](host, coordinator)
    if devices.count == 1:
        raise ValueError(
            "--distribute found one device only. Leave it out, or make more devices "
            "visible."
        )
    return devices


def _check_backend(engine: str) -> None:
    backend, expected = keras.backend.backend(), ENGINES[engine]
    if backend != expected:
        others = [name for name, its in ENGINES.items() if its == backend]
        raise ValueError(
            f"--distribute {engine} needs KERAS_BACKEND={expected}: on {backend} Keras "
            f"does not distribute with it. There, use {' or '.join(others)}."
        )


def _start_data_parallel(host: Part, coordinator: str | None) -> Devices:
    if host.count > 1:
        import jax

        jax.distributed.initialize(coordinator, host.count, host.index)
    # Every host hands over its own rows of a batch: see `HostBatches`.
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    count = distribution.num_model_replicas
    return Devices("data_parallel", count, host, distribution.scope)


def _start_mirrored(host: Part, coordinator: str | None) -> Devices:
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU")
    found = found or tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in found])
    return Devices("mirrored", len(found), host, strategy.scope)
