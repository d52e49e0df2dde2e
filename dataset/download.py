"""Downloads a dataset into the folders that its reader reads.

python -m dataset.download coco2017 --data-dir DIR
python -m dataset.download flickr8k --data-dir DIR --only text,karpathy

What cannot be downloaded is said, with how it is to be had. A download that was stopped
goes on where it stopped.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import quiet_start  # noqa: F401
from command_line import GOES_ON, make_parser, run_script, split_names
from dataset.archives import Archive, DownloadError, get
from dataset.coco import ENTITIES_FILE, KARPATHY_FILE
from dataset.coco_boxes import BOXES, ENTITIES_FROM
from dataset.entities import ENTITIES
from dataset.karpathy import KARPATHY

COCO_IMAGES = "http://images.cocodataset.org/zips"
FLICKR8K = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"
JPEG, JSON, TEXT = r".+\.jpg", r".+\.json", r".+\.txt"


@dataclass(frozen=True)
class ByHand:
    """What a person must get.

    Attributes:
        place: Below the dataset's folder, where it goes.
        how: Where it is, and what to do.
        is_needed: Whether nothing works without it.
    """

    place: str
    how: str
    is_needed: bool = False

    def is_there(self, data_dir: Path) -> bool:
        """Tells whether it lies in its place."""
        return (data_dir / self.place).exists()


def _karpathy(folder: str, name: str) -> Archive:
    return Archive(KARPATHY, folder, JSON, files=(name,))  # its sum is not published


def _coco_files(kind: str) -> tuple[str, ...]:
    return tuple(f"{kind}_{name}2017.json" for name in ("train", "val"))


_ENTITIES = ByHand("entities", f"get {ENTITIES}; evaluate_bbox.py needs its boxes")
# The sums are those that many projects check these archives with.
PARTS: Mapping[str, Mapping[str, Archive | ByHand]] = {
    "coco2017": {
        "annotations": Archive(
            BOXES,
            "annotations",
            JSON,
            "f4bbac642086de4f52a3fdda2de5fa2c",
            (*_coco_files("captions"), *_coco_files("instances")),
        ),
        "val2017": Archive(
            f"{COCO_IMAGES}/val2017.zip",
            "images/val2017",
            JPEG,
            "442b8da7639aecaf257c1dceb8ba8c80",
        ),
        "train2017": Archive(
            f"{COCO_IMAGES}/train2017.zip",
            "images/train2017",
            JPEG,
            "cced6f7f71b7629ddf16f17bbcfab6b2",
        ),
        "karpathy": _karpathy("annotations", KARPATHY_FILE),
        "entities": ByHand(
            ENTITIES_FILE,
            f"it lies in a Google Drive, which gives it to a browser alone: open the "
            f"link to it in {ENTITIES_FROM}, and save it there. Nothing needs it where "
            "annotations/instances_val2017.json is",
        ),
    },
    "flickr8k": {
        "text": Archive(
            f"{FLICKR8K}/Flickr8k_text.zip",
            "text",
            TEXT,
            "bf6c1abcb8e4a833b7f922104de18627",
            (
                "Flickr8k.token.txt",
                *(f"Flickr_8k.{name}Images.txt" for name in ("train", "dev", "test")),
            ),
        ),
        "images": Archive(
            f"{FLICKR8K}/Flickr8k_Dataset.zip",
            "images",
            JPEG,
            "f18a1e2920de5bd84dae7cf08ec78978",
        ),
        "entities": _ENTITIES,
    },
    "flickr30k": {
        "karpathy": _karpathy("text", "dataset_flickr30k.json"),
        "images": ByHand(
            "images",
            "the photographs are given to those alone who sign a form. Fill it in at "
            "https://shannon.cs.illinois.edu/DenotationGraph, get "
            "flickr30k-images.tar, and unpack its photographs there",
            is_needed=True,
        ),
        "entities": _ENTITIES,
    },
}
NOTES = {
    "flickr8k": "Its authors no longer give Flickr8k away; these archives are a copy. "
    "The photographs are for non-commercial research and education.",
    "flickr30k": "The captions and the splits are Karpathy's. The photographs are for "
    "non-commercial research and education.",
}


@dataclass(frozen=True)
class DownloadOptions:
    """What is downloaded.

    Attributes:
        name: A key of PARTS.
        data_dir: The dataset's folder.
        only: Some of its parts; all if empty.
        keep: Whether archives stay after they were unpacked.
    """

    name: str
    data_dir: Path
    only: tuple[str, ...] = ()
    keep: bool = False


def parse(argv: list[str] | None) -> DownloadOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m dataset.download")
    add = parser.add_argument
    add("name", choices=PARTS, help="dataset to download")
    add(
        "--data-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the dataset's folder; what is there is not downloaded again",
    )
    listed = "; ".join(f"{name}: {', '.join(parts)}" for name, parts in PARTS.items())
    add(
        "--only",
        metavar="PART,...",
        help=f"only some parts ({listed}); default: all",
    )
    add("--keep", action="store_true", help="keep the archives in DIR/.downloads")
    found = parser.parse_args(argv)
    only = tuple(split_names(found.only)) if found.only else ()
    unknown = [part for part in only if part not in PARTS[found.name]]
    if unknown:
        known = ", ".join(PARTS[found.name])
        parser.error(f"--only {unknown[0]}: {found.name} has the parts {known}")
    return DownloadOptions(found.name, found.data_dir, only, found.keep)


def download(options: DownloadOptions) -> Iterable[str]:
    """Gets the parts one after the other; returns the problems."""
    parts, data_dir = PARTS[options.name], options.data_dir
    problems = []
    if options.name in NOTES:
        print(NOTES[options.name])
    for name in options.only or parts:
        part = parts[name]
        if part.is_there(data_dir):
            print(f"{name}: there already")
        elif isinstance(part, ByHand):
            print(f"{name}: {data_dir / part.place}: {part.how}.")
            if part.is_needed:
                problems.append(f"{name} must be got by hand; see above.")
        else:
            print(f"{name}: {part.url}", flush=True)
            try:
                get(part, data_dir, options.keep)
            except DownloadError as error:
                problems.append(str(error))
    print(
        f"Check it: python -m dataset.check --dataset {options.name} --data-dir "
        f"{data_dir}"
    )
    return problems


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return run_script("dataset.download", lambda: download(parse(argv)), GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
