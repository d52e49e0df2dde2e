"""Deletion from explanation to table, on a captioner whose reasons are known."""

import csv
from pathlib import Path

import numpy as np
import pytest
from conftest import planted_captioner, planted_photo

from dataset.records import CaptionedImage
from evaluation.faithfulness import RANDOM, SHARES
from models.explainers.explain import explain_encoded, known_tokens
from scoring.deletion import ENDING, score_deletion, write_deletion
from scoring.explained_images import ExplainedImage
from scoring.score_files import ScoreFiles

METHODS = ("lrp", "attention")
TEXT = "a green ball runs on the cat grass"


@pytest.fixture(scope="module")
def scored():
    """Of a photo with the word dog, and of one whose grass comes from green."""
    captioner = planted_captioner()
    dog = explained(captioner, planted_photo(), "dog", [0])
    grass = explained(captioner, planted_photo(is_bright=False), TEXT, [1, 7])
    nothing = ExplainedImage(CaptionedImage("3", Path("3"), ()))
    return {
        "dog": score_deletion(captioner, dog, "curves"),
        "again": score_deletion(captioner, dog, "curves"),
        "grass": score_deletion(captioner, grass, "curves"),
        "nothing": score_deletion(captioner, nothing, "curves"),
    }


def explained(captioner, photo, caption, steps) -> ExplainedImage:
    _, (encoded,) = captioner.encode_each([photo])
    tokens = known_tokens(captioner, caption)
    record = CaptionedImage(caption, Path("photo.jpg"), ())
    found = explain_encoded(captioner, encoded, tokens, np.array(steps), METHODS)
    return ExplainedImage(record, (), tuple(found), encoded, tokens)


def test_the_planted_patch_tells_the_methods_apart(scored):
    (word,) = scored["dog"]["patches"]
    assert (word["word"], word["step"]) == ("dog", 0)
    scores = word["scores"]
    assert list(scores) == [*METHODS, RANDOM]
    assert scores["lrp"]["vanished"] == 1 and scores["lrp"]["drop"] > 0.9
    assert scores[RANDOM]["vanished"] < 0.5 and scores[RANDOM]["drop"] < 0.5
    curve = [scores["lrp"][f"at {share}"] for share in SHARES]
    np.testing.assert_array_less(curve, 0.1)
    assert scores["lrp"]["area"] < 0.15 < scores[RANDOM]["area"]


def test_the_planted_word_tells_the_methods_apart(scored):
    """Attention says nothing about words; green, the second word, is too early."""
    (word,) = scored["grass"]["words"]
    assert (word["word"], word["step"]) == ("grass", 7)
    assert list(word["scores"]) == ["lrp", RANDOM]
    assert word["scores"]["lrp"]["word_drop"] > 0.8
    assert 0 <= word["scores"][RANDOM]["word_drop"] < 0.8
    assert [each["word"] for each in scored["grass"]["patches"]] == ["green", "grass"]
    assert scored["dog"]["words"] == []


def test_chance_depends_on_the_image_alone(scored):
    assert scored["dog"] == scored["again"]
    assert scored["nothing"] == {"patches": [], "words": []}


def test_the_table_and_the_means(scored, tmp_path, capsys):
    files = ScoreFiles(tmp_path / "words.json", (ENDING,))
    names = ("dog", "grass", "nothing")
    records = [{"image_id": name, "deletion": scored[name]} for name in names]
    found = write_deletion(files, records)
    assert {what: part["num_words"] for what, part in found.items()} == {
        "patches": 3,
        "words": 1,
    }
    each = [word["scores"] for n in names for word in scored[n]["patches"]]
    drops = [scores["lrp"]["drop"] for scores in each]
    above = [scores["lrp"]["drop"] - scores[RANDOM]["drop"] for scores in each]
    part = found["patches"]
    assert part["scores"]["lrp"]["drop"]["mean"] == pytest.approx(np.mean(drops))
    assert part["above_random"]["lrp"]["drop"]["mean"] == pytest.approx(np.mean(above))
    with (tmp_path / f"words{ENDING}").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 3 * (3 + len(SHARES)) + 2
    first = rows[0] | {"value": float(rows[0]["value"])}
    place = {"image_id": "dog", "step": "0", "word": "dog", "method": "lrp"}
    assert first == place | {"score": "vanished", "value": 1}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "patches deleted, 3 words:"
    assert lines[5] == "words deleted, 1 words:" and len(lines) == 9


def test_no_words_leave_an_empty_table(scored, tmp_path):
    files = ScoreFiles(tmp_path / "words.json", (ENDING,))
    nothing = [{"image_id": "3", "deletion": scored["nothing"]}]
    assert write_deletion(files, nothing) == {}
