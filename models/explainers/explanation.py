"""What an explanation holds, and how it is kept."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from files.writing import write_whole
from keras_lrp import PRECISIONS, __version__

PRECISION = PRECISIONS[0]  # float32


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why each word of a caption was predicted.

    T is the number of words of the caption, R that of the explained ones (all of them
    unless some were chosen). Relevance is signed, in units of the explained logit.

    Attributes:
        image: The photo as the model saw it, uint8 RGB (H, W, 3).
        caption: The explained sentence.
        method: The name of the method.
        lrp_preset: The encoder's rules where the method is lrp, else None.
        contrast: The word whose logit is subtracted, or None.
        words: The explained words (R,).
        steps: Their places in the caption (R,), starting at 0.
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
        logits: What is explained (R,): the word's logit, or a difference of two.
        log_probabilities: The logarithm of each word's probability (R,).
        lost: (R, 2) the relevance that biases and stabilizers took in the decoder,
            logit - words - features, and in the encoder, features - pixels; NaN for
            methods that do not distribute the logit.
        decoder_rules: The decoder's rules where the method is LRP, else None.
        has_pieces: Whether a word may consist of several tokens. Its later ones are
            written after its first ones were read: their relevance has the column of
            the word itself.
        precision: Of the way back through the encoder, where the method takes it.
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

    def __repr__(self):
        """Returns what an explanation is of, in three lines and without its arrays."""
        of = [self.method, self.lrp_preset, self.chosen_rules, self.unusual_precision]
        of.append(self.contrast and f"not {self.contrast!r}")
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

    def save(self, folder: str | Path) -> list[Path]:
        """Writes `explanation.json` and `explanation.npz`; returns their paths.

        The JSON holds what a reader looks at, the NPZ every array. To stay small,
        `pixels` and `features` are kept in half precision, each word divided by its
        largest absolute value: multiply by `pixels_scale` and `features_scale` (R,).
        """
        summary = json.dumps(self._summary(), indent=2) + "\n"
        arrays = io.BytesIO()
        np.savez_compressed(arrays, **self._arrays())
        return [
            write_whole(Path(folder) / "explanation.json", summary.encode()),
            write_whole(Path(folder) / "explanation.npz", arrays.getvalue()),
        ]

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {
            name: value
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        for name in ("pixels", "features"):
            scale = np.abs(arrays[name]).max((1, 2, 3))
            safe = np.where(scale > 0, scale, 1.0)[:, None, None, None]
            arrays[name] = (arrays[name] / safe).astype("float16")
            arrays[f"{name}_scale"] = scale
        return arrays | {"steps": np.asarray(self.steps)}

    def _summary(self) -> dict:
        words = [
            {
                "word": word,
                "step": step,
                "logit": float(self.logits[row]),
                "probability": float(np.exp(self.log_probabilities[row])),
                "beta": None if self.beta is None else float(self.beta[row]),
                "image_relevance": _number(self.features[row].sum()),
                "pixel_relevance": float(self.pixels[row].sum()),
                "word_relevance": {
                    f"{index} {name}": _number(self.preceding_words[row, index])
                    for index, name in enumerate(
                        self.words_read[: step + 1 + self.has_pieces]
                    )
                },
                "lost_in_decoder": _number(self.lost[row, 0]),
                "lost_in_encoder": _number(self.lost[row, 1]),
            }
            for row, (word, step) in enumerate(zip(self.words, self.steps, strict=True))
        ]
        names = ("caption", "method", "lrp_preset", "decoder_rules", "contrast")
        what = {name: getattr(self, name) for name in names}
        if self.unusual_precision:
            what["precision"] = self.precision
        return what | {"version": __version__, "words": words}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
