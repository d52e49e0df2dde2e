"""Training on several devices, by the engines that Keras 3 has for it.

data_parallel   JAX: the devices of one host or of several
mirrored        TensorFlow: the devices of one host

Each device computes its rows of every batch; the step is that of one device on the
whole batch. Dropout aside: mirrored devices draw the same mask for their rows.

`report_devices` says what computes, on one device too.
"""

import argparse
import contextlib
import logging
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from command_line import WHOLE, Part, part
from config import Config

ENGINES = {"data_parallel": "jax", "mirrored": "tensorflow"}  # and their backends
JIT_COMPILE = keras.backend.backend() == "jax"  # whether Keras compiles whole steps
GPU_REQUIREMENTS = {
    "jax": "requirements-jax-gpu.txt",
    "tensorflow": "requirements-tensorflow-gpu.txt",
    "torch": "requirements-torch.txt",
}
NVIDIA_DEVICES, NVIDIA_DRIVER = Path("/dev"), Path("/proc/driver/nvidia/gpus")


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
        way_out = f" There, use {' or '.join(others)}." if others else ""
        raise ValueError(
            f"--distribute {engine} needs KERAS_BACKEND={expected}: on {backend} Keras "
            f"does not distribute with it.{way_out}"
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


def report_devices(devices: Devices, precision: str) -> None:
    """Logs what computes, and warns of GPUs that do not.

    Args:
        devices: What trains together.
        precision: The Keras policy of the training, as float32 or mixed_bfloat16.
    """
    backend, names = keras.backend.backend(), accelerators()
    used = names[: max(1, devices.count // devices.host.count)]
    counts = Counter(used or [f"CPU, {os.cpu_count()} cores"])
    listed = "; ".join(
        f"{count} x {name}" if count > 1 else name for name, count in counts.items()
    )
    logging.info("Training computes with %s on %s in %s.", backend, listed, precision)
    gpus = nvidia_gpus()
    if gpus and not used:
        file = GPU_REQUIREMENTS.get(backend, GPU_REQUIREMENTS["jax"])
        logging.warning(
            "The GPU lies idle: this machine has %s, and %s computes on the CPU. "
            "Install %s (recommended: %s with KERAS_BACKEND=jax).",
            ", ".join(gpus),
            backend,
            file,
            GPU_REQUIREMENTS["jax"],
        )
    elif len(names) > len(used):
        engines = [name for name, its in ENGINES.items() if its == backend]
        way_out = f"--distribute {engines[0]}" if engines else "KERAS_BACKEND=jax"
        logging.warning(
            "%d of %d devices lie idle; %s trains on all of them.",
            len(names) - len(used),
            len(names),
            way_out,
        )


def accelerators() -> list[str]:
    """Returns the names of the GPUs and TPUs of this host that the backend can use."""
    find = {
        "tensorflow": _tensorflow_accelerators,
        "jax": _jax_accelerators,
        "torch": _torch_accelerators,
    }
    return find.get(keras.backend.backend(), list)()


def _tensorflow_accelerators() -> list[str]:
    import tensorflow as tf

    found = [
        *tf.config.get_visible_devices("GPU"),
        *tf.config.get_visible_devices("TPU"),
    ]
    details = tf.config.experimental.get_device_details
    return [details(device).get("device_name", device.name) for device in found]


def _jax_accelerators() -> list[str]:
    import jax

    found = jax.local_devices()
    return [device.device_kind for device in found if device.platform != "cpu"]


def _torch_accelerators() -> list[str]:
    import torch

    kind = keras.ops.zeros(()).device.type  # where Keras computes
    if kind == "cuda":
        numbers = range(torch.cuda.device_count())
        return [torch.cuda.get_device_name(number) for number in numbers]
    return [] if kind == "cpu" else [kind]


def nvidia_gpus() -> list[str]:
    """Returns the names of the NVIDIA GPUs of this host, whatever the backend sees.

    Empty where CUDA_VISIBLE_DEVICES hides them all: their owner wants it so.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    if program := shutil.which("nvidia-smi"):
        command = [program, "--query-gpu=name", "--format=csv,noheader"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(command, capture_output=True, text=True, timeout=20)
            if done.returncode == 0:
                return [line.strip() for line in done.stdout.splitlines()]
    # A container without GPUs sees the driver of its host, but none of the devices.
    if not any(NVIDIA_DEVICES.glob("nvidia[0-9]*")):
        return []
    return [
        line.removeprefix("Model:").strip()
        for file in sorted(NVIDIA_DRIVER.glob("*/information"))
        for line in file.read_text().splitlines()
        if line.startswith("Model:")
    ]
