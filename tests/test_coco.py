"""The reader of MSCOCO, on written files and on the published ones cut small."""

import json
import re

import pytest

from dataset import DatasetError, coco
from dataset.coco import read_coco

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_split(folder, name, ids, captions_each=2):
    """Images of 200x50 pixels with captions and, of each, a person and a dog."""
    images = [
        {"id": id_, "file_name": f"{id_:012d}.jpg", "width": 200, "height": 50}
        for id_ in ids
    ]
    captions = [
        {"image_id": id_, "id": k, "caption": f"Number {id_}, caption {k}.\n"}
        for k in range(captions_each)
        for id_ in ids
    ]
    box = {"bbox": [20, 5, 40, 45], "category_id": 1}
    crowd = {"bbox": [100, 10, 101, 10], "category_id": 18, "iscrowd": 1}
    empty = {"bbox": [3, 3, 0, 9], "category_id": 18}
    boxes = [{"image_id": id_} | entry for id_ in ids for entry in (box, crowd, empty)]
    labels = folder / "annotations"
    write_json(
        labels / f"captions_{name}.json", {"images": images, "annotations": captions}
    )
    write_json(
        labels / f"instances_{name}.json",
        {"images": images, "annotations": boxes, "categories": CATEGORIES},
    )
    (folder / "images" / name).mkdir(parents=True)
    for image in images:
        (folder / "images" / name / image["file_name"]).write_bytes(b"jpg")


@pytest.fixture
def data_dir(tmp_path):
    """Six images of train2017, not in order, and three of val2017."""
    write_split(tmp_path, "train2017", [30, 7, 110, 9, 52, 8])
    write_split(tmp_path, "val2017", [4, 20, 3])
    return tmp_path


def ids_of(data_dir, split):
    return [image.image_id for image in read_coco(data_dir, split)]


def test_the_splits_are_those_of_the_paper(data_dir, monkeypatch, caplog):
    monkeypatch.setattr(coco, "NUM_TRAIN", 3)
    monkeypatch.setattr(coco, "NUM_DEV", 2)
    assert ids_of(data_dir, "train") == ["7", "8", "9"]
    assert ids_of(data_dir, "dev") == ["30", "52"]  # and 110 is in none
    assert ids_of(data_dir, "test") == ["3", "4", "20"]
    assert caplog.text == ""
    (first, *_) = read_coco(data_dir, "test")
    assert first.captions == ("Number 3, caption 0.", "Number 3, caption 1.")
    assert first.path == data_dir / "images/val2017/000000000003.jpg"
    assert first.objects == ()


def test_a_smaller_train2017_is_shared_out(data_dir, caplog):
    assert ids_of(data_dir, "train") == ["7", "8", "9", "30", "52"]
    assert "has 6 images here, not 118287: the first 5 are train, the last" in (
        caplog.text
    )
    assert ids_of(data_dir, "dev") == ["110"]


def test_split_that_is_unknown(data_dir):
    with pytest.raises(ValueError, match="train, dev, test; received 'val2017'"):
        read_coco(data_dir, "val2017")


def test_folders_as_they_unpack(data_dir):
    expected = ids_of(data_dir, "test")
    (data_dir / "images/val2017").rename(data_dir / "val2017")
    assert ids_of(data_dir, "test") == expected


def test_boxes(data_dir):
    for split in ("dev", "test"):
        for image in read_coco(data_dir, split, with_objects=True):
            person, crowd = image.objects  # the box without area is left out
            assert person.phrases == ("person",) and crowd.phrases == ("dog",)
            assert person.box == pytest.approx((0.1, 0.1, 0.3, 1.0))
            assert crowd.box == pytest.approx((0.5, 0.2, 1.0, 0.4))


def test_boxes_of_the_papers_file(data_dir):
    expected = read_coco(data_dir, "test", with_objects=True)
    (data_dir / "annotations/instances_val2017.json").unlink()
    entry = {
        "shape": [200, 50],
        "bbox": {"1": [[20, 5, 60, 50]], "18": [[100, 10, 201, 20]]},
        "categories": {"person": "1", "dog": "18"},
        "resize_ratio": [1.12, 4.48],
    }
    names = [f"{number:012d}.jpg" for number in (3, 20, 77)]
    path = data_dir / "COCOvalEntities.json"
    write_json(path, dict.fromkeys(names, entry))
    found = read_coco(data_dir, "test", with_objects=True)
    assert found[0] == expected[0] and found[2] == expected[2]
    assert found[1].objects == ()  # the file leaves out images without objects
    write_json(path, {names[0]: {"shape": [200, 50]}})
    with pytest.raises(
        DatasetError, match=r"COCOvalEntities\.json is damaged \(KeyErr"
    ):
        read_coco(data_dir, "test", with_objects=True)


