"""A journal gives back what it was given, also after a kill, and nothing else."""

import json

import pytest

from files import reading
from keras_lrp import __version__
from scoring.journal import Journal, refuse_existing
from scoring.score_files import ScoreFiles

SETTINGS = {"model": "tiny", "methods": ["lrp"]}
RECORDS = [{"image_id": "a", "words": []}, {"image_id": 7, "words": [0.25]}]


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "out" / "scores.jsonl")


def test_records_come_back(journal):
    assert journal.read(SETTINGS) == []
    journal.start(SETTINGS, RECORDS[:1])
    journal.append(RECORDS[1:])
    assert journal.read(SETTINGS) == RECORDS
    lines = journal.path.read_text().splitlines()
    assert list(map(json.loads, lines)) == [{"settings": SETTINGS}, *RECORDS]
    journal.start(SETTINGS)
    assert journal.read(SETTINGS) == []


def test_a_line_that_was_cut_off_is_left_out(journal):
    journal.start(SETTINGS, RECORDS)
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-3])
    assert journal.read(SETTINGS) == RECORDS[:1]


def test_the_last_record_of_an_image_counts(journal):
    journal.start(SETTINGS, [*RECORDS, {"image_id": "a", "words": [1]}])
    assert journal.read(SETTINGS) == [{"image_id": "a", "words": [1]}, RECORDS[1]]


def test_a_journal_is_read_once(journal, monkeypatch):
    journal.start(SETTINGS, RECORDS)
    seen, read = [], reading.read_bytes
    monkeypatch.setattr(reading, "read_bytes", lambda *a: seen.append(a) or read(*a))
    assert journal.read(SETTINGS) == RECORDS and len(seen) == 1


def test_other_settings_are_refused(journal):
    journal.start(SETTINGS, RECORDS)
    with pytest.raises(ValueError, match="with model 'tiny'; received 'large'"):
        journal.read(SETTINGS | {"model": "large"})
    with pytest.raises(ValueError, match="computed with split None; received 'dev'"):
        journal.read(SETTINGS | {"split": "dev"})
    journal.start(SETTINGS | {"precision": "bfloat16"})
    with pytest.raises(ValueError, match="precision 'bfloat16'; received None"):
        journal.read(SETTINGS)


@pytest.mark.parametrize(
    "content",
    ["", "{}\n", '{"settings": {"model": "tiny", "methods": ["lrp"]}}\n{"words": 1}\n'],
)
def test_a_damaged_journal_is_refused(journal, content):
    journal.path.parent.mkdir()
    journal.path.write_text(content)
    with pytest.raises(ValueError, match=r"is damaged .* Begin anew with --overwrite"):
        journal.read(SETTINGS)


def test_files_are_not_replaced_unasked(tmp_path):
    there = tmp_path / "there"
    refuse_existing([there])
    there.touch()
    with pytest.raises(ValueError, match=r"there exists already\. Go on with it"):
        refuse_existing([tmp_path / "absent", there])


# The files beside a journal


def test_results_of_other_scores_do_not_stay(tmp_path):
    files = ScoreFiles(tmp_path / "scores.v2.json", (".csv", "-best.png"))
    files.write_results({"mean": 0.5})
    files.write("-best.png", b"picture")
    expected = {"mean": 0.5, "version": __version__}
    assert json.loads(files.results.read_text()) == expected
    assert (tmp_path / "scores.v2-best.png").read_bytes() == b"picture"
    with pytest.raises(ValueError, match=r"scores.v2.json exists already"):
        refuse_existing(files.all())
    files.start(SETTINGS, RECORDS)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.v2.jsonl"]
    with pytest.raises(ValueError, match=r"scores.v2.jsonl exists already"):
        refuse_existing(files.all())


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"expected --output FILE.json, received .*s.t"
    ):
        ScoreFiles(tmp_path / "scores.txt", ())
