"""Decoders of other kinds pass through the whole project: a bag, a Transformer."""

import gc
import json
import weakref

import keras
import numpy as np
import pytest
from bag_decoder import BagDecoder
from conftest import tiny_captioner
from keras import ops

import evaluate_bbox
import examine_word
import explain_image
import train
from dataset.scenes import write_scenes
from dataset.vocabulary import END
from keras_lrp import Operations
from models import explain, load_captioner
from models.decoders import DECODERS
from models.explainers.choices import choose_methods
from models.explainers.decoder_stage import explain_decoder
from models.explainers.methods import RELEVANCE

B, N, T, L, D = 2, 3, 4, 20, 7
PLAIN = Operations()
TEXT = "a dog runs on grass"


@pytest.fixture(scope="module", autouse=True)
def bag():
    """The decoder is one entry of the table."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(DECODERS, "bag", BagDecoder)
        yield


@pytest.fixture(scope="module")
def captioner():
    return tiny_captioner(decoder="bag")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype="uint8")


def test_all_steps_at_once_equal_step_by_step(captioner):
    generator = np.random.default_rng(1)
    features = generator.random((B, L, D)).astype("float32")
    tokens = generator.integers(1, 12, (B, N, T)).astype("int32")
    decoder = captioner.decoder
    memory = decoder.project(PLAIN, ops.convert_to_tensor(features))
    whole = decoder.decode(PLAIN, memory, decoder.embed(tokens))
    logits, state = np.reshape(whole.logits, (B, N, T, -1)), None
    for step in range(T):
        embedded = decoder.embed(tokens[:, :, step : step + 1])
        one = decoder.decode(PLAIN, memory, embedded, state)
        state = one.state
        np.testing.assert_allclose(one.logits, logits[:, :, step], atol=1e-5)


def test_the_logit_is_shared_out(captioner, image):
    e = explain(captioner, image, caption=TEXT)
    assert e.attention is None and e.beta is None
    shared = e.preceding_words.sum(1) + e.features.sum((1, 2, 3)) + e.lost[:, 0]
    np.testing.assert_allclose(shared, e.logits, atol=1e-4)


def test_relevance_is_conserved_without_biases():
    captioner = tiny_captioner(decoder="bag")
    for weight in captioner.decoder.weights:
        if weight.name == "bias":
            weight.assign(np.zeros(weight.shape))
    features = np.random.default_rng(4).random((1, 4, 5, D)).astype("float32")
    tokens = captioner.vocabulary.encode(TEXT, 8)[:-1]
    stage = explain_decoder(captioner, RELEVANCE, features, tokens, np.arange(5))
    relevance = stage.features * stage.feature_gradient
    total = stage.preceding_words.sum(1) + relevance.sum((1, 2, 3))
    np.testing.assert_allclose(total, stage.logits, rtol=1e-3, atol=1e-4)


def test_attention_is_refused_and_left_out_of_all(captioner, image):
    with pytest.raises(ValueError, match="attention, and the decoder bag has none"):
        explain(captioner, image, "attention", caption=TEXT)
    assert "attention" not in choose_methods("all", captioner)
    assert "lrp" in choose_methods("all", captioner)


def test_what_is_compiled_dies_with_the_captioner(image):
    captioner = tiny_captioner(decoder="bag")
    explain(captioner, image, "guided_grad_cam", caption=TEXT)
    explain(captioner, image, "lrp", caption=TEXT)
    gone = weakref.ref(captioner)
    del captioner
    keras.utils.clear_session()
    gc.collect()
    assert gone() is None


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "scenes"
    return write_scenes(folder, {"train": 6, "dev": 3})


@pytest.fixture(scope="module", params=["bag", "transformer"])
def run(quick, scenes, tmp_path_factory, request):
    """A short training; the captioner then says "ball" twice and never ends before."""
    run = tmp_path_factory.mktemp("runs") / request.param
    settings = (
        "embedding_size=5 hidden_size=6 heads=3 depth=1 epochs=1 images_per_batch=3"
    )
    settings += " max_caption_words=2 feature_scale=1.0 warmup_steps=0 seed=1"
    train_on(scenes, run, settings, "--decoder", request.param)
    captioner = load_captioner(run)
    words = np.array(captioner.vocabulary.words)
    bias = 50.0 * (words == "ball") - 50.0 * (np.arange(len(words)) == END)
    captioner.decoder.predictor.bias.assign(bias)
    captioner.save_run(run)
    return run


def train_on(scenes, run, settings, *options):
    arguments = ["--data-dir", scenes, "--run", run, "--cache-dir", run.parent / "c"]
    arguments += [*options, "--set", *settings.split()]
    if "--decoder" in options:
        arguments += ["--config", "scenes", "--encoder-weights", "none"]
    assert train.main([str(argument) for argument in arguments]) == 0


def test_it_captions_and_is_explained_on_a_page(run, scenes, tmp_path):
    photo = sorted((scenes / "images").iterdir())[0]
    arguments = [photo, "--model", run, "--method", "all", "--output", tmp_path]
    assert explain_image.main([str(argument) for argument in arguments]) == 0
    folder = tmp_path / photo.stem
    assert (folder / "report.html").is_file()
    summary = json.loads((folder / "lrp" / "explanation.json").read_text())
    assert summary["caption"] == "ball ball"
    assert [word["beta"] for word in summary["words"]] == [None, None]
    assert (folder / "lrp" / "heatmaps.png").stat().st_size > 1000
    with np.load(folder / "lrp" / "explanation.npz") as arrays:
        assert ("attention" in arrays) == (run.name == "transformer")
        assert "beta" not in arrays
    assert summary["decoder_rules"] == load_captioner(run).decoder.relevance_rules[0]


@pytest.mark.parametrize("run", ["bag"], indirect=True)
def test_its_explanations_are_scored(run, scenes, tmp_path):
    data = ["--model", run, "--dataset", "scenes", "--data-dir", scenes]
    data += ["--methods", "lrp,gradient"]
    boxes, words = tmp_path / "boxes.json", tmp_path / "words.json"
    arguments = [str(argument) for argument in [*data, "--output", boxes]]
    assert evaluate_bbox.main(arguments) == 0
    assert set(json.loads(boxes.read_text())["scores"]) == {"lrp", "gradient", "chance"}
    arguments = [*data, "--output", words, "--deletion", "patches"]
    assert examine_word.main([str(argument) for argument in arguments]) == 0
    found = json.loads(words.read_text())
    assert found["baseline"] == ["probability", "value"]
    assert "visual_share" not in found["auc"]


def test_its_parts_are_weighed(run, scenes, tmp_path, caplog):
    settings = "epochs=1 trainable_from="
    options = ["--from", run, "--objective", "lrp_inference"]
    with caplog.at_level("INFO"):
        train_on(scenes, tmp_path / "weighed", settings, *options)
    parts = {"bag": "words and image", "transformer": "residual and context"}
    assert f"by the relevance of {parts[run.name]}" in caplog.text
