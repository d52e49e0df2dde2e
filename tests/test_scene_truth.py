"""Statements about scenes: those of their own captions are true, others by hand."""

import itertools
import json

import numpy as np
import pytest

from dataset.records import Box
from dataset.scenes import render_scene, scene_seed
from dataset.scenes.captions import SceneObject
from dataset.scenes.scenes import Scene
from dataset.scenes.truth import main, statements


def draw(kind: str, colour: str, size: str, left: int) -> SceneObject:
    """An object of 20x20 pixels in the middle row."""
    mask = np.zeros((224, 224), bool)
    mask[100:120, left : left + 20] = True
    box = Box(left / 224, 100 / 224, (left + 20) / 224, 120 / 224)
    return SceneObject(kind, colour, size, box, mask)


SCENE = Scene(
    np.zeros((224, 224, 3), "uint8"),
    (),
    "grass",
    (draw("ball", "red", "small", 10), draw("box", "blue", "large", 150)),
)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a red ball", "object+ colour+"),
        ("a blue ball", "object+ colour-"),
        ("a cup on the sand", "object- place-"),
        ("a large red ball on the lawn", "object+ colour+ size- place+"),
        (
            "a red ball is left of a blue box",
            "object+ colour+ object+ colour+ relation+",
        ),
        ("a ball right of a box", "object+ object+ relation-"),
        ("a ball next to a box", "object+ object+ relation-"),
        ("two boxes", "object+ number-"),
        ("two objects on the grass", "number+ place+"),
        ("three objects", "number-"),
        ("a red ball and a red ball", "object+ colour+ object+ colour+ number-"),
        ("on the of and", ""),
    ],
)
def test_statements_by_hand(caption, expected):
    found = [f"{one.about}{'-+'[one.is_true]}" for one in statements(caption, SCENE)]
    assert found == expected.split()


def test_a_scenes_own_captions_are_true():
    """All kinds of statements occur, and another scene's captions are mostly wrong."""
    scenes = [render_scene(seed) for seed in range(40)]
    own = [one for s in scenes for text in s.captions for one in statements(text, s)]
    assert all(one.is_true for one in own)
    kinds = {"object", "colour", "size", "number", "relation", "place"}
    assert {one.about for one in own} == kinds
    pairs = itertools.pairwise(scenes)
    others = [
        one for a, b in pairs for text in a.captions for one in statements(text, b)
    ]
    assert np.mean([one.is_true for one in others]) < 0.5


def test_the_script_counts(tmp_path, capsys):
    path = tmp_path / "captions.json"
    scene = render_scene(scene_seed("dev", 12, 0))
    kind = scene.objects[0].kind
    entries = [{"image_id": "dev_000012", "caption": f"a {kind} and a zebra"}]
    path.write_text(json.dumps(entries))
    assert main(["--captions", str(path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["object", "1", "of", "1", "true,", "1.000"],
        ["whole", "caption", "1", "of", "1", "true,", "1.000"],
    ]
    path.write_text(json.dumps([{"image_id": "3", "caption": "a ball"}]))
    assert main(["--captions", str(path)]) == 2
    assert "'3' is no rendered scene" in capsys.readouterr().err
