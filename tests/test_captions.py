"""Scores of captions: the official tools called directly, and what is refused."""

import json
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest
from conftest import CANDIDATES
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.spice.spice import Spice
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from pycocotools.coco import COCO

from dataset import DATASETS
from dataset.flickr import FLICKR8K
from scoring import captions
from scoring.caption_texts import nltk_tokenize, one_line, ptb_tokenize
from scoring.captions import (
    METRICS,
    SPICE_JARS,
    SPICE_LIB,
    MetricError,
    check_metrics,
    has_java,
    score_captions,
    score_defined,
    score_lines,
    score_possible,
    unmet_needs,
)
from scoring.java import java_version
from scoring.meteor import MeteorProcess

REFERENCES = {
    "b": ["A brown dog runs on the grass.", "The dog, running!", "Dog in a field"],
    "a": ["Two men don't sit on a bench.", "Men (two) on the bench"],
    "c": ["A child throws a red ball .", "A kid's ball is red", "Child & ball"],
    "d": ["Nobody describes this", "A photo"],
}
PUBLISHED = ("bleu", "meteor", "rouge_l", "cider")
needs_java = pytest.mark.skipif(not has_java(), reason="needs Java")


@pytest.fixture
def official_meteor() -> Meteor:
    """The official tool, with the Java process that the project has started.

    To start another takes longer than all scores of these tests. That every answer is
    the first one's, whatever was asked before, is tested with the separators and bars.
    """
    return captions.METEOR._running()


@pytest.fixture
def no_java(monkeypatch):
    monkeypatch.setattr(captions, "has_java", lambda: False)


@pytest.fixture
def no_bert(monkeypatch):
    need = captions.NEEDS | {"bert_score": lambda: "needs the package bert-score"}
    monkeypatch.setattr(captions, "NEEDS", need)


@needs_java
@pytest.mark.slow
def test_scores_equal_the_official_tools(official_meteor):
    found = score_captions(REFERENCES, CANDIDATES, PUBLISHED)
    references = tokenize(REFERENCES)
    candidates = tokenize({key: [text] for key, text in CANDIDATES.items()})
    bleu, _ = Bleu(4).compute_score(references, candidates, verbose=0)
    expected = {f"bleu_{n}": score for n, score in enumerate(bleu, start=1)}
    expected["meteor"], _ = official_meteor.compute_score(references, candidates)
    expected["rouge_l"], _ = Rouge().compute_score(references, candidates)
    expected["cider"], _ = Cider().compute_score(references, candidates)
    assert found.pop("tokenizer") == "ptb"
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-12)
    assert all(0 < score < 10 for score in found.values())


@needs_java
def test_200_captions_score_as_in_the_official_evaluation(
    shared, tmp_path, monkeypatch, official_meteor
):
    """Exactly: the references but one of 200 images, and that one as the caption."""
    images = DATASETS["flickr8k"].read(shared / "data" / "flickr8k", "dev")[:200]
    rows = [(n, text) for n, i in enumerate(images) for text in i.captions[:-1]]
    annotations = [
        {"id": id_, "image_id": number, "caption": text}
        for id_, (number, text) in enumerate(rows)
    ]
    found = {"images": [{"id": n} for n in range(200)], "annotations": annotations}
    results = [{"image_id": n, "caption": i.captions[-1]} for n, i in enumerate(images)]
    for name, content in (("references", found | {"info": {}}), ("results", results)):
        (tmp_path / name).write_text(json.dumps(content))
    coco = COCO(tmp_path / "references")
    results = coco.loadRes(str(tmp_path / "results"))
    official = evaluation_of(coco, results, monkeypatch, official_meteor)
    scores = score_captions(
        {n: image.captions[:-1] for n, image in enumerate(images)},
        {number: image.captions[-1] for number, image in enumerate(images)},
        PUBLISHED,
    )
    assert scores.pop("tokenizer") == "ptb"
    names = {"METEOR": "meteor", "ROUGE_L": "rouge_l", "CIDEr": "cider"}
    names |= {f"Bleu_{n}": f"bleu_{n}" for n in (1, 2, 3, 4)}
    assert scores == {names[name]: score for name, score in official.items()}
    assert scores["cider"] > 0.5


