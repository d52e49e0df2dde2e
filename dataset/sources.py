"""Where the files of each dataset are published; what is missing is told from here."""

from dataclasses import dataclass

KARPATHY = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"
ENTITIES = (
    "https://github.com/BryanPlummer/flickr30k_entities "
    "(annotations.zip, unpacked into entities/)"
)
_COCO_LABELS = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"


@dataclass(frozen=True)
class Source:
    """Where to get what of a dataset."""

    images: str
    captions: str
    lists: str
    boxes: str


SCENES = Source(*["python -m dataset.scenes --output DIR"] * 4)
FLICKR8K = Source(
    images="https://github.com/jbrownlee/Datasets/releases (Flickr8k_Dataset.zip)",
    captions="https://github.com/jbrownlee/Datasets/releases (Flickr8k_text.zip)",
    lists=f"the same Flickr8k_text.zip, or dataset_flickr8k.json from {KARPATHY}",
    boxes=ENTITIES,
)
FLICKR30K = Source(
    images="https://shannon.cs.illinois.edu/DenotationGraph (flickr30k-images.tar)",
    captions="https://shannon.cs.illinois.edu/DenotationGraph "
    "(results_20130124.token), or results.csv of "
    "https://www.kaggle.com/datasets/hsankesara/flickr-image-dataset",
    lists=f"dataset_flickr30k.json from {KARPATHY}",
    boxes=ENTITIES,
)
COCO2017 = Source(
    images="http://images.cocodataset.org/zips/train2017.zip and val2017.zip",
    captions=_COCO_LABELS,
    lists=KARPATHY,
    boxes=_COCO_LABELS,
)
