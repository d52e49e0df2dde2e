"""Runs train.py on virtual devices, in a process of its own for test_devices.

python tests/train_on_devices.py NUM_DEVICES KILL_AFTER ARGUMENT...

NUM_DEVICES are those of this host, which on JAX are made by XLA_FLAGS. After the epoch
KILL_AFTER, unless it is -1, the run is killed and then resumed.
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import keras
from conftest import IS_TENSORFLOW, TINY_VGG16
from tiny_training import Killed, Killer

import train
from models.encoders import ENCODERS
from scoring import captions

OPTIONS = ("--distribute", "--data-dir", "--run", "--cache-dir", "--limit")


def make_devices(number: int) -> None:
    """Splits TensorFlow's processor into logical devices."""
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(number)]
    tf.config.set_logical_device_configuration(processor, parts)


class Last(keras.callbacks.Callback):
    """Keeps the weights of the last epoch, which may not be the best ones.

    Args:
        run: The run directory, beside which they lie.
    """

    def __init__(self, run: Path):
        super().__init__()
        self.folder = last_folder(run)

    def on_epoch_end(self, epoch, logs=None):
        self.model.save_run(self.folder)


def last_folder(run: Path) -> Path:
    """Returns the folder of a run's last weights."""
    return run.with_name(f"{run.name}-last")


def keep_last(build: Callable) -> Callable:
    """Adds `Last` to what `build_callbacks` returns."""
    return lambda captioner, encoded, run, *more: [
        *build(captioner, encoded, run, *more),
        Last(run),
    ]


def train_until_killed(arguments: list[str], epoch: int) -> list[str]:
    """Trains to the end of an epoch; returns the arguments that go on."""
    build, killer = train.build_callbacks, Killer("epoch", epoch)
    train.build_callbacks = lambda *inputs: [*build(*inputs), killer]
    with contextlib.suppress(Killed):
        train.main(arguments)
        raise AssertionError("the run was not killed")
    train.build_callbacks = build
    kept = [text for name in OPTIONS for text in arguments[arguments.index(name) :][:2]]
    return [*kept, "--resume"]


def main(num_devices: int, kill_after: int, arguments: list[str]) -> int:
    """Trains; returns the exit code of train.py."""
    ENCODERS["vgg16"] = TINY_VGG16
    captions.has_java = lambda: False
    train.build_callbacks = keep_last(train.build_callbacks)
    if IS_TENSORFLOW:
        make_devices(num_devices)
    if kill_after >= 0:
        arguments = train_until_killed(arguments, kill_after)
    return train.main(arguments)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
