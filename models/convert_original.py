"""Turns weights that the paper's authors publish into a run directory.

python -m models.convert_original keras_model.hdf5 --vocabulary words.json --output RUN

The file is one that Keras 2.2 wrote with `save_weights`. Only its arrays and names are
read; nothing in it is ever executed.
"""

import argparse
import re
import statistics
import sys
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from command_line import ANEW, make_parser, print_paths, run_script
from config import Config
from dataset.coco import COCO2017
from dataset.flickr import FLICKR30K
from dataset.vocabulary import PADDING
from files.hdf5 import check_weights
from files.locks import locked, refuse_same
from files.messages import DAMAGE
from files.writing import holds_something
from models.captioner import Captioner
from models.encoders import build_encoder
from models.keras_words import KerasWords, arrange_words, read_words
from models.run_files import OF_TRAINING

TRAINED_ON = {dataset.name: dataset for dataset in (FLICKR30K, COCO2017)}
NEVER = -1e4  # a logit whose probability is 0; half precision still holds it

LAYERS = {  # what tells the decoders apart; they hold recurrence and attention
    "adaptive_attention": "external_attention_rnn_wrapper_local_attention_v3_1",
    "grid_td": "external_bottom_up_attention_adaptive_1",
}
SHARED_WEIGHTS = {  # weight of ours: their layer, the end of the weight's name in it
    "embedding.embeddings": ("embedding_1", "/embeddings"),
    "image_features.kernel": ("image_features", "/kernel"),
    "image_features.bias": ("image_features", "/bias"),
    "global_feature.kernel": ("global_img_feature", "/kernel"),
    "global_feature.bias": ("global_img_feature", "/bias"),
    "predictor.kernel": ("output", "/kernel"),
    "predictor.bias": ("output", "/bias"),
}
RECURRENT_WEIGHTS = {  # weight of ours: the end of its name in the layer of LAYERS
    "adaptive_attention": {
        "attention.value_kernel": "_Wv",
        "attention.query_kernel": "_Wg",
        "attention.score_kernel": "_V",
        "attention.input_kernel": "_Wx",
        "attention.state_kernel": "_Wh",
        "attention.sentinel_kernel": "_Ws",
        "lstm.kernel": "/kernel",
        "lstm.recurrent_kernel": "/recurrent_kernel",
        "lstm.bias": "/bias",
    },
    "grid_td": {
        "attention.value_kernel": "_W_va",
        "attention.query_kernel": "_W_ha",
        "attention.score_kernel": "_W_a",
        "attention.input_kernel": "_W_x",
        "attention.state_kernel": "_W_h",
        "attention.sentinel_kernel": "_W_s",
        "topdown_lstm.kernel": "_top_down_lstm_weight_i",
        "topdown_lstm.recurrent_kernel": "_top_down_lstm_weight_h",
        "topdown_lstm.bias": "_top_down_lstm_weight_bias",
        "language_lstm.kernel": "/kernel",
        "language_lstm.recurrent_kernel": "/recurrent_kernel",
        "language_lstm.bias": "/bias",
    },
}
WORD_AXES = {  # weight of ours: the axis of the words, the value of the padding
    "embedding.embeddings": (0, 0.0),
    "predictor.kernel": (1, 0.0),
    "predictor.bias": (0, NEVER),
}
WORDS, EMBEDDING, HIDDEN = (  # where a size shows: weight of ours, axis
    {"embedding.embeddings": 0, "predictor.kernel": 1, "predictor.bias": 0},
    {"embedding.embeddings": 1, "global_feature.kernel": 1, "global_feature.bias": 0},
    {"predictor.kernel": 0, "image_features.kernel": 1, "image_features.bias": 0},
)


class ConversionError(ValueError):
    """Files that cannot be converted; the message names all that is wrong."""


