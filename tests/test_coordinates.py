"""Boxes, masks and pixels of photographs that were turned: one system, or none."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ExifTags, Image

from dataset.coco import read_coco
from dataset.coordinates import Annotated, find_turn, turn_box
from dataset.flickr import read_flickr
from dataset.images import UPRIGHT, Frame, load_image
from dataset.masks import compress, masks_of
from dataset.records import Box
from evaluation.localization import score_words

SIZE = (90, 60)  # width, height
CORNER, SIDES = (60, 5), (25, 20)  # of the object: row R4 of the cases
SWAPPING = (5, 6, 7, 8)  # orientations that swap the sides


def object_pixels():
    """Which of the stored pixels are the object's, bool (60, 90)."""
    mask = np.zeros(SIZE[::-1], bool)
    (x, y), (width, height) = CORNER, SIDES
    mask[y : y + height, x : x + width] = True
    return mask


def save_photo(path, orientation=None, pixels=None):
    """A grey photograph with a white object, and perhaps an orientation tag."""
    pixels = object_pixels() if pixels is None else pixels
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.where(pixels, 255, 60).astype("uint8"))
    image.save(path, **({"quality": 95} if path.suffix == ".jpg" else {}), exif=exif)


def write_coco(folder, size, segmentation=None, **photos):
    """A val2017 of photographs, all annotated with one size and one box."""
    images = [
        {"id": n, "file_name": name, "width": size[0], "height": size[1]}
        for n, name in enumerate(photos, start=1)
    ]
    corner = CORNER if size[0] > CORNER[0] else (5, 5)
    box = {"bbox": [*corner, *SIDES], "category_id": 1, "segmentation": segmentation}
    content = {
        "captions": [{"image_id": i["id"], "caption": "a dog"} for i in images],
        "instances": [{"image_id": i["id"], "id": i["id"]} | box for i in images],
    }
    (folder / "annotations").mkdir(exist_ok=True)
    for name, entries in content.items():
        path = folder / f"annotations/{name}_val2017.json"
        categories = [{"id": 1, "name": "dog"}]
        whole = {"images": images, "annotations": entries, "categories": categories}
        path.write_text(json.dumps(whole))
    return folder


