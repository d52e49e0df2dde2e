"""The reader of a folder of one's own, in every form of captions and splits."""

import csv
import json
import re
import shutil

import pytest
from conftest import SHARED

from dataset import DATASETS, DatasetError, check
from dataset.caption_tables import read_table
from dataset.flickr import read_flickr
from dataset.folder import read_folder
from dataset.splits import SPLITS, share_by_name, split_of

IMAGES = {
    "a.jpg": ("train", ["A dog runs .", 'The dog , "Rex" , runs .']),
    "b.jpg": ("train", ["A cat sits ."]),
    "c.png": ("dev", ["Two birds | and a tree"]),
    "d.jpg": ("test", ["A red car , and a bus"]),
}
BOXES = {  # file name: size, then name, synonyms and box of each object
    "a.jpg": ((200, 100), [("Dog", ["the dog"], [20, 10, 40, 50])]),
    "b.jpg": ((200, 100), [("cat", [], [0, 0, 100, 100]), ("Dog", [], [1, 1, 2, 2])]),
}


def rows_of(images):
    return [
        (name, caption, split)
        for name, (split, texts) in images.items()
        for caption in texts
    ]


# Forms of captions, each with the split of the images or without


def write_csv(folder, images, with_splits):
    with (folder / "captions.csv").open("w", newline="") as file:
        table = [("image", "caption", "split"), *rows_of(images)]
        csv.writer(file).writerows(row[: 2 + with_splits] for row in table)


def write_tsv(folder, images, with_splits):
    table = [("caption", "split", "image")]
    table += [(caption, split, name) for name, caption, split in rows_of(images)]
    rows = (row if with_splits else (row[0], row[2]) for row in table)
    (folder / "captions.tsv").write_text("\n".join(map("\t".join, rows)), "utf-8")


def write_lines(folder, images, with_splits):
    lines = [
        {"file_name": f"photos/{name}", "captions": texts}
        | ({"split": split} if with_splits else {})
        for name, (split, texts) in images.items()
    ]
    text = "\n".join(map(json.dumps, lines))
    (folder / "captions.jsonl").write_text(text)


def write_coco(folder, images, with_splits):
    entries = [
        {"id": number, "file_name": name} | ({"split": split} if with_splits else {})
        for number, (name, (split, _)) in enumerate(images.items(), start=7)
    ]
    ids = {entry["file_name"]: entry["id"] for entry in entries}
    captions = [{"image_id": ids[n], "caption": c} for n, c, _ in rows_of(images)]
    content = {"images": entries, "annotations": captions}
    (folder / "captions.json").write_text(json.dumps(content))


def write_kaggle(folder, images, with_splits=False):
    """Flickr8k at Kaggle."""
    lines = ["image,caption"]
    for name, caption, _ in rows_of(images):
        quoted = '"' + caption.replace('"', '""') + '"' if "," in caption else caption
        lines.append(f"{name},{quoted}")
    (folder / "captions.txt").write_text("\n".join(lines), "utf-8")


def numbered(images):
    return [
        (name, number, caption)
        for name, (_, texts) in images.items()
        for number, caption in enumerate(texts)
    ]


def write_bars(folder, images, with_splits=False, header=True):
    """Flickr30k at Kaggle."""
    lines = ["image_name| comment_number| comment"] if header else []
    lines += [f"{n}| {k}| {c}" for n, k, c in numbered(images)]
    (folder / "results.csv").write_text("\n".join(lines), "utf-8")


def write_bars_alone(folder, images, with_splits=False):
    write_bars(folder, images, header=False)


def write_commas(folder, images, with_splits=False):
    """Flickr30k at Kaggle, later: columns between commas, the number in the middle."""
    lines = ["image_name,comment_number,comment"]
    for name, number, caption in numbered(images):
        quoted = '"' + caption.replace('"', '""') + '"'
        lines.append(f"{name},{number},{quoted}")
    (folder / "captions.csv").write_text("\n".join(lines), "utf-8")


def write_tokens(folder, images, with_splits=False):
    lines = [f"{n}#{k}\t{c}" for n, k, c in numbered(images)]
    (folder / "Own.token.txt").write_text("\n".join(lines), "utf-8")


