"""Published weight files: written in their layout, converted, loaded, compared."""

import json
import logging
import pickle
import random
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from keras import ops

from config import Config
from dataset import DATASETS
from dataset.vocabulary import END, PADDING, START, Vocabulary
from models.captioner import Captioner, load_captioner
from models.convert_original import LAYERS, list_targets, main
from models.encoders import build_encoder, flatten_grid, preprocess
from models.run_files import RUN_FILES

E, H, D = 5, 6, 7
WORDS = ["a", "szeros", "dog", "zeros", "the", "'s", "cat", "runs", "grass", "ball"]
PIXELS = np.random.default_rng(5).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
UNREADABLE = [*WORDS, "boys", "boys'", "'", "s"]  # as other words, as none


def shapes_of(decoder: str, num_words: int) -> dict:
    """The shapes in a published file without the encoder's, layer by layer."""
    own = LAYERS[decoder]
    wide = {"adaptive_attention": 2 * E, "grid_td": H + 2 * E}[decoder]
    matrices = {
        "adaptive_attention": {
            "Wv": (H, H),
            "Wg": (H, H),
            "Wx": (wide, H),
            "Wh": (H, H),
            "Ws": (H, H),
            "V": (H, 1),
        },
        "grid_td": {
            "W_va": (H, H),
            "W_ha": (H, H),
            "W_a": (H, 1),
            "W_x": (wide, H),
            "W_h": (H, H),
            "W_s": (H, H),
            "top_down_lstm_weight_i": (wide, 4 * H),
            "top_down_lstm_weight_h": (H, 4 * H),
            "top_down_lstm_weight_bias": (4 * H,),
        },
    }[decoder]
    lstm_input = {"adaptive_attention": wide, "grid_td": 2 * H}[decoder]
    return {
        "embedding_1": {"embedding_1/embeddings:0": (num_words, E)},
        "image_features": {
            "image_features/kernel:0": (D, H),
            "image_features/bias:0": (H,),
        },
        "global_img_feature": {
            "global_img_feature/kernel:0": (D, E),
            "global_img_feature/bias:0": (E,),
        },
        own: {f"{own}/{own}_{name}:0": shape for name, shape in matrices.items()}
        | {
            f"{own}/kernel:0": (lstm_input, 4 * H),
            f"{own}/recurrent_kernel:0": (H, 4 * H),
            f"{own}/bias:0": (4 * H,),
        },
        "output": {"output/kernel:0": (H, num_words), "output/bias:0": (num_words,)},
    }


def make_arrays(decoder: str, num_words: int = len(WORDS), seed: int = 0) -> dict:
    """Random weights of a published captioner, {layer: {name: array}}."""
    generator = np.random.default_rng(seed)
    shapes = {
        layer.name: {f"{layer.name}/{w.name}:0": w.shape for w in layer.weights}
        for layer in build_encoder(Config()).layers
    }
    shapes |= {"dropout_1": {}} | shapes_of(decoder, num_words)
    return {
        layer: {
            name: generator.normal(scale=0.6, size=shape).astype("float32")
            for name, shape in weights.items()
        }
        for layer, weights in shapes.items()
    }


def write_file(path, arrays: dict, group: str = "/") -> None:
    """Writes what Keras 2.2's save_weights would."""
    with h5py.File(path, "w") as file:
        root = file.require_group(group)
        root.attrs["layer_names"] = [layer.encode() for layer in arrays]
        for layer, weights in arrays.items():
            names = root.create_group(layer)
            names.attrs["weight_names"] = [name.encode() for name in weights]
            for name, array in weights.items():
                names[name] = array


@pytest.fixture
def convert(tiny_vgg16, tmp_path, capsys):
    """Converts arrays and words; returns the exit code, the run and what is printed."""

    def run(arrays, words=WORDS, *flags, group="/"):
        write_file(tmp_path / "keras_model.hdf5", arrays, group)
        return run_files(words, *flags)

    def run_files(words=WORDS, *flags):
        if words is not None:
            (tmp_path / "words.json").write_text(json.dumps(words), encoding="utf-8")
        arguments = ["keras_model.hdf5", "words.json", "run"]
        weights, vocabulary, output = (str(tmp_path / name) for name in arguments)
        code = main([weights, "--vocabulary", vocabulary, "--output", output, *flags])
        printed = capsys.readouterr()
        return SimpleNamespace(
            code=code, run=tmp_path / "run", out=printed.out, err=printed.err
        )

    run.files, run.folder = run_files, tmp_path
    return run


