"""The curves of a run, read by TensorBoard's own reader."""

import importlib.util
from types import SimpleNamespace

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.tensorboard_logs import TensorBoardLogs, tensorboard_logs


def curves(folder) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(e.step, e.tensor_proto.float_val[0]) for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_epochs_are_written_and_a_resumed_run_goes_on(tmp_path):
    optimizer = SimpleNamespace(learning_rate=0.5)
    for epochs in ((0, 1), (2,)):
        (logs,) = tensorboard_logs(tmp_path)
        logs.set_model(SimpleNamespace(optimizer=optimizer))
        for epoch in epochs:
            logs.on_epoch_end(epoch, {"loss": 0.25 * epoch, "val_cider": 2.0})
        logs.on_train_end()
    assert curves(tmp_path / "train") == {
        "epoch_loss": [(0, 0.0), (1, 0.25), (2, 0.5)],
        "epoch_learning_rate": [(0, 0.5), (1, 0.5), (2, 0.5)],
    }
    assert curves(tmp_path / "validation") == {
        "epoch_cider": [(epoch, 2.0) for epoch in range(3)]
    }


def test_the_rate_of_a_wrapped_optimizer(tmp_path):
    inner = SimpleNamespace(learning_rate=0.25)
    logs = TensorBoardLogs(tmp_path)
    logs.set_model(SimpleNamespace(optimizer=SimpleNamespace(inner_optimizer=inner)))
    logs.on_epoch_end(0)
    logs.on_train_end()
    assert curves(tmp_path / "train") == {"epoch_learning_rate": [(0, 0.25)]}


def test_without_tensorboard_one_line_says_so(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert tensorboard_logs(tmp_path) == []
    assert caplog.messages == [
        "No TensorBoard logs are written: the package tensorboard is not installed. "
        "history.csv has the same numbers."
    ]
