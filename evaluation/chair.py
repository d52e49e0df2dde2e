"""CHAIR: how many of the objects that captions name are not in the image.

Source: Rohrbach et al. 2018 (arXiv 1809.02156), section 2.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from dataset.coco_names import NO_OBJECTS, PLURAL_ONLY, QUALIFIERS
from dataset.records import CaptionedImage
from dataset.vocabulary import split_words
from evaluation.intervals import bootstrap_interval
from evaluation.object_words import singular

Lookup = Mapping[tuple[str, ...], str]


def object_lookup(object_names: Mapping[str, str]) -> Lookup:
    """Returns the object that each name means; "" means none.

    The keys are the words of the names in singular.

    Args:
        object_names: The other names of each object; see `dataset.records.Dataset`.
    """
    pairs = [(name, "") for name in NO_OBJECTS.split(",")]
    for object_, synonyms in object_names.items():
        pairs += [(name, object_) for name in (object_, *synonyms.split(","))]
    lookup = {tuple(map(singular, split_words(name))): o for name, o in pairs}
    return {name: object_ for name, object_ in lookup.items() if name}


def mentioned_objects(text: str, lookup: Lookup) -> list[str]:
    """Returns the objects that a caption names, in order, each as often as named.

    The longest name counts: a hot dog is no dog. Two names of one object in a row
    count once, as in "pickup truck", and a word that qualifies the object after it
    does not: a baby elephant is no person.

    Args:
        text: A caption.
        lookup: See `object_lookup`.
    """
    names = dict(_names_in(text, lookup))
    found = []
    for place, name in names.items():
        after = lookup.get(names.get(place + len(name)))
        qualifies = name[0] in QUALIFIERS and after is not None
        if lookup[name] and lookup[name] != after and not qualifies:
            found.append(lookup[name])
    return found


def _names_in(text: str, lookup: Lookup) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yields the place of the first word and the words of each name in a text."""
    words = split_words(text.replace("-", " "))
    words = [word.removesuffix("'s").removesuffix("\u2019s") for word in words]
    names = list(map(singular, words))
    longest = max(map(len, lookup))
    start = 0
    while start < len(words):
        candidates = (tuple(names[start : start + n]) for n in range(longest, 0, -1))
        name = next((name for name in candidates if name in lookup), None)
        if name is not None and words[start] not in PLURAL_ONLY:
            yield start, name
        start += 1 if name is None else len(name)


def shown_objects(image: CaptionedImage, lookup: Lookup) -> frozenset[str]:
    """Returns the objects of an image: those of its references and of its boxes."""
    found = {
        o for caption in image.captions for o in mentioned_objects(caption, lookup)
    }
    classes = set(lookup.values())
    for phrase in {phrase for box in image.objects for phrase in box.phrases}:
        found.update(
            [phrase] if phrase in classes else mentioned_objects(phrase, lookup)
        )
    return frozenset(found)


def named_and_shown(
    captions: Sequence[str], images: Sequence[CaptionedImage], lookup: Lookup
) -> tuple[list[list[str]], list[frozenset[str]]]:
    """Returns the objects of each caption and of each image, for `chair_scores`.

    Args:
        captions: One of each image.
        images: See `shown_objects`.
        lookup: See `object_lookup`.
    """
    named = [mentioned_objects(text, lookup) for text in captions]
    return named, [shown_objects(image, lookup) for image in images]


def chair_scores(
    named: Sequence[Sequence[str]], shown: Sequence[Collection[str]]
) -> dict[str, dict]:
    """Returns the shares of what is hallucinated; both are better if smaller.

    CHAIR_i = named objects that are not in the image / all named objects
    CHAIR_s = captions that name such an object / all captions

    Args:
        named: The objects of each caption, as often as they are named.
        shown: The objects of each image.

    Returns:
        For chair_i and chair_s the "mean", NaN if there is nothing to count, its
        "interval" over images, and the number of objects or captions.
    """
    hallucinated = [
        np.array([object_ not in known for object_ in objects], "float64")
        for objects, known in zip(named, shown, strict=True)
    ]
    any_of = [flags.max(initial=0, keepdims=True) for flags in hallucinated]
    return {
        "chair_i": _mean_of(hallucinated, "num_objects"),
        "chair_s": _mean_of(any_of, "num_captions"),
    }


def _mean_of(groups: Sequence[np.ndarray], count: str) -> dict:
    values = np.concatenate([np.empty(0), *groups])
    return {
        "mean": float(values.mean()) if values.size else float("nan"),
        "interval": bootstrap_interval(groups),
        count: values.size,
    }
