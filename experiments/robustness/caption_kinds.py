"""Captions and lists of datasets."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from dataset.caption_forms import read_caption_file
from dataset.caption_tables import read_csv_file, read_token_file
from dataset.flickr import read_flickr
from dataset.karpathy import read_karpathy
from experiments.robustness.kinds import (
    REFUSED,
    Kind,
    line,
    made,
    missing,
    put,
    split_lines,
    whole,
    wrong,
)

WORDS = "a dog runs over the wet grass near two red cars under one sky".split()  # noqa: SIM905
NAMES = [f"{number}_x.jpg" for number in range(6)]
CAPTIONS = [(n, " ".join(WORDS[k : k + 6])) for n in NAMES for k in range(3)]


def grouped(pairs) -> dict[str, list[str]]:
    """Returns the captions of each name."""
    found = defaultdict(list)
    for name, caption in pairs:
        found[name].append(caption)
    return dict(found)


def is_captions(found: object) -> bool:
    """Whether captions are texts that hold something."""
    return all(name and all(map(str.strip, texts)) for name, texts in found.items())


OTHER = "\tone other caption"
BY_NAME = grouped(CAPTIONS)
TOKENS = "".join(f"{n}#{k % 3}\t{c}\n" for k, (n, c) in enumerate(CAPTIONS))
KAGGLE = "image,caption\n" + "".join(f"{n},{c}\n" for n, c in CAPTIONS)


def _other_caption(lines, place, changed):
    pairs = list(CAPTIONS)
    pairs[place] = (pairs[place][0], "one other caption")
    return grouped(pairs)


def _without_line(lines, place, changed):
    return grouped([pair for k, pair in enumerate(CAPTIONS) if k != place])


TOKEN_FILE = Kind(
    "token file",
    "a.token.txt",
    lambda folder: put(folder, "a.token.txt", TOKENS),
    lambda folder: read_token_file(folder / "a.token.txt"),
    is_captions,
    split_lines,
    (
        line(lambda one: one.replace("\t", " ")),
        line(lambda one: one.replace("#", "")),
        line(lambda one: one.replace("#", "#x")),
        line(lambda one: one.partition("\t")[0] + "\t  "),
        line(lambda one: one + "\udcff"),
        line(
            lambda one: one.partition("\t")[0] + "\tone other caption", _other_caption
        ),
        line(lambda one: None, _without_line),
        line(lambda one: one + "\n\n", BY_NAME),
        whole(lambda content: content.replace(b"\n", b"\r\n"), BY_NAME),
        whole(lambda content: b"\xef\xbb\xbf" + content, BY_NAME),
    ),
)


KAGGLE_FILE = Kind(
    "captions.txt",
    "captions.txt",
    lambda folder: put(folder, "captions.txt", KAGGLE),
    lambda folder: read_csv_file(folder / "captions.txt"),
    is_captions,
    split_lines,
    (
        whole(lambda content: content.replace(b"\n", b"\r\n"), BY_NAME),
        whole(lambda content: b"\xef\xbb\xbf" + content, BY_NAME),
        whole(lambda content: content.replace(b"image,caption\n", b""), BY_NAME),
        whole(lambda content: content + b"9_x.jpg,\n", REFUSED),
        whole(lambda content: content + b"no image at all\n", REFUSED),
        whole(lambda content: content + b'9_x.jpg,"not closed\n', REFUSED),
        whole(
            lambda content: content + b'9_x.jpg,"red, wet, and grey"\n',
            BY_NAME | {"9_x.jpg": ["red, wet, and grey"]},
        ),
    ),
)


LINES = "".join(json.dumps({"image": n, "caption": c}) + "\n" for n, c in CAPTIONS)


def _more(record: object) -> Callable[[bytes], bytes]:
    return lambda content: content + json.dumps(record).encode() + b"\n"


LINES_FILE = Kind(
    "captions.jsonl",
    "captions.jsonl",
    lambda folder: put(folder, "captions.jsonl", LINES),
    lambda folder: read_caption_file(folder / "captions.jsonl").captions,
    is_captions,
    split_lines,
    (
        whole(lambda content: content.replace(b"\n", b"\r\n"), BY_NAME),
        whole(lambda content: b"\xef\xbb\xbf" + content, BY_NAME),
        whole(_more({"image": "9_x.jpg"}), REFUSED),
        whole(_more({"caption": "a dog"}), REFUSED),
        whole(_more({"image": "9_x.jpg", "caption": " "}), REFUSED),
        whole(_more({"image": "9_x.jpg", "captions": ["a dog", 7]}), REFUSED),
        whole(_more({"image": NAMES[0], "caption": "a dog", "split": "x"}), REFUSED),
        whole(_more([NAMES[0], "a dog"]), REFUSED),
        whole(
            _more({"file_name": "9_x.jpg", "captions": ["red, wet", "a dog"]}),
            BY_NAME | {"9_x.jpg": ["red, wet", "a dog"]},
        ),
    ),
)


# Split lists


def write_flickr(folder: Path) -> None:
    """Writes six tiny photographs, their captions and the list of dev."""
    put(folder, "text/a.token.txt", TOKENS)
    put(folder, "text/a.devImages.txt", "".join(f"{name}\n" for name in NAMES))
    for name in NAMES:
        put(folder, f"images/{name}", b"a photograph")
    put(folder.parent, "outside.jpg", b"a photograph")


def read_list(folder: Path) -> list[str]:
    """Reads the ids of a split."""
    return [image.image_id for image in read_flickr(folder, "dev")]


IDS = [name.removesuffix(".jpg") for name in NAMES]
SPLIT_LIST = Kind(
    "split list",
    "text/a.devImages.txt",
    write_flickr,
    read_list,
    lambda found: set(found) <= set(IDS) and len(set(found)) == len(found),
    split_lines,
    (
        line(lambda one: f"/etc/{one}"),
        line(lambda one: "../../outside.jpg"),
        line(lambda one: f"{one}\0"),
        line(lambda one: one.replace("_", "-")),
        line(lambda one: f"{one}\n{one}"),
        line(lambda one: "C:\\" + one),
        line(lambda one: None, lambda old, place, new: IDS[:place] + IDS[place + 1 :]),
        line(lambda one: one.removesuffix(".jpg"), IDS),
        line(lambda one: f"  {one}\t", IDS),
        whole(lambda content: content.replace(b"\n", b"\r\n\r\n"), IDS),
        whole(lambda content: b"\xef\xbb\xbf" + content, IDS),
        whole(lambda content: b"\n\n", REFUSED),
    ),
)

# Karpathy's JSON

KARPATHY = {
    "dataset": "flickr8k",
    "images": [
        {
            "filename": name,
            "split": "val",
            "cocoid": number,
            "sentences": [{"raw": caption} for caption in BY_NAME[name]],
        }
        for number, name in enumerate(NAMES)
    ],
}


def read_karpathy_file(folder: Path) -> list[tuple]:
    """Reads what is comparable of the images."""
    found = read_karpathy(folder / "dataset_flickr8k.json")
    return [(one.name, one.split, one.captions, one.coco_id) for one in found]


OF_KARPATHY = [
    (name, "dev", tuple(BY_NAME[name]), number) for number, name in enumerate(NAMES)
]
KARPATHY_FILE = Kind(
    "Karpathy's JSON",
    "dataset_flickr8k.json",
    lambda folder: put(folder, "dataset_flickr8k.json", json.dumps(KARPATHY)),
    read_karpathy_file,
    lambda found: all(name and split and texts for name, split, texts, _ in found),
    json.loads,
    (
        wrong("images"),
        wrong("images.*"),
        wrong("images.*.split", REFUSED, "dev", "Val"),
        wrong("images.*.filename", REFUSED, "/etc/passwd", "../a.jpg", ""),
        wrong("images.*.sentences"),
        wrong("images.*.sentences.*.raw", REFUSED, "  "),
        made("images.*.cocoid", lambda value, _: value + 0.5),
        missing("images.*.filename"),
        missing("images.*.sentences"),
        made("images.*.cocoid", lambda value, _: f"{value:012d}", OF_KARPATHY),
        made("dataset", lambda value, _: ["any"], OF_KARPATHY),
    ),
)


KINDS = (TOKEN_FILE, KAGGLE_FILE, LINES_FILE, SPLIT_LIST, KARPATHY_FILE)
