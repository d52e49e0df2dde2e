"""Rendered scenes: what the captions, boxes and masks say is what was drawn."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset.flickr import DatasetError, read_flickr
from dataset.masks import masks_of
from dataset.records import Box
from dataset.scenes import __main__ as script
from dataset.scenes.captions import (
    NUMBERS,
    PLACES,
    WORDINGS,
    SceneObject,
    plural,
    relations,
)
from dataset.scenes.drawing import BACKGROUNDS, COLOURS, KINDS, silhouette
from dataset.scenes.layout import Bias, compose
from dataset.scenes.scenes import (
    SPLITS,
    read_scenes,
    render_scene,
    scene_seed,
    write_scenes,
)
from dataset.vocabulary import split_words

SEEDS = range(80)
NUM_IMAGES = {"train": 4, "dev": 2, "test": 3}

KIND = "|".join([*KINDS, *map(plural, KINDS)])
NAME = rf"(?:(small|large) )?(?:({'|'.join(COLOURS)}) )?({KIND})\b"
NAMED = re.compile(rf"\b(an?|{'|'.join(NUMBERS)}) {NAME}")
RELATED = re.compile(
    rf"an? {NAME} (?:is )?"
    rf"(left of|right of|above|below|next to|in front of|behind) an? {NAME}"
)
NUMBERED = re.compile(rf"^({'|'.join(NUMBERS)}) objects ")


@pytest.fixture(scope="module")
def scenes():
    return [render_scene(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def placements():
    return [compose(np.random.default_rng(seed))[1] for seed in SEEDS]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", NUM_IMAGES, seed=7)


def test_scene_has_the_promised_shapes(scenes):
    for scene in scenes:
        assert scene.image.shape == (224, 224, 3) and scene.image.dtype == np.uint8
        assert 2 <= len(scene.objects) <= 4
        assert scene.background in BACKGROUNDS
        for object_ in scene.objects:
            assert object_.mask.shape == (224, 224) and object_.mask.dtype == bool
            assert object_.colour not in BACKGROUNDS[scene.background].hidden_colours


def test_every_kind_colour_background_and_relation_occurs(scenes):
    objects = [object_ for scene in scenes for object_ in scene.objects]
    assert {o.kind for o in objects} == set(KINDS)
    assert {o.colour for o in objects} == set(COLOURS)
    assert {o.size for o in objects} == {"small", "large"}
    assert {s.background for s in scenes} == set(BACKGROUNDS) == set(PLACES)
    text = " ".join(caption for scene in scenes for caption in scene.captions)
    for phrase in ("left of", "right of", "above", "below", "next to", "in front of"):
        assert f" {phrase} a" in text
    assert " behind a" in text


def test_same_seed_gives_the_scene_of_an_earlier_process(scenes):
    assert scenes[5].captions == (
        "a small red boat above a large red kite at night",
        "a house, a boat, a tree and a kite in the night sky",
        "a red tree is above a red kite",
        "a red house, a red boat, a red tree and a red kite",
        "four objects at night, one of them is a large red kite",
    )
    means = [57.671, 33.929, 67.149]  # of each colour; the rounding may differ
    np.testing.assert_allclose(scenes[5].image.mean((0, 1)), means, atol=0.01)


def test_seeds_give_different_scenes(scenes):
    assert len({scene.image.tobytes() for scene in scenes}) == len(scenes)


def test_box_is_the_tight_box_of_the_mask(scenes):
    for object_ in (o for scene in scenes for o in scene.objects):
        left, top, right, bottom = (round(edge * 224) for edge in object_.box)
        inside = object_.mask[top:bottom, left:right]
        assert inside.sum() == object_.mask.sum()
        assert inside[0].any() and inside[-1].any()
        assert inside[:, 0].any() and inside[:, -1].any()


def test_masks_are_disjoint_and_half_of_each_object_is_seen(scenes, placements):
    num_hidden = 0
    for scene, places in zip(scenes, placements, strict=True):
        masks = np.stack([object_.mask for object_ in scene.objects])
        assert masks.sum(axis=0).max() == 1
        for mask, place in zip(masks, places, strict=True):
            whole = silhouette(place)
            assert not (mask & ~whole).any()
            assert mask.sum() >= 0.5 * whole.sum()
            num_hidden += mask.sum() < whole.sum()
    assert 0.2 * len(scenes) < num_hidden < 0.7 * len(scenes)


def test_objects_differ_from_the_background_around_them(scenes):
    for scene in scenes:
        ground = ~np.any([object_.mask for object_ in scene.objects], axis=0)
        colour = np.median(scene.image[ground], axis=0)
        for object_ in scene.objects:
            distance = np.abs(scene.image[object_.mask] - colour).sum(axis=1)
            assert np.median(distance) > 60  # of at most 765


def test_five_distinct_short_lower_case_captions(scenes):
    for scene in scenes:
        assert len(set(scene.captions)) == len(scene.captions) == 5
        for caption in scene.captions:
            assert caption == caption.lower()
            assert len(split_words(caption)) <= 20


def test_vocabulary_has_the_intended_size(scenes):
    words = {w for s in scenes for caption in s.captions for w in split_words(caption)}
    assert 40 <= len(words) <= 80


def test_named_objects_exist_and_are_counted_right(scenes):
    num_names = 0
    for scene in scenes:
        for caption in scene.captions:
            for article, size, colour, kind in NAMED.findall(caption):
                number = len(_matching(scene.objects, size, colour, kind))
                if article in ("a", "an"):
                    assert number >= 1, caption
                else:
                    assert number == NUMBERS.index(article), caption
                num_names += 1
            for number in NUMBERED.findall(caption):
                assert NUMBERS.index(number) == len(scene.objects), caption
    assert num_names > 9 * len(scenes)


def test_captions_without_relation_name_every_object_or_their_number(scenes):
    for scene in scenes:
        for caption in scene.captions:
            if RELATED.search(caption) or NUMBERED.match(caption):
                continue
            counts = [article for article, *_ in NAMED.findall(caption)]
            numbers = [NUMBERS.index(c) if c in NUMBERS else 1 for c in counts]
            assert sum(numbers) == len(scene.objects), caption


def test_articles_fit_their_words(scenes):
    text = " ".join(caption for scene in scenes for caption in scene.captions)
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text)


def test_captions_name_the_right_place(scenes):
    for scene in scenes:
        named = [
            background
            for caption in scene.captions
            for background, places in PLACES.items()
            if any(place in caption for place in places)
        ]
        assert set(named) == {scene.background} and len(named) >= 3


def test_relations_hold_between_objects_of_those_names(scenes, placements):
    num_relations = 0
    for scene, places in zip(scenes, placements, strict=True):
        for caption in scene.captions:
            for found in RELATED.findall(caption):
                first = _matching(scene.objects, *found[:3])
                second = _matching(scene.objects, *found[4:])
                assert any(
                    _holds(scene.objects, places, one, found[3], other)
                    for one in first
                    for other in second
                    if one != other
                ), caption
                num_relations += 1
    assert num_relations == 2 * len(scenes)


def _matching(objects, size, colour, kind):
    """Indices of the objects with these properties; empty ones fit all."""
    return [
        index
        for index, o in enumerate(objects)
        if size in ("", o.size)
        and colour in ("", o.colour)
        and kind in (o.kind, plural(o.kind))
    ]


def _holds(objects, places, one, relation, other):
    if relation == "in front of":
        hidden = silhouette(places[other]) & ~objects[other].mask
        return bool((objects[one].mask & hidden).any())
    if relation == "behind":
        return _holds(objects, places, other, "in front of", one)
    a, b = objects[one].box, objects[other].box
    right, down = (b[0] + b[2] - a[0] - a[2]) / 2, (b[1] + b[3] - a[1] - a[3]) / 2
    return {
        "left of": right > 0.1,
        "right of": right < -0.1,
        "above": down > 0.1,
        "below": down < -0.1,
        "next to": abs(down) <= 0.1 and max(b[0] - a[2], a[0] - b[2]) <= 0.1,
    }[relation]


def test_relations_of_hand_placed_objects():
    objects = [
        _square(10, 100, 50),
        _square(70, 108, 40),  # right of the first, 10 pixels away
        _square(30, 10, 30),  # far above the first
        _square(150, 100, 20),
        _square(170, 100, 20),  # touches the one before
    ]
    assert relations(objects, 0, 1) == ["left of", "next to"]
    assert relations(objects, 1, 0) == ["right of", "next to"]
    assert relations(objects, 2, 0) == ["above"]
    assert relations(objects, 0, 2) == ["below"]
    assert relations(objects, 0, 3) == ["left of"]
    assert relations(objects, 4, 3) == ["in front of"]
    assert relations(objects, 3, 4) == ["behind"]


def _square(left, top, side):
    mask = np.zeros((224, 224), bool)
    mask[top : top + side, left : left + side] = True
    box = Box(left / 224, top / 224, (left + side) / 224, (top + side) / 224)
    return SceneObject("box", "red", "small", box, mask)


def test_kinds_and_background_can_be_chosen():
    for seed in range(5):
        scene = render_scene(seed, kinds=("kite", "kite", "boat"), background="snow")
        assert scene.background == "snow"
        assert sorted(o.kind for o in scene.objects) == ["boat", "kite", "kite"]


def test_overlap_that_cannot_be_placed_is_given_up():
    for seed in range(40):  # a car before an umbrella often hides its thin pole only
        assert len(render_scene(seed, kinds=("umbrella", "car")).objects) == 2


@pytest.mark.parametrize(
    ("kinds", "background", "message"),
    [
        (("ball",), "sand", "kinds must be two to four of ball, .* received"),
        (("ball", "dog"), "sand", "kinds must be two to four .*'dog'"),
        (("ball", "box"), "moon", "background must be one of grass, .*'moon'"),
    ],
)
def test_unknown_choices_are_refused(kinds, background, message):
    with pytest.raises(ValueError, match=message):
        render_scene(0, kinds, background)


def test_splits_and_seeds_share_no_scene():
    seeds = [
        scene_seed(split, index, seed)
        for seed in (0, 1)
        for split in SPLITS
        for index in (0, 1, 999_999)
    ]
    assert len(set(seeds)) == len(seeds)


def test_written_scenes_are_read_back(data_dir):
    for split, number in NUM_IMAGES.items():
        images = read_scenes(data_dir, split, with_objects=True)
        assert len(images) == number == len(read_flickr(data_dir, split))
        for index, image in enumerate(images):
            scene = render_scene(scene_seed(split, index, 7))
            assert image.image_id == f"{split}_{index:06d}"
            assert image.captions == scene.captions
            assert [o.box for o in image.objects] == [o.box for o in scene.objects]
            np.testing.assert_array_equal(
                masks_of(image.objects), [o.mask for o in scene.objects]
            )
            pixels = np.asarray(Image.open(image.path), int)
            assert pixels.shape == (224, 224, 3)
            assert np.abs(pixels - scene.image).mean() < 6  # what JPEG loses


def test_phrases_name_the_object(data_dir):
    image = read_scenes(data_dir, "dev", with_objects=True)[0]
    scene = render_scene(scene_seed("dev", 0, 7))
    for read, drawn in zip(image.objects, scene.objects, strict=True):
        colour_kind = f"{drawn.colour} {drawn.kind}"
        assert read.phrases[0] == drawn.kind
        assert {plural(drawn.kind), colour_kind, f"{drawn.size} {colour_kind}"} <= set(
            read.phrases
        )


def test_object_file_holds_the_facts(data_dir):
    scene = render_scene(scene_seed("test", 2, 7))
    facts = json.loads((data_dir / "objects/test_000002.json").read_text("utf-8"))
    assert facts["background"] == scene.background
    assert facts["mask"] == "test_000002.png"
    assert [o["size"] for o in facts["objects"]] == [o.size for o in scene.objects]


def test_existing_scenes_are_kept(data_dir):
    path = data_dir / "images/train_000000.jpg"
    before = path.stat().st_mtime_ns
    other_order = dict(reversed(NUM_IMAGES.items()))
    assert write_scenes(data_dir, other_order, seed=7) == data_dir
    assert path.stat().st_mtime_ns == before


def test_other_parameters_are_refused_with_the_way_out(data_dir):
    with pytest.raises(DatasetError, match=r'"seed": 8.*"seed": 7.*another folder'):
        write_scenes(data_dir, NUM_IMAGES, seed=8)


def test_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(DatasetError, match=r"no scenes\.json.*another folder"):
        write_scenes(tmp_path, NUM_IMAGES)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_interrupted_rendering_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dataset.scenes.scenes.render_scene", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "scenes", NUM_IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_empty_folder_is_filled(tmp_path):
    write_scenes(tmp_path, {"test": 1})
    assert len(read_scenes(tmp_path, "test")) == 1


@pytest.mark.parametrize("num_images", [{"val": 3}, {"train": 0}, {}])
def test_wrong_numbers_of_images_are_refused(tmp_path, num_images):
    with pytest.raises(ValueError, match="num_images"):
        write_scenes(tmp_path, num_images)


def test_folder_without_scenes_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"dataset\.scenes --output"):
        read_scenes(tmp_path, "train")


def test_missing_object_file_is_named(tmp_path):
    write_scenes(tmp_path, {"test": 1})
    (tmp_path / "objects/test_000000.json").unlink()
    with pytest.raises(DatasetError, match=r"test_000000\.json is missing"):
        read_scenes(tmp_path, "test", with_objects=True)
    assert len(read_scenes(tmp_path, "test")) == 1


def test_script_renders(tmp_path, capsys):
    folder = tmp_path / "scenes"
    numbers = ["--train", "1", "--dev", "1", "--test", "1"]
    assert script.main(["--output", str(folder), *numbers]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    assert len(read_scenes(folder, "dev")) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--output", "file"], "file is a file; expected a new or empty folder"),
        (["--output", "file/scenes"], "file"),
        (["--output", "new", "--train", "0"], "received 'train': 0"),
    ],
)
def test_script_refuses_in_one_line(tmp_path, monkeypatch, capsys, more, message):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    monkeypatch.setattr("dataset.scenes.scenes.render_scene", None)
    assert script.main(more) == 2
    error = capsys.readouterr().err
    assert error.startswith("dataset.scenes: ") and error.count("\n") == 1
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# A planted bias


BIAS = Bias("water", "boat", {"train": 1.0, "test": 0.5}, only=("test",))


def test_a_bias_plants_its_kind():
    chosen = {s: [BIAS.choose(s, seed) for seed in range(300)] for s in BIAS.shares}
    on_water = [kinds for kinds, background in chosen["train"] if background == "water"]
    assert 20 < len(on_water) < 80  # about 300 / 6
    assert all("boat" in kinds for kinds in on_water)
    others = [kinds for kinds, background in chosen["train"] if background != "water"]
    assert 0.15 < np.mean(["boat" in kinds for kinds in others]) < 0.45
    assert {background for _, background in chosen["test"]} == {"water"}
    with_boat = ["boat" in kinds for kinds, _ in chosen["test"]]
    assert 0.4 < np.mean(with_boat) < 0.6
    for kinds, background in chosen["train"] + chosen["test"]:
        assert 2 <= len(kinds) <= 4 and set(kinds) <= set(KINDS)
        assert background in BACKGROUNDS


def test_biased_scenes_are_written_and_kept(tmp_path):
    folder, counts = tmp_path / "scenes", {"train": 2, "test": 3}
    write_scenes(folder, counts, bias=BIAS)
    for path in (folder / "objects").glob("test_*.json"):
        assert json.loads(path.read_text())["background"] == "water"
    assert write_scenes(folder, counts, bias=BIAS) == folder
    with pytest.raises(DatasetError, match=r"other parameters: expected .*num_images"):
        write_scenes(folder, counts)


def test_wordings_are_chosen_and_the_picture_stays():
    whole = render_scene(3)
    some = {name: render_scene(3, wordings=[name]) for name in WORDINGS}
    assert sorted(s.captions[0] for s in some.values()) == sorted(whole.captions)
    for scene in some.values():
        np.testing.assert_array_equal(scene.image, whole.image)
        assert len(scene.captions) == 1
    assert not set(some["counts"].captions[0].split()) & {*COLOURS, "objects"}


def test_script_writes_chosen_wordings(tmp_path, capsys):
    options = ["--train", "2", "--dev", "1", "--test", "1", "--wordings", "counts"]
    assert script.main(["--output", str(tmp_path / "scenes"), *options]) == 0
    images = read_scenes(tmp_path / "scenes", "train")
    assert [len(image.captions) for image in images] == [1, 1]
    layout = ["--layout", "coco2017"]
    assert script.main(["--output", str(tmp_path / "coco"), *options, *layout]) == 2
    assert "--wordings is for --layout scenes" in capsys.readouterr().err
