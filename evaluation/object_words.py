"""Which words of a caption name which boxes of the image."""

from collections.abc import Sequence

from dataset.function_words import FUNCTION_WORDS
from dataset.records import ObjectBox
from dataset.vocabulary import split_words

# What stands for a category of MSCOCO besides its name, from the released code.
SYNONYMS = {
    "person": "people woman women man men boy girl player baby person",
    "airplane": "plane jetliner jet airplane",
    "bicycle": "bike bicycle",
    "car": "car taxi",
}
# Names of several words whose last word is a name too, and whether it names both: a
# bear may be a teddy bear, a dog is no hot dog. A teddy bear is no bear, either.
COMPOUNDS = {"hot dog": False, "teddy bear": True}
# Phrases may end in these, "a man in [red]", and then name no object.
_NAMELESS = """
black blue brown gold gray green grey orange pink purple red silver tan white yellow
two three four five six seven eight nine ten
top bottom back front side middle edge area distance background foreground open
"""
NAMELESS = FUNCTION_WORDS.union(_NAMELESS.split())
_IRREGULAR = {
    "buses": "bus",
    "calves": "calf",
    "children": "child",
    "cookies": "cookie",
    "feet": "foot",
    "geese": "goose",
    "gas": "gas",
    "hoodies": "hoodie",
    "knives": "knife",
    "leaves": "leaf",
    "loaves": "loaf",
    "mice": "mouse",
    "movies": "movie",
    "oxen": "ox",
    "people": "person",
    "potatoes": "potato",
    "scarves": "scarf",
    "shelves": "shelf",
    "teeth": "tooth",
    "tomatoes": "tomato",
    "wolves": "wolf",
}
_ENDINGS = {  # the first that fits
    "men": "man",
    "ies": "y",
    "ches": "ch",
    "shes": "sh",
    "sses": "ss",
    "xes": "x",
    "ss": "ss",
    "us": "us",
    "is": "is",
    "s": "",
}


def find_objects(
    words: Sequence[str], objects: Sequence[ObjectBox]
) -> dict[int, list[ObjectBox]]:
    """Finds the words of a caption that name objects of its image.

    A word names an object if it is the last word of a phrase that does, in singular
    or plural: *dogs* names the box of "a brown dog", *table* that of "dining table". Of
    a name of several words the last one, the noun that the others describe, stands for
    the whole: in "a traffic light" the word *light* names the box of the traffic light,
    and the map of *light* is scored. A phrase that is a category's name alone stands
    for its SYNONYMS too.

    Args:
        words: Of the caption, lower case (T,).
        objects: Of the image; those without a box are left out.

    Returns:
        The boxes that each such word names, by the word's place in the caption.
    """
    placed = [object_ for object_ in objects if object_.box is not None]
    names = [(object_, _names_of(object_)) for object_ in placed]
    found = {}
    for step, word in enumerate(words):
        noun = _last_noun(words[: step + 1])
        boxes = [object_ for object_, known in names if noun in known]
        if boxes and word not in NAMELESS:
            found[step] = boxes
    return found


def _names_of(object_: ObjectBox) -> set[str]:
    """Returns the nouns that a box is named with."""
    texts = list(object_.phrases)
    for phrase in object_.phrases:
        texts += SYNONYMS.get(phrase, "").split()
    names = {_last_noun(split_words(text)) for text in texts}
    return names | {name.split()[-1] for name in names if COMPOUNDS.get(name)}


def _last_noun(words: Sequence[str]) -> str:
    """Returns the last of some words in singular, or the compound that they end in."""
    noun = singular(words[-1]) if words else ""
    compound = " ".join([*words[-2:-1], noun])
    return compound if compound in COMPOUNDS else noun


def singular(word: str) -> str:
    """Returns the singular of a noun, if it is a plural: dog, box, puppy, person."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending, replacement in _ENDINGS.items():
        if word.endswith(ending) and (len(word) > 4 or ending != "ies"):
            return word.removesuffix(ending) + replacement
    return word
