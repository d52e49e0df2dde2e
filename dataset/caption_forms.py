"""Captions of one's own, in any of three forms.

.json                    the form of MSCOCO, see `dataset.coco_captions`
.jsonl                   a record in each line: {"image": "a.jpg", "caption": "A dog."}
.csv, .tsv, .txt, ...    columns, see `dataset.caption_tables`

Records and columns are called by the same names, and may have the photograph's split.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dataset.caption_tables import (
    CAPTIONS,
    NAMES,
    SPLIT,
    CaptionTable,
    Row,
    collect_rows,
    read_table,
)
from dataset.coco_captions import exact_id, read_captions
from dataset.problems import refuse_entries
from files.messages import shortened
from files.reading import parse_json, read_bytes
from files.values import either, filled, items, optional

JSON_EXPECTED = (
    'captions as MSCOCO has them: {"images": [{"id": 1, "file_name": "a.jpg"}], '
    '"annotations": [{"image_id": 1, "caption": "A dog."}]}'
)
LINE_EXPECTED = 'expected {"image": "a.jpg", "caption": "A dog."} in each line'
LINES = (".jsonl", ".ndjson")
_TEXTS = either("a text, or a list of texts", filled, items(filled, least=1))


def read_caption_file(path: Path) -> CaptionTable:
    """Reads a file of captions in the form that its ending tells.

    Raises:
        DatasetError: It is missing or damaged; all faults are listed.
    """
    if path.suffix.lower() == ".json":
        return _read_json(path)
    if path.suffix.lower() in LINES:
        return _read_lines(path)
    return read_table(path)


def _read_json(path: Path) -> CaptionTable:
    names, captions, splits = read_captions(path, JSON_EXPECTED, exact_id)
    faults, ids = [], {}
    for id_, name in names.items():
        if ids.setdefault(name, id_) != id_:
            faults.append(f"{shortened(name)} has two ids: {ids[name]}, {id_}")
    refuse_entries(path, faults, f"expected {JSON_EXPECTED}")
    return CaptionTable(
        {names[id_]: texts for id_, texts in captions.items()},
        {names[id_]: split for id_, split in splits.items()},
    )


def _read_lines(path: Path) -> CaptionTable:
    rows, faults = [], []
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        place = f"line {number}"
        if not line.strip():
            continue
        try:
            rows += [(place, row) for row in _rows_of(parse_json(line))]
        except ValueError as error:
            faults.append(f"{place}: {str(error).removeprefix(': ')}")
    return collect_rows(path, rows, faults, LINE_EXPECTED)


def _rows_of(record: object) -> Iterator[Row]:
    """Returns the captions that a record has of its photograph.

    Raises:
        ValueError: It is no such record.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"expected an object, received {shortened(record)}")
    name = filled(_first(record, NAMES))
    texts = _TEXTS(_first(record, CAPTIONS))
    split = optional(filled)(record.get(SPLIT)) or ""
    for text in [texts] if isinstance(texts, str) else texts:
        yield Row(name.strip(), text, split)


def _first(record: Mapping, names: tuple[str, ...]) -> object:
    """Returns the value of the first name that a record has."""
    found = next((name for name in names if name in record), None)
    if found is None:
        raise ValueError(f"lacks {', '.join(names[:-1])} or {names[-1]}")
    return record[found]
