"""The captioner: its captions, its loss and its files."""

import errno
import io
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from conftest import WORDS, randomize, tiny_captioner
from keras import ops
from PIL import Image

from config import Config
from dataset.images import ImageError, load_image
from dataset.vocabulary import END, START, Vocabulary
from files.messages import WriteError
from keras_lrp.backend import run_once
from models.captioner import Captioner, load_captioner
from models.encoders import ENCODERS, build_encoder, flatten_grid
from models.explainers.explain import explain
from models.objective import TokenCrossEntropy, token_accuracy
from models.run_files import RUN_FILES, CaptionerError
from models.weights import halve_weights

B, Q, V = 2, 5, 13

pytestmark = pytest.mark.usefixtures("unrecorded")


@pytest.fixture
def captioner(tiny_vgg16) -> Captioner:
    return build_captioner()


def build_captioner(seed=0, **changes) -> Captioner:
    """A captioner that `load_captioner` can build again."""
    sizes = {"embedding_size": 5, "hidden_size": 6, "max_caption_words": 8}
    config = Config(**sizes | {"length_penalty": 0.7} | changes)
    captioner = Captioner(config, Vocabulary(WORDS), build_encoder(config))
    randomize(captioner.encoder, seed, scale=0.3)
    randomize(captioner.decoder, seed)
    return captioner


@pytest.fixture
def photos(tmp_path) -> list:
    """Three image files of different sizes."""
    generator = np.random.default_rng(1)
    paths = [tmp_path / f"photo{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        small = generator.integers(0, 256, (3 + number, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((60, 50 + number)).save(path)
    return paths


@pytest.fixture
def run(captioner, tmp_path):
    """A run directory."""
    captioner.save_run(tmp_path / "run")
    return tmp_path / "run"


def logits_of(captioner, photos):
    """The logits of a fixed sentence for every photo."""
    pixels = np.stack([load_image(path) for path in photos])
    features = np.array(captioner.encode(pixels))
    tokens = np.tile(np.array([START, 5, 3, 9], "int32"), (len(photos), 1, 1))
    positions = np.tile(np.arange(4, dtype="int32"), (len(photos), 1))
    inputs = {"features": features, "tokens": tokens, "positions": positions}
    return np.array(run_once(captioner, inputs))


# Captions


def test_captions_differ_and_do_not_depend_on_the_batch(tiny_vgg16, photos):
    captioner = build_captioner(seed=7)  # of most seeds all captions are alike
    captions = captioner.caption(photos)
    assert len({caption.text for caption in captions}) > 1
    for batch_size in (1, 2):
        found = captioner.caption(photos, batch_size=batch_size)
        assert [c.text for c in found] == [c.text for c in captions]
    pixels = np.stack([load_image(path) for path in photos])
    found = captioner.caption_features(captioner.encode(pixels), 3)
    assert [c.text for c in found] == [c.text for c in captions]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "3"])
