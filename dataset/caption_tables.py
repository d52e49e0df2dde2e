"""Captions in lines of columns: of the publishers, of Kaggle and of one's own.

image.jpg#0<TAB>caption      *.token.txt, *.token
image.jpg| 0| caption        results.csv, with a header or without
image.jpg,caption            captions.txt of Kaggle: quotes around commas and ends of
                             lines, and perhaps the caption's number before it

A header may name the columns in any order: the image, its caption, perhaps its split.
"""

import collections
import csv
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dataset.ids import without_suffix
from dataset.problems import refuse_entries
from dataset.splits import SPLITS, split_of
from dataset.words import compose
from files.messages import shortened

# One line of the published CSV lacks its second bar: "2199200615.jpg| 4   A dog ...".
_CSV_LINE = re.compile(r"([^|]+)\|\s*(\d+)(?:\s*\||\s)\s*(\S.*)")
_NUMBER = re.compile(r"#\d+$")
# What columns are called; the first name that a header has is taken.
NAMES = (
    *("file_name", "filename", "image_name", "image", "image_path", "file", "path"),
    *("name", "image_id"),
)
CAPTIONS = ("caption", "captions", "comment", "text", "sentence", "description")
SPLIT = "split"
_IMAGE = re.compile(r"[^,\"]+\.\w{3,5}(?:#\d+)?,")  # begins the line of an image
_MOST_LINES = 20  # of one quoted caption
_LOOKED_AT = 20  # first lines that tell what divides a file's columns
TAB_EXPECTED = "expected image.jpg#0<TAB>caption"
BAR_EXPECTED = "expected image.jpg| 0| caption"
EXPECTED = {
    ",": "expected image.jpg,caption, with quotes around a caption with commas",
    "\t": "expected image.jpg<TAB>caption",
}


class CaptionTable(NamedTuple):
    """What a file says of photographs, by the names that it has for them.

    Attributes:
        captions: Of each photograph, in the order of the file.
        splits: Of the photographs whose split the file names.
    """

    captions: dict[str, list[str]]
    splits: dict[str, str]


class Row(NamedTuple):
    """One line: the name of a photograph, a caption, and perhaps the split."""

    name: str
    caption: str
    split: str = ""


class Columns(NamedTuple):
    """Where a line has what.

    Attributes:
        divider: Between the columns.
        count: Of the columns; what divides them may stand in the caption too.
        name: The place of the photograph's name.
        caption: The place of the caption.
        split: The place of the split, if there is one.
        has_header: Whether the first line names the columns.
    """

    divider: str
    count: int
    name: int = 0
    caption: int = 1
    split: int | None = None
    has_header: bool = False


Parse = Callable[[str], Row | None]


def read_token_file(path: str | Path) -> dict[str, list[str]]:
    """Reads `image.jpg#k<TAB>caption` lines.

    Returns:
        The captions of every image file name, in the order of the file.

    Raises:
        DatasetError: Lines are broken; all are listed with their numbers.
    """
    path = Path(path)
    return _read(path, _lines_of(path), _parse_tab, TAB_EXPECTED).captions


def read_csv_file(path: str | Path) -> dict[str, list[str]]:
    """Reads the captions of `read_table`; see `read_token_file`."""
    return read_table(path).captions


def read_table(path: str | Path) -> CaptionTable:
    """Reads lines of columns between bars, commas or tabs.

    Raises:
        DatasetError: Lines are broken, name no split or two splits of a photograph,
            or a header names no columns of photographs and captions; all are listed.
    """
    path = Path(path)
    lines = _lines_of(path)
    first = next((line for line in lines if line.strip()), "")
    divider = _divider(lines)
    if divider == "|":
        head = first.partition("|")[0].strip()
        has_header = _parse_bar(first) is None and without_suffix(head) == head
        start = lines.index(first) + 1 if has_header and first else 0
        return _read(path, lines, _parse_bar, BAR_EXPECTED, start)
    if divider == ",":
        lines = _close_quotes(lines)
        first = next((line for line in lines if line.strip()), "")
    columns = _columns_of(path, _fields(first, divider) or [""], divider)
    start = lines.index(first) + 1 if columns.has_header else 0
    parse = functools.partial(_parse_columns, columns)
    return _read(path, lines, parse, EXPECTED[divider], start)


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


