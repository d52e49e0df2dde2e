"""True and hallucinated words, counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from dataset import DATASETS, CaptionedImage
from dataset.coco_names import COCO_NAMES
from dataset.scenes import SCENES, render_scene
from dataset.scenes.captions import plural
from dataset.vocabulary import split_words
from evaluation.hallucination import (
    macro_scores,
    summarize_captions,
    word_outcomes,
    word_scores,
    words_of,
)

WORDS = ("dog", "man", "hat", "cat")
CAPTIONS = [["a", "dog", "and", "a", "dog"], ["a", "dog"], ["a", "man"]]
REFERENCES = [("A dog's dog.", "one dog"), ("a man", "A MAN!"), ("a man", "hats")]


@pytest.fixture
def outcomes():
    return word_outcomes(CAPTIONS, [words_of(texts) for texts in REFERENCES], WORDS)


def test_words_count_once_per_caption_and_whole(outcomes):
    expected = {  # true, hallucinated, missed; "hats" is no "hat"
        "dog": (1, 1, 0),
        "man": (1, 0, 1),
        "hat": (0, 0, 0),
        "cat": (0, 0, 0),
    }
    assert dict(zip(WORDS, map(tuple, outcomes.sum(0)), strict=True)) == expected


def test_scores_by_hand(outcomes):
    scores = word_scores(outcomes.sum(0))
    nan = np.nan
    np.testing.assert_array_equal(scores["precision"], [0.5, 1, nan, nan])
    np.testing.assert_array_equal(scores["recall"], [1, 0.5, nan, nan])
    np.testing.assert_allclose(scores["f1"], [2 / 3, 2 / 3, nan, nan])


def test_macro_scores_leave_out_what_is_undefined(outcomes):
    scores = macro_scores(outcomes)
    assert scores["mPA"]["mean"] == 0.75
    assert scores["recall"]["mean"] == 0.75
    assert scores["f1"]["mean"] == pytest.approx(2 / 3)
    assert {score["num_words"] for score in scores.values()} == {2}


def test_a_word_never_predicted_has_recall_and_f1_but_no_precision():
    outcomes = word_outcomes([["a"]], [{"dog"}], ["dog"])
    scores = macro_scores(outcomes)
    assert np.isnan(scores["mPA"]["mean"])
    assert np.isnan(scores["mPA"]["interval"]).all()
    assert scores["mPA"]["num_words"] == 0
    assert scores["recall"]["mean"] == scores["f1"]["mean"] == 0


def test_no_captions_have_no_scores():
    assert np.isnan(macro_scores(word_outcomes([], [], WORDS))["mPA"]["mean"])


def test_interval_is_over_images():
    generator = np.random.default_rng(0)
    outcomes = np.zeros((60, 2, 3), bool)
    outcomes[:, 0, 0] = generator.random(60) < 0.8
    outcomes[:, 0, 1] = ~outcomes[:, 0, 0]
    found = macro_scores(outcomes)["mPA"]
    low, high = found["interval"]
    half = 1.96 * np.sqrt(found["mean"] * (1 - found["mean"]) / 60)
    assert found["mean"] == outcomes[:, 0, 0].mean()
    assert low == pytest.approx(found["mean"] - half, abs=0.03)  # of 1000 draws
    assert high == pytest.approx(found["mean"] + half, abs=0.03)


def test_frequent_words_are_single_words_named_once():
    for words in (dataset.frequent_words for dataset in DATASETS.values()):
        assert len(set(words)) == len(words)
        assert all(split_words(word) == [word] for word in words)
    assert len(DATASETS["flickr8k"].frequent_words) == 20
    assert len(DATASETS["coco2017"].frequent_words) == 25


def test_scenes_name_their_objects_with_frequent_words():
    scene = render_scene(7)
    found = words_of(scene.captions) & set(SCENES.frequent_words)
    for object_ in scene.objects:
        assert found & {object_.kind, plural(object_.kind)}


def test_captions_are_summarized():
    images = [
        CaptionedImage(str(key), Path(f"{key}.jpg"), texts)
        for key, texts in enumerate(REFERENCES)
    ]
    captions = [" ".join(words) for words in CAPTIONS]
    found = summarize_captions(captions, images, WORDS, COCO_NAMES)
    assert found["words"]["dog"] == {"true": 1, "hallucinated": 1, "missed": 0}
    assert found["scores"]["mPA"]["mean"] == 0.75
    assert found["scores"]["chair_i"]["mean"] == 1 / 4
    assert found["scores"]["chair_s"]["mean"] == 1 / 3
