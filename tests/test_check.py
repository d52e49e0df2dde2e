"""The check of a dataset: its counts and its complaints."""

import shutil

import pytest

from dataset import DATASETS, CaptionedImage, check, coco
from dataset.images import IMAGE_SIZE
from dataset.problems import LISTED, DatasetError, Problem, all_of
from dataset.scenes import render_scene, scene_seed
from dataset.scenes.other_layouts import write_like_coco2017, write_like_flickr30k

NUM_IMAGES = {"train": 4, "dev": 1, "test": 2}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Scenes in both layouts."""
    folder = tmp_path_factory.mktemp("rendered")
    return {
        "flickr30k": write_like_flickr30k(folder / "flickr30k", NUM_IMAGES),
        "coco2017": write_like_coco2017(folder / "coco2017", NUM_IMAGES),
    }


def run(name, folder, *more) -> int:
    return check.main(["--dataset", name, "--data-dir", str(folder), *more])


@pytest.mark.parametrize("name", ["flickr30k", "coco2017"])
def test_the_counts(folders, capsys, name):
    assert run(name, folders[name], "--objects", "--decode") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{name} in {folders[name]}"
    assert lines[1].split() == ["split", "images", "captions", "per", "image", "boxes"]
    for line, (split, number) in zip(lines[2:5], NUM_IMAGES.items(), strict=True):
        found = line.split()
        assert found[:4] == [split, str(number), str(5 * number), "5"]
        assert 2 * number <= int(found[4]) <= 4 * number
    seen = {"flickr30k": 3, "coco2017": 5}[name]
    assert f" are seen at least {seen} times in train; " in lines[5]
    assert "words on average; 0.00% are cut at 20 words" in lines[6]


def test_one_split(folders, capsys):
    assert run("flickr30k", folders["flickr30k"], "--splits", "dev", "dev") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[2].split() == ["dev", "1", "5", "5"]


@pytest.mark.parametrize("name", ["flickr30k", "coco2017"])
def test_everything_that_is_missing_is_listed(folders, tmp_path, capsys, name):
    assert run(name, tmp_path / "nowhere", "--objects") == 2
    output = capsys.readouterr().out
    first, *lines, last = output.splitlines()
    assert first == f"{name} cannot be used:"
    assert all(line.startswith("- ") and "http" in line for line in lines)
    assert len(lines) == len(set(lines)) == {"flickr30k": 6, "coco2017": 6}[name]
    assert last.endswith("dataset/README.md")


def test_all_missing_images_are_listed(folders, tmp_path, capsys):
    folder = shutil.copytree(folders["flickr30k"], tmp_path / "copy")
    names = [f"{number}.jpg\n" for number in range(LISTED + 7)]
    with (folder / "text/Flickr_30k.devImages.txt").open("a") as file:
        file.writelines(names)
    assert run("flickr30k", folder) == 2
    output = capsys.readouterr().out
    assert all(f"  {name.strip()}: no caption" in output for name in names)
    assert "more" not in output


def test_broken_images_and_images_in_two_splits(folders, tmp_path, capsys):
    folder = shutil.copytree(folders["flickr30k"], tmp_path / "copy")
    names = (folder / "text/Flickr_30k.trainImages.txt").read_text().split()
    (folder / "text/Flickr_30k.devImages.txt").write_text("\n".join(names[:2]))
    path = folder / "images" / names[3]
    path.write_bytes(path.read_bytes()[:2000])
    assert run("flickr30k", folder, "--decode") == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "- 2 images are both in train and in dev:"
    assert lines[4] == "- 1 of 8 images cannot be read; get them again:"
    assert lines[5].startswith(f"  {path}: the image is damaged")


def test_words_of_train():
    images = [
        coco.CaptionedImage(str(n), None, captions)
        for n, captions in enumerate([("A dog.", "a dog runs"), ("The dog sits",)])
    ]
    vocabulary, captions = check.describe_words(images, 2, 2)
    assert vocabulary == (
        "vocabulary: 2 of 5 words are seen at least 2 times in train; 37.50% of its "
        "text is of other words"
    )
    assert captions == (
        "captions of train: 2.7 words on average; 66.67% are cut at 2 words"
    )


def test_problems_are_collected_once():
    def fail(*problems):
        raise DatasetError(*problems)

    one, other = Problem("one", ("a", "b")), Problem("other")
    assert all_of(lambda: 1, lambda: 2) == [1, 2]
    with pytest.raises(DatasetError) as caught:
        all_of(
            lambda: fail(one), lambda: 1, lambda: fail(other, one), lambda: fail("x")
        )
    assert caught.value.problems == (one, other, Problem("x"))
    assert str(caught.value) == "one:\n    a\n    b\n  other\n  x"
    assert one.text(1).splitlines()[1:] == [
        "  a",
        "  ... and 1 more; python -m dataset.check lists all",
    ]


@pytest.mark.parametrize("name", ["flickr30k", "coco2017"])
def test_rendered_boxes_are_those_of_the_scenes(folders, name):
    """In whole pixels, and in Flickr30K only those that a caption names."""
    images = DATASETS[name].read(folders[name], "test", with_objects=True)
    for index, image in enumerate(images):
        scene = render_scene(scene_seed("test", index, 0))
        drawn = {o.box: o.kind for o in scene.objects}
        assert image.captions == scene.captions
        for object_ in image.objects:
            kind = drawn.pop(
                tuple(round(e * IMAGE_SIZE) / IMAGE_SIZE for e in object_.box)
            )
            assert object_.phrases[0].startswith(kind)
        assert name == "flickr30k" or not drawn


def test_rendering_keeps_what_is_there(folders, tmp_path):
    with pytest.raises(DatasetError, match="is not empty; expected a new or empty"):
        write_like_coco2017(folders["coco2017"], NUM_IMAGES)
    with pytest.raises(ValueError, match="num_images"):
        write_like_flickr30k(tmp_path, {"val": 1})
    assert list(tmp_path.iterdir()) == []


def test_scripts_without_blanks_are_told(tmp_path):
    captions = (
        *("a dog runs", "\u090f\u0915 \u0915\u0941\u0924\u094d\u0924\u093e"),
        *(
            "\u0e2a\u0e38\u0e19\u0e31\u0e02\u0e27\u0e34\u0e48\u0e07",
            "\u4e00\u53ea\u72d7",
        ),
    )
    images = [CaptionedImage("a", tmp_path / "a.jpg", captions)]
    *_, warning = check.describe_words(images, 1, 9)
    assert warning.startswith("WARNING: 2 of 4 captions of train are of a script that")
    images = [CaptionedImage("a", tmp_path / "a.jpg", captions[:2])]
    assert "WARNING" not in "".join(check.describe_words(images, 1, 9))
