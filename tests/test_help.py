"""What the commands say about themselves with --help."""

import argparse
import importlib
from pathlib import Path

import pytest

from command_line import WHOLE, make_parser

ROOT = Path(__file__).parents[1]
NO_COMMANDS = ("tests", "cache", "runs", "shared", "worker.py", "cost_worker.py")
METHOD_COMMANDS = (
    "benchmarks.evaluation",
    "evaluate_bbox",
    "examine_word",
    "explain_image",
    "scoring.randomisation",
)


def list_commands() -> list[str]:
    """The modules that are started: scripts, and those of `python -m`."""
    paths = (path.relative_to(ROOT) for path in sorted(ROOT.rglob("*.py")))
    return [
        ".".join(path.with_suffix("").parts)
        for path in paths
        if not any(part in NO_COMMANDS or part[0] == "." for part in path.parts)
        and '__name__ == "__main__"' in (ROOT / path).read_text("utf-8")
    ]


class ParserFound(Exception):  # noqa: N818
    """Carries a command's parser out of the command."""


@pytest.fixture
def parser_of(monkeypatch):
    """Returns the parser of a command that is about to read its command line."""

    def stop(parser, argv=None):
        raise ParserFound(parser)

    def find(command: str) -> argparse.ArgumentParser:
        module = importlib.import_module(command)
        if hasattr(module, "main"):
            start = module.main
        else:  # one of the comparisons with a library
            start = module.compare.__get__(vars(module)[command.split(".")[1].upper()])
        with pytest.raises(ParserFound) as found:
            start([])
        return found.value.args[0]

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    return find


@pytest.mark.parametrize("command", list_commands())
def test_every_option_is_explained_with_its_default(parser_of, command):
    parser = parser_of(command)
    assert parser.description
    for action in parser._actions:
        assert action.help and action.help.strip(), action.option_strings
        shown = parser._get_formatter()._expand_help(action)
        if action.default in (None, False, WHOLE, argparse.SUPPRESS, ""):
            assert "(default:" not in shown
        elif action.default not in ([], ()):
            assert "default" in shown, action.option_strings
    text = " ".join(parser.format_help().split())
    assert "None" not in text and "[]" not in text and "Part(" not in text
    if command.count("."):
        assert parser.prog == f"python -m {command.removesuffix('.__main__')}"


def test_no_command_has_a_parser_of_another_kind():
    commands = [name.replace(".", "/") + ".py" for name in list_commands()]
    for path in (*commands, "scoring/options.py", "comparisons/external.py"):
        assert "ArgumentParser(" not in (ROOT / path).read_text("utf-8"), path


@pytest.mark.parametrize("command", METHOD_COMMANDS)
def test_methods_are_named_alike_everywhere(parser_of, command):
    parser = parser_of(command)
    (action,) = (a for a in parser._actions if "--method" in a.option_strings)
    assert action.option_strings == ["--method", "--methods"]
    assert action.type(" lrp,attention") == "lrp,attention"
    assert action.type("all") == "all"
    for wrong in ("magic", "lrp,magic", "", "lrp,"):
        with pytest.raises(argparse.ArgumentTypeError, match="Unknown method"):
            action.type(wrong)


def test_the_readme_has_every_option_of_the_first_script(parser_of):
    table = (ROOT / "README.md").read_text("utf-8").partition("| option |")[2]
    rows = table.partition("\n\n")[0]
    for action in parser_of("explain_image")._actions[1:]:
        for option in action.option_strings[:1]:
            assert f"`{option}" in rows, option


def test_defaults_are_written_as_they_are_typed():
    parser = make_parser("Does something.\n\nIn detail.")
    assert parser.description == "Does something."
    add = parser.add_argument
    add("--list", nargs="+", default=["a=1 %", "b"], help="two")
    add("--path", type=Path, default=Path("here"), help="a place")
    add("--own", default=3, help="default: three")
    add("--none", help="nothing")
    helps = {
        action.dest: parser._get_formatter()._expand_help(action)
        for action in parser._actions
    }
    assert helps["list"] == "two (default: a=1 % b)"
    assert helps["path"] == "a place (default: here)"
    assert helps["own"] == "default: three"
    assert helps["none"] == "nothing"
