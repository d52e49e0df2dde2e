"""Published captioners: their files, and every script of the project on each family."""

import itertools
import json
import os
import pickle
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import IS_TENSORFLOW, tiny_captioner
from PIL import Image
from tiny_published import (
    CONFIGS,
    END,
    START,
    random_arrays,
    token_of,
    word_pieces,
    write_captioner,
    write_safetensors,
)

import evaluate_bbox
import examine_word
import explain_image
import inference
import train
from dataset.images import ImageError
from dataset.scenes import write_scenes
from files.messages import FileError
from keras_lrp.operations import RELEVANCE_RULES
from models import METHODS, CaptionerError, explain, explain_each, load_captioner
from models.published.array_files import read_arrays, read_safetensors
from models.published.families import FAMILIES
from models.published.generation import Generation, read_generation
from models.published.pieces import Pieces, load_pieces
from models.published.preprocessing import read_preprocessing
from models.published.search import restrict, search
from models.published.torch_file import read_torch_file
from scoring import randomisation

pytestmark = pytest.mark.usefixtures("unrecorded")


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    """A captioner of each family that says "ball" three times."""
    path = tmp_path_factory.mktemp("published") / request.param
    return write_captioner(path, request.param, says="ball", max_length=4)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "scenes"
    return write_scenes(folder, {"train": 1, "dev": 2})


# Files of weights


