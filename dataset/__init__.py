"""Captioned images: datasets, vocabulary, pictures and training batches."""

import stopping  # noqa: F401
from dataset.coco import COCO2017, read_coco
from dataset.flickr import FLICKR8K, FLICKR30K, read_flickr
from dataset.folder import FOLDER, read_folder
from dataset.problems import DatasetError
from dataset.records import Box, CaptionedImage, Dataset, ObjectBox
from dataset.scenes import SCENES

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        SCENES,
        FLICKR8K,
        FLICKR30K,
        COCO2017,
        FOLDER,
    )
}

__all__ = [
    "DATASETS",
    "Box",
    "CaptionedImage",
    "Dataset",
    "DatasetError",
    "ObjectBox",
    "read_coco",
    "read_flickr",
    "read_folder",
]
