"""The caption files of Flickr8k and Flickr30k, the publishers' and Kaggle's.

image.jpg#0<TAB>caption      *.token.txt, *.token
image.jpg| 0| caption        results.csv, with a header or without
image.jpg,caption            captions.txt of Kaggle: quotes around commas and ends of
                             lines, and perhaps the caption's number before it
"""

import collections
import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from dataset.ids import without_suffix
from dataset.problems import refuse_entries
from dataset.words import compose

# One line of the published CSV lacks its second bar: "2199200615.jpg| 4   A dog ...".
_CSV_LINE = re.compile(r"([^|]+)\|\s*(\d+)(?:\s*\||\s)\s*(\S.*)")
_NUMBER = re.compile(r"#\d+$")
_HEADS = ("image", "image_name", "image_id", "filename", "file_name", "file", "name")
_IMAGE = re.compile(r"[^,\"]+\.\w{3,5}(?:#\d+)?,")  # begins the line of an image
_MOST_LINES = 20  # of one quoted caption
_LOOKED_AT = 20  # first lines that tell what divides a file's columns
Parse = Callable[[str], tuple[str, str] | None]


def read_token_file(path: str | Path) -> dict[str, list[str]]:
    """Reads `image.jpg#k<TAB>caption` lines.

    Returns:
        The captions of every image file name, in the order of the file.

    Raises:
        DatasetError: Lines are broken; all are listed with their numbers.
    """
    path = Path(path)
    return _read(path, _lines_of(path), _parse_tab, "expected image.jpg#0<TAB>caption")


def read_csv_file(path: str | Path) -> dict[str, list[str]]:
    """Reads lines of columns between bars, commas or tabs; see `read_token_file`."""
    path = Path(path)
    lines = _lines_of(path)
    first = next((line for line in lines if line.strip()), "")
    divider = _divider(lines)
    if divider == "\t":
        return read_token_file(path)
    if divider == ",":
        lines = _close_quotes(lines)
        row = _fields(first) or [""]
        has_header = row[0].strip().lower() in _HEADS
        has_number = len(row) > 2 and (has_header or row[1].strip().isdigit())

        def parse(line: str) -> tuple[str, str] | None:
            return _parse_comma(line, has_number)

        expected = (
            "expected image.jpg,caption, with quotes around a caption with commas"
        )
    else:
        head = first.partition("|")[0].strip()
        has_header = _parse_bar(first) is None and without_suffix(head) == head
        parse, expected = _parse_bar, "expected image.jpg| 0| caption"
    start = lines.index(first) + 1 if has_header and first else 0
    return _read(path, lines, parse, expected, start)


def read_text(path: Path) -> str:
    """Returns the text of a file; what is not UTF-8 becomes U+FFFD."""
    return path.read_bytes().decode("utf-8-sig", errors="replace")


def _lines_of(path: Path) -> list[str]:
    return [line.rstrip("\r") for line in read_text(path).split("\n")]


def _divider(lines: Sequence[str]) -> str:
    """Returns what most of the first lines have first: a tab, a bar or a comma."""
    found = [re.search(r"[\t|,]", line) for line in lines[:_LOOKED_AT]]
    counts = collections.Counter(match[0] for match in found if match)
    return counts.most_common(1)[0][0] if counts else "|"


def _read(
    path: Path, lines: Sequence[str], parse: Parse, expected: str, start: int = 0
) -> dict[str, list[str]]:
    """Reads lines from a place on; see `read_token_file`."""
    captions, problems = collections.defaultdict(list), []
    for number, line in enumerate(lines[start:], start=start + 1):
        if not line.strip():
            continue
        found = parse(line)
        if found is None:
            problems.append(f"line {number}: {line[:60]!r}")
        elif "\ufffd" in line:
            problems.append(f"line {number}: not UTF-8: {line[:60]!r}")
        else:
            captions[found[0]].append(compose(found[1].strip()))
    refuse_entries(path, problems, expected)
    return dict(captions)


def _parse_tab(line: str) -> tuple[str, str] | None:
    key, tab, caption = line.partition("\t")
    name, mark, index = key.partition("#")
    if tab and mark and name and index.isdigit() and caption.strip():
        return name, caption
    return None


def _parse_bar(line: str) -> tuple[str, str] | None:
    found = _CSV_LINE.fullmatch(line)
    return (found[1].strip(), found[3]) if found else None


def _parse_comma(line: str, has_number: bool) -> tuple[str, str] | None:
    name, *rest = _fields(line) or [""]
    name = _NUMBER.sub("", name.strip())
    rest = rest[1:] if has_number else rest
    caption = ",".join(rest)  # a caption whose commas stand without quotes
    is_name = without_suffix(name) != name or len(name.split()) == 1
    return (name, caption) if is_name and caption.strip() else None


def _close_quotes(lines: Sequence[str]) -> list[str]:
    """Joins the lines of captions whose quotes hold ends of lines.

    Blank lines take the place of the others, so that the numbers stay.
    """
    joined = list(lines)
    for start, line in enumerate(lines):
        if _fields(joined[start]) is not None:
            continue
        for end in range(start + 1, min(start + _MOST_LINES, len(lines))):
            if _IMAGE.match(lines[end]):
                break
            line = f"{line} {lines[end].strip()}"
            if _fields(line) is not None:
                joined[start : end + 1] = [line] + [""] * (end - start)
                break
    return joined


def _fields(line: str) -> list[str] | None:
    """Returns the columns between commas, or None where a quote is not closed."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], skipinitialspace=True, strict=True), None)
    except csv.Error:  # quotes that stand for themselves, or no end of them
        return None if line.count('"') % 2 else line.split(",")