# The published model, equation by equation


def slow_logits(decoder: str, arrays: dict, features, places: list[int]) -> np.ndarray:
    """Logits (T, V) in the tokenizer's order, of features (L, D) and input words."""
    w = {
        name.rpartition("/")[2].removeprefix(f"{layer}_").removesuffix(":0"): array
        for layer, weights in arrays.items()
        if layer == LAYERS[decoder]
        for name, array in weights.items()
    }
    w = {name: array.astype("float64") for name, array in w.items()}
    v = np.maximum(slow_dense(arrays, "image_features", features), 0)
    v_g = np.maximum(slow_dense(arrays, "global_img_feature", features.mean(0)), 0)
    step = {"adaptive_attention": slow_adaptive, "grid_td": slow_grid_td}[decoder]
    state, logits = np.zeros((4, H)), []
    for place in places:
        word = arrays["embedding_1"]["embedding_1/embeddings:0"][place]
        mixed, state = step(w, v, v_g, word.astype("float64"), state)
        logits.append(slow_dense(arrays, "output", mixed))
    return np.array(logits)


def slow_adaptive(w, v, v_g, word, state):
    h_before, c, *_ = state
    x = np.concatenate([word, v_g])
    h, c = slow_lstm(x, h_before, c, w["kernel"], w["recurrent_kernel"], w["bias"])
    names = ["Wv", "Wg", "V", "Wx", "Wh", "Ws"]
    context = slow_context([w[name] for name in names], v, x, h_before, h, c)
    return h + context, (h, c)


def slow_grid_td(w, v, v_g, word, state):
    h1_before, c1, h2, c2 = state
    x1 = np.concatenate([h2, v_g, word])
    topdown = [w[f"top_down_lstm_weight_{part}"] for part in ("i", "h", "bias")]
    h1, c1 = slow_lstm(x1, h1_before, c1, *topdown)
    names = ["W_va", "W_ha", "W_a", "W_x", "W_h", "W_s"]
    context = slow_context([w[name] for name in names], v, x1, h1_before, h1, c1)
    x2 = np.concatenate([context, h1])
    h2, c2 = slow_lstm(x2, h2, c2, w["kernel"], w["recurrent_kernel"], w["bias"])
    return h2 + context, (h1, c1, h2, c2)


def slow_lstm(x, h, c, kernel, recurrent_kernel, bias):
    i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def slow_context(matrices, v, x, h_before, h, c):
    of_value, of_state, score, of_input, of_before, of_sentinel = matrices
    z = np.tanh(v @ of_value + h @ of_state) @ score[:, 0]
    s = sigmoid(x @ of_input + h_before @ of_before) * np.tanh(c)
    last = np.tanh(s @ of_sentinel + h @ of_state) @ score[:, 0]
    alpha = np.exp(z) / np.exp(z).sum()
    beta = np.exp(last) / (np.exp(z).sum() + np.exp(last))
    return beta * s + (1 - beta) * (alpha @ v)


def slow_dense(arrays, layer, x):
    kernel, bias = (arrays[layer][f"{layer}/{part}:0"] for part in ("kernel", "bias"))
    return x @ kernel.astype("float64") + bias


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def log_softmax(z):
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def look(captioner) -> np.ndarray:
    """Features (1, 4, 5, D) of a random picture."""
    return np.array(captioner.encode(PIXELS))


def logits_of(captioner, features, tokens) -> np.ndarray:
    tokens = np.array([[tokens]], "int32")
    positions = np.arange(tokens.size, dtype="int32")[None]
    return np.array(captioner.decoder(flatten_grid(features), tokens, positions))[0]


# What comes out


