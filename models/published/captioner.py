"""Published captioners: BLIP, vision Transformer with GPT-2, GIT."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset.images import load_image
from files.messages import DAMAGE, reason_of, shortened
from keras_lrp.operations import Operations
from models.base_captioner import BaseCaptioner, Caption, EncodedImage
from models.encoders import spread
from models.generation.beam_search import Hypotheses, check_search
from models.published.array_files import find_weights, read_arrays
from models.published.families import FAMILIES, Network
from models.published.generation import Generation, read_generation
from models.published.pieces import Pieces, load_pieces
from models.published.preprocessing import Preprocessing, read_preprocessing
from models.published.search import search
from models.published.settings import read_config
from models.published.slots import fill
from models.run_files import CaptionerError
from models.sentence import Sentence, few_sizes


class PublishedCaptioner(BaseCaptioner):
    """A captioner whose weights and settings others published.

    The encoder's features are tokens in one row, (B, 1, 1 + h w, D), the class token
    first.

    Args:
        network: Encoder and decoder, filled.
        generation: How captions are searched.
        pieces: The tokens.
        preprocessing: How photographs are prepared.
    """

    def __init__(
        self,
        network: Network,
        generation: Generation,
        pieces: Pieces,
        preprocessing: Preprocessing,
    ):
        super().__init__(name="captioner")
        self.encoder, self.decoder = network.encoder, network.decoder
        self.config, self.vocabulary = generation, pieces
        self.preprocessing = preprocessing
        self.decoder.longest = generation.max_tokens
        self.built = True

    def load_photo(self, image) -> np.ndarray:
        """See `BaseCaptioner.load_photo`; the photo is resized, and not yet cut."""
        return load_image(image, resize=self.preprocessing.resize)

    def prepare(self, photos: Sequence[np.ndarray]) -> np.ndarray:
        """See `BaseCaptioner.prepare`."""
        return np.stack([self.preprocessing.apply(photo) for photo in photos])

    def in_photo(self, pixels: np.ndarray, photo: np.ndarray) -> np.ndarray:
        """See `BaseCaptioner.in_photo`; what is cut off has relevance 0."""
        found = np.zeros((len(pixels), *photo.shape[:2], pixels.shape[3]), pixels.dtype)
        found[(slice(None), *self.preprocessing.window(photo))] = pixels
        return found

    def seen_part(self, pixels: np.ndarray) -> np.ndarray:
        """See `BaseCaptioner.seen_part`."""
        rows, columns = self.preprocessing.window(pixels[0])
        return pixels[:, rows, columns]

    def lay_out(self, maps):
        """See `BaseCaptioner.lay_out`; the class token has no place there."""
        return maps[:, 0, 1:].reshape(len(maps), *self.encoder.grid, *maps.shape[3:])

    def attention_in_photo(self, maps: np.ndarray, image: EncodedImage) -> np.ndarray:
        """See `BaseCaptioner.attention_in_photo`; of a cut photo, for each pixel."""
        maps = self.lay_out(maps)
        if image.pixels.shape[:2] == image.encoder_input.shape[1:3]:
            return maps
        fine = spread(maps, image.encoder_input.shape[1:3])
        return self.in_photo(fine[..., None], image.pixels)[..., 0]

    def run_encoder(self, inputs):
        """See `BaseCaptioner.run_encoder`."""
        return self.encoder.run(Operations(), inputs)[0][:, None]

    def sentence(self, tokens: Sequence[int]) -> Sentence:
        """See `BaseCaptioner.sentence`."""
        return self.vocabulary.sentence(tokens)

    def read_text(self, text: str) -> np.ndarray:
        """See `BaseCaptioner.read_text`; any text that fits."""
        tokens = self.vocabulary.encode(text)
        longest = self.decoder.stack.num_places
        if not self.sentence(tokens).words:
            raise ValueError("There is no word to explain: the caption is empty.")
        if few_sizes(len(tokens)) > longest:
            raise ValueError(
                f"The caption has {len(tokens)} pieces; the decoder reads {longest}."
            )
        return tokens

    def first_token(self, word: str) -> int:
        """See `BaseCaptioner.first_token`."""
        tokens = self.vocabulary.encode(word)
        if not len(tokens):
            raise ValueError(f"There is no word to contrast with in {word!r}.")
        return int(tokens[0])

    def search(
        self,
        features,
        beam_size: int,
        length_penalty: float | None = None,
        watch: Callable[[Hypotheses], None] | None = None,
    ) -> Hypotheses:
        """See `BaseCaptioner.search`; as the publishers' library does it."""
        check_search(beam_size, length_penalty)
        generation = self.config
        if length_penalty is not None:
            generation = replace(generation, length_penalty=length_penalty)
        step, state = self._start(features, beam_size)
        rows = int(features.shape[0])
        return search(step, state, rows, beam_size, generation, watch)

    def make_caption(self, tokens, log_probabilities, score) -> Caption:
        """See `BaseCaptioner.make_caption`; the probabilities are the words'."""
        kept = self.vocabulary.before_end(tokens)
        sentence = self.sentence(kept)
        steps = np.arange(len(sentence.words))
        found = np.asarray(log_probabilities, "float64")[: len(sentence.tokens)]
        found = sentence.merge(found, steps) if len(steps) else found[:0]
        return Caption(
            sentence.text,
            sentence.words,
            tuple(map(int, sentence.tokens)),
            tuple(map(float, found)),
            float(score),
        )

    def _next(self, memory, tokens, state):
        embedded = self.decoder.embed(tokens)[:, :, None]  # (B, K, 1, D)
        output = self.decoder.decode(Operations(), memory, embedded, state)
        return output.logits, output.state


def load_published(folder: Path) -> PublishedCaptioner:
    """Loads a published captioner from its folder; nothing in it is executed.

    Raises:
        CaptionerError: The family is not known, or a file is missing, damaged or does
            not fit the others.
    """
    with _naming(folder):
        num_bytes = sum(path.stat().st_size for path in find_weights(folder))
        config = read_config(folder, num_bytes)
        family = config["model_type"]
        if family not in FAMILIES:
            raise CaptionerError(
                f"{folder} holds a model of the kind {shortened(family)}; known are "
                f"{', '.join(FAMILIES)}."
            )
        network = FAMILIES[family](config)
        return _read(folder, family, network)


def _read(folder: Path, family: str, network: Network) -> PublishedCaptioner:
    """Reads the files beside config.json, and fills the networks."""
    encoder, decoder = network.encoder, network.decoder
    specials = (network.start, network.end, network.padding)
    generation = read_generation(
        folder, family, network.generation, specials, decoder.stack.num_places
    )
    size = decoder.vocabulary_size
    for token in (generation.start, *generation.end, generation.padding):
        if token >= size:
            raise CaptionerError(
                f"config.json has a special token {token}; its vocabulary has {size} "
                "tokens, from 0."
            )
    pieces = load_pieces(folder, size, network.start, generation.end, network.padding)
    preprocessing = read_preprocessing(folder, encoder.image_size, network.processor)
    arrays = read_arrays(folder, network.has_no_use_for)
    fill(network.slots, arrays, network.has_no_use_for, network.copies)
    return PublishedCaptioner(network, generation, pieces, preprocessing)


@contextlib.contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Names the folder in every error of its files.

    Raises:
        CaptionerError: Instead of any other error.
    """
    try:
        yield
    except DAMAGE as error:
        reason = str(error) if isinstance(error, ValueError) else reason_of(error)
        reason = f"{reason} is missing" if isinstance(error, KeyError) else reason
        named = reason if str(folder) in reason else f"{folder}: {reason}"
        raise CaptionerError(named) from error
