"""The script: its files, its errors and its exit codes; and the shipped captioner."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_captioner
from PIL import Image

import explain_image
import report
from command_line import DEFAULT_MODEL
from dataset.scenes import render_scene, scene_seed
from dataset.scenes.truth import statements
from models import METHODS, Explanation, explain, explain_each, load_captioner
from models.run_files import shipped_captioners
from report.wording import sureness

TEXT = "a dog runs on the grass"
CHEAP = ("--caption", TEXT, "--words", "dog", "--method", "attention")
SHIPPED = sorted(shipped_captioners())
DOG_BOX = (184 / 500, 259 / 402, 308 / 500, 374 / 402)
FILES = {
    "explanation.json",
    "explanation.npz",
    "heatmaps.png",
    "photo.jpg",
    "preceding_words.png",
    "report.html",
    "settings.json",
}


@pytest.fixture(autouse=True)
def tiny(request, monkeypatch):
    """The script loads a tiny captioner unless a test is about shipped ones."""
    if "shipped" not in request.keywords:
        monkeypatch.setattr(explain_image, "load_captioner", lambda _: tiny_captioner())


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "scene.png"
    Image.fromarray(render_scene(1).image).save(path)
    return path


def run(*arguments) -> int:
    return explain_image.main([str(argument) for argument in arguments])


def test_one_photo_writes_every_file(photo, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(photo, "--caption", TEXT, "--output", output) == 0
    assert {path.name for path in (output / "scene").iterdir()} == FILES
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{photo}: {TEXT}"
    assert lines[-1] == str(output / "scene" / "report.html")


def test_bad_photos_do_not_stop_the_good_ones(photo, tmp_path, capsys):
    empty, text = tmp_path / "empty.jpg", tmp_path / "text.jpg"
    empty.touch()
    text.write_text("no image")
    output = tmp_path / "out"
    images = [tmp_path / "mis\nsing\x1b.jpg", empty, photo, text]
    assert run(*images, "--caption", TEXT, "--words", "dog", "--output", output) == 2
    captured = capsys.readouterr()
    assert {path.name for path in (output / "scene").iterdir()} == FILES
    problems = [line for line in captured.err.splitlines() if "explain_image" in line]
    assert len(problems) == 3
    names = (r"mis\nsing\x1b", "empty", "text")
    for name, problem in zip(names, problems, strict=True):
        assert f"{name}.jpg: " in problem
    assert "Traceback" not in captured.err


def test_an_empty_folder_does_not_stop_the_good_ones(photo, tmp_path, capsys):
    (tmp_path / "nothing").mkdir()
    output = tmp_path / "out"
    options = ["--caption", TEXT, "--words", "dog", "--output", output]
    assert run(tmp_path / "nothing", photo, *options) == 2
    assert (output / "scene" / "report.html").is_file()
    assert "holds no image" in capsys.readouterr().err


def test_problems_of_a_photo_name_it(photo, tmp_path, capsys):
    options = ["--caption", TEXT, "--words", "ball", "--output", tmp_path / "out"]
    assert run(photo, *options) == 2
    assert f"{photo}: 'ball' is not in the caption" in capsys.readouterr().err


@pytest.fixture
def unloadable(tiny, monkeypatch):
    """Fails the test where the script loads a captioner."""
    monkeypatch.setattr(explain_image, "load_captioner", pytest.fail)


def test_an_earlier_explanation_is_refused_before_the_model_loads(
    photo, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "out"
    options = [*CHEAP, "--output", output]
    assert run(photo, *options) == 0
    page = output / "scene" / "report.html"
    before = page.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(explain_image, "load_captioner", pytest.fail)
        assert run(photo, *options) == 2
    message = f"{output / 'scene'} exists already. Explain what is not yet (--resume)"
    assert message in capsys.readouterr().err
    assert run(photo, *options, "--resume") == 0
    assert page.stat().st_mtime_ns == before
    assert run(photo, *options, "--overwrite") == 0
    assert page.stat().st_mtime_ns > before


@pytest.mark.parametrize("name", ["b/report.html", "index.html"])
def test_what_lies_in_the_output_is_refused(unloadable, photo, tmp_path, capsys, name):
    photos, output = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for stem in "ab":
        Image.open(photo).save(photos / f"{stem}.png")
    (output / name).parent.mkdir(parents=True)
    (output / name).touch()
    assert run(photos, "--output", output) == 2
    assert f"{output / name.split('/')[0]} exists already" in capsys.readouterr().err


def test_words_that_the_caption_lacks_are_named(photo, tmp_path, caplog):
    output = tmp_path / "out"
    options = ["--caption", TEXT, "--words", "dog,ball", "--output", output]
    assert run(photo, *options) == 0
    summary = json.loads((output / "scene" / "explanation.json").read_text())
    assert [word["word"] for word in summary["words"]] == ["dog"]
    assert f"{photo}: 'ball' is not in the caption '{TEXT}'; the other" in caplog.text


def test_phrases_and_the_sentence_are_explained(photo, tmp_path):
    options = ["--caption", TEXT, "--output", tmp_path / "out", "--sentence"]
    assert run(photo, *options, "--phrases", "a dog,the grass") == 0
    folder = tmp_path / "out" / "scene"
    e = Explanation.load(folder)
    assert e.words == ("a dog", TEXT, "the grass") and e.lengths == (2, 6, 2)
    settings = json.loads((folder / "settings.json").read_text())["settings"]
    assert settings["phrases"] == "a dog,the grass" and settings["sentence"] is True
    e.overlay("the grass")


def test_two_captions_are_compared(photo, tmp_path, capsys):
    options = ["--caption", TEXT, "--against", "a cat runs on the ball"]
    assert run(photo, *options, "--output", tmp_path / "out") == 0
    e = Explanation.load(tmp_path / "out" / "scene")
    assert e.words == ("dog, not cat", "grass, not ball")
    assert run(photo, *options, "--words", "dog", "--output", tmp_path / "b") == 2
    assert "Leave words, phrases" in capsys.readouterr().err


def test_two_captioners_are_explained_beside_each_other(photo, tmp_path, monkeypatch):
    """Each in a folder of its own, with all methods; what is replaced goes."""
    loads = {"runs/a": 0, "runs/b": 1}
    monkeypatch.setattr(
        explain_image, "load_captioner", lambda name: tiny_captioner(loads[name])
    )
    folder = tmp_path / "out" / "scene"
    options = ["--words", "dog", "--caption", TEXT, "--output", tmp_path / "out"]
    several = [*options, "--model", "runs/a/,runs/b", "--method"]
    assert run(photo, *several, "decoder_lrp,attention") == 0
    found = [Explanation.load(folder / name / "decoder_lrp") for name in "ab"]
    assert found[0].logits[0] != found[1].logits[0]
    text = (folder / "report.html").read_text()
    assert all(f'"captioner {name}' in text for name in "ab")
    assert '"beside":true' in text
    assert run(photo, *several, "decoder_lrp,attention", "--resume") == 0
    assert run(photo, *several, "attention", "--overwrite") == 0
    shared = {"photo.jpg", "report.html", "settings.json"}
    assert {path.name for path in folder.iterdir()} == {"a", "b", *shared}
    assert not (folder / "a" / "decoder_lrp").exists()
    assert (folder / "a" / "explanation.json").is_file()
    last = ["--model", "runs/a", "--method", "attention", "--overwrite"]
    assert run(photo, *options, *last) == 0
    assert {path.name for path in folder.iterdir()} == FILES
    assert '"beside":false' in (folder / "report.html").read_text()


def test_the_look_is_chosen_and_noted(photo, tmp_path):
    """Another look makes the figures anew, also in another format."""
    options = ["--caption", TEXT, "--words", "dog", "--output", tmp_path / "out"]
    assert run(photo, *options) == 0
    look = ["--scale", "caption", "--colour-map", "PuOr", "--figure-format", "svg"]
    assert run(photo, *options, *look, "--resume") == 0
    folder = tmp_path / "out" / "scene"
    renamed = {name.replace(".png", ".svg") for name in FILES}
    assert {path.name for path in folder.iterdir()} == renamed
    settings = json.loads((folder / "settings.json").read_text())["settings"]
    assert [settings[name] for name in ("scale", "colour_map", "figure_format")] == [
        *("caption", "PuOr", "svg")
    ]
    e = Explanation.load(folder)
    assert e.overlay("dog").size == e.photo.shape[1::-1] == (224, 224)


def test_several_methods_lie_side_by_side(photo, tmp_path):
    names = {name for name, method in METHODS.items() if not method.is_extra}
    options = ["--caption", TEXT, "--words", "dog", "--output", tmp_path / "out"]
    assert run(photo, *options, "--methods", "all") == 0
    found = {path.name for path in (tmp_path / "out" / "scene").iterdir()}
    assert found == names | {"photo.jpg", "report.html", "settings.json"}


def test_what_is_replaced_leaves_nothing_behind(photo, tmp_path):
    folder, words = tmp_path / "out" / "scene", ["--caption", TEXT, "--words", "dog"]
    options = [*words, "--output", tmp_path / "out", "--overwrite", "--method"]
    common = {"photo.jpg", "report.html", "settings.json"}
    folder.mkdir(parents=True)
    (folder / "mine.txt").touch()  # stays
    for methods, expected in (
        ("grad_cam,attention", {"grad_cam", "attention", *common}),
        ("attention", FILES),
        ("grad_cam,gradient", {"grad_cam", "gradient", *common}),
    ):
        assert run(photo, *options, methods) == 0
        assert {path.name for path in folder.iterdir()} == expected | {"mine.txt"}


def test_a_namesake_that_comes_later_renames_no_folder(photo, tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    Image.open(photo).save(photos / "a.png")
    options = [*CHEAP, "--output", output]
    assert run(photos, *options) == 0
    before = (output / "a" / "report.html").stat().st_mtime_ns
    Image.open(photo).save(photos / "a.jpg")  # comes before a.png by name
    assert run(photos, *options, "--resume") == 0
    assert (output / "a" / "report.html").stat().st_mtime_ns == before
    for folder, name in (("a", "a.png"), ("a-2", "a.jpg")):
        record = json.loads((output / folder / "settings.json").read_text())
        assert record["settings"]["photo"] == f"../photos/{name}"
    Image.open(photo).save(photos / "a.bmp")
    assert run(photos / "a.bmp", *options) == 0  # is no earlier explanation of it
    assert (output / "a-3" / "report.html").is_file()
    assert run(photos / "a.jpg", photos / "a.png", *options, "--overwrite") == 0
    found = {path.name for path in output.iterdir()}
    assert found == {"a", "a-2", "a-3", "index.html"}


def test_names_that_differ_in_case_or_have_only_dots(tmp_path, caplog):
    photos = [Path(name) for name in ("a/Dog.jpg", "a/dog.png", "a/...png")]
    folders = report.name_folders(photos, tmp_path)
    assert [folder.name for folder in folders] == ["Dog", "dog-2", "photo"]
    with caplog.at_level("INFO"):
        page = [Path("index.html.jpg")]
        (folder,) = report.name_folders(page, tmp_path, [explain_image.INDEX])
    assert folder.name == "index.html-2"
    assert "index.html.jpg is explained in the folder index.html-2: " in caplog.text


def test_a_folder_and_a_namesake_get_their_own_folders(photo, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.open(photo).save(folder / "scene.jpg")
    output = tmp_path / "out"
    options = [*CHEAP, "--output", output]
    assert run(photo, folder, *options) == 0
    names = {path.name for path in output.iterdir()}
    assert names == {"scene", "scene-2", "index.html"}


def test_one_index_leads_to_the_photos_of_several_runs(photo, tmp_path, capsys):
    """It says of each who wrote the caption and how sure of it, the surest first."""
    other, output = tmp_path / "other.png", tmp_path / "out"
    Image.open(photo).save(other)
    options = ["--words", "dog", "--method", "attention", "--output", output]
    assert run(photo, "--caption", TEXT, *options) == 0
    assert not (output / "index.html").exists()
    more = ["--caption", "on the dog", "--model", "runs/b", "--note", "It is <odd>."]
    assert run(other, *more, *options) == 0
    page = (output / "index.html").read_text()
    probabilities = {}
    for name, model in (("scene", DEFAULT_MODEL), ("other", "runs/b")):
        record = json.loads((output / name / "explanation.json").read_text())
        (word,) = record["words"]
        sure = sureness(model, word["probability"])
        assert sure in page
        report_page = (output / name / "report.html").read_text()
        assert json.dumps({"facts": sure})[1:-1].replace(": ", ":") in report_page
        probabilities[name] = word["probability"]
    assert "It is &lt;odd&gt;." in page
    assert "captioner b " in page and "runs/b" not in page  # nor any folder above
    surest = max(probabilities, key=probabilities.get)
    assert page.index('<a href="') == page.index(f'<a href="{surest}/report.html"')
    before = (output / "index.html").stat().st_mtime_ns
    capsys.readouterr()
    assert run(tmp_path / "gone.jpg", *options) == 2  # nothing new for the index
    assert (output / "index.html").stat().st_mtime_ns == before
    assert capsys.readouterr().out == ""


def test_rules_are_chosen_and_named(photo, tmp_path):
    options = ["--caption", TEXT, "--words", "dog", "--output", tmp_path / "out"]
    found = {}
    for preset, precision in (
        ("alpha1_beta0", ()),
        ("epsilon_gamma_box", ("--precision", "bfloat16")),
    ):
        options += ["--lrp-preset", preset, *precision]
        assert run(photo, *options, "--resume") == 0
        folder = tmp_path / "out" / "scene"
        summary = json.loads((folder / "explanation.json").read_text())
        settings = json.loads((folder / "settings.json").read_text())["settings"]
        assert summary["lrp_preset"] == settings["lrp_preset"] == preset
        for record in (summary, settings):
            assert record.get("precision") == (precision[1] if precision else None)
        named = ", ".join((preset, *precision[1:]))
        assert f"LRP ({named})" in (folder / "report.html").read_text()
        with np.load(folder / "explanation.npz") as arrays:
            found[preset] = arrays["pixels"]
    assert np.abs(found["alpha1_beta0"] - found["epsilon_gamma_box"]).max() > 0.01


def test_a_stopped_folder_is_resumed(photo, tmp_path, monkeypatch, capsys):
    """Whole folders are left alone; half-written and other ones are made anew."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "abc":
        Image.open(photo).save(photos / f"{name}.png")
    output = tmp_path / "out"
    options = [*CHEAP, "--output", output]
    stopped = iter([1, 1])

    def explain_two(*arguments):
        if next(stopped, None) is None:
            raise KeyboardInterrupt
        return explain_each(*arguments)

    monkeypatch.setattr(explain_image, "explain_each", explain_two)
    assert run(photos, *options) == 130
    assert "--resume" in capsys.readouterr().err
    assert not (output / "index.html").exists()
    (output / "b" / "settings.json").unlink()  # as if killed before the end
    before = {name: (output / name / "report.html").stat().st_mtime_ns for name in "ab"}
    monkeypatch.setattr(explain_image, "explain_each", explain_each)
    assert run(photos, *options, "--resume") == 0
    after = {name: (output / name / "report.html").stat().st_mtime_ns for name in "ab"}
    assert after["a"] == before["a"] and after["b"] > before["b"]
    page = (output / "index.html").read_text()
    assert all(f'"{name}/report.html"' in page for name in "abc")
    assert run(photos / "a.png", *options, "--resume", "--contrast", "cat") == 0
    assert (output / "a" / "report.html").stat().st_mtime_ns > after["a"]


