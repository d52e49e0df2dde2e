"""What the report asks of an explanation."""

import numpy as np


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
    if explanation.beta is not None:
        expected["beta"] = (num_words,)
    for name, shape in expected.items():
        received = np.shape(getattr(explanation, name))
        fits = len(received) == len(shape) and all(
            size in (None, other) for size, other in zip(shape, received, strict=True)
        )
        if not fits:
            raise ValueError(
                f"Expected {name} of shape {shape} for {num_words} words and a photo "
                f"of {height}x{width} (None: any size), received {received}."
            )


def num_read(explanation) -> np.ndarray:
    """Returns how many columns of what was read each word has (R,)."""
    return np.asarray(explanation.steps) + 1 + explanation.has_pieces
