"""What captioning and explaining ask of every captioner."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import keras
import numpy as np
from keras import ops

from config import whole_number
from dataset.images import split_images
from keras_lrp.backend import compiled
from keras_lrp.operations import Operations
from models.encoders import VisionTransformer, find_transformer, flatten_grid
from models.generation.beam_search import Hypotheses, check_search
from models.sentence import Sentence


@dataclass(frozen=True)
class Caption:
    """A generated sentence.

    Attributes:
        text: The words, joined by blanks.
        words: The words (T,).
        tokens: Their ids (T,).
        log_probabilities: The logarithm of each word's probability (T,).
        score: The sentence's log-probability, divided by length ** length_penalty.
    """

    text: str
    words: tuple[str, ...]
    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    score: float


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """A photograph, and what the encoder made of it.

    Attributes:
        pixels: RGB uint8 (H, W, 3).
        encoder_input: The preprocessed pixels, float32 (1, H, W, 3).
        features: (1, h, w, D).
        photo: As it was given, upright in its own size, uint8 RGB; None if it is not
            kept.
    """

    pixels: np.ndarray = field(repr=False)
    encoder_input: np.ndarray = field(repr=False)
    features: object = field(repr=False)
    photo: np.ndarray | None = field(default=None, repr=False)


class BaseCaptioner(keras.Model):
    """A captioner: photographs, an encoder, a decoder and words.

    A captioner of one's own sets the attributes and gives the methods that raise
    NotImplementedError; `Captioner` and `models.published` show how.

    Attributes:
        config: With `beam_size`, `length_penalty` and the name of the `decoder`.
        vocabulary: With a length, `start` and `padding`, tokens.
        encoder: Turns preprocessed pixels into features.
        decoder: Keeps the contract of `models.decoders.Decoder`.
        encoder_presets: The rules of LRP that the encoder may have, the default
            first; empty where it is explained by the decoder's rules.
    """

    encoder_presets: tuple[str, ...] = ()

    # Photographs

    def load_photo(self, image) -> np.ndarray:
        """Reads an image as the photo that the captioner sees, uint8 RGB (H, W, 3).

        Args:
            image: Of any kind that `dataset.images.open_image` reads.

        Raises:
            ImageError: It cannot be read as an image.
        """
        raise NotImplementedError

    def prepare(self, photos: Sequence[np.ndarray]) -> np.ndarray:
        """Turns B photos into the encoder's input, float32 (B, H, W, 3)."""
        raise NotImplementedError

    def in_photo(self, pixels: np.ndarray, photo: np.ndarray) -> np.ndarray:
        """Lays relevance of the encoder's input (R, H, W, 3) where it is in a photo."""
        raise NotImplementedError

    def seen_part(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the part of relevance in a photo that is the encoder's input."""
        return pixels

    def lay_out(self, maps):
        """Lays values of features (R, h, w, ...) where they are in the input."""
        return maps

    def attention_in_photo(self, maps: np.ndarray, image: EncodedImage) -> np.ndarray:
        """Lays attention to features (R, h, w) where it is in the photo."""
        return self.lay_out(maps)

    # Words

    def sentence(self, tokens: Sequence[int]) -> Sentence:
        """Returns the words of a caption's tokens (S,)."""
        raise NotImplementedError

    def read_text(self, text: str) -> np.ndarray:
        """Returns the tokens (S,) of a text to explain.

        Raises:
            ValueError: The captioner cannot write it; says why.
        """
        raise NotImplementedError

    def first_token(self, word: str) -> int:
        """Returns the token that a word to contrast with begins with.

        Raises:
            ValueError: The captioner does not know the word.
        """
        raise NotImplementedError

    def search(
        self,
        features,
        beam_size: int,
        length_penalty: float | None = None,
        watch: Callable[[Hypotheses], None] | None = None,
    ) -> Hypotheses:
        """Searches the best captions of images given by their features (B, h, w, D).

        Args:
            features: Of the images.
            beam_size: K, hypotheses of each image.
            length_penalty: Of the ranking; that of config if None.
            watch: Called after every step with the hypotheses so far.
        """
        raise NotImplementedError

    def make_caption(self, tokens, log_probabilities, score) -> Caption:
        """Makes a caption of one hypothesis of a search."""
        raise NotImplementedError

    # What is the same for all

    @property
    def vision_transformer(self) -> VisionTransformer | None:
        """The encoder, or what it holds, that is written in operations; None: a CNN."""
        return find_transformer(self.encoder)

    def encode(self, photos: Sequence[np.ndarray]):
        """Turns photos into features (B, h, w, D)."""
        return self.encode_inputs(self.prepare(photos))

    def encode_each(
        self, photos: Sequence[np.ndarray]
    ) -> tuple[object, list[EncodedImage]]:
        """Encodes photos together.

        Returns:
            The features of all (B, h, w, D), and each image with its own.
        """
        inputs = self.prepare(photos)
        features = self.encode_inputs(inputs)
        return features, [
            EncodedImage(photo, inputs[row : row + 1], features[row : row + 1])
            for row, photo in enumerate(photos)
        ]

    def encode_inputs(self, inputs: np.ndarray):
        """Turns preprocessed images (B, H, W, 3) into features (B, h, w, D)."""
        return self._encode(ops.convert_to_tensor(inputs))

    def caption(
        self, images, beam_size: int | None = None, batch_size: int = 8
    ) -> list[Caption]:
        """Describes images, in order.

        Args:
            images: A list of images, or one: files, bytes, addresses, pictures of
                Pillow, arrays or tensors, see `dataset.images.open_image`. A batch
                (B, H, W, C) is a list.
            beam_size: Of the search; that of config if None.
            batch_size: Images encoded together.

        Raises:
            ImageError: One cannot be read as an image.
            ValueError: There is none, or a number has no meaning.
        """
        images = split_images(images)
        if not images:
            raise ValueError(
                "There is nothing to caption: images must be files or pixels; received "
                'none. Call caption(["photo.jpg"]).'
            )
        batch_size = whole_number("batch_size", batch_size)
        check_search(beam_size)
        captions = []
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            photos = [self.load_photo(image) for image in batch]
            captions += self.caption_features(self.encode(photos), beam_size)
        return captions

    def caption_features(self, features, beam_size: int | None = None) -> list[Caption]:
        """Describes images given by their features (B, h, w, D)."""
        return [captions[0] for captions in self.rank_captions(features, beam_size)]

    def rank_captions(
        self,
        features,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        watch: Callable[[list[list[Caption]]], None] | None = None,
    ) -> list[list[Caption]]:
        """Describes images by all captions of their beams, best first.

        Args:
            features: Of the images (B, h, w, D).
            beam_size: Of the search; that of config if None.
            length_penalty: Of the ranking; that of config if None.
            watch: Called after every step of the search with the beams so far.
        """
        if beam_size is None:
            beam_size = self.config.beam_size
        watching = watch and (lambda found: watch(self._make_captions(found)))
        found = self.search(features, beam_size, length_penalty, watching)
        return self._make_captions(found)

    def _make_captions(self, found: Hypotheses) -> list[list[Caption]]:
        return [
            [self.make_caption(*one) for one in zip(*beam, strict=True)]
            for beam in zip(*found, strict=True)
        ]

    def make_once(self, key: Hashable, make: Callable):
        """Returns what `make()` returned for this key; it lives with the captioner.

        So is kept what is compiled for the captioner outside of it.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @cached_property
    def _made(self) -> dict:
        return {}

    def run_encoder(self, inputs):
        """Turns preprocessed images into features (B, h, w, D), not compiled."""
        return self.encoder(inputs, training=False)

    @cached_property
    def _encode(self):
        return compiled(self.run_encoder, self)

    @cached_property
    def _project(self):
        return compiled(
            lambda x: self.decoder.project(Operations(), flatten_grid(x)), self
        )

    @cached_property
    def _step(self):
        return compiled(self._next, self)

    def _start(self, features, captions: int) -> tuple:
        """Returns the step function and the first state of captions of images."""
        memory = self._project(features)
        return (
            lambda tokens, state: self._step(memory, tokens, state),
            self.decoder.initial_state(int(features.shape[0]), captions),
        )
