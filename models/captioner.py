"""The captioner: an encoder, a decoder and a vocabulary in one keras.Model."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
from keras import ops

from config import Config, choose, whole_number
from dataset.images import load_image
from dataset.vocabulary import (
    END,
    PADDING,
    SPECIAL_TOKENS,
    START,
    Vocabulary,
    split_words,
)
from files.writing import changed_together, write_json
from keras_lrp import PRESETS
from keras_lrp.backend import compiled
from keras_lrp.operations import Operations
from models.base_captioner import BaseCaptioner, Caption, EncodedImage
from models.decoders import DECODERS
from models.encoders import (
    build_encoder,
    computing_in,
    flatten_grid,
    preprocess,
    split_encoder,
    swap_colours,
)
from models.generation.beam_search import (
    IMPOSSIBLE,
    Hypotheses,
    beam_search,
    check_search,
)
from models.generation.sampling import sample_captions
from models.published.captioner import load_published
from models.run_files import (
    CHECKSUMS,
    HUB,
    RUN_FILES,
    SHARED_ENCODER,
    CaptionerError,
    check_origin,
    find_run,
    is_published,
    list_files,
)
from models.sentence import Sentence
from models.weights import checksum, load_weights, pack_weights

__all__ = ["Caption", "Captioner", "EncodedImage", "load_captioner", "load_run"]
LRP_PRESETS = tuple(n for n in PRESETS if n not in ("gradient", "guided_backprop"))


class Captioner(BaseCaptioner):
    """Describes photographs in words; trained here.

    Trained with `fit` on batches of `dataset.batches.CaptionBatches`, whose features
    are the input of the encoder's trained part (the encoder's output if nothing of it
    is trained). Where config asks for mixed precision, `fit` computes in it; the
    weights, captions and explanations are in float32 all the same.

    Args:
        config: The architecture.
        vocabulary: The words.
        encoder: From `build_encoder`.
    """

    def __init__(self, config: Config, vocabulary: Vocabulary, encoder: keras.Model):
        super().__init__(name="captioner", dtype=config.dtype_policy)
        self.config, self.vocabulary, self.encoder = config, vocabulary, encoder
        channels = encoder.output_shape[-1]
        build = choose("decoder", config.decoder, DECODERS)
        self.decoder = build(config, len(vocabulary), channels)
        self.frozen_part, self.trained_part = split_encoder(
            encoder, config.trainable_from
        )
        for layer in self.frozen_part.layers:
            layer.trainable = False
        self.built = True

    @property
    def encoder_presets(self) -> tuple[str, ...]:
        """See `BaseCaptioner`."""
        return LRP_PRESETS if self.vision_transformer is None else ()

    @property
    def image_size(self) -> tuple[int, int]:
        """The height and width of the photographs that the encoder reads."""
        return self.encoder.input_shape[1:3]

    def call(self, inputs, training=False):
        features = flatten_grid(self._run_trained(inputs["features"], training))
        # Keras builds a mirrored model with the mean of its batches, which is no int.
        tokens, positions = (
            ops.cast(inputs[name], "int32") for name in ("tokens", "positions")
        )
        return self.decoder(features, tokens, positions, training=training)

    def take_weights(self, other: "Captioner") -> None:
        """Takes the encoder of another captioner, and of its decoder what fits.

        Decoders of one kind fit wholly; of another kind, the weights of the layers
        that both have and that have the same sizes.
        """
        self.encoder.set_weights(other.encoder.get_weights())
        known = {weight.path: weight for weight in other.decoder.weights}
        for weight in self.decoder.weights:
            source = known.get(weight.path)
            if source is not None and source.shape == weight.shape:
                weight.assign(source)

    def load_photo(self, image) -> np.ndarray:
        """See `BaseCaptioner.load_photo`; the photo has the encoder's size."""
        return load_image(image, self.image_size)

    def prepare(self, photos: Sequence[np.ndarray]) -> np.ndarray:
        """See `BaseCaptioner.prepare`."""
        return preprocess(np.stack(photos), self.config.encoder)

    def in_photo(self, pixels: np.ndarray, photo: np.ndarray) -> np.ndarray:
        """See `BaseCaptioner.in_photo`; the encoder may read blue first."""
        return swap_colours(pixels, self.config.encoder)

    def sentence(self, tokens: Sequence[int]) -> Sentence:
        """See `BaseCaptioner.sentence`; every token is a word."""
        words = tuple(self.vocabulary.words[token] for token in tokens)
        return Sentence(" ".join(words), words, np.asarray(tokens))

    def read_text(self, text: str) -> np.ndarray:
        """See `BaseCaptioner.read_text`; names all unknown words."""
        vocabulary = self.vocabulary
        unknown = vocabulary.unknown_words(text)
        if unknown:
            raise ValueError(
                f"The captioner does not know {', '.join(map(repr, unknown))}; its "
                f"vocabulary has {len(vocabulary) - len(SPECIAL_TOKENS)} words. Use "
                "others."
            )
        words, longest = split_words(text), self.config.max_caption_words
        if not words:
            raise ValueError("There is no word to explain: the caption is empty.")
        if len(words) > longest:
            raise ValueError(
                f"The caption has {len(words)} words; at most {longest} fit."
            )
        return vocabulary.encode(text, longest)[:-1]

    def first_token(self, word: str) -> int:
        """See `BaseCaptioner.first_token`."""
        word = word.lower()
        if word not in self.vocabulary:
            raise ValueError(f"The captioner does not know {word!r}; contrast another.")
        return self.vocabulary.id_of(word)

    def freeze_features(self, images: np.ndarray) -> np.ndarray:
        """Turns RGB images into what the frozen part of the encoder makes of them."""
        inputs = preprocess(images, self.config.encoder)
        return ops.convert_to_numpy(self._encode_frozen(ops.convert_to_tensor(inputs)))

    def finish_features(self, frozen: np.ndarray):
        """Turns outputs of the frozen part into features (B, h, w, D)."""
        return self._finish(ops.convert_to_tensor(frozen))

    def search(
        self,
        features,
        beam_size: int,
        length_penalty: float | None = None,
        watch: Callable[[Hypotheses], None] | None = None,
    ) -> Hypotheses:
        """Searches the best captions of images given by their features (B, h, w, D).

        See `beam_search`: a caption has at most `max_caption_words` words, and ends.
        """
        check_search(beam_size, length_penalty)
        if length_penalty is None:
            length_penalty = self.config.length_penalty
        return beam_search(
            *self._start(features, beam_size),
            int(features.shape[0]),
            beam_size,
            self.config.max_caption_words,
            START,
            END,
            length_penalty,
            watch,
        )

    def sample(
        self, frozen: np.ndarray, num_samples: int, generator: np.random.Generator
    ) -> list[list[np.ndarray]]:
        """Draws captions of images given by the outputs of the encoder's frozen part.

        See `sample_captions`.
        """
        num_samples = whole_number("num_samples", num_samples)
        return sample_captions(
            *self._start(self.finish_features(frozen), num_samples),
            len(frozen),
            num_samples,
            self.config.max_caption_words + 1,
            START,
            END,
            generator,
            self.config.temperature,
        )

    def save_run(
        self, folder: str | Path, half: bool = False, removed: Iterable[str] = ()
    ) -> None:
        """Writes everything needed to load the captioner elsewhere, or nothing of it.

        Args:
            folder: A run directory; made if missing.
            half: Whether weights are written in half precision.
            removed: Names of files of an earlier run, which leave the folder.

        Raises:
            WriteError: The disk is full, or the folder cannot be written.
        """
        weights = zip(RUN_FILES[2:], (self.encoder, self.decoder), strict=True)
        packed = {name: pack_weights(model, half) for name, model in weights}
        sums = {name: checksum(content) for name, content in packed.items()}
        with changed_together(Path(folder), [SHARED_ENCODER, *removed]) as new:
            (new / "config.json").write_text(self.config.to_json(), encoding="utf-8")
            self.vocabulary.save(new / "vocabulary.json")
            write_json(new / CHECKSUMS, sums)
            for name, content in packed.items():
                (new / name).write_bytes(content)

    @cached_property
    def _encode_frozen(self):
        return compiled(lambda x: self.frozen_part(x, training=False), self)

    @cached_property
    def _finish(self):
        return compiled(
            lambda x: self._run_trained(x, policy=self.variable_dtype), self
        )

    def _next(self, memory, tokens, state):
        embedded = self.decoder.embed(tokens)[:, :, None]  # (B, K, 1, E)
        output = self.decoder.decode(Operations(), memory, embedded, state)
        never = np.zeros(len(self.vocabulary), "float32")
        never[[PADDING, START]] = IMPOSSIBLE
        allowed = ops.log_softmax(output.logits) + ops.convert_to_tensor(never)
        return allowed, output.state

    def _run_trained(self, frozen, training=False, policy: str | None = None):
        """Runs the encoder's trained part in a precision; None is that of training."""
        policy = keras.dtype_policies.get(policy or self.dtype_policy)
        features = ops.cast(frozen, policy.compute_dtype)
        if self.trained_part is None:
            return features
        with computing_in(policy, self.trained_part):
            return self.trained_part(features, training=training)

    def make_caption(self, tokens, log_probabilities, score) -> Caption:
        """See `BaseCaptioner.make_caption`."""
        words = tuple(self.vocabulary.decode(tokens))
        ids = tuple(int(token) for token in tokens[: len(words)])
        kept = tuple(float(value) for value in log_probabilities[: len(words)])
        return Caption(" ".join(words), words, ids, kept, float(score))


