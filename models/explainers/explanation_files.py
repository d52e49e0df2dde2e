"""The files of an explanation: what they hold, and how they are read back."""

import io
import json
from pathlib import Path

import numpy as np

from dataset.images import open_image
from dataset.vocabulary import SPECIAL_TOKENS, START
from files.arrays import check_shapes, read_arrays
from files.messages import FileError
from files.pictures import kept_photo
from files.reading import damaged, read_json
from files.values import flag, items, number, one_of, optional, record, text, whole
from files.writing import write_whole
from keras_lrp import PRECISIONS, __version__

SUMMARY, ARRAYS, PHOTO = "explanation.json", "explanation.npz", "photo.jpg"
AGAIN = "Explain the photo anew."
SCALED = ("pixels", "features")
_MANY = 100_000
_TEXTS = ("caption", "method", "lrp_preset", "decoder_rules", "contrast", "against")
_WORD = record(
    {"word": text, "step": whole(0, _MANY), "logit": number}, length=whole(1, _MANY)
)
_CHECK = record(
    {"caption": text, "method": text, "words": items(_WORD, 1)},
    lrp_preset=optional(text),
    decoder_rules=optional(text),
    contrast=optional(text),
    against=optional(text),
    precision=one_of(*PRECISIONS),
    words_read=items(text, 1),
    has_pieces=flag,
    is_additive=flag,
)


def write_explanation(explanation, folder: Path, exact: bool) -> list[Path]:
    """Writes the files; see `Explanation.save`."""
    summary = json.dumps(_summary(explanation), indent=2) + "\n"
    arrays = io.BytesIO()
    np.savez_compressed(arrays, **_arrays(explanation, exact))
    contents = {SUMMARY: summary.encode(), ARRAYS: arrays.getvalue()}
    if explanation.photo is not None:
        contents[PHOTO] = kept_photo(explanation.photo)
    return [write_whole(folder / name, content) for name, content in contents.items()]


def _arrays(explanation, exact: bool) -> dict[str, np.ndarray]:
    arrays = {
        name: value
        for name, value in vars(explanation).items()
        if isinstance(value, np.ndarray) and name != "photo"
    }
    for name in () if exact else SCALED:
        scale = np.abs(arrays[name]).max((1, 2, 3))
        safe = np.where(scale > 0, scale, 1.0)[:, None, None, None]
        arrays[name] = (arrays[name] / safe).astype("float16")
        arrays[f"{name}_scale"] = scale
    return arrays | {"steps": np.asarray(explanation.steps)}


def _summary(explanation) -> dict:
    what = {name: getattr(explanation, name) for name in _TEXTS}
    if explanation.unusual_precision:
        what["precision"] = explanation.precision
    return what | {
        "version": __version__,
        "words_read": explanation.words_read,
        "has_pieces": explanation.has_pieces,
        "is_additive": explanation.is_additive,
        "words": [_word(explanation, row) for row in range(len(explanation.words))],
    }