# What is wrong


def test_everything_that_is_missing_is_told_with_where_to_get_it(tmp_path):
    with pytest.raises(DatasetError) as caught:
        read_coco(tmp_path, "train", with_objects=True)
    lines = str(caught.value).splitlines()
    expected = ("captions_train2017.json", "images/train2017", "instances_train2017")
    for line, what in zip(lines, expected, strict=True):
        assert what in line and "Get it: http://images.cocodataset.org/" in line


def test_missing_and_empty_images_are_all_listed(data_dir):
    folder = data_dir / "images/val2017"
    (folder / "000000000004.jpg").unlink()
    (folder / "000000000020.jpg").write_bytes(b"")
    with pytest.raises(DatasetError) as caught:
        read_coco(data_dir, "test")
    first, *listed = str(caught.value).splitlines()
    assert re.search(r"val2017\.json names 3 images of this split, 2 of which", first)
    assert "http://images.cocodataset.org/zips/train2017.zip" in first
    assert listed == [
        f"  000000000004.jpg: no such file in {folder}",
        f"  000000000020.jpg: empty file in {folder}",
    ]


def test_broken_captions_are_all_listed(data_dir):
    path = data_dir / "annotations/captions_val2017.json"
    content = json.loads(path.read_text())
    content["images"] += [{"id": "x", "file_name": "x.jpg"}, {"id": 5}]
    content["images"].append({"id": 6, "file_name": "silent.jpg"})
    content["annotations"] += [
        {"image_id": 3},
        {"image_id": 3, "caption": None},
        {"image_id": 3, "caption": " \n"},
        {"image_id": 99, "caption": "a dog"},
    ]
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError) as caught:
        read_coco(data_dir, "test")
    first, *listed = str(caught.value).splitlines()
    assert first.startswith(f"{path} has 7 unusable entries (get it again: http")
    starts = [" ".join(line.split()[:4]) for line in listed]
    assert starts == [
        "image 3: {'id': 'x',",
        "image 4: {'id': 5}",
        "annotation 6: {'image_id': 3}",
        "annotation 7: {'image_id': 3,",
        "annotation 8: empty: {'image_id':",
        "annotation 9: of no",
        "silent.jpg: no caption",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [', r"is damaged \(it is no JSON.*Get it again: http"),
        ("{}", r"has 1 unusable entries \(get it again: .*\n  no images"),
        ("[]", "holds a list; expected an object"),
    ],
)
def test_damaged_captions(data_dir, text, message):
    (data_dir / "annotations/captions_train2017.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_coco(data_dir, "train")


def test_damaged_boxes(data_dir):
    path = data_dir / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    content["images"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"\(get it: http.*\):\n  3: not there"):
        read_coco(data_dir, "test", with_objects=True)


GOOD = {"bbox": [20, 5, 40, 45], "category_id": 1}
BAD_BOXES = {
    "outside": ({"bbox": [300, 5, 40, 45]}, "has no area in an image of 200x50"),
    "above": ({"bbox": [0, -50, 40, 45]}, "has no area in an image of 200x50"),
    "empty": ({"bbox": []}, r"the box \[\] is not \[x, y, width, height\]"),
    "three": ({"bbox": [1, 2, 3]}, r"the box \[1, 2, 3\] is not"),
    "none": ({"bbox": None}, "the box None is not"),
    "flat": ({"bbox": [20, 5, 0, 45]}, "has no area"),
    "turned": ({"bbox": [20, 5, 40, -4]}, "has no area"),
    "nan": ({"bbox": [20, float("nan"), 40, 45]}, "no finite number"),
    "infinite": ({"bbox": [20, 5, float("inf"), 45]}, "no finite number"),
    "true": ({"bbox": [True, 5, "4", 45]}, "unsupported operand|can only|no finite"),
    "category": ({"category_id": 2}, "unknown category 2"),
    "list": ({"category_id": [1]}, "unhashable"),
    "image": ({"image_id": 1.9}, "must be a whole number or a text; received 1.9"),
    "truth": ({"image_id": True}, "received True"),
    "large": ({"image_id": float("inf")}, "received inf"),
}


@pytest.mark.parametrize("case", BAD_BOXES)
def test_a_box_that_cannot_be_used_is_named_and_left_out(data_dir, caplog, case):
    """Row R5 of the cases."""
    change, reason = BAD_BOXES[case]
    path = data_dir / "annotations/instances_val2017.json"
    expected = read_coco(data_dir, "test", with_objects=True)
    caplog.clear()
    content = json.loads(path.read_text())
    bad = {"id": 777, "image_id": 20} | GOOD | change
    content["annotations"] = [
        bad,
        *(a for a in content["annotations"] if a["bbox"] != [3, 3, 0, 9]),
        {"id": 5, "image_id": 99, "bbox": []},  # of an image that is not wanted
    ]
    path.write_text(json.dumps(content))
    assert read_coco(data_dir, "test", with_objects=True) == expected
    (record,) = caplog.records
    assert re.search(f"json: 1 entries .*: annotation 777 of.*{reason}", record.message)


def test_many_unusable_boxes_are_counted(data_dir, caplog):
    path = data_dir / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    content["annotations"] += [{"id": n, "image_id": 3} for n in range(50, 60)]
    content["categories"].append({"id": 18, "name": "cat"})
    content["images"].append({"id": "000000000003.jpg", "width": 9, "height": 50})
    path.write_text(json.dumps(content))
    read_coco(data_dir, "test", with_objects=True)
    (record,) = caplog.records
    assert ": 15 entries cannot be used and are left out: category 18 twice: dog, " in (
        record.message
    )
    assert "image 3 twice" in record.message and record.message.endswith("; ...")


def test_no_box_can_be_used(data_dir):
    path = data_dir / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    content["categories"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"categories: expected a list, received N"):
        read_coco(data_dir, "test", with_objects=True)


def test_an_image_without_size_has_no_boxes(data_dir, caplog):
    path = data_dir / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    content["images"][0]["width"] = 0
    path.write_text(json.dumps(content))
    assert [len(i.objects) for i in read_coco(data_dir, "test", True)] == [2, 0, 2]
    assert "an image of 0x50 pixels has no area" in caplog.text


def test_a_bad_box_of_the_papers_file(data_dir, caplog):
    (data_dir / "annotations/instances_val2017.json").unlink()
    entry = {
        "shape": [200, 50],
        "bbox": {"1": [[20, 5, 60, 50], [300, 5, 360, 50], [], None]},
        "categories": {"Person": "1", "dog": "18"},
    }
    write_json(data_dir / "COCOvalEntities.json", {"000000000003.jpg": entry})
    first, *_ = read_coco(data_dir, "test", with_objects=True)
    assert [o.phrases for o in first.objects] == [("person",)]
    assert ": 4 entries cannot be used" in caplog.text
    assert "000000000003.jpg, Person: the box [300, 5, 360, 50] has no" in caplog.text


@pytest.mark.parametrize(
    "spelled", ["{}", "{:012d}", "{:012d}.jpg", "val2017/{:012d}.JPG", "{}.0"]
)
def test_ids_may_be_texts(data_dir, spelled):
    expected = read_coco(data_dir, "test", with_objects=True)
    for name in ("captions", "instances"):
        path = data_dir / f"annotations/{name}_val2017.json"
        content = json.loads(path.read_text())
        for entry in content["annotations"]:
            text = spelled.format(entry["image_id"])
            entry["image_id"] = float(text) if spelled == "{}.0" else text
        path.write_text("\ufeff" + json.dumps(content))
    assert read_coco(data_dir, "test", with_objects=True) == expected


@pytest.mark.parametrize("id_", [1.9, True, float("inf"), None, "", "x1"])
def test_ids_that_are_no_numbers(data_dir, id_):
    path = data_dir / "annotations/captions_val2017.json"
    content = json.loads(path.read_text())
    content["images"].append({"id": id_, "file_name": "5.jpg"})
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"has 1 unusable entries .*\n  image 3: "):
        read_coco(data_dir, "test")