WITH_SPLITS = (write_csv, write_tsv, write_lines, write_coco)
PUBLISHED = (write_kaggle, write_bars, write_bars_alone, write_commas, write_tokens)


def write_lists(folder, images, dev="dev"):
    for split in SPLITS:
        names = [f"{name}\n" for name, (of, _) in images.items() if of == split]
        name = dev if split == "dev" else split
        (folder / f"{name}.txt").write_text("".join(names))


@pytest.fixture
def folder(tmp_path):
    """Photographs without captions."""
    (tmp_path / "photos").mkdir()
    for name in IMAGES:
        (tmp_path / "photos" / name).write_bytes(b"jpg")
    return tmp_path


def expected(folder, images=IMAGES):
    return {
        split: [
            (name.partition(".")[0], folder / "photos" / name, tuple(captions), ())
            for name, (of, captions) in images.items()
            if of == split
        ]
        for split in SPLITS
    }


def found(folder):
    return {
        split: [
            (i.image_id, i.path, i.captions, i.objects)
            for i in read_folder(folder, split)
        ]
        for split in SPLITS
    }


@pytest.mark.parametrize("write", WITH_SPLITS)
def test_forms_that_tell_the_splits(folder, write):
    write(folder, IMAGES, with_splits=True)
    assert found(folder) == expected(folder)


@pytest.mark.parametrize("write", [*WITH_SPLITS, *PUBLISHED])
def test_lists_tell_the_splits(folder, write):
    """Row P1 of the cases, in a folder of one's own."""
    write(folder, IMAGES, with_splits=False)
    write_lists(folder, IMAGES, dev="val")
    assert found(folder) == expected(folder)
    names = [f"{name}\n" for name in ("b", "a")]  # their order counts; no suffixes
    (folder / "train.txt").unlink()
    (folder / "photos/Own.trainImages.txt").write_text("".join(names))
    assert found(folder)["train"] == expected(folder)["train"][::-1]


def test_lists_come_before_a_column(folder):
    write_csv(folder, IMAGES, with_splits=True)
    write_lists(folder, {n: ("test", c) for n, (_, c) in IMAGES.items()})
    assert len(read_folder(folder, "test")) == 4
    with pytest.raises(DatasetError, match=r"image is in the split dev, by dev\.txt"):
        read_folder(folder, "dev")
    (folder / "dev.txt").unlink()
    with pytest.raises(DatasetError, match=r"train\.txt, and no list of .*dev"):
        read_folder(folder, "dev")


def test_folders_tell_the_splits(folder, caplog):
    write_kaggle(folder, IMAGES)
    for name, (split, _) in IMAGES.items():
        (folder / "photos" / split).mkdir(exist_ok=True)
        (folder / "photos" / name).rename(folder / "photos" / split / name)
    ids = {split: [i.image_id for i in read_folder(folder, split)] for split in SPLITS}
    assert ids == {"train": ["a", "b"], "dev": ["c"], "test": ["d"]}
    (folder / "photos/dev").rename(folder / "photos/VAL2017")
    assert [i.image_id for i in read_folder(folder, "dev")] == ["c"]
    (folder / "photos/test").rename(folder / "photos/others")
    with pytest.raises(DatasetError, match=r"split test, by the names of folders\. To"):
        read_folder(folder, "test")
    assert "entries cannot be used and are left out: d.jpg: in no folder" in caplog.text
    (folder / "photos/train/a.jpg").unlink()
    with pytest.raises(DatasetError, match=r"  a\.jpg: no such file in"):
        read_folder(folder, "dev")


def test_captions_of_each_split(folder):
    for split in SPLITS:
        some = {n: image for n, image in IMAGES.items() if image[0] == split}
        write_coco(folder, some, with_splits=False)
        name = {"dev": "val2017"}.get(split, split)
        (folder / "annotations").mkdir(exist_ok=True)
        path = folder / f"annotations/captions_{name}.json"
        (folder / "captions.json").rename(path)
    assert found(folder) == expected(folder)
    shutil.copy(path, folder / "captions_dev.json")
    with pytest.raises(DatasetError, match=r"several files of captions: .* Keep one"):
        read_folder(folder, "dev")
    (folder / "annotations/captions_val2017.json").unlink()
    with pytest.raises(DatasetError, match=r"unusable entries .*\n  d\.jpg: in two fi"):
        read_folder(folder, "dev")


