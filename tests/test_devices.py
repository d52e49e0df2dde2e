"""Several devices and hosts: the run of one device, and what is refused.

Sums over the devices are made in another order, which changes last bits: after four
steps of 0.05, losses by up to 1e-7 and weights, through Adam, by up to 3e-6.
"""

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import IS_TENSORFLOW
from tiny_training import arguments_of, read_history
from train_on_devices import keep_last, last_folder

import train
from command_line import WHOLE, Part
from config import Config
from models import load_captioner
from training import devices as devices_module
from training.devices import (
    Devices,
    HostBatches,
    accelerators,
    nvidia_gpus,
    own_folder,
    report_devices,
    start_devices,
)

pytestmark = pytest.mark.usefixtures("quick")

WORKER = Path(__file__).with_name("train_on_devices.py")
ENGINE = "mirrored" if IS_TENSORFLOW else "data_parallel"
SETTINGS = {
    "learning_rate": 0.05,
    "clip_value": 0.003,  # most entries are larger
    "weight_average": 0.5,
    "trainable_from": "block5_conv3",
    "flip_images": "true",
    "epochs": 2,
    "dropout": 0.0 if IS_TENSORFLOW else 0.2,  # mirrored devices draw other masks
}
ATOL = 2e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module")
def alone(quick, folder, data_dir):
    """A run of one device; the second of its two batches has three images of four."""
    run = folder / "alone"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(train, "build_callbacks", keep_last(train.build_callbacks))
        assert train.main(arguments_of(data_dir, run, "--limit", "7", **SETTINGS)) == 0
    return run


