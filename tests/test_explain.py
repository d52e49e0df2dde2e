"""The public face: shapes, balance, choices and errors."""

import functools
import json

import numpy as np
import pytest
from conftest import tiny_captioner

import report
from dataset.images import ImageError
from dataset.vocabulary import END
from keras_lrp import __version__
from keras_lrp.backend import compilation, run_once
from keras_lrp.operations import Operations
from models.encoders import preprocess
from models.explainers.decoder_stage import explain_decoder
from models.explainers.encoder_stage import propagate
from models.explainers.explain import explain, explain_each
from models.explainers.explanation import Explanation
from models.explainers.methods import METHODS, RELEVANCE, weigh_channels

PLAIN = Operations()

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("unrecorded")]

TEXT = "a dog runs on the green grass"
T = 7


@pytest.fixture(scope="module")
def captioner():
    return tiny_captioner()


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype="uint8")


@pytest.fixture
def once():
    """Compiles nothing for a captioner that is explained once."""
    with compilation(False):
        yield


@pytest.fixture(scope="module")
def explained(captioner, image):
    """Explains every word of the caption by a method, which is computed once."""
    return functools.cache(lambda method: explain(captioner, image, method, TEXT))


@pytest.mark.parametrize("method", [m for m in METHODS if "attention_" not in m])
def test_shapes_and_ranges(explained, method):
    e = explained(method)
    assert e.words == tuple(TEXT.split())
    assert e.words_read == ("<start>", *TEXT.split()[:-1])
    assert e.pixels.shape == (T, 224, 224, 3)
    assert e.features.shape == (T, 4, 5, 7)
    assert e.preceding_words.shape == (T, T)
    np.testing.assert_allclose(e.attention.sum((1, 2)), 1, atol=1e-5)
    assert np.all((e.beta >= 0) & (e.beta <= 1))
    assert e.logits.shape == e.log_probabilities.shape == (T,)
    assert np.isnan(e.lost).all() != METHODS[method].is_balanced
    assert (e.mean_feature is not None) == METHODS[method].is_balanced
    assert np.isnan(e.preceding_words).all() == (method == "attention")
    assert np.isnan(e.features).all() == (method == "occlusion")


def test_the_logit_is_shared_out(explained):
    e = explained("lrp")
    features = e.features.sum((1, 2, 3), dtype="float64")
    total = e.preceding_words.sum(1) + features + e.lost[:, 0]
    np.testing.assert_allclose(total, e.logits, atol=1e-4)
    pixels = e.pixels.sum((1, 2, 3), dtype="float64") + e.lost[:, 1]
    np.testing.assert_allclose(pixels, features, atol=1e-4)


def test_the_decoders_relevance_is_laid_over_the_photo(explained):
    """Each position keeps what it has: of the grid's (4, 5), the photo's (56, 44.8)."""
    whole, e = (explained(m) for m in ("lrp", "decoder_lrp"))
    np.testing.assert_array_equal(e.features, whole.features)
    np.testing.assert_array_equal(e.preceding_words, whole.preceding_words)
    np.testing.assert_allclose(e.lost[:, 1], 0, atol=1e-5)
    assert e.pixels.min() < 0 < e.pixels.max()
    positions = e.features.sum(-1)
    centres = e.pixels.sum(-1)[:, 28::56, 22::45]
    ratio = 56 * 44.8 * centres / positions
    assert (np.abs(ratio - 1) < 0.2).mean() > 0.9


@pytest.mark.usefixtures("once")
def test_nothing_is_lost_without_biases(image):
    bare = tiny_captioner()
    for weight in bare.encoder.weights + bare.decoder.weights:
        if weight.name == "bias":
            weight.assign(np.zeros(weight.shape))
    e, centred = (explain(bare, image, m, caption=TEXT) for m in ("lrp", "centred_lrp"))
    small = 2e-3 * np.abs(e.logits).max()
    np.testing.assert_allclose(e.lost, 0, atol=small)
    np.testing.assert_allclose(centred.lost[:, 0], 0, atol=small)
    np.testing.assert_allclose(centred.pixels.sum((1, 2, 3)), 0, atol=small)


