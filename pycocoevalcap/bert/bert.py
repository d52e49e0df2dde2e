"""BERTScore of captions, by the bert-score library."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

DEFAULT_MODEL = "roberta-large"  # the library's own choice for English


def missing_packages() -> str:
    """Returns what BERTScore needs and does not find; empty if it can run.

    From release 5 on, transformers ignores what bert-score asks of the tokenizers of
    RoBERTa and GPT-2: a caption's first word is split otherwise and scores change.
    """
    try:
        *_, release = map(version, ("bert-score", "torch", "transformers"))
    except PackageNotFoundError as error:
        return f"needs {error.name}, which is not installed. Run `make metrics`"
    if int(release.partition(".")[0]) > 4:
        return (
            f"needs transformers below 5, which scores otherwise; {release} is "
            "installed. Run `make metrics`"
        )
    return ""


class Bert:
    """BERTScore F1: how well the contextual embeddings of the words match.

    It is not rescaled with a baseline, and no word weighs more than another.

    Args:
        model: A name that bert-score knows, or a folder with a transformers model.
            Of a folder whose name it knows the layer is the library's, of another
            one the last.

    Attributes:
        signature: The model, its layer and the versions, as bert-score writes them.

    Raises:
        ImportError: A package is missing or too new.
        ValueError: There is no such model.
        OSError: The model can neither be read nor downloaded.

    Source: Zhang et al. 2020, BERTScore: Evaluating Text Generation with BERT.
    """

    def __init__(self, model: str | Path = DEFAULT_MODEL):
        missing = missing_packages()
        if missing:
            raise ImportError(f"BERTScore {missing}.")
        from bert_score import BERTScorer
        from bert_score.utils import model2layers

        layers = _num_layers(str(model), model2layers)
        self._scorer = BERTScorer(model_type=str(model), num_layers=layers)
        self.signature: str = self._scorer.hash

    def compute_score(
        self, gts: Mapping[str, Sequence[str]], res: Mapping[str, Sequence[str]]
    ) -> tuple[float, np.ndarray]:
        """Scores one caption of each image against its best-matching reference.

        An empty caption scores 0, as in the library.

        Args:
            gts: The references of every image.
            res: The caption of every image, in a list of one.

        Returns:
            The mean F1, and the F1 of every image (N,) in the order of gts.

        Raises:
            ValueError: The images differ, or one has not exactly one caption.
        """
        if gts.keys() != res.keys() or any(len(texts) != 1 for texts in res.values()):
            raise ValueError(
                f"BERTScore needs one caption of each of {len(gts)} images; received "
                f"{sum(map(len, res.values()))} of {len(res)}."
            )
        captions = [res[key][0] for key in gts]
        references = [list(texts) for texts in gts.values()]
        _, _, f1 = self._scorer.score(captions, references)
        scores = np.asarray(f1, "float64")
        return float(scores.mean()), scores

    def method(self) -> str:
        """Returns the metric's name."""
        return "BERTScore"


def _num_layers(model: str, known: Mapping[str, int]) -> int:
    """Returns the layer whose embeddings are compared."""
    for name in (model, Path(model).name):
        if name in known:
            return known[name]
    config = Path(model) / "config.json"
    if not config.is_file():
        raise ValueError(
            f"bert-score knows no model {model!r}, and it is no folder with a "
            f"config.json. Expected such a folder or a name like {DEFAULT_MODEL}."
        )
    try:
        return int(json.loads(config.read_text(encoding="utf-8"))["num_hidden_layers"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{config} gives no num_hidden_layers.") from error
