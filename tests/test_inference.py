"""The script: its files, its refusals, and that a killed run goes on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import tiny_captioner
from PIL import Image
from pycocotools.coco import COCO

import inference
from dataset import DATASETS
from dataset.records import CaptionedImage
from dataset.scenes import render_scene
from dataset.scenes.other_layouts import write_like_coco2017
from keras_lrp import __version__
from models import captioner as loading
from scoring import captions as metrics
from scoring.caption_files import CaptionFiles, number_ids
from scoring.captions import score_captions

MODEL = "tiny"
COCO_NAMES = ("COCO_val2014_000000000042", "000000581929")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The script loads a tiny captioner, and scores with the tokenizer in Python."""
    monkeypatch.setattr(inference, "load_captioner", lambda _: tiny_captioner())
    monkeypatch.setattr(metrics, "has_java", lambda: False)


@pytest.fixture
def photos(tmp_path):
    """A folder of five photographs."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate("abcde"):
        Image.fromarray(render_scene(number).image).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """MSCOCO in miniature."""
    folder = tmp_path_factory.mktemp("coco") / "coco2017"
    return write_like_coco2017(folder, {"train": 1, "dev": 1, "test": 3})


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "captions.json"


def run(output, *options) -> int:
    arguments = ["--model", MODEL, "--output", output, *options]
    return inference.main([str(argument) for argument in arguments])


def read(path):
    return json.loads(path.read_text())


def read_nbest(output):
    header, *records = CaptionFiles(output).nbest.read_text().splitlines()
    return json.loads(header)["settings"], [json.loads(line) for line in records]


# The files


def test_a_folder_in_the_format_of_coco(photos, output, capsys):
    assert run(output, "--images", photos, "--batch-size", 2, "--beam-size", 2) == 0
    expected = tiny_captioner().caption(sorted(photos.iterdir()), 2)
    assert read(output) == [
        {"image_id": name, "caption": caption.text}
        for name, caption in zip("abcde", expected, strict=True)
    ]
    written = [output, output.with_name("captions.nbest.jsonl")]
    assert capsys.readouterr().out.splitlines() == list(map(str, written))


def test_coco_reads_the_results_and_every_score_is_kept(coco, output, capsys):
    data = ["--dataset", "coco2017", "--data-dir", coco]
    assert run(output, *data, "--metrics", "bleu,cider", "--n-best", 2) == 0
    annotations = COCO(coco / "annotations" / "captions_val2017.json")
    loaded = annotations.loadRes(str(output))
    images = DATASETS["coco2017"].read(coco, "test")
    assert sorted(loaded.getImgIds()) == [int(image.image_id) for image in images]
    kept = read(output.with_name("captions.scores.json"))
    expected = score_captions(
        {int(image.image_id): image.captions for image in images},
        {entry["image_id"]: entry["caption"] for entry in read(output)},
        ("bleu", "cider"),
    )
    assert kept["scores"] == expected
    assert kept["missing"] == {}
    assert (kept["num_images"], kept["split"]) == (3, "test")
    assert kept["version"] == __version__
    printed = capsys.readouterr().out
    assert f"cider      {expected['cider']:.4f}\ntokenizer nltk\n" in printed


@pytest.mark.parametrize("penalty", [0.0, 1.3])
def test_the_best_captions_of_the_beam(photos, output, penalty):
    options = ["--n-best", 3, "--beam-size", 4, "--length-penalty", penalty]
    assert run(output, "--images", photos, *options) == 0
    settings, records = read_nbest(output)
    assert settings["length_penalty"] == penalty
    captioner = tiny_captioner(length_penalty=penalty)
    expected = captioner.caption(sorted(photos.iterdir()), 4)
    for record, best in zip(records, expected, strict=True):
        assert record["captions"][0] == best.text
        assert record["scores"][0] == pytest.approx(best.score, rel=1e-5)  # batches
        assert len(set(record["captions"])) == 3
    assert [e["caption"] for e in read(output)] == [r["captions"][0] for r in records]


def test_more_captions_than_the_model_keeps_widen_the_beam(photos, output):
    assert run(output, "--images", photos, "--n-best", 5, "--limit", 2) == 0
    settings, records = read_nbest(output)
    assert settings["beam_size"] == 5
    assert [len(record["captions"]) for record in records] == [5, 5]


@pytest.mark.parametrize(
    ("names", "dataset", "expected"),
    [
        (("12.jpg", "345.jpg"), "coco2017", [12, 345]),
        (("12.jpg", "345.jpg"), "flickr30k", ["12", "345"]),
        (("12.jpg", "345.jpg"), None, ["12", "345"]),
        ([f"{name}.jpg" for name in COCO_NAMES], None, [42, 581929]),
        ((f"{COCO_NAMES[0]}.jpg", "dog.jpg"), None, [COCO_NAMES[0], "dog"]),
        (("dog.jpg", "dog.png", "cat.png"), None, ["dog.jpg", "dog.png", "cat"]),
        (("dog.png", "cat.png"), None, ["dog", "cat"]),
        (("a.jpg", "a.png", "a.png.gif"), None, ["a.jpg", "a.png", "a.png.gif"]),
        (("a.png", "a.png.gif"), None, ["a", "a.png.gif"]),
    ],
)
def test_ids_are_numbers_where_they_are_those_of_coco(
    tmp_path, names, dataset, expected
):
    paths = [tmp_path / name for name in names]
    images = [CaptionedImage(path.stem, path, ()) for path in paths]
    assert number_ids(images, DATASETS.get(dataset)) == expected


# Going on


def test_nothing_computed_is_lost(photos, output, monkeypatch, capsys):
    options = ["--images", photos, "--batch-size", 2]
    seen, load = [], loading.load_image

    def stop_in_the_second_batch(path, size):
        if path.stem == "d":
            raise KeyboardInterrupt
        return load(path, size)

    with monkeypatch.context() as patch:
        patch.setattr(loading, "load_image", stop_in_the_second_batch)
        assert run(output, *options) == 130
    assert "--resume goes on" in capsys.readouterr().err
    assert not output.exists()
    nbest = CaptionFiles(output).nbest
    assert len(read_nbest(output)[1]) == 2
    with nbest.open("a") as file:
        file.write('{"image_id": "c", "capt')  # killed while writing
    monkeypatch.setattr(
        loading, "load_image", lambda p, size: seen.append(p) or load(p, size)
    )
    assert run(output, *options, "--resume") == 0
    assert sorted(path.stem for path in seen) == ["c", "d", "e"]
    whole = output.with_name("straight.json")
    assert run(whole, *options) == 0
    assert read(output) == read(whole)
    assert [r["image_id"] for r in read_nbest(output)[1]] == list("abcde")


def test_finished_captions_are_scored_later(coco, output, monkeypatch):
    data = ["--dataset", "coco2017", "--data-dir", coco]
    assert run(output, *data) == 0
    captions = read(output)
    monkeypatch.setattr(loading, "load_image", None)
    assert run(output, *data, "--resume", "--metrics", "rouge_l") == 0
    assert read(output) == captions
    assert read(output.with_name("captions.scores.json"))["scores"]["rouge_l"] > 0


def test_scores_of_other_captions_do_not_stay(coco, output):
    data = ["--dataset", "coco2017", "--data-dir", coco]
    assert run(output, *data, "--metrics", "rouge_l", "--limit", 2) == 0
    assert run(output, *data, "--resume") == 0
    assert len(read(output)) == 3
    assert not output.with_name("captions.scores.json").exists()


def test_captions_are_not_replaced_unasked(photos, output, capsys):
    assert run(output, "--images", photos, "--limit", 1) == 0
    before = output.read_bytes()
    assert run(output, "--images", photos) == 2
    assert "captions.json exists already. Go on with it" in capsys.readouterr().err
    assert output.read_bytes() == before
    assert run(output, "--images", photos, "--overwrite") == 0
    assert len(read(output)) == 5


def test_only_the_same_settings_go_on(photos, output, monkeypatch, capsys):
    assert run(output, "--images", photos) == 0
    assert run(output, "--images", photos, "--resume", "--beam-size", 2) == 2
    assert "computed with beam_size 3; received 2. Go on" in capsys.readouterr().err
    monkeypatch.setattr(inference, "load_captioner", lambda _: tiny_captioner(seed=1))
    assert run(output, "--images", photos, "--resume") == 2
    assert "computed with weights" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}\n", "[1]\n2\n"])
def test_a_damaged_list_is_refused(photos, output, capsys, content):
    nbest = CaptionFiles(output).nbest
    nbest.parent.mkdir()
    nbest.write_text(content)
    assert run(output, "--images", photos, "--resume") == 2
    message = "captions.nbest.jsonl is damaged"
    assert message in capsys.readouterr().err
    assert nbest.read_text() == content


def test_results_without_their_list_are_not_gone_on_with(photos, output, capsys):
    output.parent.mkdir()
    output.write_text("[]")
    assert run(output, "--images", photos, "--resume") == 2
    assert "captions.nbest.jsonl is not there" in capsys.readouterr().err
    assert output.read_text() == "[]"


# Sharing the work


def test_shards_are_merged_into_the_captions_of_one_process(coco, output, capsys):
    data = ["--dataset", "coco2017", "--data-dir", coco, "--n-best", 2]
    data += ["--batch-size", 1]  # in other batches, images have other last bits
    assert run(output, *data, "--metrics", "cider") == 0
    shards = [output.with_name(f"shard{index}.json") for index in range(2)]
    for index, shard in enumerate(shards):
        assert run(shard, *data, "--shard", f"{index}/2") == 0
    assert [len(read(shard)) for shard in shards] == [2, 1]
    merged = output.with_name("merged.json")
    capsys.readouterr()
    assert run(merged, *data, "--metrics", "cider", "--merge", *shards) == 0
    assert read(merged) == read(output)
    scores = [read(path.with_suffix(".scores.json")) for path in (merged, output)]
    assert scores[0] == scores[1]
    lists = [CaptionFiles(path).nbest.read_text() for path in (merged, output)]
    assert sorted(lists[0].splitlines()) == sorted(lists[1].splitlines())


def test_what_shards_lack_is_captioned(photos, output):
    options = ["--images", photos]
    shard = output.with_name("shard.json")
    assert run(shard, *options, "--shard", "1/2") == 0
    assert [entry["image_id"] for entry in read(shard)] == ["b", "d"]
    assert run(output, *options, "--merge", shard) == 0
    assert [entry["image_id"] for entry in read(output)] == list("abcde")


def test_a_shard_without_images_is_merged(photos, output):
    options = ["--images", photos, "--beam-size", 1]
    shards = [output.with_name(f"shard{name}.json") for name in ("first", "empty")]
    assert run(shards[0], *options, "--shard", "0/1") == 0
    assert run(shards[1], *options, "--shard", "98/99") == 0
    assert read(shards[1]) == []
    assert run(output, *options, "--merge", *shards) == 0
    assert read(output) == read(shards[0])


def test_only_shards_of_the_same_captions_are_merged(photos, output, capsys):
    options = ["--images", photos]
    shard = output.with_name("shard.json")
    assert run(output, *options, "--merge", shard) == 2
    assert "shard.nbest.jsonl to merge. Name the --output" in capsys.readouterr().err
    assert run(shard, *options, "--shard", "0/2", "--beam-size", 2) == 0
    assert run(output, *options, "--merge", shard) == 2
    assert "computed with beam_size 2; received 3" in capsys.readouterr().err
    assert not output.exists()


# What goes wrong


def test_bad_photos_do_not_stop_the_good_ones(photos, output, capsys):
    (photos / "b.png").write_text("no image")
    assert run(output, "--images", photos, "--batch-size", 1) == 2
    assert [entry["image_id"] for entry in read(output)] == list("acde")
    assert "b.png: not an image" in capsys.readouterr().err


def test_a_split_with_a_bad_photo_is_not_scored(coco, tmp_path, output, capsys):
    folder = shutil.copytree(coco, tmp_path / "damaged")
    next(iter((folder / "images" / "val2017").iterdir())).write_text("no image")
    data = ["--dataset", "coco2017", "--data-dir", folder]
    assert run(output, *data, "--metrics", "rouge_l") == 2
    assert "no scores: 1 images have no caption" in capsys.readouterr().err
    assert len(read(output)) == 2
    assert not output.with_name("captions.scores.json").exists()


def test_all_metrics_name_those_that_are_missing(coco, output, monkeypatch, capsys):
    needs = {"bert_score": lambda: "needs the package bert-score"}
    monkeypatch.setattr(metrics, "NEEDS", metrics.NEEDS | needs)
    data = ["--dataset", "coco2017", "--data-dir", coco, "--metrics", "all"]
    assert run(output, *data) == 0
    kept = read(output.with_name("captions.scores.json"))
    assert set(kept["missing"]) == {"meteor", "spice", "bert_score"}
    names = {f"bleu_{n}" for n in (1, 2, 3, 4)} | {"rouge_l", "cider", "tokenizer"}
    assert set(kept["scores"]) == names
    printed = capsys.readouterr().out
    assert "meteor     missing: needs Java 8 or newer" in printed


def test_a_named_metric_that_fails_leaves_the_others(coco, output, monkeypatch, capsys):
    def fail(references, candidates):
        raise metrics.MetricError("its Java process failed.")

    monkeypatch.setattr(metrics, "METRICS", metrics.METRICS | {"cider": fail})
    data = ["--dataset", "coco2017", "--data-dir", coco]
    assert run(output, *data, "--metrics", "cider,rouge_l") == 2
    kept = read(output.with_name("captions.scores.json"))
    assert kept["missing"] == {"cider": "its Java process failed."}
    assert set(kept["scores"]) == {"rouge_l", "tokenizer"}
    assert "cider is missing: its Java process failed." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "blue"], "Unknown metric 'blue'"),
        (["--metrics", "meteor"], "meteor needs Java 8 or newer"),
        (
            ["--n-best", "4", "--beam-size", "3"],
            "n_best=4 needs a beam as wide; received beam_size=3",
        ),
        (["--split", "train", "--limit", "0"], "expected 1, 2, 3"),
        (["--length-penalty", "-1"], "expected 0 or above; received '-1'"),
        (["--length-penalty", "nan"], "expected 0 or above; received 'nan'"),
        (["--resume", "--overwrite"], "not allowed with"),
        (["--shard", "2/2"], "expected INDEX/COUNT, as 0/4, 1/4, 2/4 or 3/4; received"),
        (["--shard", "0/2", "--metrics", "cider"], "--metrics needs all images"),
    ],
)
def test_wrong_options_are_refused(coco, output, capsys, options, message):
    try:
        code = run(output, "--dataset", "coco2017", "--data-dir", coco, *options)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert not output.parent.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "flickr8k"], "--dataset needs --data-dir"),
        (["--images", ".", "--metrics", "all"], "--metrics needs references"),
        (["--images", "nowhere"], "nowhere is no folder"),
        ([], "one of the arguments --dataset --images is required"),
    ],
)
def test_wrong_sources_are_refused(output, capsys, options, message):
    try:
        code = run(output, *options)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_another_ending_is_refused(photos, output, capsys):
    assert run(output.with_suffix(".txt"), "--images", photos) == 2
    assert "expected --output FILE.json" in capsys.readouterr().err


# Our folder beside the installed package


def test_both_packages_are_found_from_the_root():
    code = (
        "import pycocoevalcap.bert.bert, pycocoevalcap.cider.cider, pycocoevalcap.eval"
        "; print(len(pycocoevalcap.__path__))"
    )
    root = Path(inference.__file__).parent
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert found.stdout == "2\n", found.stderr


@pytest.mark.parametrize("option", [("--split", "dev"), ("--data-dir", "d")])
def test_a_folder_of_photos_takes_no_option_of_a_dataset(output, capsys, option):
    with pytest.raises(SystemExit) as stop:
        run(output, "--images", "photos", *option)
    assert stop.value.code == 2
    assert f"{option[0]} is of a dataset; leave it out" in capsys.readouterr().err
