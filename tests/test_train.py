"""Training: the files of a run, its refusals, and that a killed run goes on exactly."""

import collections
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import CAPTIONS, tiny_captioner
from pycocoevalcap.cider.cider import Cider
from tiny_training import (
    Killed,
    arguments_of,
    assert_goes_on_exactly,
    assert_same_run,
    assert_says_what_was_kept,
    read_history,
    resume_arguments,
    run_training,
)

import train
from config import Config
from dataset import DATASETS, CaptionedImage
from dataset.batches import pack_captions
from dataset.images import load_image
from dataset.vocabulary import Vocabulary, split_words
from models.captioner import Captioner, load_captioner
from models.encoders import build_encoder
from models.run_files import RUN_FILES
from training.callbacks import BACKUP, Backup, averaged_weights, show_progress
from training.data import read_split
from training.dev_scores import read_captions, write_captions
from training.export import __main__ as export
from training.objectives import compile_for_training

pytestmark = pytest.mark.usefixtures("quick")

COLUMNS = ["epoch", "loss", "token_accuracy", "val_cider"]


@pytest.fixture(scope="module")
def straight(quick, data_dir, tmp_path_factory):
    """A run of four epochs: its folder and its state after each."""
    run, states = tmp_path_factory.mktemp("straight") / "run", {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        run_training(arguments_of(data_dir, run), states, monkeypatch)
    return run, states


# One run


def test_the_files_of_a_run(straight):
    run, states = straight
    files = sorted(path.name for path in run.iterdir())
    assert files == sorted(
        [
            *RUN_FILES,
            *("captions.json", "checksums.json", "history.csv", "logs", "scores.json"),
        ]
    )
    history = read_history(run)
    assert list(history[0]) == COLUMNS
    assert [row["epoch"] for row in history] == ["0", "1", "2", "3"]
    scores = json.loads((run / "scores.json").read_text())["dev"]
    assert set(scores) == {
        *("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "tokenizer")
    }
    assert list(states) == [0, 1, 2, 3]


def test_it_learns_and_keeps_the_best_epoch(straight):
    run, _ = straight
    history = read_history(run)
    assert float(history[-1]["loss"]) < 0.85 * float(history[0]["loss"])
    best = max(float(row["val_cider"]) for row in history)
    scores = json.loads((run / "scores.json").read_text())["dev"]
    assert scores["cider"] == pytest.approx(best)
    assert best > 0


def test_the_captioner_of_a_run(straight, data_dir):
    captioner = load_captioner(straight[0])
    assert captioner.config == Config.from_json(straight[0] / "config.json")
    assert (captioner.config.hidden_size, captioner.config.epochs) == (16, 4)
    words = {w for texts in CAPTIONS for text in texts for w in split_words(text)}
    assert set(captioner.vocabulary.words[3:]) == words
    assert_says_what_was_kept(straight[0], data_dir)


def test_captions_of_other_images_are_refused(tmp_path):
    images = [CaptionedImage(name, Path("a.jpg"), ("a dog",)) for name in "ab"]
    write_captions(tmp_path, images[:1], ["a dog"])
    assert read_captions(tmp_path, images[:1]) == ["a dog"]
    with pytest.raises(ValueError, match=r"no caption of 1 of 2 images of dev \(b is"):
        read_captions(tmp_path, images)
    with pytest.raises(ValueError, match="no caption of 2 of 2 images"):
        read_captions(tmp_path / "nowhere", images)


def test_averaged_weights_are_given_for_a_while():
    config = Config(embedding_size=5, hidden_size=6, weight_average=0.75)
    captioner = Captioner(config, Vocabulary(["a", "b"]), build_encoder(config))
    compile_for_training(captioner, 0.1)
    generator = np.random.default_rng(0)
    weight = captioner.decoder.predictor.kernel
    average, last = None, None
    for _ in range(3):
        inputs = {
            "features": generator.random((1, 4, 5, 7), dtype="float32"),
            "tokens": generator.integers(1, 5, (1, 2, 3), dtype="int32"),
            "positions": np.array([[0, 1, 4, 5]], "int32"),
        }
        targets = generator.integers(2, 5, (1, 4), dtype="int32")
        captioner.train_on_batch(inputs, targets, np.ones((1, 4), "float32"))
        last = weight.numpy()
        average = last if average is None else 0.75 * average + 0.25 * last
    with averaged_weights(captioner):
        np.testing.assert_allclose(weight, average, rtol=1e-5)
        assert np.abs(average - last).max() > 0.01
    np.testing.assert_array_equal(weight, last)


# Killed runs


@pytest.mark.slow
def test_a_killed_run_goes_on_exactly(straight, data_dir, tmp_path, monkeypatch):
    run, states = tmp_path / "run", {}
    resume = resume_arguments(data_dir, run)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(train, "training_batches", be_killed)  # computes the features
        train.main(arguments_of(data_dir, run))
    kills = [
        ("batch", 0, 0),  # before anything was learned
        ("epoch", 1, 1),  # the best weights are saved, the backup is not
        ("batch", 2, 0),  # in the middle of an epoch
        ("train", 3, 0),  # only the scores are missing
    ]
    for kill in kills:
        run_training(resume, states, monkeypatch, kill)
        assert (run / BACKUP).is_file()
    run_training(resume, states, monkeypatch)
    assert_same_run((run, states), straight)


def be_killed(*arguments):
    raise Killed


@pytest.mark.slow
def test_fine_tuning_goes_on_exactly(straight, data_dir, tmp_path, monkeypatch):
    """The encoder is trained; the rate is halved and the training stopped early."""
    settings = {
        "trainable_from": "block5_conv3",
        "flip_images": "true",
        "schedule": "constant",
        "warmup_steps": 0,
        "learning_rate": 1e-7,  # nothing changes: no epoch is better than the first
        "plateau_patience": 1,
        "early_stopping_patience": 2,
        "epochs": 9,
    }
    fields = [f"{name}={value}" for name, value in settings.items()]
    start = ["--from", str(straight[0]), "--set", *fields]
    run = assert_goes_on_exactly(
        tmp_path,
        data_dir,
        monkeypatch,
        ("batch", 2, 0),
        lambda run: [*resume_arguments(data_dir, run)[:-1], *start],
    )
    history = read_history(run)
    assert [row["epoch"] for row in history] == ["0", "1", "2"]
    rates = [float(row["learning_rate"]) for row in history]
    np.testing.assert_allclose(rates, [1e-7, 1e-7, 5e-8], rtol=1e-5)
    check_what_was_tuned(load_captioner(straight[0]), load_captioner(run))


def check_what_was_tuned(before, after):
    """Only the decoder and the last layer of the encoder have other weights."""
    assert after.config.trainable_from == "block5_conv3"
    assert after.config.hidden_size == before.config.hidden_size
    assert after.vocabulary.words == before.vocabulary.words
    pairs = zip(after.encoder.weights, before.encoder.weights, strict=True)
    changed = {one.path for one, other in pairs if np.any(one != other)}
    assert changed == {"block5_conv3/kernel", "block5_conv3/bias"}


def test_a_finished_run_is_not_resumed(straight, data_dir, capsys):
    run, _ = straight
    history = (run / "history.csv").read_bytes()
    assert train.main(resume_arguments(data_dir, run)) == 2
    assert f"the run in {run} is finished. Train a new" in capsys.readouterr().err
    assert (run / "history.csv").read_bytes() == history


@pytest.fixture
def copied(straight, tmp_path):
    """A folder with a copy of the run."""
    return Path(shutil.copytree(straight[0], tmp_path / "run"))


def test_a_run_is_resumed_as_it_was_begun(copied, data_dir, capsys):
    (copied / "scores.json").unlink()
    np.savez(copied / BACKUP, finished=1, steps=2)
    arguments = resume_arguments(data_dir, copied)
    assert train.main([*arguments, "--limit", "3"]) == 2
    assert "has 2 batches in an epoch; these images make 1" in capsys.readouterr().err
    for more in (["--set", "epochs=9"], ["--from", str(copied)]):
        assert train.main([*arguments, *more]) == 2
        assert "goes on with the settings of the run" in capsys.readouterr().err
    for more in (["--config", "scenes"], ["--encoder-weights", "none"]):
        assert train.main([*arguments, *more]) == 2
        error = capsys.readouterr().err
        assert "--resume goes on with a captioner that has its" in error
        assert f"leave out {more[0]}." in error


@pytest.mark.parametrize("damage", ["cut", "empty", "older"])
def test_a_damaged_backup_is_named(copied, data_dir, capsys, damage):
    (copied / "scores.json").unlink()
    arrays = {"finished": 1} if damage == "older" else {"finished": 1, "steps": 2}
    path = copied / BACKUP
    np.savez(path, **arrays)
    if damage != "older":
        path.write_bytes(path.read_bytes()[: 200 if damage == "cut" else 0])
    assert train.main(resume_arguments(data_dir, copied)) == 2
    assert f"train.py: {path} is damaged or was written" in capsys.readouterr().err


def test_a_backup_without_the_weights_is_named(tmp_path):
    captioner = tiny_captioner()
    compile_for_training(captioner, 0.1)
    backup = Backup(tmp_path / BACKUP, "python")
    backup.set_model(captioner)
    np.savez(tmp_path / BACKUP, finished=1, steps=2)
    with pytest.raises(ValueError, match=r"backup\.npz is damaged or was written"):
        backup.on_train_begin()


def test_a_folder_that_is_no_run_is_kept(data_dir, tmp_path, capsys):
    folder = tmp_path / "mine"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs/diary.txt").write_text("dear")
    (tmp_path / "file").write_text("dear")
    for run in (folder, tmp_path / "file"):
        for more in ([], ["--overwrite"]):
            assert train.main(arguments_of(data_dir, run, *more)) == 2
            assert f"{run} is no run (it has no config.json)" in capsys.readouterr().err
    assert [path.name for path in folder.rglob("*")] == ["logs", "diary.txt"]


def test_an_existing_run_is_kept(copied, data_dir, tmp_path, capsys):
    before = contents(copied)
    arguments = arguments_of(data_dir, copied)
    assert train.main(arguments) == 2
    assert f"{copied} holds a run already" in capsys.readouterr().err
    missing = [*arguments, "--overwrite", "--data-dir", str(tmp_path)]
    assert train.main(missing) == 2
    with pytest.raises(SystemExit):
        train.main([*arguments, "--overwrite", "--resume"])
    assert contents(copied) == before


def contents(run):
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def assert_progress_is_plain(lines, num_batches):
    """Without a terminal an epoch has one line, and the samples stand below it."""
    (place,) = (n for n, line in enumerate(lines) if line.startswith("val_cider "))
    assert re.match(
        rf"{num_batches}/{num_batches} - \d+s - .* loss: ", lines[place - 1]
    )
    assert all(line.startswith("  ") for line in lines[place + 1 :][:1])
    assert not any("\x1b" in line or "\b" in line for line in lines)


def test_the_bar_of_a_terminal_ends_before_the_samples(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    said = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: print("  sample"))
    shown = show_progress([said])
    assert shown["verbose"] == 1
    callbacks = keras.callbacks.CallbackList(
        **shown, add_progbar=True, epochs=1, steps=2
    )
    assert (
        sum(isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks.callbacks)
        == 1
    )
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    callbacks.on_train_batch_end(0, {"loss": 1.0})
    callbacks.on_epoch_end(0, {"loss": 1.0})
    *_, bar, sample = capsys.readouterr().out.splitlines()
    assert "loss: 1.0000" in bar and sample == "  sample"


def test_an_existing_run_is_replaced(copied, data_dir, capsys):
    """By one of three images, the last one a batch of its own, and another seed."""
    before = contents(copied)
    settings = {"epochs": 1, "images_per_batch": 2, "seed": 1}
    more = ["--limit", "3", "--overwrite"]
    assert train.main(arguments_of(data_dir, copied, *more, **settings)) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[-2:] == ["tokenizer nltk", str(copied)]
    assert sum(line.startswith("  8.png: ") for line in output) == 1
    assert_progress_is_plain(output, num_batches=2)
    assert not any(line.startswith("  11.png: ") for line in output)
    assert len(read_history(copied)) == 1
    after = contents(copied)
    assert set(after) == set(before)
    assert after["decoder.weights.h5"] != before["decoder.weights.h5"]


def test_features_are_cached_by_what_the_encoder_computes(data_dir, tmp_path):
    folders = []
    images = read_split(DATASETS["flickr8k"].preset, data_dir, "dev")
    for scale in (0.05, 0.05, 0.5):
        sizes = {"embedding_size": 5, "hidden_size": 6, "captions_per_image": 2}
        config = Config(feature_scale=scale, **sizes)
        keras.utils.set_random_seed(3)
        captioner = Captioner(config, Vocabulary(["a"]), build_encoder(config))
        batches = train.training_batches(captioner, images, tmp_path)
        folders.append(len(list(tmp_path.iterdir())))
        inputs, _, _ = batches[0]
        largest = inputs["features"].max()
    assert folders == [1, 1, 2]
    expected = captioner.encode(np.stack([load_image(i.path) for i in images]))
    # Half precision: eleven bits.
    assert largest == pytest.approx(np.array(expected).max(), rel=1e-3)


# What is refused


REFUSED = {
    "setting": (["--set", "epoch=3"], r"Unknown setting 'epoch'\. Did you mean"),
    "value": (["--set", "dropout=2"], r"dropout must be in \[0, 1\); received 2\.0"),
    "decoder": (["--set", "decoder=lstm"], "decoder must be one of adaptive_attention"),
    "dataset": (["--set", "dataset=mnist"], "dataset must be one of scenes, flickr8k"),
    "layer": (["--set", "trainable_from=conv9"], "must name a layer of the encoder"),
    "start": (["--from", "nowhere"], "No captioner 'nowhere'"),
    "start, config": (
        ["--from", "nowhere", "--config", "flickr8k"],
        r"--from goes on with a captioner .* leave out --config\.",
    ),
    "start, weights": (
        ["--from", "nowhere", "--encoder-weights", "none"],
        r"leave out --encoder-weights\.",
    ),
    "weights": (
        ["--encoder-weights", "nowhere.h5"],
        r"'nowhere\.h5' cannot be loaded: there is no such file\. Name a file of them",
    ),
    "resume": (["--resume"], "there is no run in .*run"),
    "words": (["--set", "min_word_count=99"], "No word appears 99 times"),
}


def test_all_that_the_data_lacks_is_told_at_once(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--config", "flickr30k", "--data-dir", "nowhere", "--run", "run"]
    assert train.main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    expected = ("*.token.txt", "*.trainImages.txt", "nowhere/images", "*.devImages.txt")
    for line, what in zip(lines, expected, strict=True):
        assert what in line and "Get it: " in line
    assert not any(tmp_path.iterdir())


def test_a_disk_too_small_for_all_features_is_refused_first(
    data_dir, tmp_path, capsys, monkeypatch
):
    """8 images, their mirror images and 4 of validation; 4x5x7 values of 2 bytes."""
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr("train.check_room", lambda *_: None)
    monkeypatch.setattr("train.check_run_room", lambda *_: None)
    for free, code in ((20 * 280 - 1, 2), (20 * 280, 0)):
        monkeypatch.setattr("shutil.disk_usage", lambda folder, n=free: usage(n))
        settings = {"epochs": 1, "flip_images": "true"}
        arguments = arguments_of(data_dir, tmp_path / "run", **settings)
        assert train.main(arguments) == code
        assert (tmp_path / "run").exists() == (code == 0)
    assert "feature cache needs 0.0 MB" in capsys.readouterr().err


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line_before_anything_is_written(
    data_dir, tmp_path, capsys, monkeypatch, case
):
    monkeypatch.chdir(tmp_path)
    more, message = REFUSED[case]
    arguments = ["--data-dir", str(data_dir), "--run", "run"]
    if "--from" not in more:
        arguments += ["--config", "flickr8k", "--encoder-weights", "none"]
    assert train.main([*arguments, *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("train.py: ") and error.count("\n") == 1
    assert re.search(message, error)
    assert not any(tmp_path.iterdir())


def test_a_split_without_images_is_refused(data_dir, tmp_path, capsys):
    for name in ("text", "images"):
        shutil.copytree(data_dir / name, tmp_path / "data" / name)
    (tmp_path / "data/text/t.devImages.txt").write_text("")
    arguments = arguments_of(tmp_path / "data", tmp_path / "run")
    assert train.main(arguments) == 2
    assert "t.devImages.txt lists no image" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("limit", ["0", "-1", "2.5", "many"])
def test_limit_is_a_number(data_dir, tmp_path, capsys, limit):
    with pytest.raises(SystemExit) as caught:
        train.main(arguments_of(data_dir, tmp_path / "run", f"--limit={limit}"))
    assert caught.value.code == 2
    assert f"expected 1, 2, 3, ...; received '{limit}'" in capsys.readouterr().err


# What is shipped


def test_a_run_is_exported_small_and_scored(straight, data_dir, tmp_path, capsys):
    run, _ = straight
    output = tmp_path / "shipped"
    arguments = [run, "--data-dir", data_dir, "--output", output]
    arguments += ["--cache-dir", tmp_path / "cache", "--metrics", "bleu,cider"]
    assert export.main([str(argument) for argument in arguments]) == 0
    assert {path.name for path in output.iterdir()} == {
        *RUN_FILES,
        "checksums.json",
        "history.csv",
        "scores.json",
    }
    scores = json.loads((output / "scores.json").read_text())["dev"]
    trained = json.loads((run / "scores.json").read_text())["dev"]
    assert scores["cider"] == pytest.approx(trained["cider"], abs=0.05)
    assert {"bleu_4", "cider", "tokenizer"} <= scores.keys()
    sizes = [(f / "decoder.weights.h5").stat().st_size for f in (output, run)]
    assert sizes[0] < sizes[1]
    assert capsys.readouterr().out.splitlines()[-1] == str(output)
    before = contents(output)
    assert export.main([str(argument) for argument in arguments]) == 2
    assert f"{output} exists. Replace it (--overwrite)" in capsys.readouterr().err
    assert contents(output) == before
    assert export.main([str(argument) for argument in (*arguments, "--overwrite")]) == 0
    assert set(contents(output)) == set(before)


def test_a_run_is_exported_where_dev_is_one_image(copied, data_dir, tmp_path, caplog):
    data, output = tmp_path / "data", tmp_path / "shipped"
    shutil.copytree(data_dir, data)
    (data / "text/t.devImages.txt").write_text("9.png")
    arguments = [copied, "--data-dir", data, "--output", output]
    arguments += ["--cache-dir", tmp_path / "cache", "--metrics", "rouge_l,cider"]
    assert export.main([str(argument) for argument in arguments]) == 0
    scores = json.loads((output / "scores.json").read_text())["dev"]
    assert set(scores) == {"rouge_l", "tokenizer"}
    assert "cider is missing: it weighs words by how few images" in caplog.text


def test_an_encoder_is_not_shipped_twice(
    straight, data_dir, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("models.run_files.PRETRAINED", tmp_path)
    run, _ = straight
    more = ["--data-dir", data_dir, "--cache-dir", tmp_path / "cache"]
    more += ["--metrics", "cider"]

    def ship(name, *options) -> int:
        arguments = [run, "--output", tmp_path / name, *more, *options]
        return export.main([str(argument) for argument in arguments])

    assert ship("first") == 0
    assert ship("second", "--encoder-of", "first") == 0
    names = {path.name for path in (tmp_path / "second").iterdir()}
    assert "encoder.json" in names and "encoder.weights.h5" not in names
    scores = [
        (tmp_path / name / "scores.json").read_text() for name in ("first", "second")
    ]
    assert scores[0] == scores[1]
    other = load_captioner(tmp_path / "first")
    weight = other.encoder.weights[0]
    weight.assign(weight + 1.0)
    other.save_run(tmp_path / "other")
    assert ship("third", "--encoder-of", "other") == 2
    assert "is not that of" in capsys.readouterr().err


def test_nothing_is_exported_that_cannot_be_scored(copied, data_dir, tmp_path, capsys):
    output = tmp_path / "shipped"
    arguments = [str(copied), "--output", str(output), "--data-dir"]
    cider = [str(data_dir), "--metrics", "cider"]
    assert export.main([*arguments, str(data_dir), "--metrics", "cider,blue"]) == 2
    assert "Unknown metric 'blue'" in capsys.readouterr().err
    assert export.main([*arguments, str(tmp_path / "nowhere"), *cider[1:]]) == 2
    assert "must hold one file" in capsys.readouterr().err
    (copied / "scores.json").unlink()
    assert export.main([*arguments, *cider]) == 2
    assert f"{copied} holds no finished run" in capsys.readouterr().err
    assert not output.exists()


def test_runs_are_averaged_when_exported(copied, data_dir, tmp_path, capsys):
    other = load_captioner(copied)
    for weight in other.weights:
        weight.assign(weight + 1.0)
    other.save_run(tmp_path / "other")
    shutil.copy(copied / "scores.json", tmp_path / "other")
    shutil.copy(copied / "history.csv", tmp_path / "other")
    arguments = [copied, tmp_path / "other", "--data-dir", data_dir]
    arguments += ["--output", tmp_path / "both", "--metrics", "cider", "--overwrite"]

    def ship(*shares) -> int:
        every = (*arguments, "--shares", *shares)
        return export.main([str(argument) for argument in every])

    assert ship(0.5) == 2
    assert "--shares must be 2 numbers with the sum 1" in capsys.readouterr().err
    assert ship(0.25, 0.75, "--length-penalty", 0.7) == 0
    assert load_captioner(tmp_path / "both").config.length_penalty == 0.7
    pairs = zip(load_captioner(tmp_path / "both").weights, other.weights, strict=True)
    for weight, shifted in pairs:
        np.testing.assert_allclose(weight, shifted - 0.25, atol=2e-3)  # half precision
    others = Vocabulary(("ant", "bee"))
    Captioner(other.config, others, other.encoder).save_run(tmp_path / "other")
    assert ship(0.5, 0.5) == 2
    assert "have other words or other layers" in capsys.readouterr().err


def test_the_encoder_has_a_rate_of_its_own():
    """Adam's first step is the rate itself, whatever the gradient."""
    for rate in (1.0, 0.1):
        captioner = tiny_captioner(trainable_from="last", encoder_rate=rate)
        before = [variable.numpy() for variable in captioner.trainable_variables]
        compile_for_training(captioner, 1e-3)
        generator = np.random.default_rng(0)
        texts = list(generator.integers(3, 10, (2, 3, 5)))
        tokens, positions, targets, weights = pack_captions(texts, 8, 15, generator)
        shape = (2, *captioner.frozen_part.output_shape[1:])
        features = generator.random(shape).astype("float32")
        inputs = {"features": features, "tokens": tokens, "positions": positions}
        captioner.train_on_batch(inputs, targets, weights)
        of_encoder = {id(v) for v in captioner.encoder.trainable_variables}
        assert len(of_encoder) == 2
        for variable, old in zip(captioner.trainable_variables, before, strict=True):
            step = np.abs(variable.numpy() - old).max()
            factor = rate if id(variable) in of_encoder else 1.0
            assert step == pytest.approx(1e-3 * factor, rel=1e-2)


def test_a_single_image_of_dev_is_scored_with_the_words_of_train(caplog):
    captions = {"a": ("a dog runs", "the dog"), "b": ("two cats sit",), "c": ("a car",)}
    images = [CaptionedImage(k, Path("a.jpg"), texts) for k, texts in captions.items()]
    score = train.score_validation(images[1:])
    one = {"a": captions["a"]}
    for _ in range(2):
        found = score(one, {"a": "a dog runs"}, ("cider", "rouge_l"))
    assert caplog.text.count("CIDEr of dev counts train as well") == 1
    perfect = {"b": captions["b"][0], "c": captions["c"][0]}
    own = Cider()
    lists = {key: list(texts) for key, texts in captions.items()}
    candidates = {k: [t] for k, t in ({"a": "a dog runs"} | perfect).items()}
    _, each = own.compute_score(lists, candidates)
    assert found["cider"] == pytest.approx(each[0]) and each[0] > 1
    assert found["cider_documents"] == "train and dev"
    assert found["rouge_l"] == pytest.approx(1)
    several = score(captions, {"a": "a dog runs"} | perfect, ("cider",))
    assert "cider_documents" not in several


def test_images_that_share_all_words_have_no_cider():
    images = [CaptionedImage(k, Path("a.jpg"), ("a dog", "a dog runs")) for k in "ab"]
    score = train.score_validation(images[1:])
    with pytest.raises(ValueError, match="all 2 images of train and dev"):
        score({"a": images[0].captions}, {"a": "a dog"}, ("cider",))