def test_logits_are_those_of_the_model(captioner, image, explained):
    e = explained("lrp")
    tokens = captioner.vocabulary.encode(TEXT, 20)[:-1]
    inputs = {
        "features": np.array(captioner.encode(image[None])),
        "tokens": np.int32([[[1, *tokens[:-1]]]]),
        "positions": np.arange(T, dtype="int32")[None],
    }
    logits = np.array(run_once(captioner, inputs))[0]
    np.testing.assert_allclose(e.logits, logits[np.arange(T), tokens], atol=1e-4)
    log_sum = np.log(np.exp(logits).sum(-1))
    np.testing.assert_allclose(e.log_probabilities, e.logits - log_sum, atol=1e-4)
    centred = explain(captioner, image, "centred_lrp", caption=TEXT)
    np.testing.assert_allclose(centred.logits, e.logits - logits.mean(-1), atol=1e-4)


def test_centred_relevance_is_that_of_the_features_less_their_mean(captioner, image):
    """The encoder's pass is linear: what is the same everywhere may pass it alone."""
    e, whole = (
        explain(captioner, image, method, TEXT, contrast="cat")
        for method in ("centred_lrp", "lrp")
    )
    np.testing.assert_allclose(e.features, whole.features, atol=1e-5)
    mean = np.zeros_like(e.features) + e.features.mean((1, 2), keepdims=True)
    prepared = captioner.prepare([image])
    everywhere = propagate(captioner, "alpha1_beta0", prepared, mean, "float32")
    everywhere = captioner.in_photo(everywhere, image)
    scale = np.abs(whole.pixels).max()
    np.testing.assert_allclose(e.pixels, whole.pixels - everywhere, atol=1e-4 * scale)


def test_chosen_words_equal_all_words(captioner, image, explained):
    whole = explained("lrp")
    some = explain(captioner, image, caption=TEXT, words=["Grass", "dog"])
    assert some.words == ("dog", "grass") and some.steps == (1, 6)
    rows = [1, 6]
    scale = np.abs(whole.pixels).max()
    np.testing.assert_allclose(some.pixels, whole.pixels[rows], atol=1e-4 * scale)
    np.testing.assert_allclose(
        some.preceding_words, whole.preceding_words[rows], atol=1e-4
    )
    assert some.caption == TEXT


PHRASES = ["the green grass", "a dog"]


@pytest.mark.parametrize("method", ["lrp", "gradient", "occlusion"])
def test_a_phrase_is_the_sum_of_its_words(captioner, image, explained, method):
    words = explained(method)
    e = explain(captioner, image, method, TEXT, phrases=PHRASES, words="dog")
    assert e.words == ("a dog", "dog", "the green grass")
    assert (e.steps, e.lengths) == ((0, 1, 4), (2, 1, 3))
    assert e.is_additive and words.is_additive and words.lengths is None
    for row, rows in enumerate(([0, 1], [1], [4, 5, 6])):
        for name in ("pixels", "features", "preceding_words", "lost"):
            expected = getattr(words, name)[rows].sum(0)
            limit = 1e-4 * np.nanmax(np.abs(expected), initial=1e-3)
            found = getattr(e, name)[row]
            np.testing.assert_allclose(found, expected, atol=limit, err_msg=name)
        for name in ("logits", "log_probabilities"):
            expected = getattr(words, name)[rows].sum()
            assert getattr(e, name)[row] == pytest.approx(expected, abs=1e-4)
        for name in ("attention", "beta"):
            expected = getattr(words, name)[rows].mean(0)
            np.testing.assert_allclose(getattr(e, name)[row], expected, atol=1e-5)


def test_a_phrase_has_a_map_of_its_own_where_maps_do_not_add_up(captioner, image):
    """Grad-CAM of a phrase: the channels are weighed by the summed gradient."""
    e, gradient = (
        explain(captioner, image, method, TEXT, phrases=["a dog"])
        for method in ("grad_cam", "gradient")
    )
    assert not e.is_additive
    features = np.array(captioner.encode(image[None]))[0]
    expected = np.maximum(weigh_channels(features, gradient.features).sum(-1), 0)
    found = e.pixels.sum((1, 2, 3))
    np.testing.assert_allclose(found, expected.sum((1, 2)), rtol=1e-4)


def test_the_sentence_is_explained_as_one(captioner, image, explained, tmp_path):
    e = explain(captioner, image, caption=TEXT, sentence=True)
    assert (e.words, e.steps, e.lengths) == ((TEXT,), (0,), (T,))
    words = explained("lrp")
    assert e.logits[0] == pytest.approx(words.logits.sum(), rel=1e-4)
    e.save(tmp_path)
    assert Explanation.load(tmp_path).lengths == (T,)
    assert report.mean_probability(e) == pytest.approx(
        np.exp(words.log_probabilities.mean()), rel=1e-4
    )


