"""Why one caption and not another: aligned by hand, against slopes, and in balance."""

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import tiny_captioner

from keras_lrp.operations import Operations
from models import Explanation, explain
from models.explainers.decoder_stage import explain_decoder
from models.explainers.difference import align, spans_of
from models.explainers.spans import Spans
from models.sentence import Sentence
from report.wording import likelihood, mean_probability, method_label

pytestmark = [pytest.mark.usefixtures("unrecorded")]

FIRST, SECOND = "a dog runs on the grass", "a cat on the green ball"


@pytest.fixture(scope="module")
def captioner():
    return tiny_captioner()


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(60, 190, (224, 224, 3), dtype="uint8")


def sentence(text: str) -> Sentence:
    words = tuple(text.split())
    return Sentence(text, words, np.arange(len(words)))


def test_captions_are_laid_beside_each_other():
    found = align(sentence(FIRST), sentence(SECOND))
    assert found.words == (
        *("a", "dog", "runs", "(cat)", "on", "the", "grass", "(green)", "(ball)"),
    )
    first, last = found.blocks
    assert (first.first, first.second, first.merged) == ((1, 2), (1, 1), (1, 3))
    assert (last.first, last.second, last.merged) == ((5, 1), (4, 2), (6, 3))
    assert found.columns[0].tolist() == [0, 1, 2, 3, 5, 6, 7]
    assert found.columns[1].tolist() == [0, 1, 4, 5, 6, 8, 9]
    spans = spans_of(found.blocks, 1)
    assert spans.steps.tolist() == [1, 4] and spans.lengths.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("first", "second", "words", "empty"),
    [
        ("a dog", "a dog runs", ("a", "dog", "(runs)"), 0),
        ("a dog runs", "dog runs", ("a", "dog", "runs"), 1),
    ],
)
def test_a_caption_may_only_add_words(first, second, words, empty):
    found = align(sentence(first), sentence(second))
    assert found.words == words
    assert not len(spans_of(found.blocks, empty).steps)
    assert len(spans_of(found.blocks, 1 - empty).steps) == 1


@pytest.mark.parametrize("method", ["lrp", "gradient"])
def test_one_word_after_the_same_words_is_its_contrast(captioner, image, method):
    """The softmax is the same: what is left is the difference of two logits."""
    given = {"caption": "a dog on the grass", "words": ["dog"], "contrast": "cat"}
    expected = explain(captioner, image, method, **given)
    found = explain(captioner, image, method, "a dog", against="a cat")
    assert found.words == ("dog, not cat",)
    assert found.words_read == ("<start>", "a", "dog", "(cat)")
    assert found.logits[0] == pytest.approx(expected.logits[0], abs=1e-4)
    for name in ("pixels", "features"):
        limit = 1e-4 * np.abs(getattr(expected, name)).max()
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), atol=limit
        )
    np.testing.assert_allclose(
        found.preceding_words[:, :2], expected.preceding_words[:, :2], atol=1e-4
    )
    assert not found.preceding_words[:, 2:].any()


def test_the_difference_is_that_of_the_log_probabilities(captioner, image, tmp_path):
    e = explain(captioner, image, "lrp", FIRST, against=SECOND)
    one, other = (explain(captioner, image, "lrp", text) for text in (FIRST, SECOND))
    expected = [
        one.log_probabilities[1:3].sum() - other.log_probabilities[1],
        one.log_probabilities[5] - other.log_probabilities[4:6].sum(),
    ]
    np.testing.assert_allclose(e.logits, expected, atol=1e-4)
    np.testing.assert_array_equal(e.log_probabilities, e.logits)
    assert e.words == ("dog runs, not cat", "grass, not green ball")
    assert (e.steps, e.lengths) == ((1, 6), (3, 3))
    given = e.preceding_words.sum(1) + e.features.sum((1, 2, 3)) + e.lost[:, 0]
    np.testing.assert_allclose(given, e.logits, atol=1e-3)
    pixels = e.pixels.sum((1, 2, 3), dtype="float64") + e.lost[:, 1]
    np.testing.assert_allclose(pixels, e.features.sum((1, 2, 3)), atol=1e-3)
    assert e.mean_feature.shape == (2,) and np.isfinite(e.mean_feature).all()
    e.save(tmp_path, exact=True)
    loaded = Explanation.load(tmp_path)
    assert loaded.against == SECOND and loaded.words_read == e.words_read
    np.testing.assert_array_equal(loaded.pixels, e.pixels)
    assert f"against {SECOND!r}" in repr(e)
    assert method_label(e).endswith(f"rather than {SECOND}")
    assert mean_probability(e) is None
    assert likelihood(e, 0) == f"{np.exp(e.logits[0]):.3g} times"
    large = SimpleNamespace(against="a cat", log_probabilities=[np.log(13456)])
    assert likelihood(large, 0) == "13,500 times"


def test_the_gradient_is_the_slope_of_the_log_probabilities(captioner, image):
    """Of plain operations, and of a phrase and a word at once."""
    features = np.array(captioner.encode(image[None]))
    tokens = captioner.vocabulary.encode(FIRST, 8)[:-1]
    spans = Spans(np.array([1, 5]), np.array([2, 1]))

    def stage(moved):
        given = (captioner, Operations(), moved, tokens, spans)
        return explain_decoder(*given, target="log_probability")

    direction = np.random.default_rng(1).normal(size=features.shape).astype("float32")
    step = 2e-3 * np.abs(features).max() * direction
    ends = (stage(features + step), stage(features - step))
    slope = np.subtract(*(end.log_probabilities for end in ends)) / 2
    found = (stage(features).feature_gradient * step).sum((1, 2, 3))
    np.testing.assert_allclose(found, slope, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": ["dog"]}, "Leave words, phrases, sentence and contrast out"),
        ({"sentence": True}, "Leave words, phrases, sentence and contrast out"),
        ({"method": "grad_cam"}, "grad_cam cannot .* Choose one of lrp, decoder_lrp"),
        ({"against": FIRST}, "have the same words. Name another"),
        ({"against": "a zebra"}, "does not know 'zebra'"),
    ],
)
def test_what_has_no_difference_is_refused(captioner, image, changes, message):
    given = {"caption": FIRST, "against": SECOND} | changes
    with pytest.raises(ValueError, match=message):
        explain(captioner, image, **given)
