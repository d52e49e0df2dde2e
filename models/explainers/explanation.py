"""What an explanation holds, and how it is kept."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_lrp import PRECISIONS
from models.explainers.explanation_files import read_explanation, write_explanation
from models.explainers.shown import Shown

PRECISION = PRECISIONS[0]  # float32


@dataclass(frozen=True, repr=False)
class Explanation(Shown):
    """Why each word of a caption was predicted.

    T is the number of words of the caption, R that of the explained ones (all of them
    unless some were chosen). A phrase is explained as one: its logit is the sum of the
    logits of its words. Relevance is signed, in units of the explained logit.

    Attributes:
        image: The photo as the model saw it, uint8 RGB (H, W, 3).
        caption: The explained sentence.
        method: The name of the method.
        lrp_preset: The encoder's rules where the method is LRP through the encoder,
            else None.
        contrast: The word whose logit is subtracted, or None.
        words: The explained words and phrases (R,).
        steps: Their places in the caption (R,), starting at 0: of a phrase, that of
            its first word.
        words_read: What the decoder read at each step (T,): the start token and the
            words; with pieces of words, the last word too (T + 1,).
        pixels: Relevance of the pixels (R, H, W, 3).
        features: Relevance of the encoder's features (R, h, w, D); of a vision
            Transformer's tokens (R, 1, 1 + h w, D), the class token first.
        preceding_words: Relevance of what the decoder read (R, T) or (R, T + 1); 0
            for what came after the word.
        attention: Attention weights on the photo (R, h, w), in [0, 1], sum 1 or less
            where other things are attended to; None for a decoder without attention.
        beta: The sentinel's share of what is attended to (R,), in [0, 1]; None for a
            decoder without a sentinel.
        logits: What is explained (R,): the word's logit, the sum of the phrase's
            logits, a difference of two, or, by centred_lrp, how far the logit is above
            the mean of all logits.
        log_probabilities: The logarithm of the probability of each word or phrase (R,).
        lost: (R, 2) the relevance that biases and stabilizers took in the decoder,
            logit - words - features, and in the encoder, features - pixels, where
            centred_lrp takes away what is the same everywhere; NaN for methods that do
            not distribute the logit.
        decoder_rules: The decoder's rules where the method is LRP, else None.
        has_pieces: Whether a word may consist of several tokens. Its later ones are
            written after its first ones were read: their relevance has the column of
            the word itself.
        precision: Of the way back through the encoder, where the method takes it.
        photo: The photograph upright in its own size, uint8 RGB; None where it is not
            kept, as for the images of a dataset. `image` is the same, resized.
        lengths: How many words each explained phrase has (R,); None where each is one
            word. Attention and `beta` of a phrase are the means over its words.
        is_additive: Whether the map of a phrase is the sum of its words' maps; methods
            that are not linear, as Grad-CAM, explain the sum of the logits otherwise.
        against: Another caption, if why the caption and not this one is explained. A
            row is then a place where they differ, its logit and log-probability are
            both log p(words of the caption) - log p(words of the other), and
            `words_read` has the words of both, those of the other in brackets.
        mean_feature: What of the sum of `features` reached them through their mean
            over the positions (R,), which a decoder reads as a whole: it lies nowhere
            in particular. None for a decoder that does not read the mean, and for
            methods that do not distribute the logit.
    """

    image: np.ndarray
    caption: str
    method: str
    lrp_preset: str | None
    contrast: str | None
    words: tuple[str, ...]
    steps: tuple[int, ...]
    words_read: tuple[str, ...]
    pixels: np.ndarray
    features: np.ndarray
    preceding_words: np.ndarray
    attention: np.ndarray | None
    beta: np.ndarray | None
    logits: np.ndarray
    log_probabilities: np.ndarray
    lost: np.ndarray
    decoder_rules: str | None = None
    has_pieces: bool = False
    precision: str = PRECISION
    photo: np.ndarray | None = None
    lengths: tuple[int, ...] | None = None
    is_additive: bool = False
    against: str | None = None
    mean_feature: np.ndarray | None = None

    def __repr__(self):
        """Returns what an explanation is of, in three lines and without its arrays."""
        of = [self.method, self.lrp_preset, self.chosen_rules, self.unusual_precision]
        of.append(self.contrast and f"not {self.contrast!r}")
        of.append(self.against and f"against {self.against!r}")
        names = ("pixels", "features", "preceding_words")
        shapes = ", ".join(f"{name} {getattr(self, name).shape}" for name in names)
        return (
            f"Explanation ({', '.join(filter(None, of))}) of {self.caption!r}\n"
            f"  words: {', '.join(self.words)}\n"
            f"  {shapes}"
        )

    @property
    def chosen_rules(self) -> str | None:
        """The decoder's rules where there is a choice: a recurrent one has epsilon."""
        has_choice = self.has_pieces or self.decoder_rules != "epsilon"
        return self.decoder_rules if has_choice else None

    @property
    def unusual_precision(self) -> str | None:
        """The precision if it is not the usual float32."""
        return None if self.precision == PRECISION else self.precision

    def save(self, folder: str | Path, exact: bool = False) -> list[Path]:
        """Writes the files that `load` reads; returns their paths.

        `explanation.json` holds what a reader looks at, `explanation.npz` every array,
        `photo.jpg` the photograph, at most 1600 pixels a side.

        Args:
            folder: Where to write; made if it is missing.
            exact: Whether `pixels` and `features` are kept as they are. Else they are
                kept in half precision, each word divided by its largest absolute
                value, which is `pixels_scale` or `features_scale` (R,).
        """
        return write_explanation(self, Path(folder), exact)

    @classmethod
    def load(cls, folder: str | Path) -> "Explanation":
        """Reads what `save` wrote; files of earlier versions too.

        All is as it was but `photo`, which is that of `photo.jpg`, and `pixels` and
        `features` unless these were saved exactly: they differ by at most 2 ** -11 of
        the largest value of the word.

        Args:
            folder: Of one explanation; that of one method where there are several.

        Raises:
            FileError: A file is missing or damaged, or two do not fit each other.
            ImageError: `photo.jpg` cannot be read.
        """
        return cls(**read_explanation(Path(folder)))
