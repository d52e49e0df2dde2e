"""Relevance through CNNs against references, slow formulas and autodiff."""

import keras
import numpy as np
import pytest
from conftest import IS_DOUBLE, randomize, set_precision
from keras import layers

from keras_lrp import LRP, PRESETS, class_relevance
from keras_lrp.backend import compiled, vector_jacobian_product
from keras_lrp.graph import Graph, read_graph
from keras_lrp.rules import AlphaBeta, Box, Epsilon, Flat, Gamma, WSquare
from models.encoders import ENCODERS

pytestmark = pytest.mark.usefixtures("unrecorded")

LRP_PRESETS = [name for name in PRESETS if name not in ("gradient", "guided_backprop")]
ALL_RULES = [
    AlphaBeta(1.0, 0.0),
    AlphaBeta(1.0, 0.0, bias="whole"),
    AlphaBeta(2.0, 1.0),
    Epsilon(0.01),
    Gamma(0.25),
    Box(-2.0, 3.0),
    Flat(),
    WSquare(),
]


@pytest.fixture(autouse=True)
def precision():
    """Computes in float64 where the backend can."""
    if IS_DOUBLE:
        set_precision("float64")
    yield
    set_precision("float32")


def assert_close(actual, expected, tolerance: float = 1e-6) -> None:
    """Compares by the l2 norm.

    In float64 to 1e-6: on JAX, Keras' batch-norm computes in float32 even then. In
    float32 to 1e-3: near-tied max-pool winners flip.
    """
    tolerance = tolerance if IS_DOUBLE else 1e-3
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= tolerance * np.linalg.norm(expected)


def normal(*shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def network(outputs_of, shape=(6, 8, 3), scale: float = 0.5, seed: int = 1):
    """A functional model with random weights: outputs_of(inputs)."""
    inputs = keras.Input(shape)
    model = keras.Model(inputs, outputs_of(inputs))
    randomize(model, seed, scale)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            variance = layer.moving_variance
            variance.assign(1.0 + np.abs(normal(*variance.shape, seed=seed)))
    return model


def explained(model, preset, inputs, relevance, **options) -> np.ndarray:
    return np.asarray(LRP(model, preset, **options)(inputs, relevance=relevance))


def seeds(model, batch: int = 2, words: int = 3) -> np.ndarray:
    return normal(batch, words, *model.output_shape[1:], seed=7)


def residual_block(x, kernel_size: int = 1):
    """conv-bn-relu-conv-bn plus a strided convolution with batch-norm."""
    y = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    y = layers.Activation("relu")(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(5, 3, padding="same")(y))
    shortcut = layers.Conv2D(5, kernel_size, strides=2, padding="same")(x)
    shortcut = layers.BatchNormalization()(shortcut)
    return layers.ReLU()(layers.Add()([y, shortcut]))


def inception_block(x, kernel_size: int = 1):
    """Two convolutions, an average pool and an overlapping max-pool, side by side."""
    pooled = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    branches = [
        layers.Conv2D(4, kernel_size, padding="same", activation="relu")(x),
        layers.Conv2D(2, (3, 4), padding="same", activation="relu")(x),
        layers.Conv2D(3, kernel_size, padding="same", activation="relu")(pooled),
        layers.MaxPooling2D(3, strides=1, padding="same")(x),
    ]
    return layers.Concatenate()(branches)


def everything(x):
    """A classifier with most kinds of layers."""
    x = layers.Rescaling(0.5, offset=0.1)(x)
    x = layers.ZeroPadding2D(((1, 0), (0, 2)))(x)
    x = layers.Conv2D(6, 3, padding="same", dilation_rate=2, activation="relu")(x)
    x = layers.Conv2D(4, 2, groups=2)(x)
    x = layers.BatchNormalization()(layers.LeakyReLU()(x))
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, activation="relu6")(x)
    x = layers.SeparableConv2D(5, 2, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.5)(inception_block(residual_block(x)))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.Flatten()(x)])
    x = layers.BatchNormalization()(layers.Dense(9)(x))
    return layers.Dense(4, activation="softmax")(layers.Activation("tanh")(x))


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("alpha1_beta0", "alpha1_beta0"),
        ("alpha1_beta0_innvestigate", "alpha1_beta0_innvestigate"),
        ("alpha2_beta1", "alpha2_beta1"),
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
            case AlphaBeta(alpha, beta, "signed"):
                quotients = alpha * ratio(rises, up) - beta * ratio(falls, down)
            case AlphaBeta():
                quotients = ratio(rises, bias[j])
            case Epsilon(epsilon):
                quotients = ratio(summands, bias[j], epsilon)
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


