"""Files are written whole or not at all, read with checks, and held by one process."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from files import hdf5, values
from files.hdf5 import check_structure, check_weights
from files.locks import LockedError, locked, refuse_same
from files.messages import FileError, WriteError, describe, reason_of, shortened
from files.reading import parse_json, read_json, read_json_lines, read_numbers
from files.writing import (
    CHANGED,
    NEW,
    append_lines,
    changed_together,
    check_folder,
    check_room,
    current_file,
    finish_change,
    holds_something,
    whole_folder,
    write_whole,
)

ROOT = Path(__file__).parents[1]
DEAD = 2**22 + 1  # above the largest number of a process


def full(path, content):
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


# Writing


def test_what_killed_processes_left_is_removed(tmp_path):
    for name in (f".a.json.{DEAD}.part", f".b.json.{DEAD}.part"):
        (tmp_path / name).write_text("half")
    alive = tmp_path / f".a.json.{os.getppid()}.part"
    alive.write_text("half")
    write_whole(tmp_path / "a.json", b"whole")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted([alive.name, f".b.json.{DEAD}.part", "a.json"])
    (tmp_path / f".folder.{DEAD}.part").mkdir()
    with whole_folder(tmp_path / "folder") as part:
        (part / "x").touch()
    assert not (tmp_path / f".folder.{DEAD}.part").exists()


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "no space is left on the disk. Free some, or name another"),
        (
            errno.ENOENT,
            "nothing can be made in this place. Name another folder",
        ),  # /proc
        (errno.EROFS, "the disk is read-only. Name a folder on another one"),
        (errno.EACCES, "permission is denied"),
        (errno.EXDEV, "Invalid cross-device link"),
    ],
)
def test_a_failing_disk_leaves_what_was_there(tmp_path, monkeypatch, number, reason):
    def fail(path, content):
        raise OSError(number, os.strerror(number), str(path))

    path = write_whole(tmp_path / "a.json", b"before")
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(WriteError, match=rf"a\.json cannot be written: {reason}"):
        write_whole(path, b"after")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert path.read_bytes() == b"before"


def test_a_line_that_does_not_fit_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    path.write_bytes(b"first\n")
    append_lines(path, b"second\n")
    real, kinds = Path.open, []

    def fill_up(self, *arguments, **options):
        file = real(self, *arguments, **options)
        kinds.append(file)

        class Full:
            seek, truncate = file.seek, file.truncate
            __enter__, __exit__ = lambda self: self, lambda self, *_: file.close()

            def write(self, content):
                if len(content) < 4:
                    full(path, content)
                return file.write(content[:3])

        return Full()

    monkeypatch.setattr(Path, "open", fill_up)
    with pytest.raises(WriteError, match="no space is left"):
        append_lines(path, b"third\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"first\nsecond\n"


def test_disks_are_asked_before_the_work(tmp_path, monkeypatch):
    check_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(WriteError, match=r"The run needs .* GB; .* Free some space"):
        check_room(tmp_path / "no" / "such", 10**18, "The run")
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"cannot be written: "):
        check_folder(tmp_path / "file" / "below")


# Files that belong together


def write_run(folder, text, removed=()):
    with changed_together(folder, removed) as new:
        for name in ("config", "weights"):
            (new / name).write_text(text)


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_files_change_together(tmp_path):
    folder = tmp_path / "run"
    write_run(folder, "old")
    (folder / "scores").write_text("old")
    (folder / "mine").write_text("kept")
    write_run(folder, "new", ["scores", "absent"])
    assert contents(folder) == {"config": "new", "weights": "new", "mine": "kept"}


@pytest.mark.parametrize("step", range(12))
def test_a_kill_leaves_the_old_files_or_the_new_ones(tmp_path, monkeypatch, step):
    """Killed before each call of the system that changes the folder."""
    folder, calls = tmp_path / "run", []
    write_run(folder, "old")
    (folder / "scores").write_text("old")

    def killed(name):
        real = getattr(Path, name)

        def call(self, *arguments, **options):
            calls.append(name)
            if len(calls) > step:
                raise KeyboardInterrupt
            return real(self, *arguments, **options)

        return call

    for name in ("mkdir", "write_text", "rename", "replace", "unlink", "rmdir"):
        monkeypatch.setattr(Path, name, killed(name))
    with pytest.raises(KeyboardInterrupt):
        write_run(folder, "new", ["scores"])
        raise KeyboardInterrupt  # all of its steps were done
    monkeypatch.undo()
    found = {current_file(folder, name).read_text() for name in ("config", "weights")}
    assert len(found) == 1
    finish_change(folder)
    if found == {"new"}:
        assert contents(folder) == {"config": "new", "weights": "new"}
    else:
        assert (folder / "scores").read_text() == "old"
    write_run(folder, "last")
    assert not (folder / NEW).exists() and not (folder / CHANGED).exists()


def test_leftovers_are_nothing(tmp_path):
    assert not holds_something(tmp_path) and not holds_something(tmp_path / "no")
    for name in (".lock", NEW, f".a.{DEAD}.part", "tmp.config.json"):
        (tmp_path / name).touch()
    assert not holds_something(tmp_path)
    (tmp_path / "diary").touch()
    assert holds_something(tmp_path) and holds_something(tmp_path / "diary")


# Locks


HOLD = """
import sys, time
from pathlib import Path
from files.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_holds_an_output_until_it_ends(tmp_path):
    output = tmp_path / "out.json"
    command = [sys.executable, "-c", HOLD, str(output)]
    other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=r"out\.json is being written by another"):
            locked(output).__enter__()
    finally:
        other.kill()
        other.communicate()
    with locked(output):  # the killed process left its file
        assert [path.name for path in tmp_path.iterdir()] == [".out.json.lock"]
    assert list(tmp_path.iterdir()) == []


