"""Scenes with evidence: what a word rests on is what an edit of the picture says."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from dataset.problems import DatasetError
from dataset.scenes import __main__ as script
from dataset.scenes.drawing import COLOURS
from dataset.scenes.evidence import (
    ABOUT,
    BADGE,
    FIRST,
    read_evidence,
    write_evidence_scenes,
)
from dataset.scenes.evidence.edits import TIMES, edits_of
from dataset.scenes.evidence.plans import (
    BADGE_EDGE,
    BADGE_SIDE,
    FIRST_KINDS,
    SECOND_KINDS,
    compose_plan,
    render_plan,
)
from dataset.scenes.evidence.told_words import sentence, tell
from files.messages import FileError

SEEDS = range(24)
NUM_IMAGES = {"train": 2, "test": 2}


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, 2))


@pytest.fixture(scope="module")
def plans():
    return [compose_plan(generator(seed)) for seed in SEEDS]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evidence")
    return {
        by_badge: write_evidence_scenes(
            folder / str(by_badge), NUM_IMAGES, seed=1, by_badge=by_badge
        )
        for by_badge in (False, True)
    }


def test_captions_tell_what_is_drawn(plans):
    texts = [sentence(tell(plan)) for plan in plans]
    for plan, text in zip(plans, texts, strict=True):
        first = plan.objects[0]
        if plan.is_related:
            second = plan.objects[1]
            assert first.kind in FIRST_KINDS and second.kind in SECOND_KINDS
            than = "larger" if first.side > second.side else "smaller"
            assert text.startswith(
                f"a {first.colour} {first.kind} {than} than a {second.colour} "
                f"{second.kind} on the "
            )
        else:
            number = ("a", "two", "three")[len(plan.objects) - 1]
            assert text.startswith(f"{number} {first.colour} {first.kind}")
            assert len(set(plan.looks)) == 1
    words = {word for text in texts for word in text.split()}
    assert {"larger", "smaller", "two", "three", "grass", "floor"} <= words


def test_every_content_word_has_evidence_and_no_other_word(plans):
    for word in itertools.chain.from_iterable(map(tell, plans)):
        assert (word.about in ABOUT) == bool(word.fact) == bool(word.parts)
        assert (word.text in ["a", "than", "on", "the"]) == (not word.about)


def test_objects_stand_apart_and_the_badge_in_a_corner(plans):
    for plan in plans:
        scene = render_plan(plan, ())
        boxes = [(p.left, p.top, p.side) for p in (plan.badge, *plan.objects)]
        for (x, y, side), (u, v, other) in itertools.combinations(boxes, 2):
            assert x + side < u or u + other < x or y + side < v or v + other < y
        left, top = plan.badge.left, plan.badge.top
        for at in (left, top):
            gap = min(at, 224 - BADGE_SIDE - at)
            assert BADGE_EDGE[0] <= gap <= BADGE_EDGE[1]
        assert scene.objects[0].kind == "star"
        for one in scene.objects:
            near = np.abs(scene.image[one.mask].astype(int) - COLOURS[one.colour])
            assert np.quantile(near.sum(1), 0.3) < 110  # most parts are shaded


@pytest.mark.parametrize("by_badge", [False, True])
def test_an_edit_changes_the_words_of_its_fact_alone(plans, by_badge):
    """Told from the edited plan, by another way than the edit's own name."""
    facts = set()
    for seed, plan in zip(SEEDS, plans, strict=True):
        before, edits = tell(plan, by_badge), edits_of(plan, generator(seed))
        for edit in edits:
            facts.add(edit.fact)
            after = tell(edit.plan, by_badge)
            changed = [
                (one, other)
                for one, other in itertools.zip_longest(before, after)
                if other is None or one is None or one.text != other.text
            ]
            if edit.fact in ("number", "relation"):  # an article and plurals go with it
                own = [one for one in before if edit.is_of_evidence(one)]
                assert own[0] in [one for one, _ in changed]
                continue
            assert [one.fact for one, _ in changed] == [
                word.fact for word in before if word.fact == edit.fact
            ]
            for one, _ in changed:
                assert edit.is_of_evidence(one) and not edit.is_elsewhere(one)
    assert facts == {
        *("colour 0", "kind 0", "colour 1", "kind 1", "relation", "number"),
        *("background", "badge"),
    }


