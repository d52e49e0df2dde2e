"""The rules of LRP against references, slow formulas and hand-written numbers."""

import keras
import numpy as np
import pytest
from cnn import (
    LRP_PRESETS,
    assert_close,
    explained,
    inception_block,
    network,
    normal,
    residual_block,
    seeds,
)
from keras import layers

from keras_lrp import PRESETS
from keras_lrp.rules import AlphaBeta, Box, Epsilon, Flat, Gamma, WSquare

pytestmark = pytest.mark.usefixtures("double")


ALL_RULES = [
    AlphaBeta(1.0, 0.0),
    AlphaBeta(1.0, 0.0, bias="whole"),
    AlphaBeta(2.0, 1.0),
    AlphaBeta(2.0, 1.0, conserves=True),
    Epsilon(0.01),
    Epsilon(0.1, relative=True),
    Gamma(0.25),
    Box(-2.0, 3.0),
    Flat(),
    WSquare(),
]


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("alpha1_beta0", "alpha1_beta0"),
        ("alpha1_beta0_innvestigate", "alpha1_beta0_innvestigate"),
        ("alpha2_beta1", "alpha2_beta1"),
        ("alpha2_beta1", "alpha2_beta1_zennit"),
        ("z_plus", "z_plus"),
        ("epsilon_001", "epsilon"),
        ("gamma_025", {**PRESETS["epsilon_gamma_box"], "first": Gamma(0.25)}),
    ],
)
def test_agrees_with_other_libraries(shared, name, preset):
    reference = np.load(shared / "reference" / "cnn_lrp.npz")

    def stack(x):
        for layer in reference["layers"]:
            if layer == "pool":
                x = layers.MaxPooling2D()(x)
                continue
            filters = reference[f"{layer}_bias"].size
            x = layers.Conv2D(
                filters, 3, padding="same", activation="relu", name=layer
            )(x)
        return x

    model = network(stack, reference["image"].shape[1:])
    for layer in {str(layer) for layer in reference["layers"]} - {"pool"}:
        model.get_layer(layer).set_weights(
            [reference[f"{layer}_kernel"], reference[f"{layer}_bias"]]
        )
    relevance = reference["output_relevance"][:, None]
    actual = explained(model, preset, reference["image"], relevance)[:, 0]
    assert_close(actual, reference[f"relevance_{name}"])


def matrix_of(model) -> np.ndarray:
    """The matrix (inputs, outputs) of a layer without its bias, column by column."""
    size = int(np.prod(model.input_shape[1:]))
    basis = np.eye(size).reshape(size, *model.input_shape[1:])
    zero = np.zeros((1, *model.input_shape[1:]))
    columns = np.asarray(model(basis)) - np.asarray(model(zero))
    return columns.reshape(size, -1)


def slowly(rule, x, matrix, bias, relevance) -> np.ndarray:
    """Divides relevance summand by summand; all arguments flat."""
    result = np.zeros_like(x)
    for j, share in enumerate(relevance):
        weights = matrix[:, j]
        summands = x * weights
        rises, falls = np.maximum(summands, 0), np.minimum(summands, 0)
        up, down = max(bias[j], 0), min(bias[j], 0)
        output = summands.sum() + bias[j]
        match rule:
            case AlphaBeta(conserves=True) if falls.sum() + down == 0:
                quotients = ratio(rises, up)
            case AlphaBeta(conserves=True) if rises.sum() + up == 0:
                quotients = ratio(falls, down)
            case AlphaBeta(alpha, beta, "signed"):
                quotients = alpha * ratio(rises, up) - beta * ratio(falls, down)
            case AlphaBeta():
                quotients = ratio(rises, bias[j])
            case Epsilon(epsilon, relative):
                scale = np.abs(x @ matrix + bias).mean() if relative else 1.0
                quotients = ratio(summands, bias[j], epsilon * scale)
            case Gamma(gamma):
                raised, extra = (rises, up) if output > 0 else (falls, down)
                quotients = ratio(summands + gamma * raised, bias[j] + gamma * extra)
            case Box(low, high):
                corner = low * np.maximum(weights, 0) + high * np.minimum(weights, 0)
                quotients = ratio(summands - corner)
            case Flat():
                quotients = ratio((weights != 0).astype(float))
            case WSquare():
                quotients = ratio(weights**2)
        result += share * quotients
    return result


