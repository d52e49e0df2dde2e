"""Scores of captions: the official tools called directly, and what is refused."""

import subprocess

import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from evaluation import captions
from evaluation.captions import METRICS, has_java, score_captions

REFERENCES = {
    "b": ["A brown dog runs on the grass.", "The dog, running!", "Dog in a field"],
    "a": ["Two men don't sit on a bench.", "Men (two) on the bench"],
    "c": ["A child throws a red ball .", "A kid's ball is red", "Child & ball"],
    "d": ["Nobody describes this", "A photo"],
}
CANDIDATES = {
    "a": "two men sit on a bench",
    "b": "a dog runs in the grass",
    "c": "a child plays with a ball",
    "d": "",
}
needs_java = pytest.mark.skipif(not has_java(), reason="needs Java")


@pytest.fixture
def no_java(monkeypatch):
    monkeypatch.setattr(captions, "has_java", lambda: False)


@needs_java
def test_scores_equal_the_official_tools():
    found = score_captions(REFERENCES, CANDIDATES, METRICS)
    references = tokenize(REFERENCES)
    candidates = tokenize({key: [text] for key, text in CANDIDATES.items()})
    bleu, _ = Bleu(4).compute_score(references, candidates, verbose=0)
    expected = {f"bleu_{n}": score for n, score in enumerate(bleu, start=1)}
    meteor = Meteor()
    expected["meteor"], _ = meteor.compute_score(references, candidates)
    meteor.meteor_p.stdout.close()
    meteor.meteor_p.stderr.close()
    expected["rouge_l"], _ = Rouge().compute_score(references, candidates)
    expected["cider"], _ = Cider().compute_score(references, candidates)
    assert found.pop("tokenizer") == "ptb"
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-12)
    assert all(0 < score < 10 for score in found.values())


def tokenize(texts_of):
    rows = {key: [{"caption": t} for t in texts] for key, texts in texts_of.items()}
    return PTBTokenizer().tokenize(rows)


@needs_java
def test_empty_captions_score_nothing():
    metrics = ("bleu", "rouge_l", "cider")
    scores = score_captions(REFERENCES, dict.fromkeys(CANDIDATES, ""), metrics)
    assert scores.pop("tokenizer") == "ptb"
    assert scores == pytest.approx(dict.fromkeys(scores, 0), abs=1e-8)


def test_the_python_tokenizer_where_java_is_missing(no_java):
    found = score_captions(REFERENCES, CANDIDATES, ("cider", "rouge_l"))
    references = {
        "b": ["a brown dog runs on the grass", "the dog running", "dog in a field"],
        "a": ["two men don't sit on a bench", "men two on the bench"],
        "c": ["a child throws a red ball", "a kid's ball is red", "child ball"],
        "d": ["nobody describes this", "a photo"],
    }
    candidates = {key: [text] for key, text in CANDIDATES.items()}
    cider, _ = Cider().compute_score(references, candidates)
    rouge, _ = Rouge().compute_score(references, candidates)
    assert found.pop("tokenizer") == "python"
    assert found == pytest.approx({"cider": cider, "rouge_l": rouge})


def test_the_references_themselves_score_best(no_java):
    perfect = {key: texts[0] for key, texts in REFERENCES.items()}
    scores = score_captions(REFERENCES, perfect, ("bleu", "rouge_l"))
    for name in ("bleu_1", "bleu_4", "rouge_l"):
        assert scores[name] == pytest.approx(1)


def test_meteor_needs_java(no_java):
    expected = (
        r"meteor needs Java 8 or newer; no `java` on PATH runs\. Install it, or "
        r"leave it out with --metrics bleu,rouge_l,cider\."
    )
    with pytest.raises(ValueError, match=expected):
        score_captions(REFERENCES, CANDIDATES, ("bleu", "meteor"))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (subprocess.CompletedProcess([], 0), True),
        (subprocess.CompletedProcess([], 1), False),  # the stub of macOS
        (FileNotFoundError(), False),
        (subprocess.TimeoutExpired("java", 60), False),
    ],
)
def test_java_is_there_if_it_runs(monkeypatch, outcome, expected):
    def run(command, **_):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("subprocess.run", run)
    assert has_java.__wrapped__() is expected


@pytest.mark.parametrize("lost", [{}, {"a": ["x"], "b": ["y"]}])
def test_captions_the_tokenizer_loses(monkeypatch, lost):
    monkeypatch.setattr(captions, "has_java", lambda: True)
    monkeypatch.setattr(PTBTokenizer, "tokenize", lambda self, rows: lost)
    with pytest.raises(ValueError, match=r"given 3 captions of 2 images; . of . came"):
        score_captions({"a": ["x", "z"], "b": ["y"]}, {"a": "x", "b": "y"})


def test_unknown_metric():
    expected = "Unknown metric 'blue'; expected some of bleu, meteor, rouge_l, cider"
    with pytest.raises(ValueError, match=expected):
        score_captions(REFERENCES, CANDIDATES, ("cider", "blue"))


def test_other_images():
    fewer = {key: CANDIDATES[key] for key in "ab"}
    expected = "4 have references, 3 a caption, 2 both"
    with pytest.raises(ValueError, match=expected):
        score_captions(REFERENCES, fewer | {"e": "a cat"})
    with pytest.raises(ValueError, match="4 have references, 2 a caption, 2 both"):
        score_captions(REFERENCES, fewer)