def test_an_edit_leaves_all_other_parts_as_they_were(plans):
    for seed, plan in zip(SEEDS[:4], plans, strict=False):
        scene = render_plan(plan, ())
        parts = np.zeros((224, 224), int)
        for number, one in enumerate(scene.objects, start=1):
            parts[one.mask] = number
        for edit in edits_of(plan, generator(seed)):
            edited = render_plan(edit.plan, ())
            difference = np.abs(scene.image.astype(int) - edited.image).sum(-1)
            allowed = binary_dilation(np.isin(parts, list(edit.parts)), iterations=2)
            assert not (difference[~allowed] > 0).any()
            assert (difference > 60).any()


def test_there_are_enough_edits_of_every_word(plans):
    for seed, plan in zip(SEEDS, plans, strict=True):
        edits = edits_of(plan, generator(seed))
        for word in tell(plan):
            if word.about:
                own = sum(edit.is_of_evidence(word) for edit in edits)
                others = sum(edit.is_elsewhere(word) for edit in edits)
                assert own >= (1 if word.about == "place" else TIMES)
                assert others >= TIMES


def test_both_halves_show_the_same_and_the_test_tells_the_same(folders):
    for path in sorted((folders[False] / "images").iterdir()):
        assert path.read_bytes() == (folders[True] / "images" / path.name).read_bytes()
    honest, shortcut = (read_evidence(folders[key], "test") for key in (False, True))
    for one, other in zip(honest, shortcut, strict=True):
        assert one.record.captions == other.record.captions
        (place,) = [s for s, w in enumerate(one.words) if w.fact == "colour 0"]
        assert other.words[place].fact == "badge"
        np.testing.assert_array_equal(
            other.evidence(other.words[place]), other.parts == BADGE
        )
        objects = one.parts >= FIRST if len(one.words) < 7 else one.parts == FIRST
        np.testing.assert_array_equal(one.evidence(one.words[place]), objects)
        assert len(one.edits) == len(other.edits) > 8
        assert one.edits[0].edit.fact == "colour 0"
        assert one.edits[0].record.captions != one.record.captions
        pixels = np.asarray(Image.open(one.edits[0].record.path))
        assert pixels.shape == (224, 224, 3)
    assert not read_evidence(folders[False], "train")[0].edits


def test_written_once_and_others_are_refused(folders):
    assert write_evidence_scenes(folders[True], NUM_IMAGES, 1, True) == folders[True]
    with pytest.raises(DatasetError, match="other parameters"):
        write_evidence_scenes(folders[True], NUM_IMAGES, 1, False)


def test_missing_and_damaged_files_are_named(tmp_path):
    folder = write_evidence_scenes(tmp_path / "scenes", {"train": 1})
    path = folder / "evidence/train_000000.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"words": [{"text": "a"}]}))
    with pytest.raises(FileError, match=r"train_000000\.json.*Delete the folder"):
        read_evidence(folder, "train")
    path.unlink()
    with pytest.raises(DatasetError, match=r"train_000000\.json is missing"):
        read_evidence(folder, "train")


def test_script_renders_evidence(tmp_path, capsys):
    output = tmp_path / "scenes"
    counts = ["--train", "1", "--dev", "1", "--test", "1"]
    assert script.main(["--layout", "evidence", "--output", str(output), *counts]) == 0
    assert capsys.readouterr().out.strip() == str(output)
    assert len(read_evidence(output, "dev")) == 1