def load_captioner(name: str | Path) -> BaseCaptioner:
    """Loads a captioner; nothing in its files is ever executed.

    Args:
        name: The name of a shipped captioner, a run directory, the folder of a
            published captioner, or hf://USER/MODEL of the Hugging Face Hub.

    Raises:
        CaptionerError: There is no such captioner, or a file of it is missing or
            does not fit the others.
    """
    folder = find_run(name)
    if is_published(folder):
        return load_published(folder)
    return _load(folder, Captioner, is_foreign=_is_foreign(name))


def load_run(name: str | Path, kind: type[Captioner] = Captioner) -> Captioner:
    """Loads a captioner that was trained here; see `load_captioner`.

    Args:
        name: The name of a shipped captioner, a run directory, or hf://USER/MODEL.
        kind: The class of what is returned.
    """
    folder = find_run(name)
    if is_published(folder):
        raise CaptionerError(
            f"{folder} is a published captioner, which can be explained but not "
            "trained; expected a run directory."
        )
    return _load(folder, kind, is_foreign=_is_foreign(name))


def _is_foreign(name: str | Path) -> bool:
    return str(name).startswith(HUB)


def _load(folder: Path, kind: type[Captioner], is_foreign: bool) -> Captioner:
    files = list_files(folder)
    config, vocabulary, encoder, decoder = files.values()
    try:
        settings, words = Config.from_json(config), Vocabulary.load(vocabulary)
        for path in (encoder, decoder):
            check_origin(path, is_foreign)
        captioner = kind(settings, words, build_encoder(settings))
    except CaptionerError:
        raise
    except ValueError as error:
        raise CaptionerError(f"{folder} cannot be loaded: {error}") from error
    load_weights(captioner.encoder, encoder)
    load_weights(captioner.decoder, decoder)
    return captioner