def test_batch_norm_is_folded_into_its_layer():
    def normalized(x):
        x = layers.Conv2D(4, 3, use_bias=False, name="conv")(x)
        x = layers.ReLU()(layers.BatchNormalization(name="bn1")(x))
        x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depth")(x)
        x = layers.ReLU()(layers.BatchNormalization(scale=False, name="bn2")(x))
        x = layers.Dense(5, name="dense")(layers.Flatten()(x))
        return layers.BatchNormalization(name="bn3")(x)

    def plain(x):
        x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
        x = layers.DepthwiseConv2D(
            2, depth_multiplier=2, activation="relu", name="depth"
        )(x)
        return layers.Dense(5, name="dense")(layers.Flatten()(x))

    model, folded = network(normalized), network(plain)
    for name, normalization in (("conv", "bn1"), ("depth", "bn2"), ("dense", "bn3")):
        layer, bn = model.get_layer(name), model.get_layer(normalization)
        scale = 1 / np.sqrt(np.asarray(bn.moving_variance) + bn.epsilon)
        scale = scale * np.asarray(bn.gamma) if bn.scale else scale
        bias = np.asarray(layer.bias) if layer.use_bias else 0.0
        kernel = np.asarray(layer.kernel)
        shape = kernel.shape[2:] if name == "depth" else (-1,)
        shift = (bias - np.asarray(bn.moving_mean)) * scale + np.asarray(bn.beta)
        folded.get_layer(name).set_weights([kernel * scale.reshape(shape), shift])
    image = normal(2, 6, 8, 3)
    assert_close(model(image), folded(image))
    for preset in LRP_PRESETS:
        relevance = seeds(model)
        expected = explained(folded, preset, image, relevance)
        assert_close(explained(model, preset, image, relevance), expected)


# vgg19 and resnet101 have the layers of these, only more of them
DISTINCT = ("vgg16", "resnet50", "inception_v3")


def architecture(name: str, has_biases: bool) -> keras.Model:
    """One of the encoders for small images, with random weights and batch-norms."""
    keras.utils.set_random_seed(4)
    kind = ENCODERS[name]
    base = kind.build(include_top=False, weights=None, input_shape=(75, 75, 3))
    generator = np.random.default_rng(5)
    for weight in base.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean", "bias"):
            shift = generator.normal(scale=0.1, size=weight.shape)
            weight.assign(shift if has_biases else 0 * shift)
    return keras.Model(base.input, base.get_layer(kind.feature_layer).output)


def run_steps(graph: Graph, image) -> dict:
    """The value of every step of a graph, its batch-norms folded."""
    values = {0: image}
    for step in graph.steps:
        inputs = [values[source] for source in step.sources]
        if step.weights is None:
            values[step.output] = step.call(*inputs)
        else:
            kernel, bias = step.weights()
            values[step.output] = step.call(*inputs, kernel) + bias
    return values


@pytest.mark.parametrize("name", ENCODERS)
def test_graphs_of_the_encoders_are_the_encoders(name):
    model = architecture(name, has_biases=True)
    graph = read_graph(model)
    image = normal(1, 75, 75, 3).astype(keras.config.floatx())
    values = compiled(lambda x: run_steps(graph, x), model)(image)
    assert_close(values[graph.output], model.predict(image, verbose=0))
    assert not any(step.kind == "normalization" for step in graph.steps)
    for value in graph.nonnegative_values():
        assert np.asarray(values[value]).min() >= 0