def test_shards_write_into_one_folder(photo, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.jpg", "b.png"):
        Image.open(photo).save(photos / name)
    output = tmp_path / "out"
    options = [*CHEAP, "--output", output]
    for index, names in enumerate([{"a", "b-2"}, {"a", "b", "b-2"}]):
        assert run(photos, *options, "--shard", f"{index}/2") == 0
        assert {path.name for path in output.iterdir()} == names
    before = (output / "b" / "report.html").stat().st_mtime_ns
    assert run(photos, *options, "--resume") == 0
    assert (output / "b" / "report.html").stat().st_mtime_ns == before
    page = (output / "index.html").read_text()
    assert all(f'"{name}/report.html"' in page for name in ("a", "b", "b-2"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--caption", "a zebra"], "does not know 'zebra'"),
        (["--caption", TEXT, "--words", "ball"], "'ball' is not in the caption"),
        (["--caption", TEXT, "--contrast", "zebra"], "does not know 'zebra'"),
        (["--method", "attention", "--precision", "bfloat16"], "received attention."),
        (["--method", "grad_cam", "--lrp-preset", "z_plus"], "received grad_cam."),
        (["--method", "gradient", "--decoder-rules", "epsilon"], "received gradient."),
    ],
)
def test_wrong_words_and_methods_are_named(photo, tmp_path, capsys, options, message):
    assert run(photo, *options, "--output", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "magic"], "Unknown method 'magic'; expected one of lrp"),
        (["--methods", "lrp,magic"], "Unknown method 'magic'; expected one of lrp"),
        (["--resume", "--overwrite"], "not allowed with"),
        (["--beam-size", "0"], "expected 1, 2, 3"),
        (["--colour-map", "purple"], "Unknown colour map 'purple'"),
        (["--sentence", "--contrast", "cat"], "--contrast is of words: leave it out"),
        (["--figure-format", "jpg"], "invalid choice: 'jpg'"),
        (["--method", "all,lrp"], "all stands alone for every method but"),
        (["--output", ""], "expected the name of a file or folder; received ''"),
        (["--caption", " "], "expected a text; received ' '"),
        (["--words", ","], "expected words, as dog,ball; received ','"),
    ],
)
def test_wrong_options_are_refused(photo, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        run(photo, *options)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.shipped
def test_unknown_model_lists_the_shipped_ones(photo, capsys):
    assert run(photo, "--model", "nothing") == 2
    assert DEFAULT_MODEL in capsys.readouterr().err


@pytest.fixture(scope="module")
def shipped(request):
    """A captioner that comes with the project, loaded once."""
    return load_captioner(request.param)


def assert_balanced(e):
    """All of a logit is told; in LSTMs most of it reaches words and image."""
    given = e.preceding_words.sum(1) + e.pixels.sum((1, 2, 3)) + e.lost.sum(1)
    np.testing.assert_allclose(given, e.logits, rtol=1e-3, atol=1e-3)
    if e.decoder_rules == "epsilon":  # the softmax of a Transformer keeps a part
        assert np.abs(e.lost).max() < 0.5 * np.abs(e.logits).max()


@pytest.mark.shipped
@pytest.mark.parametrize("shipped", SHIPPED, indirect=True)
def test_shipped_captioner_shares_out_its_logits(shipped):
    """Of its own caption; the next test goes down to the pixels."""
    image = render_scene(3).image
    (caption,) = shipped.caption([image], beam_size=2)
    assert_balanced(explain(shipped, image, "decoder_lrp", caption.text))


@pytest.mark.shipped
@pytest.mark.parametrize(
    "shipped", [n for n in SHIPPED if n.startswith("flickr8k")], indirect=True
)
def test_shipped_captioner_knows_a_dog(shared, shipped):
    """A dog glows where the dog is: twice the relevance of its box's area.

    Two of the captioners have the same encoder, which is explained once.
    """
    photo = shared / "data" / "flickr8k" / "images" / "3695064885_a6922f06b2.jpg"
    method = "decoder_lrp" if shipped.config.decoder == "grid_td" else "lrp"
    e = explain(shipped, photo, method, caption="a brown dog", words=["dog"])
    assert_balanced(e)
    heat = np.maximum(e.pixels[0].sum(-1), 0)
    height, width = heat.shape
    left, top, right, bottom = DOG_BOX
    rows = slice(round(top * height), round(bottom * height))
    columns = slice(round(left * width), round(right * width))
    share = heat[rows, columns].sum() / heat.sum()
    assert share > 2 * (right - left) * (bottom - top)


@pytest.mark.shipped
@pytest.mark.parametrize("shipped", ["scenes-adaptive-attention"], indirect=True)
def test_shipped_captioner_describes_scenes(shipped):
    """Most of what it says of unseen scenes is true."""
    scenes = [render_scene(scene_seed("test", index, 0)) for index in range(8)]
    features, _ = shipped.encode_each([scene.image for scene in scenes])
    captions = shipped.caption_features(features)
    said = [
        one
        for scene, caption in zip(scenes, captions, strict=True)
        for one in statements(caption.text, scene)
    ]
    assert len(said) > 16 and np.mean([one.is_true for one in said]) > 0.85