@pytest.mark.parametrize("decoder", LAYERS)
def test_the_run_computes_what_the_published_model_does(convert, decoder):
    arrays = make_arrays(decoder)
    result = convert(arrays)
    assert (result.code, result.out) == (0, f"{result.run}\n")
    assert sorted(path.name for path in result.run.iterdir()) == sorted(
        [*RUN_FILES, "checksums.json"]
    )
    captioner = load_captioner(result.run)

    features = look(captioner)
    encoder = build_encoder(Config())
    of_encoder = [*arrays.values()][: len(encoder.layers)]
    encoder.set_weights([array for weights in of_encoder for array in weights.values()])
    np.testing.assert_allclose(
        encoder(preprocess(PIXELS, "vgg16")), features, atol=1e-5
    )
    assert features.shape == (1, 4, 5, D) and features.max() > 0

    assert len(captioner.vocabulary) == 1 + len(WORDS)
    names = [*captioner.vocabulary.words]
    names[START], names[END], names[names.index("s")] = "szeros", "zeros", "'s"
    places = [WORDS.index(name) for name in names[1:]]
    words = ["szeros", "dog", "'s", "ball", "a"]
    found = logits_of(captioner, features, [names.index(word) for word in words])
    published = slow_logits(
        decoder, arrays, features.reshape(20, D), [WORDS.index(word) for word in words]
    )
    # float32 against float64, a few matrix products
    np.testing.assert_allclose(found[:, 1:], published[:, places], atol=1e-4)
    # The padding takes no share of the probabilities.
    np.testing.assert_allclose(
        np.array(ops.log_softmax(found))[:, 1:],
        log_softmax(published)[:, places],
        atol=1e-4,
    )
    assert np.all(found[:, PADDING] < -9000)


@pytest.mark.parametrize("decoder", LAYERS)
@pytest.mark.slow
def test_the_words_come_out_right(convert, decoder):
    captions = set()
    for seed in range(3):
        arrays = make_arrays(decoder, seed=seed)
        captioner = load_captioner(convert(arrays, WORDS, "--overwrite").run)
        features = look(captioner)
        places = [WORDS.index("szeros")]
        while len(places) <= captioner.config.max_caption_words:
            logits = slow_logits(decoder, arrays, features.reshape(20, D), places)[-1]
            logits[WORDS.index("szeros")] = -np.inf  # no search may choose it
            places.append(int(logits.argmax()))
            if WORDS[places[-1]] == "zeros":
                break
        words = [WORDS[place] for place in places[1:] if WORDS[place] != "zeros"]
        (caption,) = captioner.caption_features(features, beam_size=1)
        assert list(caption.words) == [word.strip("'") for word in words]
        captions.add(caption.text)
    assert len(captions) > 1


def test_the_file_tells_the_sizes_and_the_dataset_the_rest(convert):
    result = convert(make_arrays("grid_td"), WORDS, "--dataset", "coco2017")
    config = Config.from_json(result.run / "config.json")
    assert config == DATASETS["coco2017"].preset.replace(
        decoder="grid_td", embedding_size=E, hidden_size=H
    )
    assert (config.min_word_count, config.feature_scale) == (5, 1.0)
    assert (config.max_caption_words, config.beam_size) == (20, 3)
    result = convert(make_arrays("adaptive_attention"), WORDS, "--overwrite")
    config = Config.from_json(result.run / "config.json")
    assert (config.dataset, config.min_word_count) == ("flickr30k", 3)
    assert config.decoder == "adaptive_attention"


def test_numbers_prefixes_and_whole_models_do_not_matter(convert):
    arrays = make_arrays("grid_td")
    expected = load_captioner(convert(arrays).run).decoder.get_weights()
    own = LAYERS["grid_td"]
    renamed = dict(arrays)
    renamed["embedding_3"] = {
        "embedding_3/embedding_3/embeddings:0": renamed.pop("embedding_1").popitem()[1]
    }
    renamed[own[:-1] + "2"] = {
        name.replace(own, own[:-1] + "2").replace("/", "/lstm_4/"): array
        for name, array in renamed.pop(own).items()
    }
    result = convert(renamed, WORDS, "--overwrite", group="model_weights")
    assert result.code == 0
    found = load_captioner(result.run).decoder.get_weights()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_precision_keeps_the_padding_finite(convert, tmp_path):
    captioner = load_captioner(convert(make_arrays("grid_td")).run)
    captioner.save_run(tmp_path / "half", half=True)
    bias = load_captioner(tmp_path / "half").decoder.predictor.bias
    assert np.isfinite(bias.numpy()).all() and bias.numpy()[PADDING] < -9000


def test_the_encoder_has_the_layers_of_vgg16():
    config = Config(embedding_size=E, hidden_size=H)
    captioner = Captioner(config, Vocabulary(["dog"]), build_encoder(config))
    found = [(t.layer, t.end) for t in list_targets(captioner) if t.path == ""]
    blocks = [(1, 2), (2, 2), (3, 3), (4, 3), (5, 3)]
    layers = [f"block{b}_conv{n + 1}" for b, count in blocks for n in range(count)]
    assert found == [(x, end) for x in layers for end in ("/kernel", "/bias")]