class Target(NamedTuple):
    """A weight of ours: its path in the decoder or "", and where the file has it."""

    path: str
    variable: object
    layer: str
    end: str


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = make_parser(__doc__, "python -m models.convert_original")
    parser.add_argument("weights", type=Path, help="keras_model.hdf5")
    parser.add_argument(
        "--vocabulary",
        type=Path,
        required=True,
        help="JSON: the words in the tokenizer's order, its word_index or to_json()",
    )
    parser.add_argument("--output", type=Path, required=True, help="run directory")
    parser.add_argument(
        "--dataset",
        choices=TRAINED_ON,
        default=FLICKR30K.name,
        help="dataset it was trained on",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Writes the converted captioner and prints its folder."""
    output = arguments.output
    refuse_same([arguments.weights, arguments.vocabulary], output, is_folder=True)
    if holds_something(output) and not arguments.overwrite:
        raise ConversionError(
            f"{output} exists. Replace it (--overwrite) or name another (--output)."
        )
    words = arrange_words(read_words(arguments.vocabulary))
    preset = TRAINED_ON[arguments.dataset].preset
    with locked(output, is_folder=True):
        convert(arguments.weights, words, preset).save_run(output, removed=OF_TRAINING)
    print_paths(output)


def convert(path: str | Path, words: KerasWords, preset: Config) -> Captioner:
    """Builds the captioner whose weights a published file holds.

    Args:
        path: The HDF5 file.
        words: From `arrange_words`.
        preset: Gives the settings that the file does not hold.

    Raises:
        ConversionError: The file is damaged, or something in it is missing, superfluous
            or of the wrong shape.
    """
    stored = read_weights(path)
    decoder = _decoder_of(path, stored)
    config = preset.replace(
        decoder=decoder,
        embedding_size=_size(stored, EMBEDDING) or preset.embedding_size,
        hidden_size=_size(stored, HIDDEN) or preset.hidden_size,
    )
    captioner = Captioner(config, words.vocabulary, build_encoder(config))
    targets = list_targets(captioner)
    num_words = _size(stored, WORDS) or words.total
    problems = find_problems(stored, targets, num_words)
    if num_words != words.total:
        problems.append(
            f"the file has {num_words} words, the vocabulary {words.total} (it must "
            "begin with word number 1 and hold szeros and zeros)"
        )
    if problems:
        raise ConversionError(
            f"{path} is not the published {decoder} captioner on VGG16 with this "
            f"vocabulary: {'; '.join(problems)}."
        )
    for target in targets:
        (name,) = _matches(stored, target.layer, target.end)
        target.variable.assign(_permute(stored[name], target.path, words))
    return captioner


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the arrays of a Keras 2 file, by layer/name without the final ":0".

    Raises:
        ConversionError: The file is missing, damaged or no file of weights.
    """
    if not Path(path).is_file():
        raise ConversionError(f"{path}: the file does not exist.")
    try:
        check_weights(Path(path))
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)  # there if the model was saved whole
            names = [_text(name) for name in root.attrs["layer_names"]]
            return {
                f"{layer}/{name.partition(':')[0]}": root[layer][name][()]
                for layer in names
                for name in map(_text, root[layer].attrs["weight_names"])
                if name in root[layer]
            }
    except DAMAGE as error:
        reason = " ".join(str(error).split())
        raise ConversionError(
            f"{path} is not a whole HDF5 file written by Keras 2's save_weights: "
            f"{reason}"
        ) from error


def list_targets(captioner: Captioner) -> list[Target]:
    """Lists the captioner's weights with the places the published files have them."""
    decoder = captioner.config.decoder
    sources = SHARED_WEIGHTS | {
        path: (LAYERS[decoder], end) for path, end in RECURRENT_WEIGHTS[decoder].items()
    }
    return [
        Target("", variable, layer.name, f"/{variable.name}")
        for layer in captioner.encoder.layers
        for variable in layer.weights
    ] + [
        Target(path, attrgetter(path)(captioner.decoder), *source)
        for path, source in sources.items()
    ]


def find_problems(
    stored: dict[str, np.ndarray], targets: list[Target], num_words: int
) -> list[str]:
    """Names all that is missing, superfluous or of the wrong shape."""
    layers = {_layer(name) for name in stored}
    problems, used = [], set()
    for target in targets:
        found = _matches(stored, target.layer, target.end)
        used.update(found)
        if _unnumbered(target.layer) not in layers:
            problems.append(f"layer {target.layer} is missing")
        elif not found:
            problems.append(f"layer {target.layer} has no weight ...{target.end}")
        elif len(found) > 1:
            problems.append(f"one of these is expected: {', '.join(found)}")
        else:
            problems += _array_problems(found[0], stored[found[0]], target, num_words)
    unused = sorted(set(stored) - used)
    if unused:
        problems.append(f"unexpected weights: {', '.join(unused)}")
    return [*dict.fromkeys(problems)]


def _array_problems(name, array, target: Target, num_words: int) -> list[str]:
    expected = list(target.variable.shape)
    if target.path in WORD_AXES:
        expected[WORD_AXES[target.path][0]] = num_words
    if tuple(expected) != np.shape(array):
        return [f"{name}: expected shape {tuple(expected)}, received {np.shape(array)}"]
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        return [f"{name}: expected finite numbers, received others"]
    return []


def _decoder_of(path, stored) -> str:
    layers = {_layer(name) for name in stored}
    found = [name for name, layer in LAYERS.items() if _unnumbered(layer) in layers]
    if len(found) != 1:
        raise ConversionError(
            f"{path} must have one of the layers {', '.join(LAYERS.values())}; "
            f"received weights of {', '.join(sorted(layers)) or 'no layer'}."
        )
    return found[0]


def _size(stored, places: dict[str, int]) -> int | None:
    """Returns the size that most of the places agree on; None if all are missing."""
    sizes = []
    for path, axis in places.items():
        for name in _matches(stored, *SHARED_WEIGHTS[path]):
            sizes += np.shape(stored[name])[axis : axis + 1]
    return statistics.mode(sizes) if sizes else None


def _permute(array: np.ndarray, path: str, words: KerasWords) -> np.ndarray:
    """Brings the axis of the words, where there is one, into our order."""
    if path not in WORD_AXES:
        return array
    axis, padding = WORD_AXES[path]
    return np.insert(np.take(array, words.places, axis), PADDING, padding, axis)


def _matches(stored, layer: str, end: str) -> list[str]:
    """Returns the names of a layer's weights that end so; prefixes may repeat."""
    layer = _unnumbered(layer)
    return [name for name in stored if _layer(name) == layer and name.endswith(end)]


def _layer(name: str) -> str:
    return _unnumbered(name.partition("/")[0])


def _unnumbered(layer: str) -> str:
    """Drops the number that Keras counts a process's layers of a kind with."""
    return re.sub(r"_\d+$", "", layer)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("models.convert_original", lambda: run(parse(argv)), ANEW)


if __name__ == "__main__":
    sys.exit(main())
