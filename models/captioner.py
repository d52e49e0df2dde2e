"""The captioner: an encoder, a decoder and a vocabulary in one keras.Model."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
from keras import ops

from config import Config, choose, whole_number
from dataset.images import load_image
from dataset.vocabulary import END, PADDING, START, Vocabulary
from files.writing import changed_together, write_json
from keras_lrp.backend import compiled
from keras_lrp.operations import Operations
from models.decoders import DECODERS
from models.encoders import (
    build_encoder,
    computing_in,
    flatten_grid,
    preprocess,
    split_encoder,
)
from models.generation.beam_search import (
    IMPOSSIBLE,
    Hypotheses,
    beam_search,
    check_search,
)
from models.generation.sampling import sample_captions
from models.run_files import (
    CHECKSUMS,
    HUB,
    RUN_FILES,
    SHARED_ENCODER,
    CaptionerError,
    check_origin,
    find_run,
    list_files,
)
from models.weights import checksum, load_weights, pack_weights


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
    """

    pixels: np.ndarray = field(repr=False)
    encoder_input: np.ndarray = field(repr=False)
    features: object = field(repr=False)


class Captioner(keras.Model):
    """Describes photographs in words.

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

    def encode(self, images: np.ndarray):
        """Turns RGB images uint8 (B, H, W, 3) into features (B, h, w, D)."""
        return self.encode_inputs(preprocess(images, self.config.encoder))

    def encode_each(
        self, images: Sequence[np.ndarray]
    ) -> tuple[object, list[EncodedImage]]:
        """Encodes RGB images uint8 (H, W, 3) together.

        Returns:
            The features of all (B, h, w, D), and each image with its own.
        """
        inputs = preprocess(np.stack(images), self.config.encoder)
        features = self.encode_inputs(inputs)
        return features, [
            EncodedImage(image, inputs[row : row + 1], features[row : row + 1])
            for row, image in enumerate(images)
        ]

    def encode_inputs(self, inputs: np.ndarray):
        """Turns preprocessed images (B, H, W, 3) into features (B, h, w, D)."""
        return self._encode(ops.convert_to_tensor(inputs))

    def freeze_features(self, images: np.ndarray) -> np.ndarray:
        """Turns RGB images into what the frozen part of the encoder makes of them."""
        inputs = preprocess(images, self.config.encoder)
        return ops.convert_to_numpy(self._encode_frozen(ops.convert_to_tensor(inputs)))

    def finish_features(self, frozen: np.ndarray):
        """Turns outputs of the frozen part into features (B, h, w, D)."""
        return self._finish(ops.convert_to_tensor(frozen))

    def caption(
        self,
        paths: Sequence[str | Path],
        beam_size: int | None = None,
        batch_size: int = 8,
    ) -> list[Caption]:
        """Describes image files, in order.

        Args:
            paths: The files, or one file.
            beam_size: Of the search; that of config if None.
            batch_size: Files encoded together.

        Raises:
            ImageError: A file cannot be read as an image.
            ValueError: There is no file, or a number has no meaning.
        """
        paths = [paths] if isinstance(paths, (str, Path)) else list(paths or ())
        if not paths:
            raise ValueError(
                "There is nothing to caption: paths must be image files; received "
                'none. Call caption(["photo.jpg"]).'
            )
        batch_size = whole_number("batch_size", batch_size)
        check_search(beam_size)
        captions = []
        for start in range(0, len(paths), batch_size):
            some = paths[start : start + batch_size]
            images = [load_image(path, self.image_size) for path in some]
            captions += self.caption_features(self.encode(np.stack(images)), beam_size)
        return captions

    def caption_features(self, features, beam_size: int | None = None) -> list[Caption]:
        """Describes images given by their features (B, h, w, D)."""
        return [captions[0] for captions in self.rank_captions(features, beam_size)]

    def rank_captions(
        self,
        features,
        beam_size: int | None = None,
        length_penalty: float | None = None,
    ) -> list[list[Caption]]:
        """Describes images by all captions of their beams, best first."""
        if beam_size is None:
            beam_size = self.config.beam_size
        found = self.search(features, beam_size, length_penalty)
        return [
            [self._to_caption(*one) for one in zip(*beam, strict=True)]
            for beam in zip(*found, strict=True)
        ]

    def search(
        self, features, beam_size: int, length_penalty: float | None = None
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

    @cached_property
    def _encode(self):
        return compiled(lambda x: self.encoder(x, training=False), self)

    @cached_property
    def _encode_frozen(self):
        return compiled(lambda x: self.frozen_part(x, training=False), self)

    @cached_property
    def _finish(self):
        return compiled(
            lambda x: self._run_trained(x, policy=self.variable_dtype), self
        )

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

    def _to_caption(self, tokens, log_probabilities, score) -> Caption:
        words = tuple(self.vocabulary.decode(tokens))
        ids = tuple(int(token) for token in tokens[: len(words)])
        kept = tuple(float(value) for value in log_probabilities[: len(words)])
        return Caption(" ".join(words), words, ids, kept, float(score))


def load_captioner(name: str | Path, kind: type[Captioner] = Captioner) -> Captioner:
    """Loads a captioner; nothing in its files is ever executed.

    Args:
        name: The name of a shipped captioner, a run directory, or hf://USER/MODEL of
            the Hugging Face Hub.
        kind: The class of what is returned.

    Raises:
        CaptionerError: There is no such captioner, or a file of it is missing or
            does not fit the others.
    """
    files = list_files(find_run(name))
    config, vocabulary, encoder, decoder = files.values()
    try:
        settings, words = Config.from_json(config), Vocabulary.load(vocabulary)
        for path in (encoder, decoder):
            check_origin(path, is_foreign=str(name).startswith(HUB))
        captioner = kind(settings, words, build_encoder(settings))
    except CaptionerError:
        raise
    except ValueError as error:
        folder = decoder.parent
        raise CaptionerError(f"{folder} cannot be loaded: {error}") from error
    load_weights(captioner.encoder, encoder)
    load_weights(captioner.decoder, decoder)
    return captioner
