"""CIDEr of single captions against training references, fast enough for rewards."""

import collections
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from dataset.vocabulary import split_words

LONGEST = 4  # words of an n-gram
SIGMA = 6.0


class CiderReward:
    """CIDEr-D of a caption of one of the images, as pycocoevalcap computes it.

    Captions are token ids. Where they end with an end token, it counts as a word, so
    that sentences which break off are worth less.

    Args:
        references: For every image its reference captions; the document frequencies
            are those of all of them.

    Source: Vedantam et al. 2015 (arXiv 1411.5726), section 5.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[int]]]):
        counts = [[_count(caption) for caption in captions] for captions in references]
        documents = [
            {gram for count in captions for gram in count} for captions in counts
        ]
        self._frequency = Counter(gram for grams in documents for gram in grams)
        self._log_images = math.log(len(references))
        self._references = [
            [self._vector(count) for count in captions] for captions in counts
        ]

    @property
    def is_defined(self) -> bool:
        """Whether any word or phrase tells images apart; else every score is 0."""
        norms = (norms for of_image in self._references for _, norms, _ in of_image)
        return any(map(any, norms))

    def score(self, image: int, caption: Sequence[int]) -> float:
        """Returns the score of a caption of the image with this number, in [0, 10]."""
        vector, norms, length = self._vector(_count(caption))
        total = 0.0
        for other, other_norms, other_length in self._references[image]:
            products = [0.0] * LONGEST
            for gram, weight in vector.items():
                if gram in other:
                    products[len(gram) - 1] += min(weight, other[gram]) * other[gram]
            cosines = sum(
                product / (a * b)
                for product, a, b in zip(products, norms, other_norms, strict=True)
                if a and b
            )
            total += cosines * math.exp(-((length - other_length) ** 2) / 2 / SIGMA**2)
        return 10.0 * total / LONGEST / len(self._references[image])

    def _vector(self, count: Counter) -> tuple[dict, list[float], int]:
        """Returns the weights of the n-grams, the norm for each n, and the length."""
        vector = {
            gram: times * (self._log_images - math.log(max(1, self._frequency[gram])))
            for gram, times in count.items()
        }
        squares = [0.0] * LONGEST
        for gram, weight in vector.items():
            squares[len(gram) - 1] += weight**2
        length = sum(times for gram, times in count.items() if len(gram) == 2)
        return vector, [math.sqrt(square) for square in squares], length


def mean_cider(
    references: Sequence[Sequence[str]],
    captions: Sequence[str],
    others: Iterable[Sequence[str]],
) -> float:
    """Returns the mean CIDEr of captions, with the frequencies of more references.

    Args:
        references: For every image its reference captions.
        captions: The caption of every image.
        others: The reference captions of other images, which count as documents too.

    Raises:
        ValueError: All images share their words: CIDEr has no value.
    """
    ids = collections.defaultdict(itertools.count().__next__)

    def to_ids(text: str) -> list[int]:
        return [ids[word] for word in split_words(text)]

    documents = [[to_ids(text) for text in texts] for texts in (*references, *others)]
    reward = CiderReward(documents)
    if not reward.is_defined:
        raise ValueError(
            "CIDEr weighs words by how few images have them; the captions of all "
            f"{len(documents)} images of train and dev have the same words. Train on "
            "images that differ."
        )
    scores = [reward.score(n, to_ids(text)) for n, text in enumerate(captions)]
    return sum(scores) / len(scores)


def _count(caption: Sequence[int]) -> Counter:
    words = [int(word) for word in caption]
    return Counter(
        tuple(words[start : start + size])
        for size in range(1, LONGEST + 1)
        for start in range(len(words) - size + 1)
    )
