"""The curves of a run for TensorBoard, written without TensorFlow."""

import importlib.util
import logging
import time
from pathlib import Path

import keras
from keras import ops


class TensorBoardLogs(keras.callbacks.Callback):
    """Writes the logs of every epoch, as `keras.callbacks.TensorBoard` names them.

    That callback needs TensorFlow; this one needs the package tensorboard alone.

    Args:
        folder: Gets the folders train and validation.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder, self._writers = folder, {}

    def on_epoch_end(self, epoch, logs=None):
        optimizer = getattr(self.model.optimizer, "inner_optimizer", None)
        optimizer = optimizer or self.model.optimizer
        rate = float(ops.convert_to_numpy(optimizer.learning_rate))
        for name, value in {**(logs or {}), "learning_rate": rate}.items():
            part = "validation" if name.startswith("val_") else "train"
            self._write(part, f"epoch_{name.removeprefix('val_')}", value, epoch)

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _write(self, part: str, tag: str, value: float, epoch: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if part not in self._writers:
            self._writers[part] = EventFileWriter(str(self.folder / part))
        writer = self._writers[part]
        summary = scalar_pb(tag, float(value))
        writer.add_event(Event(wall_time=time.time(), step=epoch, summary=summary))
        writer.flush()


def tensorboard_logs(folder: Path) -> list[keras.callbacks.Callback]:
    """Returns the callback that writes TensorBoard's logs, or none without it."""
    if importlib.util.find_spec("tensorboard") is None:
        logging.warning(
            "No TensorBoard logs are written: the package tensorboard is not "
            "installed. history.csv has the same numbers."
        )
        return []
    return [TensorBoardLogs(folder)]