def test_names_are_hashed_where_nothing_tells_the_splits(folder, caplog):
    caplog.set_level("INFO")
    images = {f"{number}.jpg": ("", ["a dog"]) for number in range(300)}
    for name in images:
        (folder / "photos" / name).write_bytes(b"jpg")
    write_kaggle(folder, images)
    ids = {split: [i.image_id for i in read_folder(folder, split)] for split in SPLITS}
    assert sorted(map(str, range(300))) == sorted(
        id_ for some in ids.values() for id_ in some
    )
    sizes = {split: len(some) for split, some in ids.items()}
    assert 220 < sizes["train"] < 260 and sizes["dev"] > 18 and sizes["test"] > 18
    assert "made by the hash of names (80% train, 10% dev, 10% tes" in caplog.text
    assert "left out: a.jpg: no caption; b.jpg: no caption; c.png" in caplog.text
    (folder / "photos/1.jpg").rename(folder / "photos/new.jpg")
    split = share_by_name("photos/1.png")
    with pytest.raises(DatasetError, match=r"  1\.jpg: no such file in .*"):
        read_folder(folder, split)
    assert share_by_name("1") == split
    assert split_of(" VAL ") == "dev" and split_of("train2017") == "train"
    assert split_of("") is None is split_of("testimony")


def test_boxes_and_masks(folder, caplog):
    write_csv(folder, IMAGES, with_splits=True)
    first, _ = read_folder(folder, "train", with_objects=True)
    assert first.objects == ()  # there are none
    objects = coco_objects(BOXES)
    outline = [20, 10, 60, 10, 60, 60, 20, 60]
    objects["annotations"][0]["segmentation"] = [outline]
    (folder / "objects.json").write_text(json.dumps(objects))
    first, second = read_folder(folder, "train", with_objects=True)
    assert [o.phrases for o in first.objects] == [("dog", "the dog")]
    assert first.objects[0].box == pytest.approx((0.1, 0.1, 0.3, 0.6))
    assert first.objects[0].outline is not None
    assert [o.phrases for o in second.objects] == [("cat",), ("dog",)]
    with pytest.raises(DatasetError, match=r"  c\.png: not there"):
        read_folder(folder, "dev", with_objects=True)
    others = {"photos/c.png": ((9, 9), [("tree", [], [1, 1, 3, 3])])}
    (folder / "instances_val.json").write_text(json.dumps(coco_objects(others)))
    (third,) = read_folder(folder, "dev", with_objects=True)
    assert third.objects[0].phrases == ("tree",)
    shutil.copy(folder / "objects.json", folder / "instances_a.json")
    with pytest.raises(DatasetError, match=r"objects\.json: a\.jpg is there twice"):
        read_folder(folder, "train", with_objects=True)


def coco_objects(boxes):
    """COCO's instances of images, a category for each name with its synonyms."""
    images, annotations, categories = [], [], {}
    for id_, (name, ((width, height), objects)) in enumerate(boxes.items()):
        entry = {"id": f"x{id_}", "file_name": name, "width": width, "height": height}
        images.append(entry)
        for noun, synonyms, box in objects:
            number = categories.setdefault((noun, *synonyms), len(categories))
            of = {"image_id": entry["id"], "category_id": number, "bbox": box}
            annotations.append(of)
    named = [
        {"id": number, "name": names[0]}
        | ({"synonyms": list(names)} if names[1:] else {})
        for names, number in categories.items()
    ]
    return {"images": images, "annotations": annotations, "categories": named}


def test_photographs_of_one_name(folder):
    (folder / "more").mkdir()
    (folder / "more/a.jpg").write_bytes(b"jpg")
    images = {"photos/a.jpg": IMAGES["a.jpg"], "more/a.jpg": IMAGES["b.jpg"]}
    write_csv(folder, images, with_splits=True)
    ids = [image.image_id for image in read_folder(folder, "train")]
    assert ids == ["photos/a", "more/a"]
    write_csv(folder, IMAGES, with_splits=True)
    with pytest.raises(DatasetError, match=r"  a\.jpg: may be more/a\.jpg or photos/a"):
        read_folder(folder, "train")
    images = {"photos/b.jpg": IMAGES["a.jpg"], "b": IMAGES["b.jpg"]}
    write_csv(folder, images, with_splits=True)
    with pytest.raises(DatasetError, match=r"  b: is the photograph of photos/b"):
        read_folder(folder, "train")


