"""Captioned images: readers, vocabulary, pictures and training batches."""

import functools
from collections.abc import Callable

from dataset.coco import read_coco
from dataset.flickr import read_flickr
from dataset.problems import DatasetError
from dataset.records import CaptionedImage, ObjectBox
from dataset.scenes import read_scenes
from dataset.sources import FLICKR8K, FLICKR30K

# Each is called with the folder and the split, and with_objects=True for boxes.
READERS: dict[str, Callable[..., list[CaptionedImage]]] = {
    "scenes": read_scenes,
    "flickr8k": functools.partial(read_flickr, source=FLICKR8K),
    "flickr30k": functools.partial(read_flickr, source=FLICKR30K),
    "coco2017": read_coco,
}

__all__ = [
    "READERS",
    "CaptionedImage",
    "DatasetError",
    "ObjectBox",
    "read_coco",
    "read_flickr",
]
