"""Transformers against independent numbers, and two routes that must agree.

The numbers of `tests/reference/transformers` are those of the libraries
transformers 5.9 (logits, captions) and lxt (AttnLRP, in float64).
"""

import json
import math

import keras
import numpy as np
import pytest
from conftest import IS_DOUBLE, REFERENCE, SHARED, set_precision
from keras import ops
from tiny_published import CONFIGS, random_arrays

from keras_lrp.backend import compiled, run_once, vector_jacobian_product
from keras_lrp.operations import RELEVANCE_RULES, Operations
from models.published.array_files import read_arrays
from models.published.families import FAMILIES
from models.published.generation import Generation
from models.published.search import search
from models.published.slots import fill

PLAIN = Operations()
B, N, T = 2, 3, 5
COMMITTED, ELSEWHERE = ("blip", "git"), ("vit_gpt2",)

pytestmark = pytest.mark.usefixtures("unrecorded")


def network_of(family, seed=0, arrays=None, config=None):
    """The networks of a family; random unless arrays are given."""
    network = FAMILIES[family](config or {"model_type": family} | CONFIGS[family])
    arrays = arrays or random_arrays(network.slots, seed)
    fill(network.slots, arrays, network.has_no_use_for, network.copies)
    return network


def golden(name):
    """The networks and the numbers of a model of the reference folder."""
    if name in COMMITTED:
        folder = REFERENCE / "transformers" / f"{name}-tiny"
        numbers = dict(np.load(folder / "golden.npz"))
    else:
        folder = SHARED / "reference" / "transformers" / f"{name}-tiny"
        if not folder.is_dir():
            pytest.skip("needs ../shared: a larger model with random weights")
        numbers = dict(np.load(folder / "reference.npz"))
        found = np.load(folder / "attnlrp.npz")
        numbers |= {"explained": [3, 11], "relevance_words": found["words"]}
        numbers["relevance_pixels"] = found["pixels"][[3, 11]]
    config = json.loads((folder / "config.json").read_text())
    family = config["model_type"]
    return network_of(family, arrays=read_arrays(folder), config=config), numbers


def decoded(network, operations, pixels, embedded):
    """What follows each token of a caption of one image: (T, V)."""
    tokens, _ = network.encoder.run(operations, pixels)
    memory = network.decoder.project(operations, tokens)
    return network.decoder.decode(operations, memory, embedded).logits[0]


def logits_of(network, operations, *arrays):
    """The same, of a network that is asked once."""
    return run_once(lambda *arrays: decoded(network, operations, *arrays), *arrays)


def slopes_of(network, operations, pixels, embedded, step, token):
    """A logit, and its gradients with respect to pixels and to what was read."""
    logit, _, gradients = run_once(
        lambda *arrays: vector_jacobian_product(
            lambda p, e: (decoded(network, operations, p, e)[step, token], ()),
            arrays,
            ops.ones_like,
        ),
        *(pixels, embedded),
    )
    return float(logit), *map(np.asarray, gradients)


def explained(network, operations, pixels, embedded, step, token):
    """The relevance of pixels and of what was read for one logit."""
    logit, *gradients = slopes_of(network, operations, pixels, embedded, step, token)
    pairs = zip((pixels, embedded), gradients, strict=True)
    of_pixels, of_words = (np.asarray(x) * slope for x, slope in pairs)
    return logit, of_pixels[0], of_words.sum(-1)[0, 0]


def read(network, tokens):
    return network.decoder.embed(np.r_[network.start, tokens[:-1]].astype("int32"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*COMMITTED, *ELSEWHERE])
def test_logits_and_relevance_equal_the_references(name, dtype):
    """AttnLRP within 1e-6 of the largest value, as float32 keeps the references."""
    if dtype == "float64" and not IS_DOUBLE:
        pytest.skip("the backend computes in float32 here")
    set_precision(dtype)
    try:
        network, numbers = golden(name)
        tokens = numbers["tokens"]
        pixels = ops.convert_to_tensor(numbers["pixels"].astype(dtype))
        embedded = read(network, tokens)[None, None]
        found = np.asarray(logits_of(network, PLAIN, pixels, embedded))
        close(found, numbers["logits"], 5e-6)
        tolerance = 1e-6 if dtype == "float64" else 1e-5
        rules = RELEVANCE_RULES["attn_lrp"]
        for row, step in enumerate(numbers["explained"]):
            _, of_pixels, of_words = explained(
                network, rules, pixels, embedded, step, int(tokens[step])
            )
            close(of_pixels, numbers["relevance_pixels"][row], tolerance)
            close(of_words, numbers["relevance_words"][step], tolerance)
    finally:
        set_precision("float32")


def close(found, expected, tolerance):
    """The largest difference is below `tolerance` of the largest value."""
    error = np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()
    assert error < tolerance


@pytest.mark.parametrize(
    ("name", "beam_size"), [("blip", 1), ("blip", 3), ("vit_gpt2", 3), ("git", 1)]
)
def test_captions_equal_the_references(name, beam_size):
    """GIT's references come from a cache that disagrees with its own forward pass."""
    network, numbers = golden(name)
    end = (network.end,)
    network.decoder.longest = 12
    generation = Generation(name, network.start, end, network.padding, max_tokens=12)
    pixels = ops.convert_to_tensor(numbers["pixels"])
    tokens = encode(network, pixels)
    found = search(*stepping(network, tokens, beam_size), 1, beam_size, generation)
    written = found.tokens[0, 0]
    expected = numbers["greedy" if beam_size == 1 else "beam"][1:]
    if name == "git":
        embedded = read(network, written)[None, None]
        expected = ops.argmax(logits_of(network, PLAIN, pixels, embedded), -1)
    np.testing.assert_array_equal(written, expected)


