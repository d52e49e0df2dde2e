"""Tiny models, a tiny dataset and where the reference numbers lie."""

import contextlib
import gc
import os
from importlib.metadata import version
from pathlib import Path

if os.environ.get("KERAS_BACKEND") == "jax" and version("jaxlib").startswith("0.10."):
    # XLA's older way to write fused loops, which versions from 0.11 on do not have,
    # compiles in half the time.
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests run on every core. Operations of these sizes take longer on several threads.
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import keras
import numpy as np
import pytest
from PIL import Image

import quiet_start  # noqa: F401
from config import Config
from dataset.vocabulary import END, Vocabulary
from keras_lrp.backend import compilation
from models.captioner import Captioner
from models.encoders import CAFFE_MEAN, ENCODERS, EncoderKind

pytest.register_assert_rewrite("tiny_training")

SHARED = Path(__file__).parents[2] / "shared"
REFERENCE = Path(__file__).parent / "reference"  # numbers of other implementations
IS_TENSORFLOW = keras.backend.backend() == "tensorflow"
IS_JAX = keras.backend.backend() == "jax"
IS_TORCH = keras.backend.backend() == "torch"
IS_DOUBLE = IS_TENSORFLOW or (IS_JAX and os.environ.get("JAX_ENABLE_X64") == "1")
WORDS = ("a", "dog", "cat", "runs", "sits", "on", "the", "green", "grass", "ball")
CANDIDATES = {  # captions to score, by image id
    "a": "two men sit on a bench",
    "b": "a dog runs in the grass",
    "c": "a child plays with a ball",
    "d": "",
}
CAPTIONS = (
    ("A red dog runs.", "The dog runs fast"),
    ("A blue bird flies.", "The bird flies away"),
    ("A green frog sits on grass.", "The frog sits"),
)
CONVOLUTIONAL = [name for name in ENCODERS if name != "vision_transformer"]
SECONDS = 120  # no test waits longer for a page
BRIGHT = 300  # a patch of 8x8 pixels: row 10, column 20 of a photo


def pytest_collection_finish():
    """Keeps all that was imported out of what is searched for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def uncompiled():
    """Runs TensorFlow's functions as they are: tracing tiny ones takes far longer."""
    with compilation(False):
        yield


@pytest.fixture(autouse=True)
def compiled(request):
    """Compiles in tests that are marked so, as everywhere outside of tests."""
    with compilation(request.node.get_closest_marker("compiled") is not None):
        yield


@pytest.fixture
def shared() -> Path:
    """The folder of real data; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared: real photographs")
    return SHARED


@pytest.fixture
def precise():
    """Computes in float64 where the backend does; returns the tolerance."""
    if not IS_DOUBLE:
        yield 1e-4
        return
    set_precision("float64")
    yield 1e-5
    set_precision("float32")


@pytest.fixture
def unrecorded():
    """Lets numpy read what a model returns; torch refuses where it records."""
    with contextlib.ExitStack() as stack:
        if IS_TORCH:
            import torch

            stack.enter_context(torch.no_grad())
        yield


@pytest.fixture
def double(unrecorded):
    """Computes in float64 where the backend can."""
    if IS_DOUBLE:
        set_precision("float64")
    yield
    set_precision("float32")


def set_precision(dtype: str) -> None:
    """Makes new layers and tensors of this type."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


def tiny_encoder(size: int = 224, channels: int = 7) -> keras.Model:
    """A convolutional net from (size, size, 3) to nonnegative (4, 5, channels)."""
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 128)(inputs)
    x = keras.layers.Conv2D(4, 9, strides=14, activation="relu")(x)
    x = keras.layers.MaxPooling2D((4, 3), name="pool")(x)
    outputs = keras.layers.Conv2D(
        channels, 3, padding="same", activation="relu", name="last"
    )(x)
    return keras.Model(inputs, outputs, name="encoder")


def tiny_captioner(seed: int = 0, **changes) -> Captioner:
    """A captioner with random weights, large enough that words differ."""
    keras.utils.set_random_seed(seed)
    config = Config(
        **{
            "embedding_size": 5,
            "hidden_size": 6,
            "heads": 2,
            "max_caption_words": 8,
        }
        | changes
    )
    captioner = Captioner(config, Vocabulary(WORDS), tiny_encoder())
    randomize(captioner.decoder, seed)
    return captioner


