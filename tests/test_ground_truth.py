"""The benchmark with ground truth: its checks, its scores, and the whole command."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.records import CaptionedImage
from dataset.scenes.evidence import EditedImage, EvidenceScene, ToldWord
from dataset.scenes.evidence.edits import Edit
from evaluation.localization import CHANCE
from experiments.ground_truth import __main__ as script
from experiments.ground_truth import checks
from experiments.ground_truth.checks import check_words, summarize_checks
from experiments.ground_truth.scores import score_word
from experiments.ground_truth.tables import summarize, tables

WORDS = (
    ToldWord("a"),
    ToldWord("red", "colour", "colour 0", frozenset([2])),
    ToldWord("ball", "object", "kind 0", frozenset([2])),
    ToldWord("on"),
    ToldWord("grass", "place", "background", frozenset([0])),
)
PARTS = np.array([[1, 0, 0, 0], [0, 2, 2, 0], [0, 2, 2, 0], [0, 0, 0, 0]])
EDITS = (
    ("colour 0", (2,)),
    ("colour 0", (2,)),
    ("kind 0", (0, 2)),
    ("background", (0,)),
    ("badge", (1,)),
    ("badge", (1,)),
)


def scene_of(name: str, words=WORDS) -> EvidenceScene:
    record = CaptionedImage(name, None, (" ".join(word.text for word in words),))
    edits = tuple(
        EditedImage(Edit(fact, frozenset(parts)), record) for fact, parts in EDITS
    )
    return EvidenceScene(record, words, PARTS, edits)


@pytest.fixture
def stub(monkeypatch):
    """A captioner that says what a table has: (rows of both scenes, T)."""

    def make(says: np.ndarray) -> SimpleNamespace:
        def predict(captioner, frozen, tokens, count):
            rows = np.minimum(np.arange(count), len(frozen) - 1)
            return says[frozen[rows]]

        monkeypatch.setattr(checks, "predict_words", predict)
        monkeypatch.setattr(
            checks,
            "encode_images",
            lambda captioner, images, cache: SimpleNamespace(
                features=np.arange(len(images))
            ),
        )
        return SimpleNamespace(read_text=lambda text: np.arange(5))

    return make


def test_words_that_change_with_their_evidence_alone_rest_on_it(stub):
    says = np.tile(np.arange(5), (14, 1))  # 1 + 6 pictures of each scene
    says[[1, 2], 1] = 9  # both other colours change "red" ...
    says[3, 1] = 9  # ... another kind too, which is no edit elsewhere
    says[3, 2] = 9
    says[4, 4] = 9
    says[8, 1] = 9  # in the second scene one of two other colours does
    says[10, 2] = 9
    says[12, 2] = 9  # the badge changes "ball"
    says[7, 4] = 9  # "grass" is wrong
    found = check_words(stub(says), [scene_of("one"), scene_of("two")], None)
    assert [scene["image_id"] for scene in found] == ["one", "two"]
    red, ball, grass = found[0]["words"]
    assert [word["step"] for word in found[0]["words"]] == [1, 2, 4]
    assert red == {
        **{"step": 1, "word": "red", "about": "colour", "is_right": True},
        **{"changed": 1.0, "stayed": 1.0, "rests": True},
    }
    assert ball["rests"] and grass["rests"] and grass["stayed"] == 1.0
    red, ball, grass = found[1]["words"]
    assert (red["changed"], red["stayed"], red["rests"]) == (0.5, 1.0, False)
    assert (ball["changed"], ball["stayed"]) == (1.0, 2 / 3)
    assert not (ball["rests"] or grass["is_right"] or grass["rests"])
    summary = summarize_checks(found)
    assert summary["colour"]["changed"] == 0.75 and summary["colour"]["rests"] == 0.5
    assert summary["place"] == {
        **{"words": 2, "right": 0.5, "changed": 1.0, "stayed": 1.0, "rests": 1.0}
    }
    assert list(summary) == ["colour", "object", "place"]


def test_a_word_without_an_edit_of_its_evidence_does_not_rest_on_it(stub):
    scene = scene_of("one")
    scene = dataclasses.replace(scene, edits=scene.edits[3:])
    says = np.tile(np.arange(5), (4, 1))
    red = check_words(stub(says), [scene], None)[0]["words"][0]
    assert red["changed"] is None and red["stayed"] == 1.0 and not red["rests"]


def heat(**at: float) -> np.ndarray:
    """Signed relevance (4, 4, 3) with values at pixels named by row and column."""
    found = np.full((4, 4, 3), -1.0)
    for place, value in at.items():
        found[int(place[1]), int(place[2])] = value
    return found


def test_scores_by_hand():
    """Evidence of four pixels, the badge of one."""
    maps = {"lrp": heat(p11=3.0, p12=1.0, p00=4.0), "attention": heat(p33=1.0)}
    found = score_word(scene_of("one"), 1, maps)
    assert found["lrp"] == {
        **{"mass": 0.5, "rank": 2 / 4 + 1 / 4 * 2 / 13, "pointing": 0.0},
        **{"other_mass": 0.5, "is_shown": 0.0},
    }
    share = {"mass": 4 / 16, "rank": 4 / 16, "pointing": 4 / 16}
    assert found[CHANCE] == share | {"other_mass": 1 / 16, "is_shown": 0.5}
    place = score_word(scene_of("one"), 4, maps)
    assert set(place["attention"]) == {"mass", "rank", "pointing"}
    assert place["attention"]["mass"] == 1.0
    assert place[CHANCE]["mass"] == 11 / 16


def test_of_a_shortcut_the_badge_is_the_evidence():
    by_badge = ToldWord("red", "colour", "badge", frozenset([1]))
    scene = scene_of("one", (WORDS[0], by_badge, *WORDS[2:]))
    found = score_word(scene, 1, {"lrp": heat(p11=3.0, p12=1.0, p00=4.0)})
    assert (found["lrp"]["mass"], found["lrp"]["other_mass"]) == (0.5, 0.5)
    assert found["lrp"]["is_shown"] == 1.0 and found["lrp"]["pointing"] == 1.0
    assert (found[CHANCE]["mass"], found[CHANCE]["other_mass"]) == (1 / 16, 4 / 16)


def test_tables_have_chance_and_intervals():
    scores = score_word(scene_of("one"), 1, {"lrp": heat(p11=3.0, p00=1.0)})
    word = {"step": 1, "word": "red", "about": "colour", "scores": scores}
    records = [{"image_id": str(n), "caption": "", "words": [word]} for n in range(3)]
    records.append({"image_id": "3", "caption": "", "words": []})
    summary = summarize(records)
    assert list(summary) == ["colour", "first colour"]
    checked = {"colour": dict.fromkeys(("right", "changed", "stayed", "rests"), 1.0)}
    checked["colour"]["words"] = 3
    found = list(tables({"one": checked}, {"one": summary, "two": {}}))
    assert "| one | colour | 3 | 1.000 | 1.000 | 1.000 | 1.000 |" in found[0]
    assert "| lrp | 0.750 [0.750, 0.750] |" in found[1]
    assert "| chance | 0.250 [0.250, 0.250] |" in found[1]
    assert "| one | lrp | 0.750 [0.750, 0.750] | 0.250 [0.250, 0.250] |" in found[-1]


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_the_command_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    """No word of an untrained captioner is right; all are scored nevertheless."""
    calls = []

    def all_rest(*arguments):
        found = check_words(*arguments)
        for word in (word for scene in found for word in scene["words"]):
            word["rests"] = True
        calls.append("check")
        return found

    def killed(*arguments):
        raise ValueError("killed")

    arguments = ["--output", str(tmp_path), "--size", "small"]
    arguments += ["--encoder-weights", "none", "--decoders", "adaptive_attention"]
    monkeypatch.setattr(script, "check_words", all_rest)
    score_scenes = script.score_scenes
    monkeypatch.setattr(script, "score_scenes", killed)
    assert script.main(arguments) == 2
    assert "ground_truth: killed" in capsys.readouterr().err
    monkeypatch.setattr(script, "score_scenes", score_scenes)
    assert script.main(arguments) == 0
    assert calls == ["check", "check"]
    shown = capsys.readouterr().out
    assert shown.splitlines()[-2:] == [
        str(tmp_path / name) for name in ("results.json", "results.md")
    ]
    results = json.loads((tmp_path / "results.json").read_text())
    names = ["adaptive_attention, honest", "adaptive_attention, shortcut"]
    assert list(results["checks"]) == list(results["scores"]) == names
    honest, shortcut = (results["scores"][name] for name in names)
    assert {"colour", "object", "place", "first colour"} <= set(honest)
    assert set(shortcut) == {"colour", "first colour"}
    methods = set(honest["colour"])
    assert {"lrp", "decoder_lrp", "grad_cam", "attention", CHANCE} <= methods
    assert "occlusion" not in methods
    for found in honest["colour"].values():
        assert 0 <= found["mass"]["mean"] <= 1
    assert script.main([*arguments[:-2], "--size", "full"]) == 2
    assert "holds an experiment with other settings" in capsys.readouterr().err