@pytest.mark.parametrize("name", DISTINCT)
def test_relevance_of_the_encoders_is_conserved_without_biases(name):
    model = architecture(name, has_biases=False)
    image = normal(1, 75, 75, 3)
    relevance = np.asarray(model(image))[:, None] * (1 + seeds(model, 1, 2) ** 2)
    for preset in ("alpha1_beta0", "epsilon_gamma_box"):
        actual = explained(model, preset, image, relevance)
        assert np.isfinite(actual).all()
        assert_close(actual.sum(axis=(2, 3, 4)), relevance.sum(axis=(2, 3, 4)), 1e-4)


@pytest.mark.skipif(not IS_DOUBLE, reason="tiny denominators need float64")
@pytest.mark.parametrize("name", DISTINCT)
def test_epsilon_on_the_encoders_is_gradient_x_input(name):
    """Of a rectifier network, by autodiff of the model itself; biases included."""
    model = architecture(name, has_biases=True)
    image = normal(1, 75, 75, 3)
    weights = seeds(model, 1, 1)
    relevance = np.asarray(model(image))[:, None] * weights
    _, _, (gradient,) = vector_jacobian_product(
        lambda x: (model(x), ()), [image], keras.ops.convert_to_tensor(weights[:, 0])
    )
    rules = {
        kind: Epsilon(1e-12) if isinstance(rule, Epsilon) else rule
        for kind, rule in PRESETS["epsilon"].items()
    }
    actual = explained(model, rules, image, relevance)[:, 0]
    assert_close(actual, image * np.asarray(gradient))
    actual = explained(model, "gradient", image, weights)[:, 0]
    assert_close(actual, gradient)


@pytest.mark.parametrize("preset", ["alpha1_beta0", "epsilon_gamma_box"])
def test_images_and_words_together_are_as_one_by_one(preset):
    model = network(everything)
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    together = explained(model, preset, image, relevance)
    assert together.shape == (2, 3, 6, 8, 3)
    lrp = LRP(model, preset)
    for b, n in np.ndindex(2, 3):
        alone = lrp(image[b : b + 1], relevance=relevance[b : b + 1, n : n + 1])
        assert_close(together[b, n], np.asarray(alone)[0, 0])


def test_gradient_is_the_derivative_of_the_logits():
    model = network(everything)
    last = model.layers[-1]
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    actual = explained(model, "gradient", image, relevance)
    last.activation = keras.activations.linear
    for word in range(3):
        _, _, (expected,) = vector_jacobian_product(
            lambda x: (model(x), ()),
            [keras.ops.cast(image, keras.config.floatx())],
            keras.ops.cast(relevance[:, word], keras.config.floatx()),
        )
        assert_close(actual[:, word], expected)


def test_classes_are_explained_by_number():
    model = network(everything)
    image = normal(2, 6, 8, 3)
    one_hot = np.zeros((2, 2, 4))
    one_hot[:, 0, 3] = one_hot[:, 1, 1] = 1.0
    expected = explained(model, "epsilon", image, one_hot)
    assert_close(class_relevance(model, image, [3, 1], "epsilon"), expected)
    best = np.eye(4)[np.asarray(model(image)).argmax(1)][:, None]
    expected = explained(model, "alpha1_beta0", image, best)
    assert_close(class_relevance(model, image), expected)
    with pytest.raises(ValueError, match=r"numbers from 0 to 3; received \[4\]"):
        class_relevance(model, image, [4])
    with pytest.raises(ValueError, match=r"need a classifier .*\(None, 3, 4, 5\)"):
        class_relevance(network(residual_block), image)


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