def test_another_suffix_is_told(folder):
    images = {"a.JPG": IMAGES["a.jpg"], "c.jpg": IMAGES["c.png"]}
    write_csv(folder, images, with_splits=True)
    assert read_folder(folder, "train")[0].path.name == "a.jpg"
    with pytest.raises(
        DatasetError, match=r"  c\.jpg: no such .*; there is photos/c.png"
    ):
        read_folder(folder, "dev")


def test_links_to_folders_are_followed_once(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (folder / "photos").rename(outside / "photos")
    (folder / "photos").symlink_to(outside / "photos")
    (outside / "photos/ring").symlink_to(outside / "photos")
    write_csv(folder, IMAGES, with_splits=True)
    assert found(folder) == expected(folder)


# What is wrong


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "captions.csv",
            "image,caption,split\na.jpg,A dog,tests\n",
            "line 2: the split",
        ),
        (
            "captions.csv",
            "image,caption,split\na.jpg,A,dev\na.jpg,B,test\n",
            "line 3: a.jpg is in dev before and test here",
        ),
        (
            "captions.csv",
            "image,title,split\na.jpg,A,dev\n",
            "line 1: 'image,tit",
        ),
        ("captions.csv", "image,caption,split\na.jpg,A dog\n", "line 2: 'a.jpg,A dog'"),
        (
            "captions.csv",
            "image,caption,split\na.jpg,A,dev\nb.jpg,B,\n",
            "b.jpg: no split",
        ),
        ("captions.csv", "image,caption\n../a.jpg,A dog\n", "../a.jpg: leads out of"),
        ("captions.csv", "image,caption\nx.jpg,A dog\n", "x.jpg: no such file in"),
        ("captions.jsonl", '{"image": "a.jpg"}\n', "line 1: lacks caption, captions, "),
        ("captions.jsonl", '{"caption": "A dog"}\n', "line 1: lacks file_name, filen"),
        ("captions.jsonl", "[1]\n", "line 1: expected an object, received [1]"),
        ("captions.jsonl", '{"image": "a.jpg",\n', "line 1: it is no JSON (Expecting"),
        (
            "captions.jsonl",
            '{"image": "a.jpg", "captions": ["A", 3]}\n',
            "line 1: expected a text, or a list of texts, received ['A', 3]",
        ),
        (
            "captions.jsonl",
            '{"image": "a.jpg", "caption": "A", "split": "all"}\n',
            "line 1: the split 'all' is none of train, dev, test",
        ),
        ("captions.json", '{"images": []}', "no images"),
        (
            "captions.json",
            '{"images": [{"id": "7", "file_name": "a.jpg", "split": "all"}], '
            '"annotations": [{"image_id": "7", "caption": "A"}]}',
            "image 0: the split 'all' is none of train, dev, test",
        ),
        (
            "captions.json",
            '{"images": [{"id": 1, "file_name": "a.jpg"}, '
            '{"id": 2, "file_name": "a.jpg"}], "annotations": '
            '[{"image_id": 1, "caption": "A"}, {"image_id": 2, "caption": "B"}]}',
            "'a.jpg' has two ids: 1, 2",
        ),
    ],
)
def test_what_is_wrong_is_listed(folder, name, content, problem):
    (folder / name).write_text(content)
    with pytest.raises(DatasetError) as caught:
        for split in SPLITS:
            read_folder(folder, split)
    lines = str(caught.value).splitlines()
    assert re.match(rf"{re.escape(str(folder / name))} has 1 unusable ", lines[0])
    assert lines[1].startswith(f"  {problem}")