def _columns_of(path: Path, row: Sequence[str], divider: str) -> Columns:
    """Returns the columns that the first line names, or the usual ones."""
    heads = [field.strip().lower() for field in row]
    name = next((heads.index(known) for known in NAMES if known in heads), None)
    caption = next((heads.index(known) for known in CAPTIONS if known in heads), None)
    if name is None or (caption is None and name > 0):
        has_number = len(row) > 2 and row[1].strip().isdigit()
        return Columns(divider, 2 + has_number, caption=1 + has_number)
    if caption is None and len(heads) != 2:
        expected = f"expected a column {', '.join(CAPTIONS[:-1])} or {CAPTIONS[-1]}"
        refuse_entries(path, [f"line 1: {shortened(divider.join(row))}"], expected)
    split = heads.index(SPLIT) if SPLIT in heads else None
    caption = 1 - name if caption is None else caption
    return Columns(divider, len(heads), name, caption, split, has_header=True)


def _read(
    path: Path, lines: Sequence[str], parse: Parse, expected: str, start: int = 0
) -> CaptionTable:
    """Reads lines from a place on."""
    rows, problems = [], []
    for number, line in enumerate(lines[start:], start=start + 1):
        if not line.strip():
            continue
        row = parse(line)
        if row is None:
            problems.append(f"line {number}: {line[:60]!r}")
        elif "\ufffd" in line:
            problems.append(f"line {number}: not UTF-8: {line[:60]!r}")
        else:
            rows.append((f"line {number}", row))
    return collect_rows(path, rows, problems, expected)


def collect_rows(
    path: Path, rows: Sequence[tuple[str, Row]], problems: Sequence[str], expected: str
) -> CaptionTable:
    """Gathers the captions of each photograph.

    Args:
        path: Of the file.
        rows: Each with its place in the file.
        problems: That were found before.
        expected: Of an entry.

    Raises:
        DatasetError: There are problems, or a split is unknown or differs from the
            split of the same photograph before.
    """
    problems = list(problems)
    table = CaptionTable(collections.defaultdict(list), {})
    for place, (name, caption, text) in rows:
        table.captions[name].append(compose(caption.strip()))
        if not text.strip():
            continue
        split = split_of(text)
        if split is None:
            known = ", ".join(SPLITS)
            problems.append(f"{place}: the split {shortened(text)} is none of {known}")
        elif table.splits.setdefault(name, split) != split:
            both = f"{table.splits[name]} before and {split} here"
            problems.append(f"{place}: {name[:60]} is in {both}")
    refuse_entries(path, problems, expected)
    return CaptionTable(dict(table.captions), table.splits)


def _parse_tab(line: str) -> Row | None:
    key, tab, caption = line.partition("\t")
    name, mark, index = key.partition("#")
    if tab and mark and name and index.isdigit() and caption.strip():
        return Row(name, caption)
    return None


def _parse_bar(line: str) -> Row | None:
    found = _CSV_LINE.fullmatch(line)
    return Row(found[1].strip(), found[3]) if found else None


def _parse_columns(columns: Columns, line: str) -> Row | None:
    fields = _fields(line, columns.divider) or [""]
    more = len(fields) - columns.count  # the caption's own commas, without quotes
    if more < 0:
        return None
    end = columns.caption + more + 1
    caption = columns.divider.join(fields[columns.caption : end])
    fields = [*fields[: columns.caption], caption, *fields[end:]]
    name = _NUMBER.sub("", fields[columns.name].strip())
    split = "" if columns.split is None else fields[columns.split]
    is_name = without_suffix(name) != name or len(name.split()) == 1
    return Row(name, caption, split) if is_name and caption.strip() else None


def _close_quotes(lines: Sequence[str]) -> list[str]:
    """Joins the lines of captions whose quotes hold ends of lines.

    Blank lines take the place of the others, so that the numbers stay.
    """
    joined = list(lines)
    for start, line in enumerate(lines):
        if _fields(joined[start], ",") is not None:
            continue
        for end in range(start + 1, min(start + _MOST_LINES, len(lines))):
            if _IMAGE.match(lines[end]):
                break
            line = f"{line} {lines[end].strip()}"
            if _fields(line, ",") is not None:
                joined[start : end + 1] = [line] + [""] * (end - start)
                break
    return joined


def _fields(line: str, divider: str) -> list[str] | None:
    """Returns the columns of a line, or None where a quote is not closed."""
    if '"' not in line:
        return line.split(divider)
    try:
        rows = csv.reader([line], delimiter=divider, skipinitialspace=True, strict=True)
        return next(rows, None)
    except csv.Error:  # quotes that stand for themselves, or no end of them
        is_open = divider == "," and line.count('"') % 2
        return None if is_open else line.split(divider)