def test_one_id_of_two_files(data_dir):
    path = data_dir / "annotations/captions_val2017.json"
    content = json.loads(path.read_text())
    content["images"].append({"id": 20, "file_name": "other.jpg"})
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"3: id 20 twice: 0+20\.jpg, other"):
        read_coco(data_dir, "test")


# Karpathy's file


KARPATHY = [
    (7, "train2014", "restval"),
    (8, "train2014", "train"),
    (3, "val2014", "val"),
    (20, "val2014", "test"),
]


@pytest.fixture
def karpathy_dir(data_dir):
    """Karpathy's file and no captions of 2017."""
    for path in (data_dir / "annotations").glob("captions_*"):
        path.unlink()
    images = [
        {
            "filepath": folder,
            "filename": f"COCO_{folder}_{id_:012d}.jpg",
            "split": split,
            "cocoid": id_,
            "sentences": [{"raw": f"Number {id_}."}],
        }
        for id_, folder, split in KARPATHY
    ]
    path = data_dir / "annotations/dataset_coco.json"
    write_json(path, {"images": images, "dataset": "coco"})
    return data_dir


def test_karpathys_split_of_the_images_of_2017(karpathy_dir):
    assert ids_of(karpathy_dir, "train") == ["7", "8"]
    assert ids_of(karpathy_dir, "dev") == ["3"]
    (image,) = read_coco(karpathy_dir, "test", with_objects=True)
    assert image.path == karpathy_dir / "images/val2017/000000000020.jpg"
    assert image.captions == ("Number 20.",)
    assert [o.phrases for o in image.objects] == [("person",), ("dog",)]


