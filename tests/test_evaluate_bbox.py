"""The script: its files, that a killed run goes on, and its refusals."""

import csv
import functools
import json
import shutil

import numpy as np
import pytest
from conftest import tiny_captioner
from PIL import Image

import evaluate_bbox
from dataset import DATASETS
from dataset.images import IMAGE_SIZE
from dataset.scenes import write_scenes
from dataset.scenes.other_layouts import write_like_coco2017, write_like_flickr30k
from evaluation.localization import CHANCE
from models import METHODS
from scoring import scored_images

FAST = [name for name, method in METHODS.items() if not method.is_extra]
BALLS = ("dev_000001", "dev_000002", "dev_000004")  # scenes with a ball


@functools.cache
def ball_captioner(seed=0):
    """Describes every image as "ball ball"."""
    captioner = tiny_captioner(seed, max_caption_words=2)
    captioner.decoder.predictor.bias.assign(
        100.0 * (np.array(captioner.vocabulary.words) == "ball")
    )
    return captioner


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(evaluate_bbox, "load_captioner", lambda _: ball_captioner())
    monkeypatch.setattr(evaluate_bbox, "NUM_EXAMPLES", 1)  # of each method and kind


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", {"dev": 5})


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "bbox.json"


def run(output, data, *options, dataset="scenes") -> int:
    arguments = ["--model", "tiny", "--dataset", dataset, "--data-dir", data]
    arguments += ["--output", output, *options]
    return evaluate_bbox.main([str(argument) for argument in arguments])


def read(path):
    return json.loads(path.read_text())


def rows_of(output):
    with output.with_suffix(".csv").open() as file:
        return list(csv.DictReader(file))


def beside(output):
    endings = (".json", ".csv", ".png", "-examples.png", "-masks.png")
    return [output.with_name(output.stem + ending) for ending in endings]


def test_shards_are_merged_into_the_scores_of_one_process(scenes, output, capsys):
    options = ["--methods", "attention", "--batch-size", 1]  # same last bits
    assert run(output, scenes, *options) == 0
    shards = [output.with_name(f"shard{index}.json") for index in range(2)]
    for index, shard in enumerate(shards):
        assert run(shard, scenes, *options, "--shard", f"{index}/2") == 0
    assert [read(shard)["num_images"] for shard in shards] == [3, 2]
    merged = output.with_name("merged.json")
    assert run(merged, scenes, *options, "--merge", *shards) == 0
    assert read(merged) == read(output)
    assert (
        merged.with_suffix(".csv").read_text() == output.with_suffix(".csv").read_text()
    )
    more = output.with_name("more.json")
    capsys.readouterr()
    assert run(more, scenes, *options, "--merge", output.with_name("no.json")) == 2
    assert "no.jsonl to merge. Name the --output of each" in capsys.readouterr().err


@pytest.mark.slow
def test_every_method_and_every_file(scenes, output, capsys):
    assert run(output, scenes) == 0
    files = beside(output)
    assert capsys.readouterr().out.splitlines()[-5:] == list(map(str, files))
    assert {p.name for p in output.parent.iterdir()} == {
        *(path.name for path in files),
        "bbox.jsonl",
    }
    content = read(output)
    assert (content["num_images"], content["num_words"]) == (5, 6)
    assert content["dataset"] == "scenes" and content["split"] == "dev"
    assert content["methods"] == FAST
    assert list(content["scores"]) == [*FAST, CHANCE]
    assert list(content["difference_to_attention"]) == [*FAST[:-1], CHANCE]
    rows = rows_of(output)
    assert {row["image_id"] for row in rows} == set(BALLS)
    assert len(rows) == 6 * (len(FAST) + 1) * 30
    of_lrp = [
        float(row["value"])
        for row in rows
        if (row["method"], row["score"]) == ("lrp", "rank_accuracy")
    ]
    mean = content["scores"]["lrp"]["rank_accuracy"]["mean"]
    assert np.mean(of_lrp) == pytest.approx(mean, rel=1e-5)
    for path in files[2:]:
        with Image.open(path) as picture:
            assert picture.width > 500


