"""Reader of Flickr8k and Flickr30k as their authors publish them.

DATA_DIR/images/*.jpg
DATA_DIR/text/<name>.token.txt            image.jpg#0<TAB>caption (or <name>.token)
DATA_DIR/text/<name>.<split>Images.txt    one image file name a line
"""

import collections
from pathlib import Path

from dataset.records import CaptionedImage


class DatasetError(ValueError):
    """A dataset that cannot be read; the message lists everything that is wrong."""


def read_flickr(data_dir: str | Path, split: str) -> list[CaptionedImage]:
    """Reads the images of one split with their captions.

    Args:
        data_dir: The folder with `images` and `text`.
        split: Names the list file `*.<split>Images.txt`: train, dev or test.

    Returns:
        The images in the order of the list file.

    Raises:
        DatasetError: Files are missing, lines are broken, or listed images have no
            file or caption. All of them are listed at once.
    """
    data_dir = Path(data_dir)
    token_path = _single_file(data_dir / "text", "*.token.txt", "*.token")
    list_path = _single_file(data_dir / "text", f"*.{split}Images.txt")
    captions = read_token_file(token_path)
    names = [line.strip() for line in _read_text(list_path).split("\n")]
    images, problems = [], []
    for name in filter(None, names):
        path = data_dir / "images" / name
        if name not in captions:
            problems.append(f"{name}: no caption in {token_path.name}")
        elif not path.is_file():
            problems.append(f"{name}: no such file in {path.parent}")
        else:
            images.append(CaptionedImage(path.stem, path, tuple(captions[name])))
    _raise_all(list_path, problems)
    if not images:
        raise DatasetError(f"{list_path} lists no image.")
    return images


def read_token_file(path: str | Path) -> dict[str, list[str]]:
    """Reads `image.jpg#k<TAB>caption` lines.

    Returns:
        The captions of every image file name, in the order of the file.

    Raises:
        DatasetError: Lines are broken; all are listed with their numbers.
    """
    captions, problems = collections.defaultdict(list), []
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        key, tab, caption = line.partition("\t")
        name, mark, index = key.partition("#")
        if not (tab and mark and name and index.isdigit() and caption.strip()):
            problems.append(f"line {number}: {line[:60]!r}")
        elif "\ufffd" in line:
            problems.append(f"line {number}: not UTF-8: {line[:60]!r}")
        else:
            captions[name].append(caption.strip())
    _raise_all(path, problems, "expected image.jpg#0<TAB>caption")
    return dict(captions)


def _read_text(path: str | Path) -> str:
    return Path(path).read_bytes().decode("utf-8-sig", errors="replace")


def _single_file(folder: Path, *patterns: str) -> Path:
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    # Flickr8k comes with its captions' lemmas in a second file.
    found = [path for path in paths if ".lemma." not in path.name]
    if len(found) != 1:
        received = ", ".join(path.name for path in found) or "none"
        raise DatasetError(
            f"{folder} must hold one file {' or '.join(patterns)}; found {received}. "
            "Give the dataset's folder with --data-dir."
        )
    return found[0]


def _raise_all(path: str | Path, problems: list[str], expected: str = "") -> None:
    if problems:
        listed = "\n  ".join(problems)
        hint = f" ({expected})" if expected else ""
        raise DatasetError(
            f"{path} has {len(problems)} unusable entries{hint}:\n  {listed}"
        )