def _word(explanation, row: int) -> dict:
    """Returns the numbers of one word as a reader looks at them."""
    step, beta = explanation.steps[row], explanation.beta
    mean = explanation.mean_feature
    length = 1 if explanation.lengths is None else explanation.lengths[row]
    read = explanation.words_read[: step + length + explanation.has_pieces]
    relevance = explanation.preceding_words[row]
    return {
        "word": explanation.words[row],
        "step": step,
        **({} if length == 1 else {"length": length}),
        "logit": float(explanation.logits[row]),
        "probability": float(np.exp(explanation.log_probabilities[row])),
        "beta": None if beta is None else float(beta[row]),
        "image_relevance": _number(explanation.features[row].sum()),
        "mean_feature_relevance": None if mean is None else _number(mean[row]),
        "pixel_relevance": float(explanation.pixels[row].sum()),
        "word_relevance": {
            f"{index} {name}": _number(relevance[index])
            for index, name in enumerate(read)
        },
        "lost_in_decoder": _number(explanation.lost[row, 0]),
        "lost_in_encoder": _number(explanation.lost[row, 1]),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def read_explanation(folder: Path) -> dict:
    """Reads the files; returns the fields of the explanation.

    Raises:
        FileError: A file is missing, damaged or does not fit the other.
        ImageError: The photograph beside them cannot be read.
    """
    _refuse_several(folder)
    found = read_json(folder / SUMMARY, _CHECK, AGAIN)
    arrays = read_arrays(folder / ARRAYS, AGAIN)
    fields = _said(found)
    try:
        _check_arrays(fields, arrays)
        _check_same(found["words"], arrays)
        additive = found.get("is_additive", bool(np.isfinite(arrays["lost"]).all()))
    except ValueError as error:
        raise damaged(folder / ARRAYS, error, AGAIN) from error
    photo = folder / PHOTO
    return fields | {
        **{name: _unscaled(name, arrays) for name in (*SCALED, *_PLAIN)},
        "photo": open_image(photo).pixels if photo.is_file() else None,
        "is_additive": additive,
    }


_PLAIN = (
    *("image", "preceding_words", "attention", "beta"),
    *("logits", "log_probabilities", "lost", "mean_feature"),
)


def _refuse_several(folder: Path) -> None:
    """Names the folders of several methods where one was expected."""
    below = sorted(path.parent.name for path in folder.glob(f"*/{SUMMARY}"))
    if below and not (folder / SUMMARY).is_file():
        raise FileError(
            f"{folder} holds explanations in folders of their own. Load one of them: "
            f"{', '.join(below)}."
        )


def _said(found: dict) -> dict:
    """Returns the fields that the JSON holds; earlier versions said less."""
    words = found["words"]
    lengths = tuple(word.get("length", 1) for word in words)
    read = (SPECIAL_TOKENS[START], *found["caption"].split()[:-1])
    return {
        **{name: found.get(name) for name in _TEXTS},
        "words": tuple(word["word"] for word in words),
        "steps": tuple(word["step"] for word in words),
        "words_read": tuple(found.get("words_read", read)),
        "has_pieces": found.get("has_pieces", False),
        "lengths": None if set(lengths) == {1} else lengths,
        "precision": found.get("precision", PRECISIONS[0]),
    }


def _check_arrays(fields: dict, arrays: dict[str, np.ndarray]) -> None:
    """Refuses arrays that do not fit the words and the image."""
    rows, read = len(fields["words"]), len(fields["words_read"])
    ends = np.add(fields["steps"], fields["lengths"] or 1) + fields["has_pieces"]
    if max(ends) > read:
        raise ValueError(f"{SUMMARY} beside it has {read} words and one at {max(ends)}")
    check_shapes(arrays, {"image": (None, None, 3)})
    expected = {
        "pixels": (rows, *arrays["image"].shape),
        "features": (rows, None, None, None),
        "preceding_words": (rows, read),
        "logits": (rows,),
        "log_probabilities": (rows,),
        "lost": (rows, 2),
        "attention": (rows, None, None),
        "beta": (rows,),
        "mean_feature": (rows,),
        "pixels_scale": (rows,),
        "features_scale": (rows,),
    }
    may_lack = ("attention", "beta", "mean_feature", "pixels_scale", "features_scale")
    check_shapes(
        arrays, {k: v for k, v in expected.items() if k in arrays or k not in may_lack}
    )
    for name in expected.keys() & arrays.keys():
        if arrays[name].dtype.kind != "f":
            raise ValueError(f"{name} has {arrays[name].dtype}, expected fractions")
    if arrays["image"].dtype != np.uint8:
        raise ValueError(f"image has {arrays['image'].dtype}, expected uint8")
    for name in ("pixels", "logits", "log_probabilities"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} has values that are not finite")


def _check_same(words: list[dict], arrays: dict[str, np.ndarray]) -> None:
    """Refuses arrays of another explanation than that of the words."""
    logits = np.array([word["logit"] for word in words])
    if not np.allclose(arrays["logits"], logits, rtol=1e-5, atol=1e-6):
        raise ValueError(f"its logits are not those of {SUMMARY} beside it")


def _unscaled(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    """Returns an array as it was before it was scaled to half precision."""
    scale = arrays.get(f"{name}_scale")
    if scale is None:
        return arrays.get(name)
    return arrays[name].astype(scale.dtype) * scale[:, None, None, None]