# The vocabulary


def test_every_form_of_the_vocabulary_gives_the_same_words(convert):
    numbered = [(word, number) for number, word in enumerate(WORDS, start=1)]
    random.Random(0).shuffle(numbered)
    mapping = dict(numbered)
    settings = {"num_words": None, "word_index": json.dumps(mapping)}
    tokenizer = {"class_name": "Tokenizer", "config": settings}
    arrays = make_arrays("adaptive_attention")
    for form in (WORDS, mapping, tokenizer, json.dumps(tokenizer)):
        result = convert(arrays, form, "--overwrite")
        assert result.code == 0, result.err
        loaded = load_captioner(result.run)
        expected = ("a", "dog", "the", "s", "cat", "runs", "grass", "ball")
        assert loaded.vocabulary.words[3:] == expected
        embedding = loaded.decoder.embedding.embeddings.numpy()
        row = arrays["embedding_1"]["embedding_1/embeddings:0"][WORDS.index("cat")]
        np.testing.assert_array_equal(embedding[loaded.vocabulary.id_of("cat")], row)
        assert np.all(embedding[PADDING] == 0)


def test_words_without_a_spelling_of_their_own_are_left_out(convert, caplog):
    arrays = make_arrays("grid_td", len(UNREADABLE))
    with caplog.at_level(logging.WARNING):
        captioner = load_captioner(convert(arrays, UNREADABLE).run)
    changed, left_out = caplog.messages
    assert changed == "1 of 14 words are spelled without the signs at their edges: 's"
    assert left_out.startswith("3 of 14 words are left out") and "boys' ' s" in left_out
    assert len(captioner.vocabulary) == 1 + 14 - 3
    features = look(captioner)
    published = slow_logits("grid_td", arrays, features.reshape(20, D), [1, 10])
    found = logits_of(captioner, features, [START, captioner.vocabulary.id_of("boys")])
    for word, place in (("boys", 10), ("s", 5), ("dog", 2)):
        id_ = captioner.vocabulary.id_of(word)
        np.testing.assert_allclose(found[:, id_], published[:, place], atol=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (WORDS[2:], "lacks szeros: expected all words of the original's tokenizer"),
        (["dog"], "lacks szeros and zeros"),
        ([*WORDS, "dog"], r"words appear twice: ['dog']"),
        ([*WORDS, 3], "must hold a JSON list of words or a mapping from word to"),
        (7, "received int"),
        ({"config": {}}, "received NoneType"),
        ({"a": 0, "dog": 1}, "its 2 words the numbers 1 to 2, each once"),
        ({"a": 0, "dog": 1}, "received 0 to 1"),
        ({"a": 1, "dog": 1}, "received 1 to 1"),
        ({"1": "a"}, "received 'a'"),
        ({"a": True}, "received True"),
        (WORDS[:-1], "the file has 10 words, the vocabulary 9 (it must begin with"),
        (["<padding>", *WORDS], "the file has 10 words, the vocabulary 11"),
    ],
)
def test_unusable_vocabularies(convert, words, message):
    result = convert(make_arrays("grid_td"), words)
    assert result.code == 2 and message in result.err
    assert not result.run.exists()


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", [0, 4])
def test_pickles_are_refused_and_not_run(convert, protocol):
    write_file(convert.folder / "keras_model.hdf5", make_arrays("grid_td"))
    trace = convert.folder / "trace"
    content = pickle.dumps(Bomb(trace), protocol)
    (convert.folder / "words.json").write_bytes(content)
    result = convert.files(None)
    assert result.code == 2 and not trace.exists()
    assert "words.json is not JSON. A pickled tokenizer is not read" in result.err
    assert "write its word_index with json.dump" in result.err


def test_missing_vocabulary(convert):
    write_file(convert.folder / "keras_model.hdf5", make_arrays("grid_td"))
    result = convert.files(None)
    assert result.code == 2 and "words.json" in result.err


# The weights


