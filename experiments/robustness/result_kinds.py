"""Files of results: journals, captions, histories, caches."""

import io
import json
from pathlib import Path

import numpy as np

from dataset.coco import COCO2017
from dataset.feature_cache import FeatureCache
from dataset.records import CaptionedImage
from experiments.robustness.kinds import (
    REFUSED,
    Kind,
    instead,
    line,
    made,
    missing,
    put,
    split_lines,
    whole,
    wrong,
)
from files.values import items, number, text
from report.photo_folder import finished_caption
from scoring.caption_files import read_results
from scoring.journal import Journal
from training.callbacks import read_history

# Journals, captions, settings

HEADER = {"settings": {"model": "tiny", "beam_size": 3}}
RECORDS = [
    {"image_id": number, "captions": [f"dog {number}", "a dog"], "scores": [-1.5, -2.0]}
    for number in range(5)
]
LINES = [HEADER, *RECORDS]


def _journal(folder: Path) -> Journal:
    values = {"captions": items(text, least=1), "scores": items(number, least=1)}
    return Journal(folder / "a.nbest.jsonl", lambda settings: values)


def _of_line(edit):
    """Applies an edit of JSON to one of the records."""

    def change(lines: list[str], generator) -> tuple[bytes, object]:
        place = int(generator.integers(1, len(lines)))
        content, right = edit(json.loads(lines[place]), generator)
        changed = [one.encode() for one in lines]
        changed[place] = content
        return b"\n".join(changed) + b"\n", right

    return change


JOURNAL = Kind(
    "journal",
    "a.nbest.jsonl",
    lambda folder: put(
        folder, "a.nbest.jsonl", "".join(json.dumps(one) + "\n" for one in LINES)
    ),
    lambda folder: _journal(folder).read(HEADER["settings"]),
    lambda found: all(isinstance(r["captions"][0], str) for r in found),
    split_lines,
    (
        _of_line(missing("image_id")),
        _of_line(wrong("captions")),
        _of_line(wrong("captions.*")),
        _of_line(missing("scores")),
        _of_line(made("scores.*", lambda value, _: "1")),
        _of_line(made("captions", lambda value, _: [])),
        whole(lambda content: content.replace(b"tiny", b"large"), REFUSED),
        whole(lambda content: content[:-5], RECORDS[:-1]),
        whole(lambda content: content + content.split(b"\n")[1] + b"\n", RECORDS),
        whole(lambda content: content[content.index(b"\n") + 1 :], REFUSED),
    ),
)
IMAGES = [CaptionedImage(str(n), Path(f"{n}.jpg"), ("a",)) for n in range(5)]
RESULTS = [{"image_id": n, "caption": f"a dog {n}"} for n in range(5)]
SAID = {str(n): f"a dog {n}" for n in range(5)}
CAPTIONS = Kind(
    "captions",
    "captions.json",
    lambda folder: put(folder, "captions.json", json.dumps(RESULTS)),
    lambda folder: read_results(folder / "captions.json", IMAGES, COCO2017),
    lambda found: set(found) == set(SAID),
    json.loads,
    (
        wrong("*"),
        wrong("*.image_id", REFUSED, "", 99),
        wrong("*.caption"),
        missing("*.caption"),
        made("*.image_id", lambda value, _: (value + 1) % 5),
        made("*.image_id", lambda value, _: f"{value:012d}.jpg", SAID),
        instead(lambda found, _: [*found, found[0]], REFUSED),
        instead(lambda found, _: [*found, found[0] | {"image_id": 9}], SAID),
    ),
)
EXPLAINED = {"model": "m", "weights": "w", "photo": "p.jpg", "content": "c"}
EXPLAINED["words"] = None
SETTINGS_FILE = Kind(
    "explanation's settings",
    "settings.json",
    lambda folder: put(
        folder,
        "settings.json",
        json.dumps({"caption": "a dog", "settings": EXPLAINED}),
    ),
    lambda folder: finished_caption(folder, EXPLAINED, "/photos/p.jpg"),
    lambda found: found is None or isinstance(found, str),
    json.loads,
    (
        wrong("caption"),
        wrong("settings"),
        wrong("settings.photo"),
        missing("caption"),
        made("settings.weights", lambda value, _: "other", None),
        made("settings.content", lambda value, _: "other", None),
        made("settings.words", lambda value, _: "dog", None),
        missing("settings.weights", "a dog"),
        made(
            "caption",
            lambda value, generator: f"a cat {generator.integers(99)}",
            lambda old, place, new: new["caption"],
        ),
    ),
)