def test_locks_leave_no_folders(tmp_path):
    with locked(tmp_path / "a" / "b", is_folder=True):
        assert (tmp_path / "a" / "b" / ".lock").is_file()
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "a" / "b", is_folder=True):
        (tmp_path / "a" / "b" / "x").touch()
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["x"]


def test_inputs_are_no_outputs(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "link").symlink_to(run)
    refuse_same([run], tmp_path / "other", is_folder=True)
    refuse_same([run / "a.json"], run / "b.json")
    for read in (run, run / "weights.h5", tmp_path / "link", run / ".." / "run"):
        with pytest.raises(ValueError, match=r"which is read\. Name another output"):
            refuse_same([read], run, is_folder=True)


# Reading


RECORD = values.record(
    {"id": values.image_id, "n": values.whole(0, 9)},
    scores=values.table(values.number),
    words=values.items(values.filled, least=1),
    is_true=values.flag,
    limit=values.optional(values.whole(1, 9)),
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", r"it is no JSON \(Expecting value in line 1, column 2\)"),
        ("[" * 100_000, "nested too deeply"),
        ('{"n": ' + "9" * 5000 + "}", "too many digits"),
        ('{"n": 1, "n": 2}', "the name 'n' is there twice"),
        (b"\xff\xfe1\x00", r"it is not UTF-8 text \(byte 0\)"),
        ("[1]", r"expected an object, received \[1\]"),
        ("null", "expected an object, received None"),
        ('{"id": 1}', "n is missing"),
        (
            '{"id": true, "n": 1}',
            "id: expected a whole number or a text, .* True",
        ),
        ('{"id": 1, "n": 1e999}', "n: expected a whole number from 0 to 9, .* inf"),
        ('{"id": 1, "n": 1, "scores": {"a": NaN}}', "scores.a: expected a finite"),
        ('{"id": 1, "n": 1, "words": []}', "words: expected a list of at least 1"),
        ('{"id": 1, "n": 1, "words": ["a", " "]}', r"words\[1\]: expected a text"),
        ('{"id": 1, "n": 1, "is_true": 1}', "is_true: expected true or false"),
        ('{"id": 1, "n": 1, "limit": 0}', "limit: expected a whole number from 1"),
        (
            '{"id": "' + "x" * 5000 + '", "n": "' + "y" * 5000 + '"}',
            r"n: .*'yyy.*",
        ),
    ],
)
def test_damaged_json_is_named(tmp_path, text, message):
    path = tmp_path / "small.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(
        FileError, match=rf"small\.json is damaged \(.*{message}"
    ) as got:
        read_json(path, RECORD, "Get it again.")
    assert str(got.value).endswith("Get it again.") and len(str(got.value)) < 400


def test_good_json_comes_as_it_is(tmp_path):
    path = tmp_path / "small.json"
    content = {"id": "a", "n": 3, "scores": {"a": 0.5}, "limit": None, "more": [1]}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    assert read_json(path, RECORD) == content
    with pytest.raises(FileError, match=r"none\.json is missing. Get it again"):
        read_json(tmp_path / "none.json", RECORD)


