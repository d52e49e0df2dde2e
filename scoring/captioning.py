"""Captions of many image files, batch by batch."""

import contextlib
import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from config import whole_number
from dataset.images import ImageError
from dataset.read_ahead import read_ahead
from models.base_captioner import BaseCaptioner, Caption


def caption_files(
    captioner: BaseCaptioner,
    paths: Mapping[Hashable, Path],
    batch_size: int,
    beam_size: int | None = None,
    length_penalty: float | None = None,
) -> Iterator[tuple[dict[Hashable, list[Caption]], list[str]]]:
    """Describes image files; those that cannot be read do not stop the others.

    Threads read images while others are described.

    Args:
        captioner: Describes them.
        paths: The files, by any keys.
        batch_size: Files described together.
        beam_size: Of the search; the captioner's own if None.
        length_penalty: See `beam_search`; the captioner's own if None.

    Yields:
        Of each batch the captions of every file's beam, best first, and what is wrong
        with the files that cannot be read.
    """
    whole_number("batch_size", batch_size)
    keys = list(paths)
    with contextlib.closing(read_ahead(captioner.load_photo, paths.values())) as images:
        for start in range(0, len(keys), batch_size):
            batch = keys[start : start + batch_size]
            pixels, problems = _collect(zip(batch, images, strict=False))
            beams: list[list[Caption]] = []
            if pixels:
                features = captioner.encode(list(pixels.values()))
                beams = captioner.rank_captions(features, beam_size, length_penalty)
            yield dict(zip(pixels, beams, strict=True)), problems


def _collect(
    images: Iterable[tuple[Hashable, Future]],
) -> tuple[dict[Hashable, np.ndarray], list[str]]:
    """Returns the pixels of a batch, and what is wrong with its other files."""
    pixels, problems = {}, []
    for key, image in images:
        try:
            pixels[key] = image.result()
        except ImageError as error:
            problems.append(str(error))
    return pixels, problems


def search_settings(
    captioner: BaseCaptioner,
    beam_size: int | None,
    n_best: int,
    length_penalty: float | None,
) -> dict:
    """Returns what captions depend on beside the images, as JSON keeps it.

    Args:
        captioner: Describes them.
        beam_size: Of the search; if None the captioner's own, or `n_best` if larger.
        n_best: Captions to keep of an image.
        length_penalty: See `beam_search`; the captioner's own if None.

    Raises:
        ValueError: The beam is too narrow for so many captions.
    """
    config = captioner.config
    beam_size = beam_size or max(config.beam_size, n_best)
    if n_best > beam_size:
        raise ValueError(
            f"n_best={n_best} needs a beam as wide; received beam_size={beam_size}."
        )
    return {
        "weights": fingerprint(captioner),
        "beam_size": beam_size,
        "length_penalty": (
            config.length_penalty if length_penalty is None else length_penalty
        ),
        "n_best": n_best,
    }


def fingerprint(captioner: BaseCaptioner) -> str:
    """Identifies a captioner by its weights."""
    digest = hashlib.sha256()
    for weight in captioner.encoder.get_weights() + captioner.decoder.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()[:16]