def test_weights_are_read_at_every_call():
    model = network(residual_block)
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    lrp = LRP(model)
    before = np.asarray(lrp(image, relevance=relevance))
    randomize(model, seed=5)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(np.ones(layer.moving_variance.shape))
    after = np.asarray(lrp(image, relevance=relevance))
    assert_close(after, LRP(model)(image, relevance=relevance))
    assert np.abs(after - before).max() > 1e-3


def test_known_signs_only_save_work(monkeypatch):
    model = network(lambda x: residual_block(inception_block(layers.ReLU()(x))))
    image, relevance = normal(2, 6, 8, 3), seeds(model)
    presets = ("alpha2_beta1", "epsilon_gamma_box")
    expected = [explained(model, preset, image, relevance) for preset in presets]
    monkeypatch.setattr(Graph, "nonnegative_values", lambda self: frozenset())
    for preset, values in zip(presets, expected, strict=True):
        assert_close(explained(model, preset, image, relevance), values)


def test_nested_sequential_shared_and_cut_models_are_unrolled():
    first = layers.Conv2D(3, 3, padding="same", activation="relu")
    second = layers.Conv2D(3, 1, activation="relu")
    inputs = keras.Input((6, 8, 3))
    flat = keras.Model(inputs, second(first(first(inputs))))
    inner = keras.Input((6, 8, 3))
    nested = keras.Model(inner, first(inner))
    outer = keras.Input((6, 8, 3))
    whole = keras.Model(outer, second(nested(nested(outer))))
    sequential = keras.Sequential([keras.Input((6, 8, 3)), nested, first, second])
    randomize(flat, 3)
    image, relevance = normal(2, 6, 8, 3), seeds(flat)
    expected = explained(flat, "alpha1_beta0", image, relevance)
    for model in (whole, sequential):
        assert_close(explained(model, "alpha1_beta0", image, relevance), expected)
    cut = keras.Model(nested.output, second(nested.output))
    alone = keras.Sequential([keras.Input((6, 8, 3)), second])
    expected = explained(alone, "epsilon", image, relevance)
    assert_close(explained(cut, "epsilon", image, relevance), expected)


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


def test_unsupported_layers_are_named():
    squeezed = network(lambda x: layers.Multiply(name="scale")([x, x]))
    with pytest.raises(ValueError, match=r"'scale' \(Multiply\).*Supported.*Conv2D"):
        LRP(squeezed)
    softmax = network(lambda x: layers.ReLU()(layers.Softmax(name="soft")(x)))
    with pytest.raises(ValueError, match=r"'soft' \(Softmax\).*at the end only"):
        LRP(softmax)
    strange = network(lambda x: layers.Dense(2, activation="softsign", name="odd")(x))
    with pytest.raises(ValueError, match=r"'odd' \(Dense\).*activation 'softsign'"):
        LRP(strange)
    constant = network(lambda x: x + 1.0)
    with pytest.raises(ValueError, match="a sum with a constant has no rule"):
        LRP(constant)
    inputs = [keras.Input((2, 2, 1)), keras.Input((2, 2, 1))]
    with pytest.raises(ValueError, match="must have one input; received 2"):
        LRP(keras.Model(inputs, layers.Add()(inputs)))


def test_wrong_arguments_are_explained():
    model = network(residual_block)
    with pytest.raises(ValueError, match=r"preset must be one of alpha1_beta0.*'lrp'"):
        LRP(model, "lrp")
    with pytest.raises(ValueError, match=r"needs the keys convolution.*received dense"):
        LRP(model, {"dense": Epsilon()})
    with pytest.raises(ValueError, match="pixel_range is used by the box rule only"):
        LRP(model, "epsilon", pixel_range=(0, 1))
    with pytest.raises(ValueError, match=r"\(2, 'N', 3, 4, 5\); received \(2, 3, 4, 5"):
        LRP(model)(normal(2, 6, 8, 3), relevance=normal(2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"alpha - beta must be 1.*alpha=2.0"):
        AlphaBeta(2.0, 0.0)
    with pytest.raises(ValueError, match="bias must be 'signed' or 'whole'"):
        AlphaBeta(bias="none")