def test_what_is_missing_is_told_with_the_way_out(folder, capsys):
    with pytest.raises(ValueError, match="a split train, dev, test; received"):
        read_folder(folder, "val")
    with pytest.raises(DatasetError, match=r"nowhere is no folder\. Get it: wr"):
        read_folder(folder / "nowhere", "dev")
    assert check.main(["--dataset", "folder", "--data-dir", str(folder)]) == 2
    output = capsys.readouterr().out
    assert "has no file of captions; expected captions.json, captions.jsonl" in output
    assert "dataset/README.md says how a folder of your own is laid out" in output
    (folder / "captions.json").write_text('["a.jpg"]')
    with pytest.raises(DatasetError, match=r"holds a list; expected an object.*MSCOCO"):
        read_folder(folder, "dev")
    (folder / "captions.json").unlink()
    write_kaggle(folder, IMAGES)
    write_lists(folder, IMAGES)
    (folder / "photos/test.txt").touch()
    with pytest.raises(DatasetError, match=r"two lists of the split test: .* Keep one"):
        read_folder(folder, "dev")
    (folder / "photos/test.txt").unlink()
    (folder / "dev.txt").write_text("c.png\nx.jpg\nc\n")
    (folder / "photos/e.jpg").touch()
    (folder / "test.txt").write_text("e.jpg\nd.jpg")
    with pytest.raises(DatasetError, match=r"  x\.jpg: no such .*\n  c\.png: listed"):
        read_folder(folder, "dev")
    with pytest.raises(DatasetError, match=r"  e\.jpg: no caption"):
        read_folder(folder, "test")
    (folder / "photos/a.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"train\.txt has 1 .*\n  a\.jpg: empty"):
        read_folder(folder, "train")


def test_the_counts_of_a_folder(folder, capsys):
    images = {n: (of, ["A dog runs .", *texts]) for n, (of, texts) in IMAGES.items()}
    write_csv(folder, images | {"b.jpg": ("train", ["A dog runs ."])}, True)
    (folder / "objects.json").write_text(json.dumps(coco_objects(BOXES)))
    arguments = ["--dataset", "folder", "--data-dir", str(folder)]
    assert check.main([*arguments, "--objects", "--splits", "train"]) == 0
    counts = capsys.readouterr().out.splitlines()[2].split()
    assert counts == ["train", "2", "4", "1-3", "3"]


def test_columns_in_any_order(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text('Caption,id,File_Name\nA dog, brown,3,a.jpg\n"B, c",4,b.jpg\n')
    assert read_table(path).captions == {"a.jpg": ["A dog, brown"], "b.jpg": ["B, c"]}


# The published photographs


@pytest.fixture(scope="module")
def flickr8k():
    """A few photographs of Flickr8k as its own reader has them, in two splits."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared: real photographs")
    images = read_flickr(SHARED / "data/flickr8k", "dev", with_objects=True)
    return {"train": images[5:17], "dev": images[40:50]}


def rewrite(records, folder, write):
    """Writes records anew, with links to their photographs."""
    images = {
        image.path.name: (split, list(image.captions))
        for split, some in records.items()
        for image in some
    }
    (folder / "photos").mkdir()
    for some in records.values():
        for image in some:
            (folder / "photos" / image.path.name).symlink_to(image.path)
    write(folder, images, write in WITH_SPLITS)
    if write in PUBLISHED:
        write_lists(folder, images)
    (folder / "objects.json").write_text(json.dumps(flickr8k_objects(records)))


def flickr8k_objects(records):
    """Entities in the form of COCO: phrases are a name and its synonyms."""
    boxes = {
        image.path.name: (
            (224, 224),
            [
                (o.phrases[0], list(o.phrases[1:]), edges_of(o.box))
                for o in image.objects
            ],
        )
        for some in records.values()
        for image in some
    }
    return coco_objects(boxes)


def edges_of(box):
    xmin, ymin, xmax, ymax = (edge * 224 for edge in box)
    return [xmin, ymin, xmax - xmin, ymax - ymin]


@pytest.mark.parametrize("write", [*WITH_SPLITS, *PUBLISHED])
def test_flickr8k_rewritten(flickr8k, tmp_path, write):
    rewrite(flickr8k, tmp_path, write)
    for split, images in flickr8k.items():
        read = DATASETS["folder"].read(tmp_path, split, with_objects=True)
        assert [i.image_id for i in read] == [i.image_id for i in images]
        assert [i.captions for i in read] == [i.captions for i in images]
        for one, other in zip(read, images, strict=True):
            assert one.path.resolve() == other.path.resolve()
            assert [o.phrases for o in one.objects] == [
                o.phrases for o in other.objects
            ]
            for mine, theirs in zip(one.objects, other.objects, strict=True):
                assert mine.box == pytest.approx(theirs.box, abs=1e-12)
