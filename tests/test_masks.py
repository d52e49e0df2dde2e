"""Polygons and run lengths: against pycocotools, and refused by name."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from dataset.coco import read_coco
from dataset.masks import _lengths_of, compress, decompress, masks_of, read_outline
from dataset.records import ObjectBox

TRIANGLE = [1.0, 1.0, 6.0, 1.0, 6.0, 4.0]


@pytest.fixture
def mask():
    return np.random.default_rng(0).random((5, 7)) < 0.4


def runs_of(mask):
    """The run lengths of a mask by columns, slowly; zeros first."""
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return [int(count) for count in counts]


def test_run_lengths_compressed_or_not_are_the_mask(mask):
    encoded = coco_mask.encode(np.asfortranarray(mask, "uint8"))
    for counts in (runs_of(mask), encoded["counts"].decode()):
        found = read_outline({"size": [5, 7], "counts": counts}, 7, 5)
        np.testing.assert_array_equal(decompress(found), mask)
    np.testing.assert_array_equal(decompress(compress(mask)), mask)
    large = np.zeros((300, 400), bool)
    large[7:290, 3:9] = True
    text = compress(large).counts.decode()
    assert _lengths_of(text) == runs_of(large)


def test_polygons_cover_what_pycocotools_says():
    other = [0.0, 3.0, 2.0, 3.0, 2.0, 9.0]  # below the image: cut
    found = decompress(read_outline([TRIANGLE, other], 7, 5))
    expected = coco_mask.decode(coco_mask.frPyObjects([TRIANGLE, other], 5, 7))
    np.testing.assert_array_equal(found, expected.any(axis=2))


BAD = {
    "odd": ([TRIANGLE[:5]], r"the polygon \[1.0, .* is not \[x, y, x, y, x, y"),
    "line": ([[1, 1, 3, 3]], r"the polygon \[1, 1, 3, 3\] is not"),
    "text": (["12345678"], "the polygon 12345678 is not"),
    "number": (7, "the segmentation 7 is no outline"),
    "nothing": ([], "is no outline"),
    "none": ([[1, 1, 6, None, 6, 4]], "'None' of a polygon is no place"),
    "nan": ([[1, 1, 6, float("nan"), 6, 4]], "'nan' of a polygon is no place"),
    "far": ([[1, 1, 1e300, 1, 6, 4]], "'1e\\+300' of a polygon is no place"),
    "true": ([[1, True, 6, 1, 6, 4]], "'True' of a polygon"),
    "outside": ([[-3, 1, -2, 1, -2, 4]], "covers no pixel"),
    "size": ({"size": [7, 5], "counts": [35]}, r"height and width are \[5, 7\]"),
    "short": ({"size": [5, 7], "counts": [3, 5]}, "have 8 pixels, the image has 35"),
    "long": ({"size": [5, 7], "counts": [3, 50]}, "have 53 pixels"),
    "negative": ({"size": [5, 7], "counts": [40, -5]}, "are no whole numbers"),
    "empty": ({"size": [5, 7], "counts": [35]}, "covers no pixel"),
    "cut": ({"size": [5, 7], "counts": "3P"}, "are no whole numbers"),
    "letters": ({"size": [5, 7], "counts": "\u00e4"}, "are no whole numbers"),
    "endless": ({"size": [5, 7], "counts": "P" * 99}, "are no whole numbers"),
    "absent": ({"size": [5, 7]}, "'None' are no whole numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_segmentation_that_cannot_be_used(case):
    segmentation, reason = BAD[case]
    with pytest.raises(ValueError, match=reason):
        read_outline(segmentation, 7, 5)


def test_images_too_large_for_masks():
    with pytest.raises(ValueError, match="a mask of 1000000x1000000 pixels; expected"):
        read_outline([TRIANGLE], 1000000, 1000000)
    with pytest.raises(ValueError, match="whole numbers"):
        read_outline([TRIANGLE], 7.5, 5)


def test_a_bad_segmentation_is_named_and_its_box_is_kept(tmp_path, caplog):
    """The one rule of row R5, for segmentations."""
    image = {"id": 1, "file_name": "1.jpg", "width": 7, "height": 5}
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 3]}
    outlines = ([TRIANGLE], [TRIANGLE[:5]], None, [], {"size": [5, 7], "counts": "!"})
    boxes = [box | {"id": 70 + n, "segmentation": s} for n, s in enumerate(outlines)]
    boxes.append({"id": 9, "iscrowd": 1} | box)
    crowd = {"size": [5, 7], "counts": [7, 20, 8]}
    boxes[-1]["segmentation"] = crowd
    files = {"captions": [{"image_id": 1, "caption": "a dog"}], "instances": boxes}
    for name, entries in files.items():
        path = tmp_path / f"annotations/{name}_val2017.json"
        path.parent.mkdir(exist_ok=True)
        categories = [{"id": 1, "name": "dog"}]
        content = {"images": [image], "annotations": entries, "categories": categories}
        path.write_text(json.dumps(content))
    (tmp_path / "val2017").mkdir()
    (tmp_path / "val2017/1.jpg").write_bytes(b"jpg")
    (found,) = read_coco(tmp_path, "test", with_objects=True)
    known = [outline is not None for outline in masks_of(found.objects)]
    assert known == [True, False, False, False, False, True]
    assert masks_of(found.objects)[-1].sum() == 20
    (record,) = caplog.records
    assert ": 2 entries cannot be used" in record.message
    assert "annotation 71 of image 1: the polygon [1.0, 1.0, 6.0" in record.message
    assert "annotation 74 of image 1: the run lengths '!'" in record.message


def test_an_object_without_outline_has_no_mask():
    assert masks_of([ObjectBox(("dog",), (0, 0, 1, 1))]) == [None]


def test_masks_of_published_coco_lie_in_their_boxes(shared):
    """Of 94 objects: polygons, and the run lengths of crowds."""
    images = read_coco(shared / "data/coco2017_masks", "test", with_objects=True)
    objects = [object_ for image in images for object_ in image.objects]
    assert len(objects) == 94 and all(object_.outline for object_ in objects)
    for object_, mask in zip(objects, masks_of(objects), strict=True):
        rows, columns = np.nonzero(mask)
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        sizes = (*mask.shape[::-1], *mask.shape[::-1])
        # an outline is rounded to whole pixels
        assert np.abs(np.divide(edges, sizes) - object_.box).max() < 0.004
