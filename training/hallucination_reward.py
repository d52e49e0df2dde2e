"""A reward that counts the objects that a caption names: shown by its image or not."""

from collections.abc import Sequence

from dataset import DATASETS, CaptionedImage
from evaluation.chair import mentioned_objects, object_lookup, shown_objects
from models.captioner import Captioner
from training.cider_reward import CiderReward


class HallucinationReward:
    """CIDEr-D and what the named objects earn, counted as CHAIR counts them.

    r = CIDEr-D - penalty * (named objects that the image lacks)
                + credit * (different objects that are named and shown)

    Args:
        cider: The reward of the words.
        captioner: Has the words and, in `config`, the dataset, `hallucination_penalty`
            and `object_credit`.
        images: The images, in the order of their numbers.

    Source: Rohrbach et al. 2018 (arXiv 1809.02156), section 2, for what is counted.
    """

    def __init__(
        self,
        cider: CiderReward,
        captioner: Captioner,
        images: Sequence[CaptionedImage],
    ):
        config = captioner.config
        self._cider, self._vocabulary = cider, captioner.vocabulary
        self._penalty, self._credit = config.hallucination_penalty, config.object_credit
        self._lookup = object_lookup(DATASETS[config.dataset].object_names)
        self._shown = [shown_objects(image, self._lookup) for image in images]

    def score(self, image: int, caption: Sequence[int]) -> float:
        """Returns the reward of a caption of the image with this number."""
        text = " ".join(self._vocabulary.decode(caption))
        named = mentioned_objects(text, self._lookup)
        shown = self._shown[image]
        wrong = sum(object_ not in shown for object_ in named)
        earned = self._credit * len(shown.intersection(named)) - self._penalty * wrong
        return self._cider.score(image, caption) + earned
