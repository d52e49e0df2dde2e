"""Captioned images: readers, vocabulary, pictures and training batches."""

from collections.abc import Callable

from dataset.flickr import DatasetError, read_flickr
from dataset.records import CaptionedImage, ObjectBox
from dataset.scenes import read_scenes

READERS: dict[str, Callable[..., list[CaptionedImage]]] = {
    "scenes": read_scenes,
    "flickr8k": read_flickr,
    "flickr30k": read_flickr,
}

__all__ = ["READERS", "CaptionedImage", "DatasetError", "ObjectBox", "read_flickr"]