def evaluation_of(coco, results, monkeypatch, meteor) -> dict[str, float]:
    """The official scores but SPICE, which needs another Java and a download."""
    from pycocoevalcap import eval as official

    class NoSpice:
        def method(self):
            return "SPICE"

        def compute_score(self, gts, res):
            return 0, []

    monkeypatch.setattr(official, "Spice", NoSpice)
    monkeypatch.setattr(official, "Meteor", lambda: meteor)
    evaluation = official.COCOEvalCap(coco, results)
    evaluation.evaluate()
    return {name: s for name, s in evaluation.eval.items() if name != "SPICE"}


def tokenize(texts_of):
    rows = {key: [{"caption": t} for t in texts] for key, texts in texts_of.items()}
    return PTBTokenizer().tokenize(rows)


@needs_java
def test_empty_captions_score_nothing():
    metrics = ("bleu", "rouge_l", "cider")
    scores = score_captions(REFERENCES, dict.fromkeys(CANDIDATES, ""), metrics)
    assert scores.pop("tokenizer") == "ptb"
    assert scores == pytest.approx(dict.fromkeys(scores, 0), abs=1e-8)


def test_nltk_splits_where_java_is_missing(no_java):
    found = score_captions(REFERENCES, CANDIDATES, ("cider", "rouge_l"))
    references = {
        "b": ["a brown dog runs on the grass", "the dog running", "dog in a field"],
        "a": ["two men do n't sit on a bench", "men -lrb- two -rrb- on the bench"],
        "c": ["a child throws a red ball", "a kid 's ball is red", "child & ball"],
        "d": ["nobody describes this", "a photo"],
    }
    candidates = {key: [text] for key, text in CANDIDATES.items()}
    cider, _ = Cider().compute_score(references, candidates)
    rouge, _ = Rouge().compute_score(references, candidates)
    assert found.pop("tokenizer") == "nltk"
    assert found == pytest.approx({"cider": cider, "rouge_l": rouge})


# What both tokenizers make of a caption.
SPLIT = {
    "A dog (brown) runs , isn't it ?": "a dog -lrb- brown -rrb- runs is n't it",
    "A kid\u2019s \u201cred\u201d t-shirt\u2026": "a kid 's red t-shirt",
    "50% off \u2014 now": "50 % off now",
    "two cats;one dog: [x]\u2028$5": "two cats one dog -lsb- x -rsb- $ 5",
    "\u090f\u0915\u0964 \u0926\u094b": "\u090f\u0915 \u0964 \u0926\u094b",
    "I gotta see Mr. Smith's o'clock.": "i got ta see mr. smith 's o'clock",
    " ... !": "",
}


def test_nltk_splits_by_the_rules_of_the_treebank():
    assert nltk_tokenize({"a": list(SPLIT)}) == {"a": list(SPLIT.values())}


@needs_java
def test_java_splits_the_same():
    assert ptb_tokenize({"a": list(SPLIT)}) == {"a": list(SPLIT.values())}


@needs_java
def test_both_tokenizers_agree_on_published_captions(shared):
    """On 4997 of the 5000 captions; what differs is listed in docs/results.md."""
    images = FLICKR8K.read(shared / "data/flickr8k", "dev")
    texts = {image.image_id: image.captions for image in images}
    one, other = (
        [text for found in split(texts).values() for text in found]
        for split in (ptb_tokenize, nltk_tokenize)
    )
    same = sum(a == b for a, b in zip(one, other, strict=True))
    assert (same, len(one)) == (4997, 5000)


def test_the_references_themselves_score_best(no_java):
    perfect = {key: texts[0] for key, texts in REFERENCES.items()}
    scores = score_captions(REFERENCES, perfect, ("bleu", "rouge_l"))
    for name in ("bleu_1", "bleu_4", "rouge_l"):
        assert scores[name] == pytest.approx(1)


def test_meteor_needs_java(no_java, no_bert):
    expected = (
        r"meteor needs Java 8 or newer; no `java` on PATH runs\. Install it, or "
        r"leave it out with --metrics bleu,rouge_l,cider\."
    )
    with pytest.raises(ValueError, match=expected):
        score_captions(REFERENCES, CANDIDATES, ("bleu", "meteor"))