def ratio(summands, bias=0.0, epsilon=1e-9) -> np.ndarray:
    """Divides summands by their stabilized sum."""
    z = summands.sum() + bias
    return summands / (z + (epsilon if z >= 0 else -epsilon))


LINEAR_LAYERS = {
    "convolution": lambda: layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same"),
    "depthwise": lambda: layers.DepthwiseConv2D((2, 3), depth_multiplier=2),
    "dense": lambda: layers.Dense(5),
    "normalization": lambda: layers.BatchNormalization(),
    "grouped": lambda: layers.Conv2D(4, 2, groups=2, dilation_rate=2),
}


@pytest.mark.parametrize(
    ("layer", "rule"),
    [
        *((layer, rule) for layer in list(LINEAR_LAYERS)[:-1] for rule in ALL_RULES),
        ("grouped", AlphaBeta(2.0, 1.0)),  # few: slow to compile
    ],
    ids=str,
)
@pytest.mark.parametrize("rectified", [False, True])
def test_rules_are_their_formulas(layer, rule, rectified):
    plain = network(LINEAR_LAYERS[layer](), (4, 5, 2), seed=2)
    inputs = keras.Input((4, 5, 2))
    outputs = plain.layers[1](layers.ReLU()(inputs) if rectified else inputs)
    model = keras.Model(inputs, outputs)
    image, relevance = normal(1, 4, 5, 2), seeds(model, 1, 2)
    x = np.maximum(image, 0) if rectified else image
    bias = np.asarray(plain(np.zeros_like(image))).ravel()
    matrix = matrix_of(plain)
    rules = {**PRESETS["epsilon"], "first": rule}
    # The rectifier cuts the box at zero.
    expected_rule = Box(0.0, 3.0) if rectified and isinstance(rule, Box) else rule
    actual = explained(model, rules, image, relevance)
    for word in range(2):
        expected = slowly(
            expected_rule, x.ravel(), matrix, bias, relevance[0, word].ravel()
        )
        assert_close(actual[0, word].ravel(), expected)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((4, 6), {"pool_size": (2, 3)}),
        ((5, 7), {"pool_size": 2}),
        ((5, 4), {"pool_size": 3, "strides": 2, "padding": "same"}),
    ],
)
def test_max_pool_gives_all_to_the_first_winner(size, options):
    model = network(layers.MaxPooling2D(**options), (*size, 2))
    image = normal(2, *size, 2).round()  # rounded: many ties
    relevance = seeds(model)
    padding = np.full((2, size[0] + 4, size[1] + 4, 2), -np.inf)
    padding[:, : size[0], : size[1]] = image
    pool, stride = model.layers[1].pool_size, model.layers[1].strides
    height, width = model.output_shape[1:3]
    before = [0, 0]
    if options.get("padding") == "same":
        needed = [(height - 1) * 2 + 3 - size[0], (width - 1) * 2 + 3 - size[1]]
        before = [length // 2 for length in needed]
    expected = np.zeros((2, 3, *size, 2))
    for b, n, i, j, c in np.ndindex(relevance.shape):
        positions = [
            (i * stride[0] - before[0] + y, j * stride[1] - before[1] + x)
            for y in range(pool[0])
            for x in range(pool[1])
        ]
        inside = [p for p in positions if min(p) >= 0]
        winner = max(inside, key=lambda p: padding[b, p[0], p[1], c])
        expected[b, n, winner[0], winner[1], c] += relevance[b, n, i, j, c]
    assert_close(explained(model, "alpha1_beta0", image, relevance), expected)


@pytest.mark.parametrize("keepdims", [False, True])
def test_global_max_pool_gives_all_to_the_first_winner(keepdims):
    model = network(layers.GlobalMaxPooling2D(keepdims=keepdims), (4, 5, 2))
    image = normal(2, 4, 5, 2).round()  # rounded: many ties
    relevance = seeds(model)
    expected = np.zeros((2, 3, 20, 2))
    flat = image.reshape(2, 20, 2)
    assert ((flat == flat.max(axis=1, keepdims=True)).sum(axis=1) > 1).any()
    for b, n, c in np.ndindex(2, 3, 2):
        winner = flat[b, :, c].argmax()  # the first of equals
        expected[b, n, winner, c] = relevance.reshape(2, 3, 2)[b, n, c]
    actual = explained(model, "alpha1_beta0", image, relevance)
    assert_close(actual, expected.reshape(2, 3, 4, 5, 2))
    assert_close(explained(model, "gradient", image, relevance), actual)


def test_average_pool_and_sum_divide_in_proportion():
    def two_by_two(x):
        return layers.AveragePooling2D(2)(layers.Add()([x, layers.Rescaling(3.0)(x)]))

    model = network(two_by_two, (2, 2, 1))
    image = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    relevance = np.full((1, 1, 1, 1, 1), 5.0)
    actual = explained(model, "alpha1_beta0", image, relevance)
    assert_close(actual.ravel(), [0.5, 1.0, 1.5, 2.0])


@pytest.mark.parametrize("preset", LRP_PRESETS)
@pytest.mark.parametrize("block", [residual_block, inception_block])
def test_relevance_is_conserved_without_biases(block, preset):
    def stack(x):
        x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
        # 3x3 everywhere: what has no summand of the rule's sign loses its relevance.
        x = layers.Flatten()(block(x, kernel_size=3))
        return layers.Dense(3)(x)

    model = network(stack)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.beta.assign(np.zeros(layer.beta.shape))
            layer.moving_mean.assign(np.zeros(layer.beta.shape))
        elif layer.weights:
            layer.bias.assign(np.zeros(layer.bias.shape))
    rules = PRESETS[preset]
    rules = {  # without the share that a large epsilon keeps
        kind: Epsilon() if isinstance(rule, Epsilon) else rule
        for kind, rule in rules.items()
    }
    image = normal(2, 6, 8, 3)
    relevance = seeds(model) * np.asarray(model(image))[:, None]
    actual = explained(model, rules, image, relevance)
    assert_close(actual.sum(axis=(2, 3, 4)), relevance.sum(axis=2), 1e-4)


def test_guided_backprop_by_hand():
    def stack(x):
        x = layers.Conv2D(2, 1, activation="relu", name="first")(x)
        return layers.Conv2D(2, 1, activation="relu", name="second")(x)

    model = network(stack, (1, 1, 2))
    first, second = np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([[3, -4], [1, 2.0]])
    for name, kernel in (("first", first), ("second", second)):
        model.get_layer(name).set_weights([kernel.reshape(1, 1, 2, 2), np.zeros(2)])
    image = np.array([1.0, 2.0]).reshape(1, 1, 1, 2)
    # hidden: 1 + 4 = 5 and -1 + 2 = 1; outputs: 15 + 1 = 16 and relu(-20 + 2) = 0.
    relevance = np.array([[1.0, 1.0], [-1.0, 1.0]]).reshape(1, 2, 1, 1, 2)
    # Word 0: the second output is off; hidden (3, 1); image (3 - 1, 6 + 1).
    # Word 1: a negative gradient is dropped, the other output is off.
    actual = explained(model, "guided_backprop", image, relevance)
    assert_close(actual.reshape(2, 2), [[2.0, 7.0], [0.0, 0.0]])
    # The second layer's weight -4 sends a negative gradient once its output is on.
    second[0, 1] = -0.1
    model.get_layer("second").set_weights([second.reshape(1, 1, 2, 2), np.zeros(2)])
    relevance = np.array([0.0, 1.0]).reshape(1, 1, 1, 1, 2)
    # hidden (-0.1 dropped, 2); image (2 * -1, 2 * 1).
    actual = explained(model, "guided_backprop", image, relevance)
    assert_close(actual.ravel(), [-2.0, 2.0])


def test_box_range_of_pixels():
    def stack(x):
        return layers.Conv2D(4, 3)(layers.ZeroPadding2D(1)(x))

    model = network(stack)
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    own = explained(model, "epsilon_gamma_box", image[:1], relevance[:1])
    low, high = (f(image[0], axis=(0, 1)) for f in (np.min, np.max))
    options = {"pixel_range": (tuple(low), tuple(high))}
    given = explained(model, "epsilon_gamma_box", image, relevance, **options)
    assert_close(given[:1], own)
    assert_close(given.sum(axis=(2, 3, 4)), relevance.sum(axis=(2, 3, 4)))
