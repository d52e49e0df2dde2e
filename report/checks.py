"""What the report asks of an explanation."""

import numpy as np

from files.arrays import check_shapes


def check_explanation(explanation) -> None:
    """Raises ValueError unless the arrays fit the words and the photo."""
    num_words = len(explanation.words)
    if num_words == 0:
        raise ValueError(
            "Expected a caption of at least one word, received an empty one. The "
            "model predicted the end at once; explain a given caption instead."
        )
    height, width = explanation.image.shape[:2]
    expected = {
        "image": (height, width, 3),
        "pixels": (num_words, height, width, 3),
        "features": (num_words, None, None, None),
        "preceding_words": (num_words, len(explanation.words_read)),
        "steps": (num_words,),
        "logits": (num_words,),
        "log_probabilities": (num_words,),
        "lost": (num_words, 2),
    }
    if explanation.attention is not None:
        expected["attention"] = (num_words, None, None)
    for name in ("beta", "mean_feature"):
        if getattr(explanation, name) is not None:
            expected[name] = (num_words,)
    arrays = {name: getattr(explanation, name) for name in expected}
    try:
        check_shapes(arrays, expected)
    except ValueError as error:
        raise ValueError(
            f"The explanation of {num_words} words and a photo of {height}x{width} "
            f"does not fit itself: {error}."
        ) from error


def row_of(explanation, word: str | int) -> int:
    """Returns the row of an explained word.

    Args:
        explanation: Has the words.
        word: One of them, or its place in the caption, from 0.

    Raises:
        ValueError: It is not explained, or is there several times.
    """
    words, steps = explanation.words, explanation.steps
    if isinstance(word, str):
        names = [name.casefold() for name in words]
        rows = [row for row, name in enumerate(names) if name == word.casefold()]
    else:
        rows = [row for row, step in enumerate(steps) if step == word]
    if len(rows) == 1:
        return rows[0]
    if rows:
        places = " or ".join(str(steps[row]) for row in rows)
        raise ValueError(
            f"{word!r} is there {len(rows)} times. Name it by its place: {places}."
        )
    known = ", ".join(f"{s} {name}" for s, name in zip(steps, words, strict=True))
    raise ValueError(f"{word!r} is none of the explained words: {known}.")


def num_read(explanation) -> np.ndarray:
    """Returns how many columns of what was read each word has (R,)."""
    steps = np.asarray(explanation.steps)
    return steps + lengths_of(explanation) + explanation.has_pieces


def lengths_of(explanation) -> np.ndarray:
    """Returns how many words each explained one has (R,): 1 unless it is a phrase."""
    given = explanation.lengths
    return np.asarray([1] * len(explanation.words) if given is None else given)
