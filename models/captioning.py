"""Captions of many image files, batch by batch."""

import hashlib
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

import numpy as np

from dataset.images import ImageError, load_image
from models.captioner import Caption, Captioner


def caption_files(
    captioner: Captioner,
    paths: Mapping[Hashable, Path],
    batch_size: int,
    beam_size: int | None = None,
    length_penalty: float | None = None,
) -> Iterator[tuple[dict[Hashable, list[Caption]], list[str]]]:
    """Describes image files; those that cannot be read do not stop the others.

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
    keys = list(paths)
    for start in range(0, len(keys), batch_size):
        pixels, problems = {}, []
        for key in keys[start : start + batch_size]:
            try:
                pixels[key] = load_image(paths[key])
            except ImageError as error:
                problems.append(str(error))
        beams: list[list[Caption]] = []
        if pixels:
            features = captioner.encode(np.stack(list(pixels.values())))
            beams = captioner.rank_captions(features, beam_size, length_penalty)
        yield dict(zip(pixels, beams, strict=True)), problems


def fingerprint(captioner: Captioner) -> str:
    """Identifies a captioner by its weights."""
    digest = hashlib.sha256()
    for weight in captioner.encoder.get_weights() + captioner.decoder.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()[:16]