@needs_java
def test_meteor_says_why_it_stopped(monkeypatch):
    monkeypatch.setattr(captions, "METEOR", MeteorProcess())
    monkeypatch.setattr("pycocoevalcap.meteor.meteor.METEOR_JAR", "nothing.jar")
    with pytest.raises(MetricError, match="Unable to access jarfile nothing"):
        METRICS["meteor"]({"a": ["a dog"]}, {"a": ["a cat"]})


# Stands in for METEOR: every image has 0.25, and all have 0.5.
ANSWERS = """#!/bin/sh
echo >> {starts}
while read -r question rest; do
    case $question in SCORE) echo 1 2 ;; EVAL) echo 0.25; echo 0.5 ;; esac
done
"""


def test_one_process_of_meteor_answers_until_it_fails(tmp_path, monkeypatch):
    java, starts = tmp_path / "java", tmp_path / "starts"
    java.write_text(ANSWERS.format(starts=starts))
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    process, texts = MeteorProcess(), {"a": ["a dog"]}

    def stop(*_):
        raise KeyboardInterrupt

    def score() -> int:
        assert process.score(texts, texts) == 0.5
        return len(starts.read_text())

    assert [score(), score()] == [1, 1]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Meteor, "_stat", stop)
        process.score(texts, texts)
    assert [score(), score()] == [2, 2]
    process._meteor.meteor_p.kill()  # by somebody else
    process._meteor.meteor_p.wait()
    assert score() == 3
    assert process.end() == ""


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (subprocess.CompletedProcess([], 0), 0),
        (subprocess.CompletedProcess([], 0, 'openjdk version "17.0.15" 2025'), 17),
        (subprocess.CompletedProcess([], 0, 'Picked up\njava version "1.8.0_292"'), 8),
        (subprocess.CompletedProcess([], 0, 'openjdk version "25" 2025-09-16'), 25),
        (subprocess.CompletedProcess([], 1), None),  # the stub of macOS
        (FileNotFoundError(), None),
        (subprocess.TimeoutExpired("java", 60), None),
    ],
)
def test_java_says_its_version_if_it_runs(monkeypatch, outcome, expected):
    def run(command, **_):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("subprocess.run", run)
    assert java_version.__wrapped__() == expected
    monkeypatch.setattr("scoring.java.java_version", java_version.__wrapped__)
    assert has_java() is (expected is not None)


WRITE = "import sys; sys.stderr.write('no memory')"


@pytest.mark.parametrize("lost", [{}, {"a": ["x"], "b": ["y"]}])
def test_captions_the_tokenizer_loses(monkeypatch, lost):
    monkeypatch.setattr(captions, "has_java", lambda: True)
    monkeypatch.setattr(PTBTokenizer, "tokenize", lambda self, rows: lost)
    with pytest.raises(ValueError, match=r"given 3 captions of 2 images; . of . came"):
        score_captions({"a": ["x", "z"], "b": ["y"]}, {"a": "x", "b": "y"})


@needs_java
def test_captions_the_tokenizer_gives_to_another_image(monkeypatch):
    sent = {1: ["a dog runs", "it runs"], 2: ["a man sits on a bench"]}
    back = {1: ["a dog runs", "a man sits on a bench"], 2: ["it runs"]}
    monkeypatch.setattr(PTBTokenizer, "tokenize", lambda self, rows: back)
    with pytest.raises(ValueError, match=r"'it runs' \(str\) of image 1; .*another"):
        ptb_tokenize(sent)


# Line separators of Unicode, of Java and of Python, and controls.
SEPARATORS = ["\r\n", "\r", "\n", "\t", "\v", "\f", "\0", "\x07", "\x1b", "\x7f"]
SEPARATORS += ["\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u2029", "\n\r\n"]
SEPARATORS += ["\ud800"]


@pytest.mark.parametrize("separator", SEPARATORS, ids=ascii)
def test_one_line(separator):
    assert one_line(f"a dog{separator}runs") == "a dog runs"
    assert one_line("cafe\u0301") == "caf\u00e9"