def test_phrases_that_the_caption_lacks_are_named_and_left_out(
    captioner, image, caplog
):
    phrases = ["the dog", "a dog", "dog green"]
    e = explain(captioner, image, "attention", TEXT, phrases=phrases)
    assert e.words == ("a dog",)
    assert "'the dog', 'dog green' are not in the caption" in caplog.text
    e = explain(captioner, image, "attention", TEXT, words=["cat"], sentence=True)
    assert e.words == (TEXT,)


def test_contrast_is_the_difference_of_two_words(captioner, image):
    tokens = captioner.vocabulary.encode("a dog", 20)[:-1]
    features = captioner.encode(image[None])
    steps = np.array([1])
    dog = explain_decoder(captioner, RELEVANCE, features, tokens, steps)
    both = explain_decoder(captioner, RELEVANCE, features, tokens, steps, "cat")
    other = captioner.vocabulary.encode("a cat", 20)[:-1]
    cat = explain_decoder(captioner, RELEVANCE, features, other, steps)
    np.testing.assert_allclose(both.logits, dog.logits - cat.logits, atol=1e-5)
    np.testing.assert_allclose(
        both.feature_gradient,
        dog.feature_gradient - cat.feature_gradient,
        atol=1e-4 * np.abs(dog.feature_gradient).max(),
    )


def test_attention_is_spread_over_the_pixels(explained):
    e = explained("attention")
    np.testing.assert_allclose(e.pixels.sum((1, 2, 3)), 1, atol=1e-4)
    np.testing.assert_allclose(e.features.sum(-1), e.attention, atol=1e-5)


def test_occlusion_is_the_fall_of_the_logit(captioner, image):
    """One patch and one word taken away by hand."""
    e = explain(captioner, image, "occlusion", caption=TEXT, words=["green"])
    tokens = captioner.vocabulary.encode(TEXT, 20)[:-1]
    inputs = preprocess(image[None], "vgg16")
    inputs[0, 32:48, 208:224] = inputs.mean((0, 1, 2))
    features = np.array(captioner.encoder(inputs))
    stage = explain_decoder(captioner, PLAIN, features, tokens, np.array([5]))
    found = e.pixels[0, 32:48, 208:224]
    np.testing.assert_allclose(found, found[0, 0, 0], rtol=1e-5)
    assert found.sum() == pytest.approx(e.logits[0] - stage.logits[0], abs=1e-3)
    assert np.all(e.preceding_words[0, 6:] == 0)
    embeddings = captioner.decoder.embedding.embeddings
    kept = embeddings.numpy()
    without = kept.copy()
    without[tokens[1]] = 0  # dog
    embeddings.assign(without)
    other = explain(captioner, image, caption=TEXT, words=["green"])
    embeddings.assign(kept)
    fall = e.logits[0] - other.logits[0]
    assert e.preceding_words[0, 2] == pytest.approx(fall, abs=1e-4)


def test_several_methods_equal_one_at_a_time(captioner, image):
    names = ["grad_cam", "lrp", "gradient_x_input"]
    together = explain_each(captioner, image, names, caption=TEXT, words=["dog"])
    assert [e.method for e in together] == names
    for e in together:
        one = explain(captioner, image, e.method, caption=TEXT, words=["dog"])
        np.testing.assert_array_equal(e.pixels, one.pixels)
        np.testing.assert_array_equal(e.preceding_words, one.preceding_words)


def test_the_way_back_through_the_encoder_has_a_precision(captioner, image, tmp_path):
    """Methods that do not take it ignore the precision, and record none."""
    names = ["lrp", "grad_cam"]
    found = explain_each(captioner, image, names, TEXT, ["dog"], precision="bfloat16")
    usual = explain_each(captioner, image, names, TEXT, ["dog"])
    assert [e.precision for e in found] == ["bfloat16", "float32"]
    assert "(lrp, alpha1_beta0, bfloat16)" in repr(found[0])
    largest = np.abs(usual[0].pixels).max()
    difference = np.abs(found[0].pixels - usual[0].pixels).max()
    assert 0 < difference < 0.02 * largest  # 8 bits
    np.testing.assert_array_equal(found[0].features, usual[0].features)
    np.testing.assert_array_equal(found[1].pixels, usual[1].pixels)
    for e, expected in zip((*found, *usual), ("bfloat16", *[None] * 3), strict=True):
        summary = json.loads(e.save(tmp_path)[0].read_text())
        assert summary.get("precision") == expected