def test_lines_are_named(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"id": 1, "n": 1}\n{"id": 2}\n{"id": 3, ')
    with pytest.raises(FileError, match=r"damaged \(line 2: n is missing\). Way out"):
        list(read_json_lines(path, iter([RECORD] * 5), "Way out."))
    numbers = tmp_path / "history.csv"
    numbers.write_text("epoch,loss\n0,1.5\n1,nan\n2,x")
    names, rows = read_numbers(numbers, "Way out.")
    assert names == ["epoch", "loss"] and rows[0] == {"epoch": 0, "loss": 1.5}
    assert len(rows) == 2  # the torn one is left out
    for text, message in (
        ("epoch,loss\n0\n", "line 2: 1 columns, expected 2"),
        ("epoch,loss\n0,1\n1,x\n", "line 3: expected a number, received 'x'"),
        ("epoch,epoch\n0,1\n", "distinct names"),
        ("", "distinct names"),
    ):
        numbers.write_text(text)
        with pytest.raises(FileError, match=rf"history\.csv is damaged \(.*{message}"):
            read_numbers(numbers, "Way out.")


def test_names_of_scores_are_those_of_the_first():
    check = values.same_names(values.number_or_nan)
    first = {"lrp": {"a": 1.0, "b": float("nan")}}
    assert check(first) is not None and check({"lrp": {"b": 1, "a": 2}})
    for other in ({"lrp": {"a": 1}}, {"lrp": {"a": 1, "b": 1}, "x": {}}, {}):
        with pytest.raises(ValueError, match="are not those before"):
            check(other)


def test_values_and_reasons_are_short():
    deep = [[[[[[[[[[1]]]]]]]]]]
    for value in (
        "x" * 5000,
        10**400,
        10**5000,
        deep,
        list(range(1000)),
        {1: "y" * 99},
    ):
        assert len(shortened(value)) <= 60
    assert shortened("dog") == "'dog'" and shortened(1.5) == "1.5"
    error = OSError(errno.ENOSPC, "No space left on device", "a.json")
    assert describe(error) == (
        "a.json: no space is left on the disk. Free some, or name another folder."
    )
    assert "Errno" not in reason_of(OSError(errno.EXDEV, "x", "y"))
    assert reason_of(ValueError("no: [Errno -2] a\n b")) == "no: a b"
    assert describe(ValueError("as it is.")) == "as it is."
    assert parse_json('{"a": [1, 2.5, "x"]}') == {"a": [1, 2.5, "x"]}


# HDF5


def make(path, kind):
    with h5py.File(path, "w") as file:
        file["vars/0"] = np.arange(6, dtype="float32").reshape(2, 3)
        file["vars"].attrs["name"] = "dense"
        file["counts"] = np.arange(3)
        if kind == "external link":
            file["more"] = h5py.ExternalLink("/etc/hostname", "/")
        elif kind == "soft link":
            file["more"] = h5py.SoftLink("/nowhere")
        elif kind == "external storage":
            file.create_dataset("more", (4,), "u1", external=[("/etc/passwd", 0, 4)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((6,), "float32")
            layout[:] = h5py.VirtualSource("other.h5", "x", (6,))
            file.create_virtual_dataset("more", layout)
        elif kind == "declared larger":
            file.create_dataset("more", (10**12,), "float32", chunks=(1000,))
        elif kind == "ring":
            file["vars/again"] = file["vars"]
        elif kind == "texts":
            file["more"] = ["a", "b"]
    return path


UNSOUND = {
    "external link": "/more is a link to another place or file",
    "soft link": "/more is a link to another place or file",
    "external storage": "/more lies in another file",
    "virtual": "/more lies in another file",
    "declared larger": "/more is declared with 4,000,000,000,000 bytes",
    "ring": "is linked to twice",
    "texts": "/more holds no numbers",
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_files_that_point_elsewhere_are_refused(tmp_path, kind):
    path = make(tmp_path / "weights.h5", kind)
    with pytest.raises(
        FileError, match=rf"weights\.h5 is damaged or .*{UNSOUND[kind]}"
    ):
        check_structure(path)


def test_a_file_is_read_in_a_process_of_its_own(tmp_path, monkeypatch):
    path = make(tmp_path / "weights.h5", "sound")
    assert sorted(check_structure(path)) == ["/counts", "/vars/0"]
    check_weights(path)
    monkeypatch.setattr(subprocess, "run", None)
    check_weights(path)  # read once only
    monkeypatch.undo()
    whole = path.read_bytes()
    path.write_bytes(whole[:96] + b"\xff\xff" + whole[98:])
    with pytest.raises(FileError, match=r"weights\.h5 is damaged or not a file of w"):
        check_weights(path)
    with pytest.raises(FileError, match="does not exist"):
        check_weights(tmp_path / "none.h5")


def test_a_file_that_holds_hdf5_in_a_loop_is_given_up(tmp_path, monkeypatch):
    path = make(tmp_path / "weights.h5", "sound")
    monkeypatch.setattr(hdf5, "SECONDS", 0.3)
    monkeypatch.setattr(hdf5, "_SOUND", set())
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda _, **options: real(slow, **options))
    start = time.monotonic()
    with pytest.raises(FileError, match=r"did not come to its end in 0 seconds"):
        check_weights(path)
    assert time.monotonic() - start < 10
