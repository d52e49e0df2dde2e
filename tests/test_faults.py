"""Faults of machines: what is refused, what is kept, and what is said of it."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from conftest import WORDS, tiny_captioner

import report
from command_line import run_script
from config import Config
from dataset import CaptionedImage, DatasetError
from dataset.feature_cache import FeatureCache, cache_features
from dataset.flickr import read_flickr
from dataset.vocabulary import Vocabulary
from experiments.robustness.__main__ import input_lines
from experiments.robustness.inputs import try_inputs
from files.locks import locked
from files.messages import FileError
from models.captioner import Captioner, CaptionerError, load_captioner
from models.encoders import build_encoder
from models.run_files import model_name
from report.photo_folder import finished_caption
from scoring.journal import PHOTO, Journal, held, photo_hash, still_valid
from streams import LastingStream
from training.callbacks import finished_epochs, read_history
from training.export import ExportOptions, export
from training.start import TrainingOptions, check_folder, check_unfinished, find_start

ROOT = Path(__file__).parents[1]
SHAPE = (2, 3, 4)


def read_nothing(path):
    return np.zeros((1,))


@pytest.fixture
def run(tmp_path, tiny_vgg16):
    config = Config(embedding_size=5, hidden_size=6)
    captioner = Captioner(config, Vocabulary(WORDS), build_encoder(config))
    captioner.save_run(tmp_path / "run")
    return tmp_path / "run"


# Weights (rows 2 to 6 and 9)


def test_a_changed_byte_is_found(run):
    path = run / "decoder.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CaptionerError, match=r"decoder\.weights\.h5 is damaged or was"):
        load_captioner(run)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(run, value):
    (run / "checksums.json").unlink()  # as an earlier version, or another program
    with h5py.File(run / "decoder.weights.h5", "a") as file:
        names = []
        file.visititems(lambda n, x: names.append(n) if hasattr(x, "dtype") else None)
        array = file[names[0]][()]
        array.flat[0] = value
        file[names[0]][...] = array
    expected = r"decoder\.weights\.h5 is damaged: .* holds numbers that are NaN or inf"
    with pytest.raises(CaptionerError, match=expected):
        load_captioner(run)


def test_the_checksums_of_the_hub_are_not_believed(run, monkeypatch):
    asked = []
    hub = SimpleNamespace(snapshot_download=lambda *_, **__: str(run))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setattr(
        "models.run_files.check_weights", lambda p: asked.append(p.name)
    )
    load_captioner(run)
    assert asked == []
    load_captioner("hf://anna/dogs")
    assert asked == ["encoder.weights.h5", "decoder.weights.h5"]


def test_an_overwritten_run_is_not_resumed_from_old_weights(run):
    """Killed after the new weights are complete and before they are moved."""
    (run / "scores.json").write_text("{}")
    (run / "backup.npz").write_text("old")
    expected = load_captioner(run).decoder.get_weights()
    new = run.with_name("new")
    captioner = load_captioner(run)
    for weight in captioner.decoder.weights:
        weight.assign(weight + 1.0)
    captioner.save_run(new)
    (new / ".removed.json").write_text('["backup.npz", "scores.json"]')
    new.rename(run / ".changed")
    found = load_captioner(run).decoder.get_weights()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other + 1.0)
    check_unfinished(run)  # finishes the change first
    names = {path.name for path in run.iterdir()}
    assert not names & {"scores.json", "backup.npz", ".changed"}


def test_a_run_killed_before_its_first_save_begins_anew(tmp_path):
    run = tmp_path / "run"
    (run / ".new").mkdir(parents=True)
    (run / ".new" / "config.json").touch()
    (run / "tmp.config.json").touch()  # of an earlier version
    (run / ".lock").touch()
    for overwrite in (False, True):
        check_folder(run, overwrite)
    with pytest.raises(ValueError, match=r"no run in .*Begin it with the same command"):
        check_unfinished(run)


def test_inputs_are_not_replaced(run, tmp_path):
    (run / "scores.json").write_text("{}")
    options = ExportOptions((run,), run, tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="which is read"):
        export(options, None)
    training = TrainingOptions(run, tmp_path, start=str(run), overwrite=True)
    with pytest.raises(ValueError, match="which is read"):
        find_start(training)
    assert load_captioner(run)


# Caches (rows 1 and 13)


def make_cache(folder, values, done=4):
    paths = [folder / f"{number}.jpg" for number in range(4)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    cache = FeatureCache.of(folder / "cache", paths, SHAPE, "net")
    cache.folder.mkdir(parents=True)
    np.save(cache.folder / "features.npy", values)
    (cache.folder / "progress.json").write_text(json.dumps({"done": done}))
    return paths, folder / "cache"


def ask(paths, folder, encode=None):
    return cache_features(folder, paths, read_nothing, encode, SHAPE, "net", 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 2, 3, 5), "float16"), r"holds float16 \(4, 2, 3, 5\), expected"),
        (np.zeros((4, *SHAPE), "float32"), r"holds float32 .*, expected float16"),
        (np.zeros((5, *SHAPE), "float16"), r"holds float16 \(5, 2, 3, 4\), expected"),
    ],
)
def test_features_of_a_wrong_shape_are_refused(tmp_path, values, message):
    paths, folder = make_cache(tmp_path, values)
    expected = rf"is damaged \(.*{message}.*Delete the folder"
    with pytest.raises(FileError, match=expected):
        ask(paths, folder)


def test_features_that_are_not_finite_are_refused(tmp_path):
    values = np.zeros((4, *SHAPE), "float16")
    values[2, 0, 0, 0] = np.nan
    features = ask(*make_cache(tmp_path, values))
    assert features[0].shape == SHAPE
    with pytest.raises(ValueError, match=r"cache .* is damaged: it holds numbers that"):
        features[1:3]


@pytest.mark.parametrize("content", ['{"done": 5}', '{"done": "4"}', "[]", "{", "4"])
def test_damaged_progress_is_named(tmp_path, content):
    paths, folder = make_cache(tmp_path, np.zeros((4, *SHAPE), "float16"))
    (path,) = folder.glob("*/progress.json")
    path.write_text(content)
    with pytest.raises(
        FileError, match=r"progress\.json is damaged .*Delete the folder"
    ):
        ask(paths, folder)


def test_two_trainings_fill_one_cache(tmp_path):
    """The second begins before the first has noted anything; nothing is lost."""
    paths, folder = make_cache(tmp_path, np.zeros((4, *SHAPE), "float16"), done=0)
    begun, stop, calls = threading.Event(), threading.Event(), []

    def encode(images):
        calls.append(threading.current_thread().name)
        begun.set()
        stop.wait(5)
        return np.ones((len(images), *SHAPE))

    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(np.array(ask(paths, folder, encode)))
        )
        for _ in range(2)
    ]
    threads[0].start()
    assert begun.wait(5)
    threads[1].start()
    stop.set()
    for thread in threads:
        thread.join(20)
    assert len(found) == 2 and all((one == 1).all() for one in found)
    assert calls == [threads[0].name] * 2  # the second one waited
    assert not list(folder.glob("*/.lock"))


# Journals and settings (rows 7, 11 and 18)


def test_photographs_that_changed_are_computed_anew(tmp_path, caplog):
    images = {}
    for name in "abc":
        path = tmp_path / f"{name}.jpg"
        path.write_text(name)
        images[name] = CaptionedImage(name, path, ("a dog",))
    records = [{"image_id": n, PHOTO: photo_hash(i)} for n, i in images.items()]
    del records[2][PHOTO]  # of an earlier version
    assert still_valid(tmp_path / "j", records, images) == records
    assert "earlier version computed 1 images" in caplog.text
    (tmp_path / "a.jpg").write_text("another")
    (tmp_path / "b.jpg").unlink()
    assert still_valid(tmp_path / "j", records, images) == records[2:]
    assert "2 photographs or their captions have changed since" in caplog.text


def test_a_model_of_the_same_weights_may_have_moved(tmp_path):
    journal = Journal(tmp_path / "j.jsonl")
    journal.start({"model": "runs/x", "weights": "abc"}, [{"image_id": 1}])
    assert journal.read({"model": "/elsewhere/x", "weights": "abc"})
    with pytest.raises(ValueError, match="computed with weights 'abc'; received 'def'"):
        journal.read({"model": "runs/x", "weights": "def"})
    names = ("runs/x/", "./runs//x", "runs/y/../x")
    assert {model_name(name) for name in names} == {"runs/x"}
    assert model_name("hf://anna/dogs") == "hf://anna/dogs"


def test_settings_of_explanations(tmp_path, caplog):
    now = {"model": "m", "weights": "w", "photo": "../a.jpg", "content": "c"}
    path = tmp_path / "settings.json"

    def kept(**changes):
        settings = now | changes
        settings = {n: v for n, v in settings.items() if v is not None}
        path.write_text(json.dumps({"caption": "a dog", "settings": settings}))
        return finished_caption(tmp_path, now, "/photos/a.jpg")

    assert kept() == kept(model="elsewhere") == "a dog" and not caplog.text
    assert kept(weights="other") is kept(content="other") is kept(photo="b") is None
    earlier = kept(weights=None, content=None, photo="/photos/a.jpg", model="m/")
    assert earlier == "a dog"
    assert "no fingerprint of the weights and the photograph" in caplog.text
    for content in ('{"caption": 3, "settings": {}}', "[]", '{"settings": []}', "{"):
        path.write_text(content)
        with pytest.raises(FileError, match=r"settings\.json is damaged .*--overwrite"):
            finished_caption(tmp_path, now, "a.jpg")
    folders = report.name_folders([Path("index.html.jpg")], tmp_path, ["index.html"])
    assert [folder.name for folder in folders] == ["index.html-2"]


def test_histories_and_backups_are_checked(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,val_cider\n0,1.5,0.1\n1,1.0,x\n")
    with pytest.raises(
        FileError, match=r"history\.csv is damaged \(line 3: expected a"
    ):
        read_history(tmp_path, 1)
    path.write_text("epoch,loss,val_cider\n0,1.5,0.1\n")
    with pytest.raises(FileError, match="too few rows"):
        read_history(tmp_path, 2)
    np.savez(tmp_path / "backup.npz", finished=1, steps=2, tokenizer="ptb")
    assert finished_epochs(tmp_path, 2, "ptb") == 1
    with pytest.raises(
        ValueError, match="scored with the tokenizer ptb; here it would"
    ):
        finished_epochs(tmp_path, 2, "python")
    np.savez(tmp_path / "backup.npz", finished=-1, steps=2)
    with pytest.raises(FileError, match=r"backup\.npz is damaged"):
        finished_epochs(tmp_path, 2, "ptb")


def test_an_output_is_held_and_refused_among_what_is_read(tmp_path):
    given = {"resume": False, "overwrite": True, "merge": ()}
    given["data_dir"] = tmp_path / "data"
    (tmp_path / "data").mkdir()
    results = tmp_path / "data" / "captions.json"
    results.write_text("[]")
    written = [results, tmp_path / "data" / "captions.nbest.jsonl"]
    with pytest.raises(ValueError, match="is no result of an earlier run"):
        held(results, written, SimpleNamespace(**given)).__enter__()
    merged = given | {"merge": (tmp_path / "out.json",)}
    output = tmp_path / "out.json"
    with pytest.raises(ValueError, match=r"which is read\. Name another"):
        held(output, [output], SimpleNamespace(**merged)).__enter__()
    options = SimpleNamespace(**given)
    with (
        held(output, [output], options),
        pytest.raises(OSError, match="another process"),
    ):
        locked(output).__enter__()


# Lists (row 13)


@pytest.mark.parametrize("name", ["/etc/x.jpg", "../x.jpg", "a\0.jpg", "C:\\x.jpg"])
def test_lists_lead_nowhere_else(tmp_path, name):
    for folder in ("images", "text"):
        (tmp_path / folder).mkdir()
    (tmp_path / "x.jpg").write_text("a photograph")
    (tmp_path / "text" / "a.token.txt").write_text(f"{name}#0\ta dog\n")
    (tmp_path / "text" / "a.devImages.txt").write_text(f"{name}\n")
    with pytest.raises(DatasetError, match="leads out of the dataset's folder"):
        read_flickr(tmp_path, "dev")
    (tmp_path / "text" / "a.devImages.txt").write_text("x" * 3000 + "\n")
    with pytest.raises(DatasetError, match=r"xxx: (no caption|is longer)") as caught:
        read_flickr(tmp_path, "dev")
    assert len(str(caught.value)) < 700


# Settings (row 15)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("beam_size=10000000", "beam_size must be at most 1,000; received 10000000"),
        (
            "hidden_size=" + "9" * 400,
            "hidden_size must be at most 16,384",
        ),
        ("seed=" + "9" * 5000, r"seed must be int; received '999.*\.\.\."),
        (
            "learning_rate=1e99",
            r"learning_rate must be at most 1,000\.0",
        ),
        ("epochs=-" + "9" * 400, "epochs must be at least 1; received -999"),
    ],
)
def test_numbers_beyond_all_use_are_named(setting, message):
    with pytest.raises(ValueError, match=message) as caught:
        Config().with_settings([setting])
    assert len(str(caught.value)) < 200


def test_beams_beyond_all_use_are_named():
    with pytest.raises(ValueError, match="beam_size must be at most 1,000"):
        tiny_captioner().search(np.zeros((1, 2, 3, 7)), 10_000_000)


# Streams and Ctrl-C (rows 10, 14 and 17)


class Closed:
    """A pipe without a reader, or a full disk."""

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error


def test_a_closed_pipe_does_not_end_the_work(monkeypatch, capsys):
    done = []

    def work():
        for name in ("a", "b"):
            print(name)
            done.append(name)
        yield "c.jpg is no photo."

    monkeypatch.setattr("sys.stdout", Closed(BrokenPipeError()))
    assert run_script("x.py", work) == 2
    assert done == ["a", "b"]
    assert capsys.readouterr().err == "x.py: c.jpg is no photo.\n"
    monkeypatch.setattr("sys.stdout", Closed(OSError(28, "No space left")))
    assert run_script("x.py", lambda: print("a")) == 2
    assert "x.py: standard output: no space is left" in capsys.readouterr().err


def test_names_that_a_stream_cannot_spell(tmp_path):
    with (tmp_path / "out").open("w", encoding="ascii") as file:
        LastingStream(file).write("caf\u00e9 \udcff\n")
    assert (tmp_path / "out").read_text() == "caf\\xe9 \\udcff\n"


def test_errors_of_the_system_are_one_plain_line(capsys, tmp_path):
    assert run_script("x.py", lambda: (tmp_path / "no").read_text()) == 2
    error = capsys.readouterr().err
    assert error == f"x.py: {tmp_path / 'no'}: there is no such file or folder. " + (
        "Check the name.\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is another there")
@pytest.mark.parametrize(
    "command", [["inference.py"], ["-m", "dataset.check"], ["-m", "training.export"]]
)
def test_ctrl_c_while_a_command_imports(command, tmp_path):
    """The signal comes as soon as the first module of the project is imported."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # may be ignored
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'numpy':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130 and done.stdout == ""
    name = command[-1]
    assert done.stderr.startswith(f"{name}: stopped before it began. The same command")
    assert "--resume" in done.stderr and done.stderr.count("\n") == 1


# Broken inputs


def test_broken_inputs_are_refused_or_read_right(tmp_path):
    tallies = try_inputs(tmp_path, 400, seed=0, minutes=1)
    assert [f for tally in tallies.values() for f in tally.findings] == []
    lines = input_lines(tallies)
    assert lines[-1] == "of the findings: silent 0, unexpected 0, hang 0"
    assert int(lines[-2].split()[1].replace(",", "")) >= 400
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