@needs_java
def test_separators_score_as_a_blank():
    """Row R1 of the cases: a caption of two lines moved all that follow it."""
    whole = "".join(f"{s}a dog runs{s}on the grass" for s in SEPARATORS)
    several = [f"a dog runs{s}on the grass" for s in SEPARATORS]
    candidates = {
        1: "a dog runs on the grass",
        2: "a man sits on a bench",
        3: "two cats sleep on a bed",
        4: "a red car on the street",
    }
    others = {
        2: ["a man sits on a bench", "a person on a bench"],
        3: ["two cats sleep on a bed"],
        4: ["a red car on the street"],
    }
    expected = {"bleu_4": 1, "meteor": 1, "rouge_l": 1, "cider": 7.9321}
    metrics = ("bleu", "meteor", "rouge_l", "cider")
    for separator in ("\r\n", "\u2028"):
        first = [f"a dog runs{separator}on the grass", "the dog is running"]
        found = score_captions({1: first} | others, candidates, metrics)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=5e-5)
    sent = [*several, whole]
    blanks = [" ".join(one_line(text).split()) for text in sent]
    assert ptb_tokenize({"a": sent}) == ptb_tokenize({"a": blanks})


@needs_java
def test_what_the_tokenizer_rewrites_is_the_same_caption():
    texts = [
        "Caf\u00e9 (at 3:30 p.m.) [x] {y} \u00bd cup &amp; tea",
        "\u090f\u0915 \u0915\u0941\u0924\u094d\u0924\u093e",
        "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u4e00\u53ea\u72d7",
        "\u12cd\u123b \u1780\u17d2\u1798 \u1019\u103c\u1014 \u0f56\u0f7c\u0f51",
        "a dog \U0001f600 \U0001d4b3 \U00020000",
        "",
        "...",
        "\u00a35 \u20ac3 #tag a@b.org",
    ]
    assert len(ptb_tokenize({0: texts})[0]) == len(texts)


@needs_java
def test_bars_do_not_divide_the_captions_of_meteor():
    references = {"a": ["a dog runs"], "b": ["two cats"]}
    candidates = {"a": ["a dog runs"], "b": ["two cats sleep"]}
    expected = METRICS["meteor"](references, candidates)
    barred = {"a": ["a ||| dog |||| runs"], "b": ["two\n|||cats"]}
    assert METRICS["meteor"](barred, candidates) == expected
    barred = {"a": ["a\rdog ||| runs"], "b": ["two cats |||||| sleep"]}
    assert METRICS["meteor"](references, barred) == expected


# What has no value


def test_cider_of_one_image_is_missing(no_java):
    references, candidates = {1: ["a dog runs"]}, {1: "a dog runs"}
    scores, missing = score_possible(references, candidates, ("cider", "bleu"))
    assert "cider" not in scores and scores["bleu_1"] == pytest.approx(1)
    assert missing == {
        "cider": "it weighs words by how few images have them and needs two images or "
        "more; received one."
    }
    with pytest.raises(MetricError, match=r"cider cannot be computed: .* two images"):
        score_captions(references, candidates, ("cider",))


def test_what_is_not_defined_is_left_out_and_told(no_java, caplog):
    one = {1: ["a dog runs"]}, {1: "a dog runs"}
    scores = score_defined(*one, ("cider", "rouge_l"))
    assert scores == {"rouge_l": pytest.approx(1), "tokenizer": "nltk"}
    assert "cider is missing: it weighs words by how few images" in caplog.text
    with pytest.raises(MetricError, match="meteor needs Java"):
        score_defined(*one, ("meteor",))


def test_cider_where_all_images_share_their_words(no_java):
    references = {1: ["a dog"], 2: ["a dog runs"]}
    candidates = {1: "a dog", 2: "a dog runs"}
    _, missing = score_possible(references, candidates, ("cider",))
    assert "of image 1 are in the references of every image" in missing["cider"]
    # The words are those of both, their order is not.
    score_captions({1: ["a dog"], 2: ["dog a"]}, candidates, ("cider",))


def test_references_without_words(no_java):
    references = {1: ["a dog", "..."], 2: ["...", "\u2028 !"]}
    candidates = {1: "a dog", 2: "a cat"}
    metrics = ("bleu", "rouge_l", "cider")
    scores, missing = score_possible(references, candidates, metrics)
    assert scores == {"tokenizer": "nltk"}
    why = "the references of image 2 hold no word."
    assert missing == dict.fromkeys(metrics, why)
    with pytest.raises(MetricError, match=f"bleu cannot be computed: {why}"):
        score_captions(references, candidates, metrics)


