"""Objects found in captions, and CHAIR by hand."""

from pathlib import Path

import numpy as np
import pytest

from dataset.coco import COCO2017
from dataset.records import CaptionedImage, ObjectBox
from dataset.scenes import SCENES, render_scene
from evaluation.chair import (
    chair_scores,
    mentioned_objects,
    object_lookup,
    shown_objects,
)

COCO = object_lookup(COCO2017.object_names)
BOX = (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Two men and three women", "person, person"),
        ("a crowd of people; their children", "person, person, person"),
        ("Firemen on a fire-truck's roof", "person, truck"),
        ("a hot dog beside a dog", "hot dog, dog"),
        ("two hot dogs, wine glasses", "hot dog, wine glass"),
        ("a baby elephant and a baby", "elephant, person"),
        ("a baby girl with mother bear", "person, bear"),
        ("an adult lion near a passenger train", "train"),
        ("a train on the train tracks", "train"),
        ("a pickup truck, a labrador retriever", "truck, dog"),
        ("a teddy bear, a bear and a stuffed animal", "teddy bear, bear, teddy bear"),
        ("a man's tie, the man\u2019s ties", "person, tie, person, tie"),
        ("a dirt bike and a bike", "motorcycle, bicycle"),
        ("puppies, geese, mice, knives, calves", "dog, bird, mouse, knife, cow"),
        ("benches, buses, sandwiches", "bench, bus, sandwich"),
        ("scissors, skis and a pair of ski", "scissors, skis, skis"),
        ("a shirt in orange and two oranges", "orange"),
        ("a cell phone in a phone booth", "cell phone"),
        ("", ""),
        ("sunset over the sea", ""),
    ],
)
def test_objects_are_found(caption, expected):
    assert ", ".join(mentioned_objects(caption, COCO)) == expected


def test_every_class_is_found_by_its_name():
    classes = COCO2017.object_names
    assert len(classes) == 80
    for name in classes:
        expected = [] if name == "orange" else [name]  # mostly a colour
        assert mentioned_objects(f"there is a {name}", COCO) == expected


def test_no_name_means_two_objects():
    names = [
        name.strip()
        for object_, synonyms in COCO2017.object_names.items()
        for name in (object_, *synonyms.split(","))
        if name.strip()
    ]
    assert len(names) == len(set(names))


def test_images_show_what_references_and_boxes_name():
    objects = (ObjectBox(("orange",), BOX), ObjectBox(("a man in red", "he"), BOX))
    image = CaptionedImage("1", Path("1.jpg"), ("a dog", "puppies run"), objects)
    assert shown_objects(image, COCO) == {"dog", "orange", "person"}


def test_scenes_show_their_own_objects():
    lookup = object_lookup(SCENES.object_names)
    scene = render_scene(5)
    kinds = {object_.kind for object_ in scene.objects}
    image = CaptionedImage("5", Path("5.jpg"), scene.captions)
    assert shown_objects(image, lookup) == kinds
    assert mentioned_objects("a red ball, two green boxes", lookup) == ["ball", "box"]


def test_chair_by_hand():
    """Every mention counts, and captions without objects do."""
    named = [["dog", "dog", "cat"], ["cat"], [], ["dog"]]
    shown = [{"dog"}, {"dog", "cat"}, {"dog"}, {"cat"}]
    scores = chair_scores(named, shown)
    assert scores["chair_i"]["mean"] == 2 / 5
    assert scores["chair_s"]["mean"] == 2 / 4
    assert scores["chair_i"]["num_objects"] == 5
    assert scores["chair_s"]["num_captions"] == 4
    low, high = scores["chair_s"]["interval"]
    assert 0 <= low < 0.5 < high <= 1


def test_chair_of_nothing_is_undefined():
    scores = chair_scores([[]], [{"dog"}])
    assert np.isnan(scores["chair_i"]["mean"])
    assert scores["chair_s"]["mean"] == 0