def test_channels_are_weighed_by_their_mean_gradient():
    """Two positions, two channels, by hand: 0.5 (1 + 3) = 2 and 0.5 (0 - 4) = -2."""
    features = np.array([[[1.0, 5.0], [2.0, 1.0]]])  # (1, 2, 2)
    gradient = np.array([[[[1.0, 0.0], [3.0, -4.0]]]])
    expected = [[[[2.0, -10.0], [4.0, -2.0]]]]
    np.testing.assert_allclose(weigh_channels(features, gradient), expected)


@pytest.mark.usefixtures("once")
def test_gradient_is_the_slope_of_the_logit():
    captioner = tiny_captioner()
    image = np.random.default_rng(1).integers(60, 190, (224, 224, 3), dtype="uint8")
    tokens = captioner.vocabulary.encode(TEXT, 8)[:-1]
    steps = np.arange(T)
    inputs = preprocess(image[None], "vgg16")

    def stage(values):
        features = captioner.encoder(values)
        return explain_decoder(captioner, PLAIN, features, tokens, steps)

    method = METHODS["gradient"]
    pixels, *_ = method.explain(captioner, inputs, stage(inputs), method)
    direction = np.random.default_rng(2).normal(size=inputs.shape).astype("float32")
    step = 0.05
    after = stage(inputs + step * direction).logits
    before = stage(inputs - step * direction).logits
    slope = (pixels * direction).sum((1, 2, 3))
    np.testing.assert_allclose(
        slope, (after - before) / (2 * step), rtol=0.05, atol=0.02 * np.abs(slope).max()
    )


@pytest.mark.usefixtures("once")
def test_own_caption_is_explained(image):
    captioner = tiny_captioner()
    bias = captioner.decoder.predictor.bias
    bias.assign(bias.numpy() + np.where(np.arange(bias.shape[0]) == END, -1e3, 0.0))
    found = captioner.caption_features(captioner.encode(image[None]), 2)[0]
    e = explain(captioner, image, beam_size=2)
    assert e.caption == found.text
    np.testing.assert_allclose(e.log_probabilities, found.log_probabilities, atol=1e-4)


def test_saved_files_hold_the_numbers(explained, image, tmp_path):
    e = explained("lrp")
    paths = e.save(tmp_path)
    names = ["explanation.json", "explanation.npz", "photo.jpg"]
    assert [path.name for path in paths] == names
    summary = json.loads(paths[0].read_text())
    assert summary["caption"] == TEXT
    assert summary["version"] == __version__
    row = summary["words"][2]
    assert row["word"] == "runs"
    parts = row["image_relevance"] + sum(row["word_relevance"].values())
    assert parts + row["lost_in_decoder"] == pytest.approx(row["logit"], abs=1e-4)
    found = Explanation.load(tmp_path)
    np.testing.assert_array_equal(found.beta, e.beta)
    for name in ("pixels", "features"):
        limit = 1e-3 * np.abs(getattr(e, name)).max()
        np.testing.assert_allclose(getattr(found, name), getattr(e, name), atol=limit)
    np.testing.assert_array_equal(e.photo, image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "magic"}, "Unknown method 'magic'; expected one of lrp"),
        (
            {"precision": "float16"},
            "Unknown precision 'float16'; expected one of float32, bfloat16",
        ),
        (
            {"precision": "bfloat16", "method": "attention"},
            "precision bfloat16 would change nothing: it counts in lrp, "
            "centred_lrp, gradient, gradient_x_input, guided_grad_cam alone; "
            "received attention. Leave",
        ),
        (
            {"lrp_preset": "z_plus", "method": "decoder_lrp"},
            "LRP preset z_plus would change nothing: it counts in lrp, centred_lrp "
            "alone; received decoder_lrp",
        ),
        (
            {"decoder_rules": "epsilon", "method": "grad_cam"},
            "decoder rules epsilon would .* in lrp, decoder_lrp, centred_lrp alone",
        ),
        ({"lrp_preset": "gradient"}, "Unknown LRP preset 'gradient'; expected one of"),
        ({"caption": "a zebra and a dog"}, "does not know 'zebra', 'and'"),
        ({"caption": " ."}, "no word to explain"),
        ({"caption": "a dog " * 5}, "has 10 words; at most 8"),
        ({"caption": TEXT, "words": ["ball"]}, "'ball' is not in the caption"),
        ({"caption": TEXT, "words": []}, "No word to explain was named"),
        ({"caption": TEXT, "phrases": []}, "No phrase to explain was named"),
        ({"caption": TEXT, "phrases": ["a dog", "."]}, "No phrase to explain was"),
        ({"caption": TEXT, "phrases": 3}, "phrases must be texts of the caption"),
        ({"caption": TEXT, "phrases": "the dog"}, "'the dog' is not in the caption"),
        ({"caption": TEXT, "sentence": True, "contrast": "cat"}, "A phrase cannot be"),
        ({"caption": TEXT, "contrast": "zebra"}, "does not know 'zebra'"),
        (
            {"caption": TEXT, "words": ["dog"], "contrast": "dog"},
            "'dog' cannot be contrasted with itself",
        ),
    ],
)
def test_wrong_choices_say_what_is_wrong(captioner, image, arguments, message):
    with pytest.raises(ValueError, match=message):
        explain(captioner, image, **arguments)