def encode(network, pixels):
    """The tokens of images."""
    return run_once(lambda pixels: network.encoder.run(PLAIN, pixels)[0], pixels)


def stepping(network, tokens, beam_size):
    """The step function and the first state of a search."""
    decoder = network.decoder
    memory = decoder.project(PLAIN, tokens)

    def step(last, state):
        found = decoder.decode(PLAIN, memory, decoder.embed(last)[:, :, None], state)
        return found.logits, found.state

    step = compiled(step)
    return step, decoder.initial_state(int(tokens.shape[0]), beam_size)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_steps_at_once_equal_step_by_step(family):
    """Cached, in chunks of 1 and 3 and 1 words, is uncached; one by one is a batch."""
    network = network_of(family)
    decoder = network.decoder
    decoder.longest = T
    generator = np.random.default_rng(1)
    pixels = generator.normal(size=(B, 32, 32, 3)).astype("float32")
    tokens = generator.integers(0, decoder.vocabulary_size, (B, N, T)).astype("int32")
    memory = decoder.project(PLAIN, encode(network, pixels))
    whole = decode(decoder, memory, tokens)
    logits = ops.convert_to_numpy(whole.logits).reshape(B, N, T, -1)
    state, start = decoder.initial_state(B, N), 0
    for length in (1, 3, 1):
        found = decode(decoder, memory, tokens[:, :, start : start + length], state)
        state, expected = found.state, logits[:, :, start : start + length]
        got = ops.convert_to_numpy(found.logits).reshape(expected.shape)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        start += length
    one = decoder.project(PLAIN, encode(network, pixels[1:]))
    alone = decode(decoder, one, tokens[1:, 2:]).logits[0]
    np.testing.assert_allclose(alone, logits[1, 2], rtol=1e-4, atol=1e-4)
    assert whole.attention["last"].shape == (B, N * T, 5)
    assert (np.asarray(whole.attention["mean"]).sum(-1) <= 1 + 1e-5).all()


def decode(decoder, memory, tokens, state=None):
    """What follows each token, and the state after them."""

    def run(memory, tokens):
        return decoder.decode(PLAIN, memory, decoder.embed(tokens), state)

    return run_once(run, memory, tokens)


def random_case(family):
    """A network, pixels and a caption that was read, of the present precision."""
    network, generator = network_of(family, seed=2), np.random.default_rng(3)
    pixels = ops.convert_to_tensor(generator.normal(size=(1, 32, 32, 3)))
    tokens = generator.integers(0, network.decoder.vocabulary_size, T)
    embedded = read(network, tokens)[None, None]
    return network, ops.cast(pixels, keras.config.floatx()), tokens, embedded


@pytest.mark.parametrize("family", FAMILIES)
def test_cp_lrp_shares_out_the_logit(family, double):
    """Logit = words + pixels + biases, places, class token and the norms' betas."""
    network, pixels, tokens, embedded = random_case(family)
    rules, step = RELEVANCE_RULES["cp_lrp"], T - 1
    models = (network.encoder, network.decoder)
    table, output = network.decoder.words, network.decoder.output_words
    known = [
        variable
        for model in models
        for variable in model.variables
        if not (variable is table or variable is output)
        if variable.name in ("bias", "beta", "class_token", "places", "output_bias")
    ]

    def explained_logit(pixels, embedded, *values):
        mapping = list(zip(known, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            logits = decoded(network, rules, pixels, embedded)
        return logits[step, int(tokens[step])], ()

    inputs = [pixels, embedded, *(variable.value for variable in known)]
    logit, _, gradients = run_once(
        lambda *inputs: vector_jacobian_product(explained_logit, inputs, ops.ones_like),
        *inputs,
    )
    pairs = zip(inputs, gradients, strict=True)
    shares = [(np.asarray(x) * np.asarray(slope)).sum() for x, slope in pairs]
    assert min(map(abs, shares[:2])) > 1e-6
    tolerance = 1e-9 if IS_DOUBLE else 1e-3
    assert math.fsum(shares) == pytest.approx(float(logit), rel=tolerance)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_is_the_slope_of_the_logit(family, double):
    network, pixels, tokens, embedded = random_case(family)
    step, token = T - 1, int(tokens[-1])
    _, *slopes = slopes_of(network, PLAIN, pixels, embedded, step, token)
    generator = np.random.default_rng(4)
    size = 1e-5 if IS_DOUBLE else 1e-2
    directions = [generator.normal(size=x.shape) for x in (pixels, embedded)]
    ends = []
    for sign in (1, -1):
        moved = [
            ops.cast(np.asarray(x) + sign * size * d, keras.config.floatx())
            for x, d in zip((pixels, embedded), directions, strict=True)
        ]
        ends.append(float(logits_of(network, PLAIN, *moved)[step, token]))
    slope = sum((found * d).sum() for found, d in zip(slopes, directions, strict=True))
    expected = (ends[0] - ends[1]) / (2 * size)
    assert slope == pytest.approx(expected, rel=1e-5 if IS_DOUBLE else 0.05)


def test_rules_differ_and_none_changes_the_forward_pass():
    network, pixels, tokens, embedded = random_case("blip")
    found = {
        name: explained(network, rules, pixels, embedded, 3, int(tokens[3]))
        for name, rules in RELEVANCE_RULES.items()
    }
    logits = [logit for logit, *_ in found.values()]
    np.testing.assert_allclose(logits, logits[0], rtol=1e-5)
    for name, other in (("attn_lrp", "cp_lrp"), ("attn_lrp", "gamma")):
        difference = np.abs(found[name][1] - found[other][1]).max()
        assert difference > 1e-3 * np.abs(found[name][1]).max()
    close(found["epsilon"][1], found["cp_lrp"][1], 1e-2)  # but for the stabilizer