# Histories and caches

ROWS = [{"epoch": n, "loss": 3.0 - n, "val_cider": n / 4} for n in range(4)]
HISTORY = "epoch,loss,val_cider\n" + "".join(
    f"{r['epoch']},{r['loss']},{r['val_cider']}\n" for r in ROWS
)


def _spoil(column: int, value: str):
    def make(one: str) -> str:
        cells = one.split(",")
        cells[column] = value
        return ",".join(cells)

    return make


HISTORY_FILE = Kind(
    "history",
    "history.csv",
    lambda folder: put(folder, "history.csv", HISTORY),
    lambda folder: read_history(folder, 4),
    lambda found: len(found) == 4 and all("val_cider" in row for row in found),
    split_lines,
    (
        line(_spoil(0, "7")),
        line(_spoil(2, "x")),
        line(_spoil(2, "nan")),
        line(lambda one: one + ",1"),
        line(lambda one: None),
        line(lambda one: one.replace("val_cider", "cider").replace(".", "x")),
        whole(lambda content: content + b"4,1.0,0.5\n5,", ROWS),
        whole(lambda content: content.replace(b"\n", b"\r\n"), ROWS),
    ),
)
FEATURES = (np.arange(4 * 6).reshape(4, 1, 2, 3) / 8).astype("float16")


def _cache(folder: Path) -> FeatureCache:
    return FeatureCache(folder, [Path(f"{n}.jpg") for n in range(4)], (1, 2, 3))


def write_cache(folder: Path) -> None:
    """Writes a whole cache of features."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "features.npy", FEATURES)
    put(folder, "progress.json", '{"done": 4}')


def read_cache(folder: Path) -> list:
    """Reads all rows; of a cache that is not whole, how many are done."""
    cache = _cache(folder)
    if cache.num_done < 4:
        return [cache.num_done]
    return np.asarray(cache.read()).tolist()


def _array(make):
    def edit(content: bytes, generator) -> tuple[bytes, object]:
        file = io.BytesIO()
        array, right = make(FEATURES.copy(), generator)
        np.save(file, array)
        return file.getvalue(), right

    return edit


def _spoiled(array, generator):
    array[tuple(int(generator.integers(size)) for size in array.shape)] = np.nan
    return array, REFUSED


def _others(array, generator):
    array += np.float16(generator.integers(1, 9))
    return array, array.tolist()


CACHE = Kind(
    "cached features",
    "features.npy",
    write_cache,
    read_cache,
    lambda found: np.isfinite(found).all(),
    bytes,
    (
        _array(_spoiled),
        _array(_others),
        _array(lambda array, _: (array[:-1], REFUSED)),
        _array(lambda array, _: (array.astype("float32"), REFUSED)),
        _array(lambda array, _: (array.reshape(4, 6), REFUSED)),
    ),
)
PROGRESS = Kind(
    "progress of a cache",
    "progress.json",
    write_cache,
    read_cache,
    lambda found: len(found) == 4 or found[0] in range(4),
    json.loads,
    (
        wrong("done", REFUSED, 5, "4", 3.0),
        missing("done"),
        made("done", lambda value, _: 2, [2]),
    ),
    share=0.5,
)

KINDS = (JOURNAL, CAPTIONS, SETTINGS_FILE, HISTORY_FILE, CACHE, PROGRESS)