def test_what_cannot_be_contrasted_with_itself_is_left_out(captioner, image, caplog):
    e = explain(captioner, image, "attention", TEXT, contrast="dog")
    assert e.words == tuple(word for word in TEXT.split() if word != "dog")
    assert f"'dog' of the caption '{TEXT}' cannot be contrasted with 'd" in caplog.text


@pytest.mark.parametrize(
    ("methods", "words", "beam_size", "message"),
    [
        ([], None, None, r"methods must be a list of names, .*; received \[\]"),
        ("lrp", None, None, "methods must be a list of names, .*; received 'lrp'"),
        ([["lrp"]], None, None, r"Unknown method \['lrp'\]"),
        (["lrp"], [], None, r"words must name some of the caption's; received \[\]"),
        (["lrp"], "", None, "Leave it out to explain all"),
        (["lrp"], None, 0, "beam_size must be a whole number, 1 or above; received 0"),
    ],
)
def test_wrong_calls_are_refused_before_any_work(methods, words, beam_size, message):
    with pytest.raises(ValueError, match=message):
        explain_each(tiny_captioner(), "no.jpg", methods, None, words, None, beam_size)


def test_other_things_than_captioners_and_images_are_refused(captioner, image):
    with pytest.raises(ValueError, match="must be a Captioner; received 'a name'"):
        explain("a name", image)
    with pytest.raises(ImageError, match="an array or a tensor; received None"):
        explain(captioner, None)
    with pytest.raises(ValueError, match=r"must be a text; received \['a'\]"):
        explain(captioner, image, caption=["a"])


def test_words_that_the_caption_lacks_are_named_and_left_out(captioner, image, caplog):
    words = ["ball", "dog", "cat"]
    found = explain_each(captioner, image, ["lrp", "gradient"], TEXT, words)
    assert [e.words for e in found] == [("dog",), ("dog",)]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        f"'ball', 'cat' are not in the caption {TEXT!r}; the other words are explained."
    )
    with pytest.raises(ValueError, match=f"'ball' is not in the caption '{TEXT}'"):
        explain(captioner, image, caption=TEXT, words="ball")


def test_an_explanation_is_shown_in_three_lines(captioner, image):
    e = explain(captioner, image, caption=TEXT, words=["dog", "the"], contrast="cat")
    height, width, channels = e.features.shape[1:]
    assert (
        repr(e)
        == str(e)
        == (
            f"Explanation (lrp, alpha1_beta0, not 'cat') of {TEXT!r}\n"
            "  words: dog, the\n"
            f"  pixels (2, 224, 224, 3), features (2, {height}, {width}, {channels}), "
            "preceding_words (2, 7)"
        )
    )
    assert e._repr_html_() == report.html(e)
    _, (encoded,) = captioner.encode_each([image])
    assert len(repr(encoded)) < 80


@pytest.mark.usefixtures("once")
def test_pixels_are_red_green_blue_like_the_image(image):
    captioner = tiny_captioner()
    first = captioner.encoder.layers[2]
    blind = first.kernel.numpy()
    blind[:, :, 0] = 0  # the encoder reads blue first
    first.kernel.assign(blind)
    e = explain(captioner, image, "gradient", caption=TEXT)
    assert np.all(e.pixels[..., 2] == 0)
    assert np.all(np.abs(e.pixels[..., :2]).max((1, 2, 3)) > 0)


def test_missing_photo_says_so(captioner, tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        explain(captioner, tmp_path / "none.jpg")