def randomize(model: keras.Model, seed: int, scale: float = 0.6) -> None:
    """Gives every weight a normal value."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if "int" not in weight.dtype:
            weight.assign(generator.normal(scale=scale, size=weight.shape))


def planted_captioner() -> Captioner:
    """Says dog while the patch BRIGHT is, and grass after green; else it ends.

    Each half of the photo has one feature; the bright patch makes the right one 1.4, a
    third of which reaches the logit of dog. The LSTM remembers the first entry of
    green's embedding.
    """
    inputs = keras.Input((224, 224, 3))
    half = keras.layers.Conv2D(1, (224, 112), (1, 112), activation="relu")
    encoder = keras.Model(inputs, half(inputs), name="encoder")  # features (1, 2, 1)
    config = Config(embedding_size=5, hidden_size=6, max_caption_words=8, beam_size=1)
    captioner = Captioner(config, Vocabulary(WORDS), encoder)
    decoder, id_of = captioner.decoder, captioner.vocabulary.id_of
    planted = (
        (half.kernel, np.s_[80:88, 48:56], 0.01 / 192),
        (decoder.image_features.kernel, np.s_[0, 1], 1.0),
        (decoder.predictor.kernel, np.s_[1, id_of("dog")], 20.0),
        (decoder.predictor.kernel, np.s_[0, id_of("grass")], 8.0),
        (decoder.predictor.bias, END, 3.0),
        (decoder.embedding.embeddings, np.s_[id_of("green"), 0], 3.0),
        (decoder.lstm.kernel, np.s_[0, 12], 1.0),  # into the first cell
        (decoder.lstm.bias, np.r_[:12, 18:24], 5.0),  # gates are open
    )
    for weight in encoder.weights + decoder.weights:
        weight.assign(np.zeros(weight.shape))
    for weight, place, value in planted:
        values = np.array(weight)
        values[place] = value
        weight.assign(values)
    return captioner


def planted_photo(is_bright: bool = True) -> np.ndarray:
    """A grey photo (224, 224, 3) with or without one white patch."""
    image = np.full((224, 224, 3), 90, "uint8")
    if is_bright:
        image[80:88, 160:168] = 255
    return image


def build_tiny_vgg16(include_top: bool, weights, input_shape) -> keras.Model:
    """Stands in for `keras.applications.VGG16`: some of its layers, few channels."""
    assert not include_top
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 128)(inputs)
    x = keras.layers.Conv2D(4, 9, strides=14, activation="relu")(x)
    x = keras.layers.MaxPooling2D((4, 3), name="block4_pool")(x)
    for name, channels in (("block5_conv1", 6), ("block5_conv3", 7)):
        layer = keras.layers.Conv2D(
            channels, 3, padding="same", activation="relu", name=name
        )
        x = layer(x)
    model = keras.Model(inputs, x)
    if weights is not None:
        model.load_weights(weights)
    return model


TINY_VGG16 = EncoderKind(build_tiny_vgg16, "block5_conv3", CAFFE_MEAN)


@pytest.fixture
def tiny_vgg16(monkeypatch):
    """Makes `build_encoder` build a tiny network of features (4, 5, 7)."""
    monkeypatch.setitem(ENCODERS, "vgg16", TINY_VGG16)


@pytest.fixture(scope="module")
def quick():
    """A tiny encoder, and the tokenizer that starts no Java."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(ENCODERS, "vgg16", TINY_VGG16)
        monkeypatch.setattr("scoring.captions.has_java", lambda: False)
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Eight images for training and four for validation in the Flickr layout."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("images", "text"):
        (folder / name).mkdir()
    generator = np.random.default_rng(0)
    tokens, names = [], []
    for number in range(12):
        kind = number % 3
        pixels = generator.integers(0, 100, (20, 30, 3), dtype=np.uint8)
        pixels[..., kind] += 150
        names.append(f"{number}.png")
        Image.fromarray(pixels).save(folder / "images" / names[-1])
        tokens += [f"{names[-1]}#{k}\t{c}" for k, c in enumerate(CAPTIONS[kind])]
    (folder / "text/t.token.txt").write_text("\n".join(tokens))
    (folder / "text/t.trainImages.txt").write_text("\n".join(names[:8]))
    (folder / "text/t.devImages.txt").write_text("\n".join(names[8:]))
    return folder
