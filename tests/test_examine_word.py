"""The script: its files, that a killed run goes on, and its refusals."""

import csv
import json
import shutil

import numpy as np
import pytest
from conftest import tiny_captioner

import examine_word
from dataset import DATASETS, CaptionedImage
from dataset.scenes import write_scenes
from dataset.vocabulary import split_words
from evaluation.roc import area_under_roc
from models import explain
from scoring.caption_files import read_results

TEXTS = ["a dog on the grass", "the dog runs", "a ball on the cat", "the grass"]
WORDS = "dog,ball,star"
METHODS = "lrp,attention"


@pytest.fixture(scope="module")
def captioner():
    """A captioner that knows a few words, compiled once."""
    return tiny_captioner()


@pytest.fixture(autouse=True)
def tiny(captioner, monkeypatch):
    """The script loads the tiny captioner."""
    monkeypatch.setattr(examine_word, "load_captioner", lambda _: captioner)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Four scenes whose references are changed to known ones."""
    folder = write_scenes(tmp_path_factory.mktemp("data") / "scenes", {"dev": 4})
    path = folder / "text" / "scenes.token.txt"
    references = ("a dog", "a cat", "the ball", "a dog runs")
    lines = [line.split("#") for line in path.read_text().splitlines()]
    names = list(dict.fromkeys(name for name, _ in lines))
    rows = zip(names, references, strict=True)
    path.write_text("".join(f"{name}#0\t{text}\n" for name, text in rows))
    return folder


@pytest.fixture
def captions(scenes, tmp_path):
    """A file of captions whose words are true and hallucinated."""
    ids = [image.image_id for image in DATASETS["scenes"].read(scenes, "dev")]
    path = tmp_path / "captions.json"
    rows = zip(ids, TEXTS, strict=True)
    path.write_text(json.dumps([{"image_id": i, "caption": t} for i, t in rows]))
    return path


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "words.json"


def run(output, scenes, *options) -> int:
    data = ["--model", "tiny", "--dataset", "scenes", "--data-dir", scenes]
    arguments = [*data, "--output", output, "--methods", METHODS, *options]
    return examine_word.main([str(argument) for argument in arguments])


def read(path):
    return json.loads(path.read_text())


def read_csv(output):
    with output.with_suffix(".csv").open() as file:
        return list(csv.DictReader(file))


def test_given_captions_are_examined(scenes, captions, output, capsys):
    """In the first image the dog is true, in the second not; the ball is."""
    assert run(output, scenes, "--captions", captions, "--words", WORDS) == 0
    content = read(output)
    assert content["words"] == {
        "dog": {"true": 1, "hallucinated": 1, "missed": 1},
        "ball": {"true": 1, "hallucinated": 0, "missed": 0},
        "star": {"true": 0, "hallucinated": 0, "missed": 0},
    }
    assert content["scores"]["mPA"]["mean"] == 0.75
    assert content["scores"]["mPA"]["num_words"] == 2
    assert (content["num_true"], content["num_hallucinated"]) == (2, 1)
    rows = [row for row in read_csv(output) if row["method"] == "lrp"]
    assert [(r["word"], r["is_true"]) for r in rows] == [
        ("dog", "True"),
        ("dog", "False"),
        ("ball", "True"),
    ]
    labels = np.array([row["is_true"] == "True" for row in rows])
    for name in ("mean", "quantile_0.95"):
        scores = np.array([[float(row[name])] for row in rows])
        found = content["auc"]["lrp"][name]
        assert found["area"] == area_under_roc(scores, labels)[0]
        low, high = found["interval"]
        assert 0 <= low <= found["area"] <= high <= 1
    assert set(content["auc"]) == {"lrp", "attention", "visual_share", "probability"}
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out.splitlines()
    assert printed[-3:] == [
        str(output.with_suffix(s)) for s in (".json", ".csv", ".png")
    ]
    assert any(line.startswith("mPA ") and "0.750 [" in line for line in printed)


def test_statistics_are_those_of_the_explanation(captioner, scenes, captions, output):
    assert run(output, scenes, "--captions", captions, "--words", "ball") == 0
    image = DATASETS["scenes"].read(scenes, "dev")[2]
    e = explain(captioner, image.path, "lrp", TEXTS[2], ["ball"])
    relevance = e.pixels[0].sum(-1)
    row, *_ = read_csv(output)
    expected = (relevance / np.abs(relevance).max()).mean()
    # Images are encoded in batches here, and alone in `explain`.
    assert float(row["mean"]) == pytest.approx(expected, rel=1e-3)
    assert float(row["sum"]) == pytest.approx(relevance.sum(), rel=1e-3)
    share = next(row for row in read_csv(output) if row["method"] == "visual_share")
    assert float(share["value"]) == pytest.approx(1 - e.beta[0], rel=1e-4)


def test_objects_of_a_folder_must_be_named(scenes, tmp_path, capsys):
    folder = shutil.copytree(scenes, tmp_path / "own")
    arguments = ["--model", "tiny", "--dataset", "folder", "--data-dir", str(folder)]
    output = tmp_path / "a.json"
    assert examine_word.main([*arguments, "--output", str(output)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "is not known of the dataset folder. Name them with --words" in error
    assert set(error.split(": ")[-1].rstrip(".").split(",")) <= {
        *("dog", "cat", "ball", "runs")
    }
    assert not output.exists()


def test_own_captions_and_frequent_words(captioner, scenes, output):
    assert run(output, scenes, "--limit", 3) == 0
    content = read(output)
    assert "balls" in content["words"]
    assert content["num_images"] == content["scores"]["chair_s"]["num_captions"] == 3
    images = DATASETS["scenes"].read(scenes, "dev")[:3]
    texts = [c.text for c in captioner.caption([image.path for image in images])]
    lines = output.with_name("words.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["caption"] for line in lines] == texts
    num_balls = sum(split_words(text).count("ball") for text in texts)
    assert sum(row["method"] == "lrp" for row in read_csv(output)) == num_balls


def test_without_hallucinated_words_there_is_no_area(scenes, captions, output, capsys):
    assert run(output, scenes, "--captions", captions, "--words", "ball") == 0
    found = read(output)["auc"]["lrp"]["mean"]
    assert found["area"] is None
    assert found["interval"] == [None, None]
    assert "AUC of 1 true and 0 hallucinated words" in capsys.readouterr().out
    assert output.with_suffix(".png").is_file()


def test_words_that_no_caption_has(scenes, captions, output):
    assert run(output, scenes, "--captions", captions, "--words", "star") == 0
    content = read(output)
    assert content["scores"]["mPA"] == {
        "mean": None,
        "interval": [None, None],
        "num_words": 0,
    }
    assert content["auc"] == {}
    assert read_csv(output) == []


def test_a_killed_run_goes_on(scenes, captions, output, monkeypatch, capsys):
    options = ["--captions", captions, "--words", WORDS, "--batch-size", 1]
    assert run(output, scenes, *options) == 0
    expected = read(output), read_csv(output)
    examine, calls = examine_word.examine, []

    def stop_at_third(captioner, deleted, image):
        calls.append(image.record.image_id)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return examine(captioner, deleted, image)

    monkeypatch.setattr(examine_word, "examine", stop_at_third)
    assert run(output, scenes, *options, "--overwrite") == 130
    assert "--resume goes on" in capsys.readouterr().err
    assert not output.exists()
    assert run(output, scenes, *options, "--resume") == 0
    assert calls[3:] == [
        image.image_id for image in DATASETS["scenes"].read(scenes, "dev")[2:]
    ]
    assert (read(output), read_csv(output)) == expected


def test_only_the_same_settings_go_on(scenes, captions, output, capsys):
    options = ["--captions", captions, "--limit", 1]
    assert run(output, scenes, *options, "--words", "dog") == 0
    assert run(output, scenes, *options) == 2
    assert "words.json exists already" in capsys.readouterr().err
    assert run(output, scenes, *options, "--words", "ball", "--resume") == 2
    assert "computed with words ['dog']; received ['ball']" in capsys.readouterr().err
    captions.write_text(captions.read_text().replace("a dog", "the dog"))
    assert run(output, scenes, *options, "--words", "dog", "--resume") == 2
    assert "computed with captions" in capsys.readouterr().err


def test_deletion_is_scored_beside(scenes, captions, output, capsys):
    options = ["--captions", captions, "--words", WORDS]
    assert run(output, scenes, *options) == 0
    assert "deleted" not in read(output)
    wanted = [*options, "--deletion", "patches"]
    assert run(output, scenes, *wanted, "--resume") == 2
    assert "computed with deletion None" in capsys.readouterr().err
    assert run(output, scenes, *wanted, "--overwrite") == 0
    table = output.with_name("words-deletion.csv")
    assert str(table) in capsys.readouterr().out
    content = read(output)
    assert content["deletion"] == "patches"
    assert list(content["deleted"]) == ["patches"]  # no word has six before it
    assert content["deleted"]["patches"]["num_words"] == 3
    methods = [*METHODS.split(","), "random"]
    assert list(content["deleted"]["patches"]["scores"]) == methods
    assert len(table.read_text().splitlines()) == 1 + 3 * 3 * 2


def test_bad_images_and_captions_are_named(scenes, captions, output, tmp_path, capsys):
    folder = shutil.copytree(scenes, tmp_path / "damaged")
    images = DATASETS["scenes"].read(folder, "dev")
    images[0].path.write_text("no image")
    captions.write_text(captions.read_text().replace("the dog", "the zebra dog"))
    assert run(output, folder, "--captions", captions, "--words", WORDS) == 2
    error = capsys.readouterr().err
    assert f"{images[0].path.name}: not an image" in error
    assert "does not know 'zebra'" in error
    assert read(output)["num_images"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "lacks the captions of 4 of 4 images, such as dev_000000"),
        ("{", "holds no captions"),
        ('[{"image_id": 3}]', "holds no captions"),
        ('[{"image_id": 3, "caption": null}]', "holds no captions"),
    ],
)
def test_wrong_captions_are_refused(scenes, captions, output, capsys, content, message):
    captions.write_text(content)
    assert run(output, scenes, "--captions", captions) == 2
    assert message in capsys.readouterr().err
    assert not output.parent.exists()


def test_captions_of_coco_have_numbers_as_ids(tmp_path):
    path = tmp_path / "captions.json"
    rows = [{"image_id": number, "caption": f"{number} dogs "} for number in (12, 345)]
    path.write_text(json.dumps(rows))
    images = [CaptionedImage("345", tmp_path / "000000000345.jpg", ())]
    assert read_results(path, images, DATASETS["coco2017"]) == {"345": "345 dogs"}


@pytest.mark.parametrize(
    "id_",
    [
        *(391895, 391895.0, "391895", "000000391895", "000000391895.jpg", " 391895 "),
        *("val2017/000000391895.jpg", "COCO_val2014_000000391895.jpg"),
    ],
)
def test_ids_of_captions_may_be_spelled_otherwise(tmp_path, id_):
    """Row R5 of the cases."""
    path = tmp_path / "captions.json"
    rows = [{"image_id": id_, "caption": "a dog"}, {"image_id": 7, "caption": "a cat"}]
    path.write_text("\ufeff" + json.dumps(rows), "utf-8")
    images = [CaptionedImage("391895", tmp_path / "000000391895.jpg", ())]
    assert read_results(path, images, DATASETS["coco2017"]) == {"391895": "a dog"}
    rows.append({"image_id": "391895.jpg", "caption": "another"})
    path.write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=r"json: 1 images are .* such as 391895"):
        read_results(path, images, DATASETS["coco2017"])
    for wrong in (1.9, True, None, float("inf")):
        path.write_text(json.dumps([{"image_id": wrong, "caption": "a dog"}]))
        with pytest.raises(
            ValueError, match=f"json: an image id .* received .*{wrong}"
        ):
            read_results(path, images, DATASETS["coco2017"])


def test_names_that_differ_in_padding_are_two_images(tmp_path):
    path = tmp_path / "captions.json"
    rows = [{"image_id": "07", "caption": "a"}, {"image_id": "7", "caption": "b"}]
    path.write_text(json.dumps(rows))
    images = [CaptionedImage(name, tmp_path / name, ()) for name in ("07", "7")]
    found = read_results(path, images, DATASETS["flickr30k"])
    assert found == {"07": "a", "7": "b"}
    rows = [{"image_id": "1000_ab.jpg", "caption": "a"}]
    path.write_text(json.dumps(rows))
    images = [CaptionedImage("1000_ab", tmp_path / "1000_ab.jpg", ())]
    assert read_results(path, images, DATASETS["flickr8k"]) == {"1000_ab": "a"}