def test_all_problems_are_named_at_once(convert):
    arrays = make_arrays("adaptive_attention")
    own = LAYERS["adaptive_attention"]
    del arrays["block5_conv1"], arrays["global_img_feature"]
    del arrays[own][f"{own}/{own}_Ws:0"]
    arrays[own][f"{own}/recurrent_kernel:0"] = np.zeros((H, 4 * H + 1), "float32")
    arrays["embedding_1"]["embedding_1/embeddings:0"] = np.zeros((10, 4), "float32")
    arrays["output"]["output/bias:0"][3] = np.nan
    arrays["output"]["output/copy/kernel:0"] = np.zeros((H, 10), "float32")
    arrays["image_features"]["image_features/bias:0"] = np.zeros(H, "int32")
    arrays["block5_conv3"]["block5_conv3/kernel:0"] = np.zeros((3, 3, 6, 8), "float32")
    arrays["batch_normalization_1"] = {"gamma:0": np.ones(D, "float32")}
    result = convert(arrays, WORDS[:-1])
    assert result.code == 2 and result.err.count("\n") == 1
    for problem in (
        "is not the published adaptive_attention captioner on VGG16 with this vocab",
        "layer block5_conv1 is missing;",
        "layer global_img_feature is missing;",
        f"layer {own} has no weight ..._Ws;",
        f"{own}/{own}/recurrent_kernel: expected shape (6, 24), received (6, 25);",
        "output/output/bias: expected finite numbers, received others;",
        "one of these is expected: output/output/kernel, output/output/copy/kernel;",
        "image_features/image_features/bias: expected finite numbers, received others",
        "block5_conv3/block5_conv3/kernel: expected shape (3, 3, 6, 7), received (3, 3",
        "unexpected weights: batch_normalization_1/gamma;",
        "the file has 10 words, the vocabulary 9",
    ):
        assert problem in result.err, result.err
    assert result.err.count("block5_conv1 is missing") == 1
    assert not result.run.exists()


@pytest.mark.parametrize("layer", ["embedding_1", "output", "global_img_feature"])
def test_a_wrong_size_is_told_from_the_right_ones(convert, layer):
    arrays = make_arrays("grid_td")
    for name, array in list(arrays[layer].items())[:1]:
        arrays[layer][name] = array[:-1, :-1]
        expected = f"{array.shape}, received {tuple(n - 1 for n in array.shape)}"
        wrong = f"{layer}/{name.removesuffix(':0')}: expected shape {expected}."
    result = convert(arrays)
    assert f"with this vocabulary: {wrong}" in result.err


def test_weights_that_are_listed_but_not_there_are_missing(convert):
    write_file(convert.folder / "keras_model.hdf5", make_arrays("grid_td"))
    with h5py.File(convert.folder / "keras_model.hdf5", "a") as file:
        del file["output/output/bias:0"]
    assert "layer output has no weight .../bias." in convert.files().err


def test_unknown_and_double_decoders(convert):
    arrays = make_arrays("grid_td")
    both = arrays | make_arrays("adaptive_attention")
    result = convert(both)
    expected = f"must have one of the layers {', '.join(LAYERS.values())}; received"
    assert result.code == 2 and expected in result.err
    del arrays[LAYERS["grid_td"]]
    result = convert(arrays)
    assert expected in result.err and "embedding, global_img_feature" in result.err
    assert "received weights of no layer" in convert({}).err


def cut(path):
    path.write_bytes(path.read_bytes()[:-3000])


def forget_layers(path):
    with h5py.File(path, "a") as file:
        del file.attrs["layer_names"]


def forget_group(path):
    with h5py.File(path, "a") as file:
        del file["output"]


def group_for_array(path):
    with h5py.File(path, "a") as file:
        del file["output/output/bias:0"]
        file.create_group("output/output/bias:0")


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        forget_layers,
        forget_group,
        group_for_array,
        lambda path: path.write_text("no weights"),
        lambda path: path.write_bytes(b""),
    ],
)
def test_damaged_files(convert, damage):
    path = convert.folder / "keras_model.hdf5"
    write_file(path, make_arrays("grid_td"))
    damage(path)
    result = convert.files()
    assert result.code == 2 and result.err.count("\n") == 1
    assert f"{path} is not a whole HDF5 file written by Keras 2's" in result.err
    assert not result.run.exists()


def test_missing_file(convert):
    assert "keras_model.hdf5: the file does not exist" in convert.files().err


def test_an_output_that_exists_is_kept(convert):
    result = convert(make_arrays("grid_td"))
    before = (result.run / "decoder.weights.h5").read_bytes()
    again = convert(make_arrays("grid_td", seed=1))
    assert again.code == 2
    assert "run exists. Replace it (--overwrite) or name another" in again.err
    assert (result.run / "decoder.weights.h5").read_bytes() == before
    assert convert(make_arrays("grid_td", seed=1), WORDS, "--overwrite").code == 0
    assert (result.run / "decoder.weights.h5").read_bytes() != before
