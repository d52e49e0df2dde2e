"""The comparisons with lxt and with PyTorch's time, as far as they run without them."""

from pathlib import Path

import numpy as np
import pytest
from conftest import IS_DOUBLE
from tiny_published import CONFIGS, write_captioner

from benchmarks import published
from comparisons.external import precision
from comparisons.lxt import __main__ as lxt
from comparisons.transformers import cost
from models.published.families import FAMILIES

TOKENS = np.array([6, 12, 7])

pytestmark = pytest.mark.usefixtures("unrecorded")


def answer_of(folder: Path) -> dict:
    """What a worker would say about a tiny model; a pixel of a word has an error."""
    answer = {"versions": np.array(["lxt 0", "torch 0"])}
    pixels = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    write_captioner(folder / "git-0", "git")
    answer |= {"git-0.input": pixels, "git-0.tokens": TOKENS}
    for dtype in lxt.BARS:
        with precision(dtype):
            captioner = lxt.load(folder / "git-0")
            found = lxt.relevance(captioner, pixels.astype(dtype), TOKENS)
        found["pixels"][1, 0, 0, 0] += 5e-6 * np.abs(found["pixels"][1]).max()
        logits = np.zeros((len(TOKENS), 20))
        logits[np.arange(len(TOKENS)), TOKENS] = found["logits"]
        found["logits"] = logits
        answer |= {f"git-0.{dtype}.{key}": value for key, value in found.items()}
    return answer


@pytest.mark.skipif(not IS_DOUBLE, reason="the backend computes in float32 here")
def test_differences_to_lxt_are_those_of_a_words_largest(monkeypatch, capsys):
    """5e-6 are within the bar of float32 and above that of float64."""
    monkeypatch.setattr(lxt, "FAMILIES", {"git": FAMILIES["git"]})
    monkeypatch.setattr(lxt, "build_environment", lambda folder: "python")
    monkeypatch.setattr(
        lxt, "ask_worker", lambda p, f, given, folder: answer_of(Path(folder))
    )
    assert lxt.main(["--models", "1"]) == 1
    first, *_, single, double = capsys.readouterr().out.splitlines()
    assert first.startswith("lxt 0, torch 0 and ours on ")
    for line, verdict in ((single, "  agrees"), (double, "DOES NOT AGREE")):
        assert line.endswith(verdict) and "5.0e-06" in line


@pytest.mark.parametrize(("second", "code"), [(2.5, 0), (3.5, 1)])
def test_the_ratio_is_that_of_processor_seconds(monkeypatch, capsys, second, code):
    """0.5 + 2.5 and 0.5 + 3.5 of 7 seconds; the budget is half of them."""
    theirs = {"seconds": np.array([9.0, 7.0]), "peak": 1.5, "version": "torch 0"}
    ours = {
        "forward of the encoder": [(8.0, 4.0), (0.6, 0.5)],
        "decoder": [(8.0, 4.0), (9.0, second)],
    }
    asked = []

    def answer(python, folder, given, *arguments, name):
        asked.append((int(given["words"]), *arguments, name))
        return theirs

    monkeypatch.setattr(cost, "build_environment", lambda folder: "python")
    monkeypatch.setattr(cost, "ask_worker", answer)
    monkeypatch.setattr(published, "time_explanation", lambda *asked: ours)
    assert cost.main(["--family", "git", "--words", "5"]) == code
    assert asked == [(5, "git", "{}", "cost_worker")]
    out = capsys.readouterr().out
    assert f"processor: {(0.5 + second) / 7:.2f}, " in out
    assert ("ABOVE the budget of 0.5" in out) == bool(code)


def test_an_explanation_is_timed_part_by_part(monkeypatch, capsys):
    monkeypatch.setitem(published.CONFIGS, "git", CONFIGS["git"])
    assert published.main(["--family", "git", "--words", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = (
        "forward of the encoder",
        "decoder ",
        "encoder ",
        "decoder_lrp",
        "lrp: all",
    )
    for line, name in zip(lines[2:], names, strict=False):
        assert line.startswith(name) and len(line.split()) >= 5
    assert lines[-1].startswith("peak memory")