def test_an_empty_caption_does_not_equal_an_empty_reference(no_java):
    references = {1: ["a dog", "..."], 2: ["a cat"]}
    scores = score_captions(references, {1: "", 2: "a bird"}, ("rouge_l",))
    without = {1: ["a dog"], 2: ["a cat"]}
    assert scores == score_captions(without, {1: "", 2: "a bird"}, ("rouge_l",))


@pytest.mark.parametrize(
    ("references", "candidates", "message"),
    [
        ({1: "a dog"}, {1: "a dog"}, r"of image 1 must be a list .* 'a dog' \(str\)"),
        ({1: None}, {1: "a dog"}, r"of image 1 must be a list .*None \(NoneType\)"),
        ({1: 3}, {1: "a dog"}, "of image 1 must be a list of captions; received 3"),
        ({1: []}, {1: "a dog"}, "Image 1 has no reference; expected one or more"),
        ({1: [None]}, {1: "a dog"}, "A reference of image 1 must be a text; rec.*None"),
        ({1: [2.5]}, {1: "a dog"}, "A reference of image 1 must be a text; .*2.5"),
        ({1: ["a"]}, {1: ["a"]}, r"caption of image 1 must be one text; .*\(list\)"),
        ({1: ["a"]}, {1: None}, "caption of image 1 must be one text; received None"),
        (
            {1: ["a"], "2": ["b"]},
            {1: "a", "2": "b"},
            "or all texts.* 1 and",
        ),
        ({1: ["a"]}, {"1": "a"}, r"alike; received 1 and '1'\."),
        ({1.5: ["a"]}, {1.5: "a"}, r"numbers or texts; received 1.5 \(float\)"),
        ({True: ["a"]}, {True: "a"}, r"or texts; received True \(bool\)"),
        ([["a"]], {0: "a"}, "references must be a dict by image id; received a list"),
        ({1: ["a"]}, None, "candidates must be a dict .* received a NoneType"),
    ],
)
def test_other_types(references, candidates, message):
    for score in (score_captions, score_possible):
        with pytest.raises(ValueError, match=message):
            score(references, candidates, ("cider",))


def test_metrics_are_a_list():
    with pytest.raises(ValueError, match="must be a list of names; received 'cider'"):
        score_captions(REFERENCES, CANDIDATES, "cider")
    with pytest.raises(ValueError, match="Unknown metric 'blue'"):
        score_possible(REFERENCES, CANDIDATES, ["blue"])


def test_what_java_writes_about_itself_is_kept_for_errors(monkeypatch, capfd):
    def lose(self, rows):
        subprocess.run([sys.executable, "-c", WRITE], check=True)
        return {}

    monkeypatch.setattr(captions, "has_java", lambda: True)
    monkeypatch.setattr(PTBTokenizer, "tokenize", lose)
    with pytest.raises(ValueError, match=r"Java wrote: no memory$"):
        score_captions({"a": ["x"]}, {"a": "x"})
    assert capfd.readouterr() == ("", "")


@needs_java
def test_the_tokenizer_is_silent(capfd):
    assert score_captions(REFERENCES, CANDIDATES, ("bleu",))["tokenizer"] == "ptb"
    assert capfd.readouterr().err == ""


def test_unknown_metric():
    expected = (
        "Unknown metric 'blue'; expected some of bleu, meteor, rouge_l, cider, spice, "
        "bert_score"
    )
    with pytest.raises(ValueError, match=expected):
        score_captions(REFERENCES, CANDIDATES, ("cider", "blue"))


def test_other_images():
    fewer = {key: CANDIDATES[key] for key in "ab"}
    expected = "4 have references, 3 a caption, 2 both"
    with pytest.raises(ValueError, match=expected):
        score_captions(REFERENCES, fewer | {"e": "a cat"})
    with pytest.raises(ValueError, match="4 have references, 2 a caption, 2 both"):
        score_captions(REFERENCES, fewer)
    with pytest.raises(ValueError, match="0 have references, 0 a caption, 0 both"):
        score_captions({}, {})


def test_missing_metrics_are_never_0(no_java, no_bert):
    scores, missing = score_possible(REFERENCES, CANDIDATES)
    names = {f"bleu_{n}" for n in (1, 2, 3, 4)} | {"rouge_l", "cider", "tokenizer"}
    assert set(scores) == names
    assert missing == {
        "meteor": "needs Java 8 or newer; no `java` on PATH runs. Install it.",
        "spice": "needs Java 8 or 11; no `java` on PATH runs. Install it.",
        "bert_score": "needs the package bert-score.",
    }
    assert score_lines({"cider": 0.51239, "tokenizer": "ptb"}, {"spice": "no."}) == [
        "cider      0.5124",
        "tokenizer ptb",
        "spice      missing: no.",
    ]


