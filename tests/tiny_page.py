"""The live page with tiny captioners."""

import threading
from io import BytesIO

import numpy as np
from conftest import SECONDS, tiny_captioner
from PIL import Image

from web.captioners import Captioners

NAMES = ("tiny", "runs/other")
SEEDS = {"tiny": 3, "runs/other": 4}


class Gate:
    """Lets computations wait before they look at a photograph."""

    def __init__(self):
        self._open = threading.Event()
        self.open()

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.clear()

    def wait(self) -> None:
        assert self._open.wait(SECONDS)


def tiny_captioners(gate: Gate) -> Captioners:
    """Two tiny captioners."""

    def load(name: str):
        captioner = tiny_captioner(SEEDS[name])
        load_photo = captioner.load_photo

        def wait_and_load(content):
            gate.wait()
            return load_photo(content)

        captioner.load_photo = wait_and_load
        return captioner

    return Captioners(NAMES, load)


def png(seed: int = 0, size: tuple[int, int] = (30, 40)) -> bytes:
    """An image file of random colours, (height, width)."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