def test_karpathys_split_of_the_images_of_2014(karpathy_dir):
    folder = karpathy_dir / "val2014"
    folder.mkdir()
    (karpathy_dir / "images/val2017/000000000020.jpg").unlink()
    with pytest.raises(DatasetError, match=r"1 of which .*\n  COCO_val2014_0+20\.jpg"):
        read_coco(karpathy_dir, "test")
    (folder / "COCO_val2014_000000000020.jpg").write_bytes(b"jpg")
    assert read_coco(karpathy_dir, "test")[0].path.parent == folder


def test_the_official_files_come_first(karpathy_dir):
    write_split(karpathy_dir / "other", "val2017", [4])
    name = "annotations/captions_val2017.json"
    (karpathy_dir / "other" / name).rename(karpathy_dir / name)
    assert ids_of(karpathy_dir, "test") == ["4"]


def test_karpathys_file_of_another_dataset(karpathy_dir):
    path = karpathy_dir / "annotations/dataset_coco.json"
    content = json.loads(path.read_text())
    del content["images"][2]["cocoid"]
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"is not that of COCO: .*: no cocoid"):
        read_coco(karpathy_dir, "dev")


# The published files


def test_published_coco2017(shared):
    folder = shared / "data" / "coco2017"
    splits = {s: read_coco(folder, s, with_objects=True) for s in coco.FOLDERS}
    assert {s: len(images) for s, images in splits.items()} == {
        "train": 77,
        "dev": 3,
        "test": 250,
    }
    for images in splits.values():
        assert {len(image.captions) for image in images} == {5}
        ids = [int(image.image_id) for image in images]
        assert ids == sorted(ids)
        assert [int(image.path.stem) for image in images] == ids
    categories = {o.phrases[0] for i in splits["test"] for o in i.objects}
    assert {"person", "dog", "traffic light"} <= categories <= names_of(folder)


def names_of(folder):
    content = json.loads((folder / "annotations/instances_val2017.json").read_text())
    return {category["name"] for category in content["categories"]}


def test_both_files_of_boxes_agree(shared):
    """Of the published files, one of which rounds to whole pixels."""
    folder = shared / "data" / "coco2017"
    images = read_coco(folder, "test", with_objects=True)
    wanted = {image.image_id for image in images}
    others = coco.read_val_entities(folder / "COCOvalEntities.json", wanted)
    assert {i.image_id for i in images if i.objects} == set(others)
    for image in images:
        if image.objects:
            key = sorted((o.phrases, o.box) for o in image.objects)
            found = others[image.image_id].objects
            other = sorted((o.phrases, o.box) for o in found)
            assert [phrases for phrases, _ in key] == [phrases for phrases, _ in other]
