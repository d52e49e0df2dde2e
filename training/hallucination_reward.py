"""A reward that falls with every object that a caption names and its image lacks."""

from collections.abc import Collection, Sequence

from config import choose
from dataset import DATASETS, CaptionedImage
from evaluation.chair import mentioned_objects, object_lookup, shown_objects
from models.captioner import Captioner
from training.cider_reward import CiderReward


class HallucinationReward:
    """CIDEr-D less a penalty for each hallucinated object, counted as CHAIR counts.

    r = CIDEr-D - penalty * number of named objects that the image lacks

    Args:
        cider: The reward without the penalty.
        captioner: Has the words and, in `config`, the dataset, the penalty and the
            objects that cost it.
        images: The images, in the order of their numbers.

    Raises:
        ValueError: `config.penalized_objects` names what is no object of the dataset.

    Source: Rohrbach et al. 2018 (arXiv 1809.02156), section 2, for what is counted.
    """

    def __init__(
        self,
        cider: CiderReward,
        captioner: Captioner,
        images: Sequence[CaptionedImage],
    ):
        names = DATASETS[captioner.config.dataset].object_names
        self._cider, self._vocabulary = cider, captioner.vocabulary
        self._penalty = captioner.config.hallucination_penalty
        self._penalized = penalized_objects(captioner.config.penalized_objects, names)
        self._lookup = object_lookup(names)
        self._shown = [shown_objects(image, self._lookup) for image in images]

    def score(self, image: int, caption: Sequence[int]) -> float:
        """Returns the reward of a caption of the image with this number."""
        text = " ".join(self._vocabulary.decode(caption))
        wrong = [
            object_
            for object_ in mentioned_objects(text, self._lookup)
            if object_ in self._penalized and object_ not in self._shown[image]
        ]
        return self._cider.score(image, caption) - self._penalty * len(wrong)


def penalized_objects(text: str, names: Collection[str]) -> frozenset[str]:
    """Returns the objects that a text names, divided by commas; all if it is empty.

    Raises:
        ValueError: A name is no object of the dataset.
    """
    wanted = [name.strip() for name in text.split(",")] if text else names
    registry = {name: name for name in names}
    return frozenset(choose("penalized_objects", name, registry) for name in wanted)
