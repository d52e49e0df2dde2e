"""Which words name which boxes: categories, phrases, plurals and compounds."""

import pytest

from dataset.records import ObjectBox
from evaluation.object_words import find_objects, singular

LIGHT_AND_SIGN = ["traffic light", "stop sign"]
BOX = (0.0, 0.1, 0.5, 0.9)


def find(caption, *phrases):
    """Returns the named places, and the indices of their boxes."""
    objects = [ObjectBox(p if isinstance(p, tuple) else (p,), BOX) for p in phrases]
    # equal boxes are told apart by identity
    ids = [id(object_) for object_ in objects]
    found = find_objects(caption.split(), objects)
    return {step: [ids.index(id(o)) for o in named] for step, named in found.items()}


@pytest.mark.parametrize(
    ("caption", "phrases", "expected"),
    [
        ("a dog runs", ["a brown dog"], {1: [0]}),
        ("two dogs and a dog", ["two dogs", "dog"], {1: [0, 1], 4: [0, 1]}),
        ("the people", [("a crowd", "some people"), "a person"], {1: [0, 1]}),
        ("a brown hat", ["a brown dog"], {}),
        ("a red ball", ["red", "a ball in red"], {}),
        ("another one", ["one", "another"], {}),
        ("a man and a taxi", ["person", "car"], {1: [0], 4: [1]}),
        ("a man", ["a person", "people"], {}),
        ("a bike on a table", ["bicycle", "dining table"], {1: [0], 4: [1]}),
        ("a dog eats", ["hot dog"], {}),
        ("two hot dogs", ["dog", "hot dog"], {2: [1]}),
        ("a traffic light", ["traffic light", "person"], {2: [0]}),
        ("the fire hydrants", ["fire hydrant"], {2: [0]}),
        ("a red stop sign by traffic lights", LIGHT_AND_SIGN, {3: [1], 6: [0]}),
        ("a teddy bear", ["bear", "teddy bear", "the teddy bears"], {2: [1, 2]}),
        ("two bears", ["bear", "teddy bear"], {1: [0, 1]}),
        ("a baseball bat", ["baseball bat", "baseball glove"], {2: [0]}),
        ("a small ball", [("ball", "balls", "small red ball")], {2: [0]}),
        ("a ball", ["", "..."], {}),
        ("", ["ball"], {}),
    ],
)
def test_words_name_boxes(caption, phrases, expected):
    assert find(caption, *phrases) == expected


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("dogs", "dog"),
        ("boxes", "box"),
        ("benches", "bench"),
        ("dishes", "dish"),
        ("glasses", "glass"),
        ("houses", "house"),
        ("shoes", "shoe"),
        ("puppies", "puppy"),
        ("ties", "tie"),
        ("buses", "bus"),
        ("firemen", "fireman"),
        ("people", "person"),
        ("dress", "dress"),
        ("bus", "bus"),
        ("tennis", "tennis"),
        ("sheep", "sheep"),
        ("", ""),
    ],
)
def test_singular(plural, expected):
    assert singular(plural) == expected
    assert singular(expected) == expected
