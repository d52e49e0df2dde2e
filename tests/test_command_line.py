"""What the command lines have in common."""

import argparse
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from command_line import (
    ANEW,
    WHOLE,
    Part,
    fill_options,
    make_parser,
    messages_about,
    part,
    print_beside,
    print_paths,
    run_script,
    some_words,
    split_names,
)
from dataset.progress import progress


def test_parts_share_the_work():
    items = list(range(7))
    parts = [part(f"{index}/3").of(items) for index in range(3)]
    assert parts == [[0, 3, 6], [1, 4], [2, 5]]
    assert part("1/3") == Part(1, 3)
    assert WHOLE.of(items) == items


@pytest.mark.parametrize(
    "text", ["3/3", "-1/3", "1", "1/", "/3", "1/0", "a/b", "1/2/3"]
)
def test_other_parts_are_refused(text):
    with pytest.raises(
        argparse.ArgumentTypeError, match="expected INDEX/COUNT, as 0/4"
    ):
        part(text)


@pytest.mark.parametrize("option", ["--output", "--name", "--kind"])
def test_no_option_takes_an_empty_text(capsys, option):
    parser = make_parser("Does something.")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--name", nargs="+")
    parser.add_argument("--kind", choices=("a", ""))
    for wrong in ("", " "):
        with pytest.raises(SystemExit):
            parser.parse_args([option, wrong])
        expected = "the name of a file or folder" if option == "--output" else "a text"
        assert f"expected {expected}; received '{wrong}'" in capsys.readouterr().err
    assert parser.parse_args(["--output", "a/b"]).output == Path("a/b")


@pytest.mark.parametrize("wrong", ["", ",", " , ", "."])
def test_words_without_a_word_are_refused(wrong):
    with pytest.raises(argparse.ArgumentTypeError, match="expected words, as dog,ball"):
        some_words(wrong)
    assert some_words("dog,एक") == "dog,एक"


def test_names_hold_no_controls_and_end_no_lines(capsys):
    name = "a\nb\x1b[31m\u202ec.jpg"

    def work():
        print_paths(Path(name))
        print_beside(f"{name}: a dog")
        yield f"{name} is no photo:\n  it is empty"

    assert run_script("a.py", work) == 2
    shown = r"a\nb\x1b[31m\u202ec.jpg"
    out, err = capsys.readouterr()
    assert out.splitlines() == [shown, f"{shown}: a dog"]
    assert err.splitlines() == [f"a.py: {shown} is no photo:", "  it is empty"]


def test_messages_are_about_something_for_a_while(caplog):
    with messages_about("a.jpg 100%"):
        logging.warning("%s is left out", "dog")
        logging.warning("100 % is not")
    logging.warning("after %d", 1)
    assert caplog.messages == [
        *("a.jpg 100%: dog is left out", "a.jpg 100%: 100 % is not", "after 1")
    ]


def test_a_script_without_problems(capsys):
    assert run_script("a.py", lambda: print("done")) == 0
    assert run_script("a.py", list) == 0
    assert capsys.readouterr() == ("done\n", "")


def stop(error):
    yield "b.jpg is no photo."
    raise error


@pytest.mark.parametrize("error", [ValueError("x must be 1."), OSError("x must be 1.")])
def test_problems_before_an_error_are_named_too(capsys, error):
    assert run_script("a.py", lambda: stop(error)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["a.py: b.jpg is no photo.", "a.py: x must be 1."]


def test_a_stopped_script_says_how_it_goes_on(capsys):
    assert run_script("a.py", lambda: stop(KeyboardInterrupt)) == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "a.py: b.jpg is no photo.",
        "a.py: stopped; the same command with --resume goes on.",
    ]
    assert run_script("a.py", lambda: stop(KeyboardInterrupt), ANEW) == 130
    assert "a.py: stopped; the same command begins anew." in capsys.readouterr().err


def test_a_library_that_is_interrupted_may_answer_in_its_own_way(capsys):
    def work():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt as error:
            raise SystemError("bad argument to internal function") from error

    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored
    try:
        assert run_script("a.py", work) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert capsys.readouterr().err.startswith("a.py: stopped; ")
    with pytest.raises(SystemError):
        run_script("a.py", lambda: stop(SystemError))


def test_other_errors_are_mistakes_of_ours():
    with pytest.raises(KeyError):
        run_script("a.py", lambda: stop(KeyError))


def test_progress_is_shown_on_a_terminal_alone(monkeypatch, capsys):
    assert list(progress([1, 2])) == [1, 2]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(progress([1, 2], desc="images")) == [1, 2]
    assert "images: 100%" in capsys.readouterr().err
    assert list(progress([1], disable=True)) == [1]
    assert capsys.readouterr() == ("", "")


def test_lines_stand_beside_the_progress(monkeypatch, capsys):
    """The bar is wiped before a line, and drawn anew below it."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)

    def work():
        for number in progress([1, 2], desc="images"):
            print_beside(f"result {number}")
            logging.info("message %d", number)
            logging.warning("of each split")

    assert run_script("a.py", work) == 0
    out, err = capsys.readouterr()
    assert out.replace("\r", "").split() == ["result", "1", "result", "2"]
    lines = [line.split("\r")[-1] for line in err.split("\n")]
    told = [line for line in lines if line and "images" not in line]
    assert told == ["message 1", "of each split", "message 2"], "each message once"


def test_progress_is_made_in_one_place():
    root = Path(__file__).parents[1]
    paths = [*root.glob("*.py"), *root.glob("[a-z]*/**/*.py")]
    found = {p.name for p in paths if " tqdm(" in p.read_text("utf-8")}
    assert found - {Path(__file__).name} == {"progress.py"}


@dataclass(frozen=True)
class Chosen:
    """Some options."""

    names: tuple[str, ...]
    limit: int = 3


def test_options_are_filled_by_their_names():
    parsed = argparse.Namespace(names=["a", "b"], limit=5, other=1)
    assert fill_options(Chosen, parsed) == Chosen(("a", "b"), 5)
    assert fill_options(Chosen, parsed, names=split_names("c,d")).names == ("c", "d")
    with pytest.raises(AttributeError, match="limit"):
        fill_options(Chosen, argparse.Namespace(names=[]))


def test_a_wrong_command_line_is_refused_in_one_line(capsys):
    parser = make_parser("Does something.", "a.py")
    parser.add_argument("--beam-size", type=int, metavar="N", help="of the search")
    for arguments, expected in (
        (["--beam-size", "x"], "argument --beam-size: invalid int value: 'x'"),
        (["--beamsize=3"], "unrecognized arguments: --beamsize=3; --beam-size may be"),
        (["b.jpg"], "unrecognized arguments: b.jpg. See a.py --help."),
    ):
        with pytest.raises(SystemExit) as stop:
            parser.parse_args(arguments)
        error = capsys.readouterr().err
        assert stop.value.code == 2 and error.count("\n") == 1
        assert error.startswith(f"a.py: {expected}")