def start(data_dir, run, num_devices, kill_after, *options):
    arguments = arguments_of(data_dir, run, "--limit", "7", **SETTINGS)
    command = [sys.executable, WORKER, num_devices, kill_after, *arguments, *options]
    return subprocess.Popen(
        [str(part) for part in command],
        env=os.environ
        | {
            "KERAS_BACKEND": keras.backend.backend(),
            "PYTHONPATH": str(WORKER.parents[1]),
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")
            + f" --xla_force_host_platform_device_count={num_devices}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate(timeout=3000)
    assert process.returncode == 0, output


def assert_as_alone(run, alone):
    histories = [read_history(one) for one in (run, alone)]
    assert len(histories[0]) == len(histories[1]) == 2
    for row, expected in zip(*histories, strict=True):
        for name in ("loss", "token_accuracy"):
            assert float(row[name]) == pytest.approx(float(expected[name]), rel=2e-6)
    for pair in ((run, alone), (last_folder(run), last_folder(alone))):
        one, other = map(load_captioner, pair)
        for weight, expected in zip(one.weights, other.weights, strict=True):
            np.testing.assert_allclose(weight, expected, atol=ATOL, err_msg=weight.path)


@pytest.mark.slow
def test_two_devices_train_as_one_and_go_on_when_killed(alone, folder, data_dir):
    run = folder / "two"
    finish(start(data_dir, run, 2, 0, "--distribute", ENGINE))
    assert_as_alone(run, alone)
    names = {path.name for path in alone.iterdir()}
    assert {path.name for path in run.iterdir()} == names


@pytest.mark.skipif(IS_TENSORFLOW, reason="several hosts train on JAX")
def test_two_hosts_train_as_one(alone, folder, data_dir):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    options = ["--distribute", ENGINE, "--coordinator", address, "--host"]
    run = folder / "hosts"
    processes = [start(data_dir, run, 1, -1, *options, f"{i}/2") for i in range(2)]
    for process in processes:
        finish(process)
    for one in (run, folder / "hosts-host1"):
        assert_as_alone(one, alone)


def test_rows_of_a_host():
    class Batches(keras.utils.PyDataset):
        ended = 0

        def __len__(self):
            return 2

        def __getitem__(self, index):
            rows = 10 * index + np.arange(6)
            return {"x": np.stack([rows, rows], 1)}, rows

        def on_epoch_end(self):
            self.ended += 1

    batches = Batches()
    parts = [HostBatches(batches, Part(index, 3)) for index in range(3)]
    assert len(parts[0]) == 2
    for index in range(2):
        rows = np.concatenate([part[index][1] for part in parts])
        np.testing.assert_array_equal(rows, batches[index][1])
        inputs = np.concatenate([part[index][0]["x"] for part in parts])
        np.testing.assert_array_equal(inputs, batches[index][0]["x"])
    parts[1].on_epoch_end()
    assert batches.ended == 1
    assert Devices().own_rows(batches) is batches
    assert Devices().agree(0.3) == 0.3


def test_a_host_writes_beside_the_first():
    assert own_folder(Path("runs/a"), WHOLE) == Path("runs/a")
    assert own_folder(Path("runs/a"), Part(2, 3)) == Path("runs/a-host2")
    options = ["--run", "a", "--data-dir", "d", "--cache-dir", "c"]
    arguments = train.parse([*options, "--host", "1/2"])
    assert (arguments.run, arguments.cache_dir) == (Path("a-host1"), Path("c-host1"))


@pytest.mark.parametrize(
    ("engine", "settings", "message"),
    [
        (ENGINE, {"images_per_batch": 7}, "multiple of their number; received 7"),
        (ENGINE, {"objective": "self_critical"}, "objective=cross_entropy alone"),
        (ENGINE, {"objective": "lrp_inference"}, "received lrp_inference, which draws"),
        ("mirrored", {"mixed_precision": "float16"}, "Use bfloat16"),
    ],
)
def test_settings_that_several_devices_cannot_train_are_refused(
    engine, settings, message
):
    with pytest.raises(ValueError, match=message):
        Devices(engine, 2).check(Config(**settings))
    Devices().check(Config(**settings))
    Devices(engine, 2).check(Config(images_per_batch=8, mixed_precision="bfloat16"))


OTHER = "data_parallel" if IS_TENSORFLOW else "mirrored"
REFUSED = [
    ((OTHER,), rf"--distribute {OTHER} needs KERAS_BACKEND=.*There, use {ENGINE}\."),
    ((ENGINE,), "found one device only"),
    ((ENGINE, Part(0, 2)), "Several hosts need both"),
    ((ENGINE, WHOLE, "a:1"), "Several hosts need both"),
    (("mirrored", Part(0, 2), "a:1"), r"on JAX; TensorFlow's .*keras issue 20585"),
    ((None, Part(0, 2), "a:1"), "Several hosts train with --distribute data_parallel"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_engines_that_cannot_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        start_devices(*options)


def test_torch_has_no_engine(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match=r"on torch Keras does not .* with it\.$"):
        start_devices("mirrored")


def test_nothing_is_written_before_a_refusal(data_dir, tmp_path, capsys):
    run = tmp_path / "run"
    assert train.main(arguments_of(data_dir, run, "--distribute", OTHER)) == 2
    assert capsys.readouterr().err.startswith(f"train.py: --distribute {OTHER} needs")
    assert not run.exists()


def reported(monkeypatch, caplog, seen, present=(), devices=None, backend=None):
    """The lines that a training logs: the backend sees some GPUs of those present."""
    monkeypatch.setattr(devices_module, "accelerators", lambda: list(seen))
    monkeypatch.setattr(devices_module, "nvidia_gpus", lambda: list(present))
    if backend is not None:
        monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with caplog.at_level(logging.INFO):
        report_devices(devices or Devices(), "mixed_bfloat16")
    return caplog.messages


def test_a_training_says_what_computes(monkeypatch, caplog):
    lines = reported(monkeypatch, caplog, [])
    name = keras.backend.backend()
    assert lines == [
        f"Training computes with {name} on CPU, {os.cpu_count()} cores in "
        "mixed_bfloat16."
    ]


def test_the_devices_of_this_host_are_named(monkeypatch, caplog):
    two_hosts = Devices("data_parallel", 4, Part(1, 2))
    (line,) = reported(monkeypatch, caplog, ["A100", "A100"], ["A100"] * 2, two_hosts)
    assert " on 2 x A100 in " in line


def test_an_idle_gpu_is_named_with_the_way_out(monkeypatch, caplog):
    _, line = reported(monkeypatch, caplog, [], ["NVIDIA H200"], backend="torch")
    assert line == (
        "The GPU lies idle: this machine has NVIDIA H200, and torch computes on the "
        "CPU. Install requirements-torch.txt (recommended: requirements-jax-gpu.txt "
        "with KERAS_BACKEND=jax)."
    )


@pytest.mark.parametrize(
    ("backend", "way_out"),
    [
        ("jax", "--distribute data_parallel"),
        ("tensorflow", "--distribute mirrored"),
        ("torch", "KERAS_BACKEND=jax"),
    ],
)
def test_further_gpus_can_train_too(monkeypatch, caplog, backend, way_out):
    line = reported(monkeypatch, caplog, ["A100"] * 4, ["A100"] * 4, backend=backend)[1]
    assert line == f"3 of 4 devices lie idle; {way_out} trains on all of them."


@pytest.mark.parametrize("file", devices_module.GPU_REQUIREMENTS.values())
def test_the_named_requirements_exist(file):
    assert (WORKER.parents[1] / file).is_file()


def test_the_backend_is_asked_for_its_devices(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert nvidia_gpus() == []
    assert all(isinstance(name, str) for name in accelerators())


def test_gpus_are_found_without_the_backend(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(devices_module, "NVIDIA_DRIVER", tmp_path / "gpus")
    monkeypatch.setattr(devices_module, "NVIDIA_DEVICES", tmp_path / "dev")
    information = tmp_path / "gpus/0000:01:00.0/information"
    information.parent.mkdir(parents=True)
    information.write_text("Model: \t\t NVIDIA A100\nIRQ:   \t\t 42\n")
    assert nvidia_gpus() == []  # as in a container that was given none
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    assert nvidia_gpus() == ["NVIDIA A100"]
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA H200\necho NVIDIA H200\n")
    program.chmod(0o755)
    assert nvidia_gpus() == ["NVIDIA H200"] * 2