def scores_of(image):
    """The scores of relevance that is exactly on the object as it is shown."""
    pixels = load_image(image.path, (90, 60))
    relevance = np.where(pixels > 160, 1.0, 0.0)[None]
    explanation = SimpleNamespace(method="lrp", pixels=relevance)
    masks = masks_of(image.objects)
    (word,) = score_words(("a", "dog"), image.objects, [explanation], masks)
    return word["scores"]["lrp"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_photograph_with_a_tag_scores_as_the_same_without(tmp_path, suffix):
    """Row R4 of the cases, for all four turns, by boxes, polygons and run lengths."""
    names = {f"{tag}{suffix}": tag for tag in (1, *SWAPPING)}
    for name, tag in names.items():
        save_photo(tmp_path / "val2017" / name, tag)
    (x, y), (w, h) = CORNER, SIDES
    polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    counts = compress(object_pixels()).counts.decode()
    for segmentation in (polygon, {"size": [60, 90], "counts": counts}):
        write_coco(tmp_path, SIZE, segmentation, **names)
        images = read_coco(tmp_path, "test", with_objects=True)
        for image, tag in zip(images, names.values(), strict=True):
            if tag == 1:
                continue
            scores = scores_of(image)
            for kind in ("", "mask_"):
                assert scores[f"{kind}mass_accuracy"] == 1, tag
                assert scores[f"{kind}rank_accuracy"] == 1, tag


def test_boxes_of_the_upright_photograph_stay(tmp_path):
    save_photo(tmp_path / "val2017/a.jpg", 6)
    write_coco(tmp_path, (160, 180), **{"a.jpg": 0})  # portrait, and resized
    (image,) = read_coco(tmp_path, "test", with_objects=True)
    assert image.objects[0].box == pytest.approx(
        (60 / 160, 5 / 180, 85 / 160, 25 / 180)
    )


@pytest.mark.parametrize(
    ("tag", "size", "reason"),
    [
        (None, (60, 90), "it was turned, and nothing says which way"),
        (1, (60, 90), "90x60 pixels, the boxes are of 60x90: it was turned"),
        (2, (90, 60), "its orientation tag asks for flip_left_right"),
        (3, (90, 60), "rotate_180; .*nothing says whether they were drawn before"),
        (4, (60, 90), "flip_top_bottom"),
        (6, (90, 90), "rotate_270"),
    ],
)
def test_a_photograph_without_certain_boxes_is_named(
    tmp_path, caplog, tag, size, reason
):
    names = {"good.jpg": 0, "odd.jpg": 0}
    write_coco(tmp_path, size, **names)
    save_photo(tmp_path / "val2017/good.jpg", pixels=np.zeros(size[::-1], bool))
    save_photo(tmp_path / "val2017/odd.jpg", tag)
    good, odd = read_coco(tmp_path, "test", with_objects=True)
    assert good.objects[0].box is not None
    assert odd.objects[0].box is None and odd.objects[0].phrases == ("dog",)
    (record,) = caplog.records
    assert "1 entries cannot be used and are left out: the boxes of odd.jpg" in (
        record.message
    )
    assert record.message.count("good.jpg") == 0
    assert re.search(reason, record.message)


def test_another_size_alone_means_resized(tmp_path, caplog):
    square = np.zeros((64, 64), bool)
    save_photo(tmp_path / "val2017/a.png", pixels=square)
    write_coco(tmp_path, SIZE, **{"a.png": 0})
    (image,) = read_coco(tmp_path, "test", with_objects=True)
    assert image.objects[0].box == pytest.approx((60 / 90, 5 / 60, 85 / 90, 25 / 60))
    assert not caplog.records


def test_the_papers_file_is_checked_too(tmp_path):
    save_photo(tmp_path / "val2017/a.jpg", 8)
    write_coco(tmp_path, SIZE, **{"a.jpg": 0})
    (tmp_path / "annotations/instances_val2017.json").unlink()
    (x, y), (w, h) = CORNER, SIDES
    entry = {"shape": SIZE, "bbox": {"1": [[x, y, x + w, y + h]]}}
    entry["categories"] = {"dog": "1"}
    path = tmp_path / "COCOvalEntities.json"
    path.write_text(json.dumps({"1": entry}))
    (image,) = read_coco(tmp_path, "test", with_objects=True)
    assert scores_of(image)["mass_accuracy"] == 1


def test_entities_are_checked_too(tmp_path):
    save_photo(tmp_path / "images/1.jpg", 6)
    (x, y), (w, h) = CORNER, SIDES
    edges = zip(Box._fields, (x, y, x + w, y + h), strict=True)
    box = "".join(f"<{name}>{edge}</{name}>" for name, edge in edges)
    files = {
        "text/a.token.txt": "1.jpg#0\ta dog",
        "text/a.testImages.txt": "1.jpg",
        "entities/Sentences/1.txt": "[/EN#7/animals a dog]",
        "entities/Annotations/1.xml": "<a><size><width>90</width><height>60</height>"
        f"</size><object><name>7</name><bndbox>{box}</bndbox></object></a>",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (image,) = read_flickr(tmp_path, "test", with_objects=True)
    assert scores_of(image)["mass_accuracy"] == 1


@pytest.mark.parametrize("tag", SWAPPING)
def test_boxes_turn_as_pixels_do(tag):
    turn = UPRIGHT[tag]
    mask = np.asarray(Image.fromarray(object_pixels()).transpose(turn))
    rows, columns = np.nonzero(mask)
    (x, y), (w, h) = CORNER, SIDES
    box = turn_box(Box(x / 90, y / 60, (x + w) / 90, (y + h) / 60), turn)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.multiply(box, (60, 90, 60, 90)) == pytest.approx(found)


def test_a_photograph_that_cannot_be_read_is_named_when_it_is_opened(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    assert find_turn(Annotated(9, 4, ()), None) is None
    assert find_turn(Annotated(9, 4, ()), Frame(18, 8, None)) is None