def write_objects(folder):
    """Writes the objects of scenes as COCO has them."""
    records = DATASETS["scenes"].read(folder, "dev", with_objects=True)
    images, annotations = [], []
    kinds = sorted({o.phrases for image in records for o in image.objects})
    for id_, image in enumerate(records):
        size = {"width": IMAGE_SIZE, "height": IMAGE_SIZE}
        images.append({"id": id_, "file_name": image.path.name, **size})
        for object_ in image.objects:
            xmin, ymin, xmax, ymax = (edge * IMAGE_SIZE for edge in object_.box)
            outline = object_.outline
            counts = {"size": outline[:2], "counts": outline.counts.decode()}
            of = {"image_id": id_, "category_id": kinds.index(object_.phrases)}
            box = {"bbox": [xmin, ymin, xmax - xmin, ymax - ymin]}
            annotations.append(of | box | {"segmentation": counts})
    names = [{"name": n[0], "synonyms": n[1:]} for n in kinds]
    categories = [{"id": k, **name} for k, name in enumerate(names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "objects.json").write_text(json.dumps(content))


def test_a_folder_of_ones_own_has_the_scores_of_its_dataset(
    scenes, output, tmp_path, capsys
):
    """It has the same captions and lists; boxes and masks are rewritten."""
    folder = shutil.copytree(scenes, tmp_path / "own")
    options = ["--methods", "attention", "--limit", 2]
    assert run(output, folder, *options, dataset="folder") == 2
    message = f"No image of the split dev in {folder} has boxes. Get them: put objects."
    assert message in capsys.readouterr().err
    write_objects(folder)
    assert run(output, folder, *options, dataset="folder") == 0
    other = output.with_name("scenes.json")
    assert run(other, scenes, *options) == 0
    assert read(output) == read(other) | {"dataset": "folder"}
    assert rows_of(output) == rows_of(other)


def test_exact_masks_are_scored_beside_boxes(scenes, output):
    """A round ball fills less than its box."""
    assert run(output, scenes, "--methods", "attention") == 0
    content = read(output)
    assert content["num_mask_words"] == content["num_words"] == 6
    for scores in content["scores"].values():
        assert set(scores) == {n.removeprefix("mask_") for n in scores} | {
            name for name in scores if name.startswith("mask_")
        }
    chance = content["scores"][CHANCE]
    for score in ("mass_accuracy", "correctness_0.5", "pointing"):
        assert chance[f"mask_{score}"]["mean"] < 0.9 * chance[score]["mean"]


def test_polygons_of_coco_that_are_boxes_score_as_boxes(tmp_path, output):
    data = write_like_coco2017(tmp_path / "coco", {"test": 4})
    options = ["--methods", "attention", "--split", "test"]
    assert run(output, data, *options, dataset="coco2017") == 0
    for scores in read(output)["scores"].values():
        by_box = {n: s for n, s in scores.items() if not n.startswith("mask_")}
        assert len(by_box) == 15
        assert scores == by_box | {f"mask_{name}": s for name, s in by_box.items()}


def test_phrases_of_entities_name_boxes(tmp_path, output):
    data = write_like_flickr30k(tmp_path / "flickr30k", {"dev": 5})
    options = ["--methods", "attention", "--limit", 3]
    assert run(output, data, *options, dataset="flickr30k") == 0
    content = read(output)
    assert (content["num_images"], content["num_words"]) == (3, 4)
    chance = content["scores"][CHANCE]
    assert chance["mass_accuracy"] == chance["energy"] and len(chance) == 15
    header = json.loads(output.with_suffix(".jsonl").read_text().splitlines()[0])
    assert "masks" not in header["settings"] and "num_mask_words" not in content
    assert [path.exists() for path in beside(output)] == [True] * 4 + [False]


@pytest.mark.slow
def test_a_killed_run_goes_on(scenes, output, monkeypatch, capsys):
    options = ["--methods", "attention", "--batch-size", 1]
    straight = output.with_name("straight.json")
    assert run(straight, scenes, *options) == 0
    explain_images, seen = scored_images.explain_images, []

    def stop_at_the_fourth(captioner, images, *rest):
        for image in explain_images(captioner, images, *rest):
            if len(seen) == 3:
                raise KeyboardInterrupt
            seen.append(image.record.image_id)
            yield image

    monkeypatch.setattr(scored_images, "explain_images", stop_at_the_fourth)
    assert run(output, scenes, *options) == 130
    assert "the same command with --resume goes on" in capsys.readouterr().err
    assert not any(path.exists() for path in beside(output))
    with output.with_suffix(".jsonl").open("a") as file:
        file.write('{"image_id": "dev_000003", "wor')  # killed while writing
    seen[:] = seen[2:]
    assert run(output, scenes, *options, "--resume") == 0
    assert seen == ["dev_000002", "dev_000003", "dev_000004"]
    assert rows_of(output) == rows_of(straight)
    assert run(output, scenes, *options) == 2
    assert "bbox.json exists already. Go on with it" in capsys.readouterr().err


def test_only_the_same_settings_go_on(scenes, output, monkeypatch, capsys):
    options = ["--methods", "attention", "--limit", 2]
    assert run(output, scenes, *options) == 0
    before = read(output)["scores"]["attention"]
    assert run(output, scenes, *options, "--resume", "--as-released") == 2
    assert "with as_released False; received True" in capsys.readouterr().err
    assert run(output, scenes, *options, "--overwrite", "--as-released") == 0
    assert read(output)["as_released"] is True
    assert read(output)["scores"]["attention"]["energy"] == before["energy"]
    other = functools.partial(ball_captioner, seed=1)
    monkeypatch.setattr(evaluate_bbox, "load_captioner", lambda _: other())
    assert run(output, scenes, *options, "--resume", "--as-released") == 2
    assert "was computed with weights" in capsys.readouterr().err


def test_scores_record_the_precision(scenes, output, capsys):
    options = ["--methods", "lrp,attention", "--limit", 2]
    assert run(output, scenes, *options, "--precision", "bfloat16") == 0
    assert read(output)["precision"] == "bfloat16"
    assert run(output, scenes, *options, "--resume") == 2
    assert "with precision 'bfloat16'; received None" in capsys.readouterr().err
    options[1] = "attention"
    assert run(output, scenes, *options, "--precision", "bfloat16", "--overwrite") == 2
    assert "gradient_x_input, guided_grad_cam alone; re" in capsys.readouterr().err


def test_bad_photos_do_not_stop_the_good_ones(tmp_path, output, capsys):
    data = write_scenes(tmp_path / "scenes", {"dev": 3})
    bad = DATASETS["scenes"].read(data, "dev")[1].path
    bad.write_text("no image")
    assert run(output, data, "--methods", "attention") == 2
    assert f"{bad.name}: not an image" in capsys.readouterr().err
    content = read(output)
    assert (content["num_images"], content["num_words"]) == (2, 2)


def test_captions_without_objects_have_no_scores(scenes, output, capsys):
    assert run(output, scenes, "--methods", "attention", "--limit", 1) == 2
    message = "evaluate_bbox.py: No caption names an object that has a box"
    assert message in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "magic"], "Unknown method 'magic'"),
        (["--split", "all"], "invalid choice: 'all'"),
        (["--limit", "0"], "expected 1, 2, 3"),
        (["--resume", "--overwrite"], "not allowed with"),
        (["--split", "test"], "scenes"),
    ],
)
def test_wrong_options_are_refused(scenes, output, capsys, options, message):
    try:
        code = run(output, scenes, *options)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert not output.parent.exists()


def test_another_ending_is_refused(scenes, output, capsys):
    assert run(output.with_suffix(".txt"), scenes) == 2
    assert "expected --output FILE.json" in capsys.readouterr().err