# SPICE


@pytest.mark.parametrize(("version", "refused"), [(0, 0), (8, 0), (11, 0), (17, 1)])
def test_spice_needs_an_older_java(monkeypatch, version, refused):
    monkeypatch.setattr(captions, "has_java", lambda: True)
    monkeypatch.setattr(captions, "java_version", lambda: version)
    if not refused:
        return check_metrics(("spice",))
    expected = r"spice needs Java 8 or 11; `java` is Java 17\. Put one of them on PATH"
    with pytest.raises(MetricError, match=expected):
        check_metrics(("spice",))


@pytest.fixture
def spice_folder(tmp_path, monkeypatch) -> Path:
    """An installed SPICE without its models."""
    library = tmp_path / "lib"
    library.mkdir()
    monkeypatch.setattr(captions, "SPICE_LIB", library)
    monkeypatch.setattr(captions.spice_models, "SPICEDIR", str(tmp_path))
    monkeypatch.setattr(
        "pycocoevalcap.spice.spice.__file__", str(tmp_path / "spice.py")
    )
    return tmp_path


def test_spice_says_where_its_models_belong(spice_folder, monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(captions.spice_models, "urlretrieve", offline)
    with pytest.raises(MetricError) as error:
        METRICS["spice"](REFERENCES, CANDIDATES)
    for part in ("no network", captions.SPICE_ARCHIVE, *SPICE_JARS, "lib"):
        assert part in str(error.value)


def test_spice_sees_that_its_download_was_cut_off(spice_folder):
    (spice_folder / "lib" / SPICE_JARS[0]).touch()
    with pytest.raises(
        MetricError, match=r"earlier download was cut off.*-models\.jar"
    ):
        METRICS["spice"](REFERENCES, CANDIDATES)


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [
        ((0.25, 0.75), 0.5),
        ((0.25, None), "gave an image no score"),
        ((), "ended with code 3; see what `java` printed above"),
    ],
)
def test_spice_runs_java_on_the_captions(spice_folder, monkeypatch, scores, outcome):
    for jar in SPICE_JARS:
        (spice_folder / "lib" / jar).touch()
    results = [
        {"image_id": name, "scores": {"All": {"f": score}}}
        for name, score in zip("ab", scores, strict=False)
    ]
    (spice_folder / "results").write_text(json.dumps(results))
    java = spice_folder / "java"
    copy = "cp results $8" if results else "exit 3"
    java.write_text(f"#!/bin/sh\ncp $4 asked\n{copy}\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(spice_folder), prepend=":")
    references = {"a": ["a dog", "the dog"], "b": ["a cat"]}
    candidates = {"a": ["one dog"], "b": ["one cat"]}
    if isinstance(outcome, str):
        with pytest.raises(MetricError, match=outcome):
            METRICS["spice"](references, candidates)
    else:
        assert METRICS["spice"](references, candidates) == {"spice": outcome}
    assert json.loads((spice_folder / "asked").read_text()) == [
        {"image_id": key, "test": candidates[key][0], "refs": references[key]}
        for key in "ab"
    ]


@pytest.mark.skipif(
    "spice" in unmet_needs(["spice"])
    or not all((SPICE_LIB / jar).is_file() for jar in SPICE_JARS),
    reason="needs Java 8 or 11 and the models of CoreNLP 3.6",
)
def test_spice_equals_the_official_tool():
    """Its images in another order, an empty caption among them."""
    references = tokenize(REFERENCES)
    candidates = tokenize({key: [text] for key, text in CANDIDATES.items()})
    expected, images = Spice().compute_score(references, candidates)
    found = score_captions(REFERENCES, CANDIDATES, ("spice",))
    assert found == {"spice": expected, "tokenizer": "ptb"}
    assert 0 < expected < 1
    assert images[3]["All"]["f"] == 0  # "d" has an empty caption
    first = {key: REFERENCES[key][:1] for key in "abc"}
    perfect = score_captions(first, {k: v[0] for k, v in first.items()}, ("spice",))
    assert perfect["spice"] == 1