def test_numbers_without_a_meaning_are_refused(captioner, photos, wrong):
    features = captioner.encode(load_image(photos[0])[None])
    message = "must be a whole number, 1 or above; received"
    for call in (
        lambda: captioner.caption(photos, beam_size=wrong),
        lambda: captioner.caption(["absent.jpg"], wrong),  # before any work
        lambda: captioner.caption(photos, batch_size=wrong),
        lambda: captioner.caption_features(features, wrong),
        lambda: captioner.rank_captions(features, wrong),
        lambda: captioner.search(features, wrong),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("wrong", [-0.5, float("nan"), float("inf"), "1", True])
def test_penalties_without_a_meaning_are_refused(captioner, photos, wrong):
    features = captioner.encode(load_image(photos[0])[None])
    with pytest.raises(ValueError, match="length_penalty must be a number, 0 or above"):
        captioner.rank_captions(features, length_penalty=wrong)


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_captions_of_nothing_are_refused(captioner, nothing):
    with pytest.raises(ValueError, match=r"nothing to caption.*received none"):
        captioner.caption(nothing)


@pytest.mark.parametrize("name", ["", " ", None, 3])
def test_a_captioner_without_a_name_is_refused(name):
    with pytest.raises(CaptionerError, match="expected a run directory"):
        load_captioner(name)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_caption_equals_the_whole_sentence(captioner, photos, beam_size):
    """The search, step by step, gives what all steps at once give."""
    for path in photos:
        (caption,) = captioner.caption([path], beam_size)
        assert caption.text == " ".join(caption.words)
        tokens = captioner.vocabulary.encode(caption.text, 99)
        previous = np.concatenate([[START], tokens[:-1]]).astype("int32")
        features = captioner.encode(load_image(path)[None])
        positions = np.arange(len(tokens), dtype="int32")[None]
        logits = run_once(
            captioner.decoder, flatten_grid(features), previous[None, None], positions
        )
        steps = np.array(ops.log_softmax(logits))[0]
        if beam_size == 1:
            np.testing.assert_array_equal(
                steps.argmax(-1)[: len(caption.words)], tokens[:-1]
            )
        words = steps[np.arange(len(tokens)), tokens]
        np.testing.assert_allclose(caption.log_probabilities, words[:-1], atol=1e-5)
        score = words.sum() / len(tokens) ** 0.7
        np.testing.assert_allclose(caption.score, score, atol=1e-5)


def test_caption_names_the_file_that_is_no_photo(captioner, photos, tmp_path):
    with pytest.raises(ImageError, match=r"absent\.jpg: the file does not exist"):
        captioner.caption([*photos, tmp_path / "absent.jpg"])


@pytest.mark.parametrize("trainable_from", ["", "block5_conv1", "block5_conv3"])
def test_frozen_and_trained_part_make_the_encoder(tiny_vgg16, photos, trainable_from):
    captioner = build_captioner(trainable_from=trainable_from, feature_scale=0.5)
    pixels = np.stack([load_image(path) for path in photos])
    expected = np.array(captioner.encode(pixels))
    assert expected.shape == (3, 4, 5, 7) and expected.max() > 0
    frozen = captioner.freeze_features(pixels)
    np.testing.assert_allclose(captioner.finish_features(frozen), expected, atol=1e-5)
    trained = {v.path.split("/")[0] for v in captioner.encoder.trainable_variables}
    names = ["", "block5_conv3", "block5_conv1"]
    assert trained == set(names[1 : names.index(trainable_from) + 1])


# The loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_equals_slow_cross_entropy(smoothing):
    generator = np.random.default_rng(2)
    logits = 3 * generator.normal(size=(B, Q, V)).astype("float32")
    tokens = generator.integers(0, V, (B, Q), dtype="int32")
    weights = generator.integers(0, 2, (B, Q)).astype("float32")
    weights[0, 0], weights[1, 1] = 1.0, 0.0
    total = 0.0
    for row, column in np.ndindex(B, Q):
        z = logits[row, column].astype("float64")
        log_probabilities = z - np.log(np.exp(z).sum())
        target = np.full(V, smoothing / V)
        target[tokens[row, column]] += 1 - smoothing
        total -= weights[row, column] * (target @ log_probabilities)
    loss = TokenCrossEntropy(smoothing)(tokens, logits, sample_weight=weights)
    np.testing.assert_allclose(loss, total / weights.sum(), rtol=1e-5)


def test_loss_without_words_is_zero():
    logits = np.ones((B, Q, V), "float32")
    tokens, weights = np.zeros((B, Q), "int32"), np.zeros((B, Q), "float32")
    loss = TokenCrossEntropy(0.1)(tokens, logits, sample_weight=weights)
    assert float(loss) == 0.0


def test_token_accuracy_by_hand():
    logits = np.array([[[0, 2, 1], [5, 4, 3]], [[1, 1.5, 2], [0, 0, 1]]], "float32")
    tokens = np.array([[1, 1], [2, 0]], "int32")
    np.testing.assert_array_equal(token_accuracy(tokens, logits), [[1, 0], [1, 0]])


# Files


def test_save_and_load_give_the_same_captions(captioner, run, photos):
    loaded = load_captioner(run)
    assert loaded.caption(photos) == captioner.caption(photos)
    assert loaded.config == captioner.config
    assert loaded.vocabulary.words == captioner.vocabulary.words
    names = {path.name for path in run.iterdir()}
    assert names == {*RUN_FILES, "checksums.json"}


@pytest.mark.slow
def test_other_encoders_caption_explain_and_are_loaded(photos, tmp_path, monkeypatch):
    """The one of most branches, but its last six blocks, trained from a block on.

    The maps of others are tested with the networks.
    """
    cut = replace(ENCODERS["inception_v3"], feature_layer="mixed4")
    monkeypatch.setitem(ENCODERS, "inception_v3", cut)
    sizes = {"embedding_size": 5, "hidden_size": 6, "max_caption_words": 8}
    config = Config(encoder="inception_v3", trainable_from="conv2d_30", **sizes)
    captioner = Captioner(config, Vocabulary(WORDS), build_encoder(config))
    randomize(captioner.decoder, seed=0)
    captioner.save_run(tmp_path / "run")
    loaded = load_captioner(tmp_path / "run")
    assert loaded.caption(photos[:1]) == captioner.caption(photos[:1])
    e = explain(loaded, photos[0], caption="a dog sits", words=["sits"])
    assert e.pixels.shape == (1, 224, 224, 3) and np.isfinite(e.pixels).all()
    # Fresh encoders have no biases, so that nothing is lost between them and the photo.
    from_features = e.features.sum((1, 2, 3))
    assert np.abs(e.lost[:, 1]).max() < 1e-3 * np.abs(from_features).max()


def test_half_precision_is_close_and_half_as_large(captioner, tmp_path, photos):
    captioner.save_run(tmp_path / "half", half=True)
    loaded = load_captioner(tmp_path / "half")
    expected = logits_of(captioner, photos)
    error = np.abs(logits_of(loaded, photos) - expected).max()
    # Eleven bits of every weight are kept: 5e-4 each, some of it adds up.
    assert 0 < error < 5e-3 * np.abs(expected).max()
    with h5py.File(tmp_path / "half" / "decoder.weights.h5") as file:
        types = []
        file.visititems(lambda _, item: types.append(getattr(item, "dtype", None)))
    assert {str(kind) for kind in types if kind} == {"float16"}
    assert (
        len(list((tmp_path / "half").iterdir())) == len(RUN_FILES) + 1
    )  # the checksums


def test_a_run_is_replaced_whole_or_not_at_all(captioner, run, photos, monkeypatch):
    expected = load_captioner(run).caption(photos)
    randomize(captioner.decoder, seed=9)

    def fail(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(type(run), "write_bytes", fail)
    with pytest.raises(WriteError, match=r"json cannot be written: no space is left"):
        captioner.save_run(run)
    assert load_captioner(run).caption(photos) == expected


def test_unknown_names_list_the_shipped_captioners(captioner, tmp_path, monkeypatch):
    monkeypatch.setattr("models.run_files.PRETRAINED", tmp_path / "pretrained")
    with pytest.raises(CaptionerError, match=r"shipped captioners \(none\)"):
        load_captioner("nowhere")
    for name in ("tiny-two", "tiny-one"):
        captioner.save_run(tmp_path / "pretrained" / name, half=True)
    expected = r"No captioner 'nowhere': .* shipped captioners \(tiny-one, tiny-two\)"
    with pytest.raises(CaptionerError, match=expected):
        load_captioner("nowhere")
    assert load_captioner("tiny-one").config == captioner.config


def test_missing_files_are_listed(run):
    (run / "vocabulary.json").unlink()
    (run / "decoder.weights.h5").unlink()
    expected = r"run is not a complete run directory: vocabulary.json, decoder.weights"
    with pytest.raises(CaptionerError, match=expected):
        load_captioner(run)


def change_config(run, **changes):
    path = run / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


DAMAGE = {
    "cut decoder": (lambda r: cut(r / "decoder.weights.h5", 0.6), "decoder.weights.h5"),
    "empty": (lambda r: cut(r / "encoder.weights.h5", 0), "encoder.weights.h5"),
    "text": (
        lambda r: (r / "encoder.weights.h5").write_text("no weights\n" * 99),
        "encoder.weights.h5 is damaged or was replaced",
    ),
    "swapped": (
        lambda r: (r / "encoder.weights.h5").replace(r / "decoder.weights.h5"),
        "encoder.weights.h5 missing",
    ),
    "other weights": (
        lambda r: (r / "decoder.weights.h5").write_bytes(
            (r / "encoder.weights.h5").read_bytes()
        ),
        "decoder.weights.h5 is damaged or was replaced",
    ),
    "fewer words": (
        lambda r: Vocabulary(WORDS[1:]).save(r / "vocabulary.json"),
        "decoder.weights.h5 does not fit .* vocabulary.json describe: .*embedding",
    ),
    "larger": (
        lambda r: change_config(r, hidden_size=8),
        r"decoder.weights.h5 does not fit the decoder that its config.json",
    ),
    "unknown setting": (
        lambda r: change_config(r, hiden_size=8),
        "config.json: Unknown setting 'hiden_size'. Did you mean 'hidden_size'",
    ),
    "wrong setting": (
        lambda r: change_config(r, hidden_size="8"),
        "config.json: hidden_size must be int; received '8'",
    ),
    "unknown decoder": (
        lambda r: change_config(r, decoder="lstm"),
        "cannot be loaded: decoder must be one of adaptive_attention, .* 'lstm'",
    ),
    "unknown encoder": (
        lambda r: change_config(r, encoder="alexnet"),
        "cannot be loaded: encoder must be one of vgg16, .* 'alexnet'",
    ),
    "unknown layer": (
        lambda r: change_config(r, trainable_from="conv9"),
        "trainable_from must name a layer of the encoder: .* received 'conv9'",
    ),
    "cut config": (
        lambda r: cut(r / "config.json", 0.5),
        "config.json is damaged",
    ),
    "cut vocabulary": (
        lambda r: cut(r / "vocabulary.json", 0.5),
        "vocabulary.json is damaged",
    ),
}


def test_a_run_of_an_unknown_dataset_loads(run, photos):
    expected = load_captioner(run).caption(photos)
    change_config(run, dataset="own")
    captioner = load_captioner(run)
    assert captioner.config.dataset == "own"
    assert captioner.caption(photos) == expected


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_runs_are_refused_in_one_line(run, case):
    damage, expected = DAMAGE[case]
    damage(run)
    with pytest.raises(CaptionerError, match=expected) as caught:
        load_captioner(run)
    assert "\n" not in str(caught.value)


def test_every_truncation_of_the_weights_is_refused(run):
    path = run / "decoder.weights.h5"
    whole = path.read_bytes()
    for share in np.linspace(0.02, 0.98, 9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CaptionerError, match=r"decoder\.weights\.h5 is damaged"):
            load_captioner(run)


def test_the_end_token_is_no_word(captioner, photos):
    for caption in captioner.caption(photos):
        assert len(caption.words) == len(caption.log_probabilities)
        assert set(caption.words) <= set(WORDS)
        assert captioner.vocabulary.words[END] not in caption.text


def test_a_decoder_takes_what_fits_of_another_kind():
    adaptive = tiny_captioner(seed=1)
    grid = tiny_captioner(seed=2, decoder="grid_td")
    before = {weight.path: weight.numpy() for weight in grid.decoder.weights}
    grid.take_weights(adaptive)
    theirs = {weight.path: weight.numpy() for weight in adaptive.decoder.weights}
    own = {"attention/input_kernel"} | {path for path in before if "lstm" in path}
    for weight in grid.decoder.weights:
        expected = before if weight.path in own else theirs
        np.testing.assert_array_equal(weight.numpy(), expected[weight.path])
    pairs = zip(grid.encoder.weights, adaptive.encoder.weights, strict=True)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


def test_a_run_shares_the_encoder_of_a_shipped_captioner(
    captioner, tmp_path, monkeypatch
):
    monkeypatch.setattr("models.run_files.PRETRAINED", tmp_path)
    captioner.save_run(tmp_path / "first")
    second = tmp_path / "second"
    build_captioner(seed=5, decoder="grid_td").save_run(second)
    (second / "encoder.weights.h5").unlink()
    (second / "encoder.json").write_text('{"captioner": "first"}')
    loaded = load_captioner("second")
    assert loaded.config.decoder == "grid_td"
    pairs = zip(loaded.encoder.weights, captioner.encoder.weights, strict=True)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)
    (second / "encoder.json").write_text('{"captioner": "third"}')
    with pytest.raises(CaptionerError, match=r"must name a shipped captioner.*first"):
        load_captioner("second")
    loaded.save_run(second)
    assert not (second / "encoder.json").exists()
    assert load_captioner(second).config.decoder == "grid_td"


def test_half_precision_keeps_what_it_cannot_hold(tmp_path):
    path = tmp_path / "some.weights.h5"
    with h5py.File(path, "w") as file:
        file["small"] = np.array([1.5, -2.0], "float32")
        file["large"] = np.array([1.5, 1e5], "float32")
    with h5py.File(halve_weights(io.BytesIO(path.read_bytes()))) as file:
        assert file["small"].dtype == np.float16
        np.testing.assert_array_equal(file["large"], np.array([1.5, 1e5], "float32"))