def test_safetensors_are_read_and_damaged_ones_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    arrays = {
        "a": np.arange(6, dtype="float32").reshape(2, 3),
        "b": np.ones(4, "int64"),
    }
    write_safetensors(path, arrays)
    found = read_safetensors(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    whole = path.read_bytes()
    damaged = {
        "its header has": (10**9).to_bytes(8, "little") + whole[8:],
        "is no JSON": whole[:8] + b"#" + whole[9:],
        r".a of the shape \[2, 9\] has 72 bytes": whole.replace(b"[2, 3]", b"[2, 9]"),
        r"data_offsets\[1\]: expected": whole.replace(b"[0, 24]", b"[0, 99]"),
        "dtype: expected one of F64,": whole.replace(b"F32", b"F31"),
        "'b' begins at byte 16; expected 24": whole.replace(b"[24, 56]", b"[16, 48]"),
        "its arrays have 56 bytes, the file 57": whole + b"x",
        "the name 'a' is there twice": whole.replace(b'"b"', b'"a"'),
        "nested too deeply": (9000).to_bytes(8, "little") + b"[" * 9000,
    }
    for reason, content in damaged.items():
        path.write_bytes(content)
        with pytest.raises(CaptionerError, match=reason):
            read_safetensors(path)


class Saved:
    """Pickles itself as what a file of weights may or may not name."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def write_torch_file(path, content: bytes, storages=()):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for key, array in storages:
            archive.writestr(f"archive/data/{key}", array.tobytes())


def tensor_pickle(shape, strides, offset=0, name="_rebuild_tensor_v2"):
    """The pickle of {"w": tensor}, written by hand, opcode by opcode."""
    numbers = [
        b"(" + b"".join(b"K" + bytes([n]) for n in part) + b"t"
        for part in (shape, strides)
    ]
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
    storage += b"X\x03\x00\x00\x00cpuK\x06tQ"
    call = b"ctorch._utils\n" + name.encode() + b"\n("
    call += storage + b"K" + bytes([offset])
    call += b"".join(numbers) + b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}X\x01\x00\x00\x00w" + call + b"s."


def test_numbers_that_are_not_finite_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    for value in (np.nan, -np.inf, 1e300):
        write_safetensors(path, {"a": np.ones(3), "b": np.array([1, value])})
        with pytest.raises(CaptionerError, match=r"safetensors .* array .b. holds"):
            read_arrays(tmp_path)
    assert len(read_arrays(tmp_path, unused=lambda name: name == "b")) == 2


def test_a_file_of_pytorch_is_read(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    storage = np.arange(6, dtype="float32")
    write_torch_file(path, tensor_pickle((3, 2), (1, 3)), [("0", storage)])
    found = read_arrays(tmp_path)
    np.testing.assert_array_equal(found["w"], storage.reshape(2, 3).T)


def test_hostile_files_run_nothing(tmp_path):
    path, trap = tmp_path / "pytorch_model.bin", tmp_path / "trap"
    hostile = {
        "it names posix.system": pickle.dumps(Saved(os.system, (f"touch {trap}",))),
        "it names builtins.eval": pickle.dumps(Saved(eval, ("1",)), protocol=2).replace(
            b"__builtin__", b"builtins"
        ),
        "lies outside of its storage": tensor_pickle((3, 9), (1, 3)),
        "outside": tensor_pickle((3, 2), (1, 3), offset=9),
        "it names torch._utils._rebuild_other": tensor_pickle(
            (1,), (1,), name="_rebuild_other"
        ),
        "must hold tensors by name": pickle.dumps({"w": "text"}),
        "cannot be read": b"\x80",
        "6 numbers; it declares 7": tensor_pickle((3, 2), (1, 3)).replace(
            b"K\x06tQ", b"K\x07tQ"
        ),
        r"shape \(7, 2\) lies outside": tensor_pickle((7, 2), (0, 0)),
        "numbers an object 4,000,000,000": b"\x80\x02}r"
        + (4 * 10**9).to_bytes(4, "little")
        + b".",
        "its opcode INST at byte 1": b"(iposix\nsystem\n.",
        "it changes what it names": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
    }
    for reason, content in hostile.items():
        write_torch_file(path, content, [("0", np.arange(6, dtype="float32"))])
        with pytest.raises(CaptionerError, match=reason):
            read_torch_file(path)
    path.write_bytes(b"no zip")
    with pytest.raises(CaptionerError, match="cannot be read: File is not a zip"):
        read_torch_file(path)
    assert not trap.exists()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle((3, 2), (1, 3)))
        archive.writestr("archive/data/0", bytes(10**6))
    with pytest.raises(CaptionerError, match="it is compressed, which PyTorch never"):
        read_torch_file(path)


def test_arrays_that_do_not_fit_are_named(tmp_path):
    arrays = random_arrays(FAMILIES["blip"](CONFIGS["blip"]).slots, 0)
    name = "text_decoder.cls.predictions.bias"
    copy = "text_decoder.cls.predictions.decoder.bias"
    wrong = {
        f"missing: {name}": {k: v for k, v in arrays.items() if k != name},
        "not known: visual.odd": arrays | {"visual.odd": np.ones(3, "float32")},
        rf"another shape: {name} \(3,\), expected \(17,\)": arrays
        | {name: np.ones(3, "float32")},
        f"different from what they copy: {copy}": arrays | {copy: arrays[name] + 1},
    }
    folder = write_captioner(tmp_path / "blip", "blip")
    for reason, changed in wrong.items():
        write_safetensors(folder / "model.safetensors", changed)
        with pytest.raises(CaptionerError, match=reason):
            load_captioner(folder)
    fine = arrays | {
        copy: arrays[name],
        "text_decoder.x.position_ids": np.ones(1, "f4"),
    }
    write_safetensors(folder / "model.safetensors", fine)
    load_captioner(folder)


# The other files


def test_it_is_not_trained(tmp_path, capsys):
    folder = write_captioner(tmp_path / "git", "git")
    given = {"--from": folder, "--objective": "lrp_inference", "--data-dir": tmp_path}
    given["--run"] = tmp_path / "run"
    assert train.main([str(part) for pair in given.items() for part in pair]) == 2
    expected = "is a published captioner, which can be explained but not trained; "
    assert f"train.py: {folder} {expected}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_loaded_is_named(tmp_path):
    folder = write_captioner(tmp_path / "git", "git")
    config = json.loads((folder / "config.json").read_text())
    wrong = {
        "of the kind 'llava'; known are blip, git, vision-": {"model_type": "llava"},
        "num_image_with_embedding = 6; only None": {"num_image_with_embedding": 6},
        "Unknown activation 'swish'": {"hidden_act": "swish"},
        "must divide the size": {"num_attention_heads": 3},
    }
    for reason, change in wrong.items():
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(CaptionerError, match=reason):
            load_captioner(folder)
    (folder / "config.json").write_text(json.dumps(config))
    for name, reason in (
        ("tokenizer.json", "has no tokenizer"),
        ("preprocessor_config.json", "preprocessor_config.json is missing"),
        ("model.safetensors", "has no weights"),
    ):
        (folder / name).rename(folder / "away")
        with pytest.raises(CaptionerError, match=reason):
            load_captioner(folder)
        (folder / "away").rename(folder / name)


DEEP = "[" * 5000 + "]" * 5000
HUGE = '{"model_type": "git", "hidden_size": 60000, "vocab_size": 1000000}'
NO_UNKNOWN = """{"added_tokens": [], "model": {"type": "WordPiece", "vocab": {},
"unk_token": "[UNK]", "continuing_subword_prefix": "##",
"max_input_chars_per_word": 100}}"""
HOSTILE = {
    "config.json": {
        "nested too deeply": '{"model_type": "git", "x": ' + DEEP + "}",
        "model_type: expected a text": '{"model_type": ["git"]}',
        "vocab_size: expected a whole n": '{"model_type": "git", "vocab_size": 1e99}',
        "at least [0-9,]{14} numbers; its files": HUGE,
        "model_type. is there twice": '{"model_type": "git", "model_type": 1}',
        "special token 9": '{"model_type": "git", "pad_token_id": 9000}',
    },
    "generation_config.json": {
        "num_beams: expected a whole number from 1": '{"num_beams": "4"}',
        "length_penalty: expected a number": '{"length_penalty": NaN}',
        "is not UTF-8": b"\xff",
        "expected an object": "[]",
    },
    "preprocessor_config.json": {
        r"image_std\[0\]: expected a number from": '{"image_std": [0, 1, 1]}',
        "too many digits": '{"resample": ' + "9" * 5000 + "}",
        "size: expected a number of pixels": '{"size": {"height": 32}}',
    },
    "tokenizer.json": {
        "model is missing": "{}",
        "the library tokenizers says": '{"model": {"type": "BPE"}}',
        r"Missing \[UNK\] token": NO_UNKNOWN,
        "nested too deeply": '{"model": {"x": ' + DEEP + "}}",
    },
}


def test_hostile_settings_are_refused_by_file(tmp_path):
    folder = write_captioner(tmp_path / "git", "git")
    for name, contents in HOSTILE.items():
        path = folder / name
        good = path.read_bytes()
        for reason, content in contents.items():
            if name == "config.json" and "9000" in content:
                content = json.dumps(json.loads(good) | {"pad_token_id": 9000})
            path.write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
            with pytest.raises(CaptionerError, match=reason) as caught:
                load_captioner(folder)
            assert str(folder) in str(caught.value)
        path.write_bytes(b"\xef\xbb\xbf" + good)
    load_captioner(folder)  # a byte order mark does no harm


def test_damaged_vocabularies_are_named(tmp_path):
    pytest.importorskip("tokenizers")
    cases = {
        "vocab.txt": {
            "'dog' is there twice": "[UNK]\ndog\ndog\n",
            r"no \[UNK\]": "dog\n",
        },
        "vocab.json": {"the same number": '{"a": 1, "b": 1}'},
        "merges.txt": {"'a b c' is no pair": "a b c\n", "'a q' is no": "a q\n"},
    }
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1, "ab": 2}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    assert load_pieces(tmp_path, 3, 0, (1,), 2).encode("ab").tolist() == [2]
    for name, contents in cases.items():
        path = tmp_path / name
        good = path.read_bytes() if path.is_file() else None
        for reason, content in contents.items():
            path.write_text(content)
            with pytest.raises(FileError, match=f"{name} is damaged .*{reason}"):
                load_pieces(tmp_path, 3, 0, (1,), 2)
        path.unlink() if good is None else path.write_bytes(good)


def test_published_captioners_are_not_shuffled(tmp_path, capsys):
    folder = write_captioner(tmp_path / "git", "git")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    assert run(randomisation, "--images", tmp_path, "--model", folder) == 2
    assert "received a captioner of the kind git" in capsys.readouterr().err


def test_a_published_captioner_of_the_hub(tmp_path, monkeypatch):
    """A pickle is asked for only where the weights come in no other form."""
    folder, asked = write_captioner(tmp_path / "git", "git"), []

    def snapshot_download(name, allow_patterns, **options):
        asked.append(set(allow_patterns))
        return str(folder)

    hub = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert load_captioner("hf://someone/git").config.decoder == "git"
    assert len(asked) == 2 and "pytorch_model.bin" not in asked[1]
    assert {"model.safetensors", "tokenizer.json"} <= asked[1] - asked[0]
    (folder / "model.safetensors").unlink()
    with pytest.raises(CaptionerError, match="has no weights"):
        load_captioner("hf://someone/git")
    assert len(asked) == 5 and "pytorch_model.bin" in asked[4]


def test_generation_settings(tmp_path):
    path = tmp_path / "generation_config.json"
    path.write_text('{"num_beams": 4, "max_length": 16, "eos_token_id": 7}')
    found = read_generation(tmp_path, "git", {}, (1, 2, 0), 512)
    assert (found.beam_size, found.max_tokens, found.end) == (4, 15, (2,))
    path.write_text('{"bad_words_ids": [[1]]}')
    with pytest.raises(CaptionerError, match="bad_words_ids is not known"):
        read_generation(tmp_path, "git", {}, (1, 2, 0), 512)
    path.unlink()
    assert read_generation(tmp_path, "git", {}, (1, 2, 0), 12).max_tokens == 11


LEGACY = {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 2}
LEGACY |= {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
CLIP = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}}
CLIP |= {"crop_size": {"height": 32, "width": 32}}


def test_photographs_are_prepared_in_both_forms(tmp_path):
    path = tmp_path / "preprocessor_config.json"
    image = Image.effect_noise((90, 60), 80).convert("RGB")
    path.write_text(json.dumps(LEGACY))
    found = read_preprocessing(tmp_path, 32, "ViT")
    photo = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(np.asarray(found.resize(image)), photo)
    expected = (photo / 255 - 0.5) / 0.5
    np.testing.assert_allclose(found.apply(photo), expected, atol=1e-6)
    path.write_text(json.dumps(CLIP))
    found = read_preprocessing(tmp_path, 32, "CLIP")
    photo = np.asarray(image.resize((48, 32), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(np.asarray(found.resize(image)), photo)
    assert found.window(photo) == (slice(0, 32), slice(8, 40))
    expected = (photo[:, 8:40] / 255 - found.mean) / found.deviation
    np.testing.assert_allclose(found.apply(photo), expected, atol=1e-5)
    with pytest.raises(ImageError, match="300x2 pixels is too narrow"):
        found.resize(image.resize((300, 2)))
    with pytest.raises(CaptionerError, match=r"\(32, 32\) pixels; the encoder .* 48"):
        read_preprocessing(tmp_path, 48, "CLIP")
    path.write_text(json.dumps({"image_processor_type": "DonutImageProcessor"}))
    with pytest.raises(CaptionerError, match="it names 'DonutImageProcessor'; known"):
        read_preprocessing(tmp_path, 32, "CLIP")


def test_tokens_become_words():
    pieces = Pieces(word_pieces(), 17, START, (END,), 0)
    tokens = pieces.encode("A skateboard runs on the ball .")
    sentence = pieces.sentence(tokens)
    assert sentence.text == "a skateboard runs on the ball."
    assert sentence.words == ("a", "skateboard", "runs", "on", "the", "ball", ".")
    np.testing.assert_array_equal(sentence.word_of, [0, 1, 1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(sentence.columns, [0, 1, 2, 2, 3, 4, 5, 6])
    values = np.arange(8.0)
    np.testing.assert_array_equal(sentence.merge(values[1:4], [1, 2]), [3, 3])
    with pytest.raises(ValueError, match="does not know 'zebra', 'xylophone'"):
        pieces.encode("a zebra on the xylophone")
    special = pieces.sentence([START, token_of("dog"), token_of("'")])
    assert special.words == ("dog", "'")
    assert pieces.sentence([]).words == () == pieces.sentence([START]).words


def test_published_vocabularies(shared):
    """Text, words and tokens agree for WordPiece and for byte-level BPE."""
    text = "A man's t-shirt, two skateboarders!"
    for name in ("bert_uncased", "gpt2"):
        folder = shared / "reference" / "tokenizers" / name
        pieces = load_pieces(folder, 60000, 0, (1,), 2)
        sentence = pieces.sentence(pieces.encode(text))
        assert "".join(sentence.words).lower() == text.lower().replace(" ", "")
        assert "two" in sentence.words and "skateboarders" in sentence.words
        assert len(sentence.word_of) == len(sentence.tokens)
        assert set(sentence.word_of) == set(range(len(sentence.words)))


# The search


def table_step(table):
    """A model whose next token depends on the last one alone."""

    def step(tokens, state):
        return table[np.asarray(tokens)], state

    return step


def settings(**changes) -> Generation:
    return Generation("table", 0, (1,), 0, **{"max_tokens": 4} | changes)


def log_softmax(values):
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
def test_a_wide_beam_finds_the_best_of_all_captions(length_penalty):
    logs = log_softmax(np.random.default_rng(5).normal(size=(4, 4)) * 2)
    scores = {}
    for length in range(1, 5):
        for tokens in itertools.product(range(4), repeat=length):
            is_whole = 1 not in tokens[:-1] and (tokens[-1] == 1 or length == 4)
            if is_whole:
                pairs = itertools.pairwise((0, *tokens))
                scores[tokens] = sum(logs[p] for p in pairs) / length**length_penalty
    generation = settings(length_penalty=length_penalty, early_stopping="never")
    step = table_step(logs)
    found = search(step, np.zeros((1, 200)), 1, 200, generation)
    best = max(scores, key=scores.get)
    assert tuple(found.tokens[0, 0][found.tokens[0, 0] >= 0]) == best
    assert found.scores[0, 0] == pytest.approx(scores[best])


def test_finished_captions_are_kept_apart():
    """A short caption that ended early wins over a beam full of longer ones."""
    logs = np.full((4, 4), -9.0)
    logs[0] = [-9, -1.0, -0.9, -1.1]  # the end is the second choice at once
    logs[2] = [-9, -2.0, -0.5, -1.0]
    logs[3] = [-9, -2.0, -1.0, -0.5]
    step = table_step(logs)
    found = search(step, np.zeros((1, 2)), 1, 2, settings(length_penalty=0.0))
    assert found.tokens[0, 0].tolist()[:2] == [1, -1][: len(found.tokens[0, 0])]
    seen = []
    greedy = search(step, np.zeros((1, 1)), 1, 1, settings(), seen.append)
    assert greedy.tokens[0, 0].tolist() == [2, 2, 2, 2]
    written = [so_far.tokens[0, 0].tolist() for so_far in seen]
    assert written == [[2], [2, 2], [2, 2, 2]], "what goes on is watched"
    assert seen[1].scores[0, 0] == seen[1].log_probabilities[0, 0].mean()


def test_repetition_and_length_settings():
    scores = np.log(np.full((1, 1, 5), 0.2))
    tokens = np.array([[[3, 4, 3]]])
    found = restrict(scores, tokens, settings(repetition_penalty=2.0))
    np.testing.assert_allclose(found / scores, [[[2, 1, 1, 2, 2]]])
    found = restrict(scores, tokens, settings(no_repeat_ngram_size=2))
    np.testing.assert_array_equal(np.isinf(found), [[[0, 0, 0, 0, 1]]])
    found = restrict(scores, tokens, settings(min_tokens=4))
    np.testing.assert_array_equal(np.isinf(found), [[[0, 1, 0, 0, 0]]])


# Everything on every family


def run(script, *arguments) -> int:
    return script.main([str(argument) for argument in arguments])


def test_every_method_explains(folder):
    """Each gives a map or is refused by name."""
    captioner, text = load_captioner(folder), "a skateboard."
    photo = np.asarray(Image.effect_noise((50, 34), 90).convert("RGB"))
    unfit = {"guided_grad_cam": "guides rectifiers", "centred_lrp": "centres the"}
    for name, reason in unfit.items():
        with pytest.raises(ValueError, match=f"{name} {reason}"):
            explain_each(captioner, photo, ["lrp", name], text)
    methods = [name for name in METHODS if name not in unfit]
    explanations = explain_each(captioner, photo, methods, text, contrast="cat")
    for name, e in zip(methods, explanations, strict=True):
        assert (e.method, e.words) == (name, ("a", "skateboard", "."))
        rules = "attn_lrp" if METHODS[name].is_balanced else None
        assert e.decoder_rules == rules
        assert len(e.pixels) == 3 and e.preceding_words.shape == (3, 4)
        assert e.attention.sum((1, 2)).max() <= 1 + 1e-4


@pytest.mark.parametrize("folder", ["git"], indirect=True)
def test_the_files_of_an_explanation(folder, tmp_path, capsys):
    photo = tmp_path / "wide.png"
    Image.effect_noise((50, 34), 90).convert("RGB").save(photo)
    arguments = [photo, "--model", folder, "--output", tmp_path / "out"]
    assert run(explain_image, *arguments, "--method", "guided_grad_cam") == 2
    assert "guided_grad_cam guides rectifiers" in capsys.readouterr().err
    assert run(explain_image, *arguments, "--caption", "a skateboard.") == 0
    below = tmp_path / "out" / "wide"
    summary = json.loads((below / "explanation.json").read_text())
    assert [word["word"] for word in summary["words"]] == ["a", "skateboard", "."]
    assert summary["decoder_rules"] == "attn_lrp"
    with np.load(below / "explanation.npz") as arrays:
        assert arrays["preceding_words"].shape == (3, 4)
    assert run(explain_image, *arguments, "--lrp-preset", "z_plus", "--overwrite") == 2
    assert "z_plus is of convolutional encoders" in capsys.readouterr().err
    assert run(explain_image, *arguments, "--precision", "bfloat16", "--resume") == 2
    assert "precision bfloat16 is one of the way back" in capsys.readouterr().err


@pytest.mark.compiled
@pytest.mark.skipif(not IS_TENSORFLOW, reason="only TensorFlow counts its tracings")
def test_nothing_is_compiled_for_a_step_of_its_own(folder):
    captioner = load_captioner(folder)
    photo = captioner.load_photo(np.zeros((32, 32, 3), "uint8"))
    captioner.caption_features(captioner.encode([photo]), 2)
    assert captioner._step.experimental_get_tracing_count() == 1


def test_the_photo_has_its_own_coordinates_and_words_add_up(folder):
    captioner = load_captioner(folder)
    photo = np.random.default_rng(0).integers(0, 256, (34, 50, 3), dtype="uint8")
    text = "a skateboard on the dog's ball"
    e = explain(captioner, photo, caption=text, decoder_rules="cp_lrp")
    crops = captioner.config.decoder == "git"
    assert e.image.shape == ((32, 47, 3) if crops else (32, 32, 3))
    assert e.pixels.shape[1:] == e.image.shape
    if crops:
        assert not e.pixels[:, :, :7].any() and not e.pixels[:, :, 39:].any()
        assert e.attention.shape[1:] == (32, 47)
    assert e.words == ("a", "skateboard", "on", "the", "dog's", "ball")
    assert e.words_read == ("<start>", *e.words)
    shared = e.preceding_words.sum(1) + e.pixels.sum((1, 2, 3)) + e.lost.sum(1)
    np.testing.assert_allclose(shared, e.logits, rtol=1e-4, atol=1e-4)
    own = e.preceding_words[1, 2]  # of "##board" and "skate" before it
    assert own != 0 and not e.preceding_words[0, 2:].any()
    captioner.decoder.rows_at_once = 4  # 8 tokens in two calls
    parts = explain(captioner, photo, caption=text, decoder_rules="cp_lrp")
    np.testing.assert_allclose(parts.pixels, e.pixels, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(parts.preceding_words, e.preceding_words, atol=1e-5)
    given = {"caption": text, "decoder_rules": "cp_lrp"}
    chosen = explain(captioner, photo, words="ball", phrases="the dog's ball", **given)
    assert chosen.words == ("the dog's ball", "ball") and chosen.lengths == (3, 1)
    phrase = e.pixels[3:].sum(0)
    limit = 1e-4 * np.abs(phrase).max()
    np.testing.assert_allclose(chosen.pixels[0], phrase, atol=limit)
    np.testing.assert_allclose(chosen.pixels[1], e.pixels[5], rtol=1e-3, atol=1e-6)
    other = explain(captioner, photo, against="a skateboard on the cat", **given)
    assert other.words == ("dog's ball, not cat",)
    assert other.words_read == ("<start>", *e.words, "(cat)")
    shared = other.preceding_words.sum(1) + other.features.sum((1, 2, 3))
    np.testing.assert_allclose(shared + other.lost[:, 0], other.logits, atol=1e-4)


def test_images_of_a_dataset_are_captioned(folder, scenes, tmp_path, quick):
    data = ["--model", folder, "--dataset", "scenes", "--data-dir", scenes]
    options = ["--split", "dev", "--metrics", "bleu", "--n-best", "2"]
    captions = tmp_path / "captions.json"
    assert run(inference, *data, *options, "--output", captions) == 0
    found = json.loads(captions.read_text())
    assert {entry["caption"] for entry in found} == {"ball ball ball"}


@pytest.mark.parametrize("folder", ["git"], indirect=True)
@pytest.mark.slow
def test_explanations_are_scored(folder, scenes, tmp_path, monkeypatch):
    """Of the family that sees a part of each photo."""
    monkeypatch.setattr(evaluate_bbox, "NUM_EXAMPLES", 1)
    data = ["--model", folder, "--dataset", "scenes", "--data-dir", scenes]
    boxes, words = tmp_path / "boxes.json", tmp_path / "words.json"
    methods = ["--methods", "lrp,attention", "--decoder-rules", "gamma"]
    assert run(evaluate_bbox, *data, *methods, "--output", boxes) == 0
    content = json.loads(boxes.read_text())
    assert content["decoder_rules"] == "gamma" and content["lrp_preset"] is None
    assert set(content["scores"]) == {"lrp", "attention", "chance"}
    methods = ["--methods", "lrp,attention", "--deletion", "patches"]
    methods += ["--words", "ball", "--decoder-rules", "gamma"]
    assert run(examine_word, *data, *methods, "--output", words) == 0
    assert json.loads(words.read_text())["deleted"]["patches"]["num_words"] == 6


def test_rules_that_a_decoder_lacks_are_refused():
    captioner = tiny_captioner()
    photo = np.zeros((224, 224, 3), "uint8")
    with pytest.raises(ValueError, match="gamma are of Transformers; the decoder ada"):
        explain(captioner, photo, caption="a dog", decoder_rules="gamma")
    with pytest.raises(ValueError, match="expected one of epsilon, attn_lrp"):
        explain(captioner, photo, caption="a dog", decoder_rules="delta")
    assert next(iter(RELEVANCE_RULES)) == captioner.decoder.relevance_rules[0]
    with pytest.raises(
        ValueError,
        match="attention_rollout follows the attention",
    ):
        explain(captioner, photo, "attention_rollout", caption="a dog")
