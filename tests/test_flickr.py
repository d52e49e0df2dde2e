"""The reader of the Flickr datasets, on written lines and on the published files."""

import json
import re

import pytest

from dataset import DATASETS, DatasetError
from dataset.flickr import read_csv_file, read_flickr, read_token_file
from dataset.problems import LISTED

TOKENS = """\
a.jpg#0\tA dog runs .
b.jpg#0\tA cat sits .
a.jpg#1\tThe dog # 2 runs\tfast .
c.jpg#0\t Two birds
"""


@pytest.fixture
def data_dir(tmp_path):
    """A dataset of three images in the published layout."""
    return write_dataset(tmp_path, TOKENS.encode(), b"b.jpg\na.jpg\n")


def write_dataset(folder, tokens: bytes, names: bytes, split="train"):
    for name in ("images", "text"):
        (folder / name).mkdir()
    for name in "abc":
        (folder / "images" / f"{name}.jpg").write_bytes(b"jpg")
    (folder / "text/Tiny.token.txt").write_bytes(tokens)
    (folder / f"text/Tiny.{split}Images.txt").write_bytes(names)
    return folder


def test_images_come_in_the_order_of_the_list(data_dir):
    second, first = read_flickr(data_dir, "train")
    assert (second.image_id, first.image_id) == ("b", "a")
    assert first.path == data_dir / "images" / "a.jpg"
    assert first.captions == ("A dog runs .", "The dog # 2 runs\tfast .")
    assert second.captions == ("A cat sits .",)
    assert first.objects == ()
    assert read_flickr(str(data_dir), "train") == [second, first]


@pytest.mark.parametrize("name", ["Flickr8k.token.txt", "results_20130124.token"])
def test_the_names_the_publishers_gave(data_dir, name):
    expected = read_flickr(data_dir, "train")
    path = (data_dir / "text/Tiny.token.txt").rename(data_dir / "text" / name)
    lemmas = path.with_name("Flickr8k.lemma.token.txt")
    lemmas.write_text(TOKENS.replace("runs", "run"))
    assert read_flickr(data_dir, "train") == expected
    path.unlink()
    with pytest.raises(DatasetError, match="found none"):
        read_flickr(data_dir, "train")


CSV = """\
image_name| comment_number| comment
a.jpg| 0| A dog runs .
b.jpg| 0| A cat | or two , sits .
a.jpg| 1   The dog runs fast .
"""


def test_csv_with_the_line_that_lacks_a_bar(data_dir):
    (data_dir / "text/Tiny.token.txt").unlink()
    (data_dir / "text/results.csv").write_text(CSV)
    second, first = read_flickr(data_dir, "train")
    assert first.captions == ("A dog runs .", "The dog runs fast .")
    assert second.captions == ("A cat | or two , sits .",)


def test_broken_lines_of_a_csv(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(CSV + "\nb.jpg, 1, commas\nb.jpg| one| digit\nb.jpg| 2|  \n")
    with pytest.raises(DatasetError) as caught:
        read_csv_file(path)
    assert str(caught.value).splitlines() == [
        f"{path} has 3 unusable entries (expected image.jpg| 0| caption):",
        "  line 6: 'b.jpg, 1, commas'",
        "  line 7: 'b.jpg| one| digit'",
        "  line 8: 'b.jpg| 2|  '",
    ]


def test_csv_without_a_header_loses_nothing(tmp_path):
    """Row P1 of the cases."""
    path = tmp_path / "results.csv"
    expected = {
        "a.jpg": ["A dog runs .", "The dog runs fast ."],
        "b.jpg": ["A cat | or two , sits ."],
    }
    for header in (0, 1):
        path.write_text("\n".join(CSV.splitlines()[header:]))
        assert read_csv_file(path) == expected
    path.write_text("b.jpg| one| digit\n" + CSV)
    with pytest.raises(DatasetError, match=r"2 unusable entries .*\n  line 1: 'b.jpg"):
        read_csv_file(path)


KAGGLE = """\
image,caption
a.jpg,A dog runs .
a.jpg,"The dog # 2 , ""Rex"" , runs\tfast ."
b.jpg,A cat sits .
c.jpg," Two birds, a tree"
"""
KAGGLE_CAPTIONS = {
    "a.jpg": ["A dog runs .", 'The dog # 2 , "Rex" , runs\tfast .'],
    "b.jpg": ["A cat sits ."],
    "c.jpg": ["Two birds, a tree"],
}


@pytest.mark.parametrize("in_text", [True, False])
@pytest.mark.parametrize("name", ["captions.txt", "captions.csv"])
@pytest.mark.parametrize("suffix", [".jpg", ""])
def test_kaggles_captions(data_dir, name, in_text, suffix):
    """Row P1 of the cases: the comma-separated file, and lists without suffixes."""
    (data_dir / "text/Tiny.token.txt").unlink()
    names = f"b{suffix}\na{suffix}\n"
    (data_dir / "text/Tiny.trainImages.txt").write_text(names)
    (data_dir / "text" / name).write_text("\ufeff" + KAGGLE.replace("\n", "\r\n"))
    if not in_text:
        for path in (data_dir / "text").iterdir():
            path.rename(data_dir / path.name)
        (data_dir / "text").rmdir()
    second, first = read_flickr(data_dir, "train")
    assert (second.image_id, first.path.name) == ("b", "a.jpg")
    assert list(first.captions) == KAGGLE_CAPTIONS["a.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        KAGGLE,
        KAGGLE.partition("\n")[2],  # no header
        "\n" + KAGGLE,
        re.sub(r"(?m)^(\w)\.jpg,", r"\1.jpg#0,", KAGGLE),
        re.sub(r"(?m)^(\w\.jpg),", r"\1,0,", KAGGLE).replace("e,c", "e_name,number,c"),
        re.sub(r"(?m)^(\w\.jpg),", r"\1,0,", KAGGLE.partition("\n")[2]),
        KAGGLE.replace('" Two birds, a tree"', " Two birds, a tree"),  # no quotes
    ],
)
def test_columns_between_commas(tmp_path, text):
    path = tmp_path / "captions.txt"
    path.write_text(text)
    assert read_csv_file(path) == KAGGLE_CAPTIONS


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_around_ends_of_lines(tmp_path, end):
    path = tmp_path / "captions.txt"
    lines = ["image,caption", 'a.jpg,"A dog, brown,', "runs", 'fast"', "b.jpg,A cat"]
    lines += ['b.jpg,"She says ""hi""', '"', 'a.jpg,A 5" board']
    path.write_text(end.join(lines))
    assert read_csv_file(path) == {
        "a.jpg": ["A dog, brown, runs fast", 'A 5" board'],
        "b.jpg": ["A cat", 'She says "hi"'],
    }
    path.write_text(end.join([*lines, 'c.jpg,"no end', 'd.jpg,a cat"', "e.jpg,"]))
    with pytest.raises(DatasetError, match=r"1 unusable|2 unusable") as caught:
        read_csv_file(path)
    assert "line 9: 'c.jpg,\"no end'" in str(caught.value)
    assert "line 11: 'e.jpg,'" in str(caught.value)


def test_broken_lines_between_commas(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_text(KAGGLE + 'a.jpg,"no end\non the grass, running\nb.jpg,\n,none\n')
    with pytest.raises(DatasetError) as caught:
        read_csv_file(path)
    first, *listed = str(caught.value).splitlines()
    assert "has 4 unusable entries (expected image.jpg,caption, with quotes" in first
    assert [line.split(":")[0] for line in listed] == [
        f"  line {n}" for n in range(6, 10)
    ]


def test_lists_without_suffixes(data_dir):
    expected = read_flickr(data_dir, "train")
    (data_dir / "text/Tiny.trainImages.txt").write_text("b\na\n")
    assert read_flickr(data_dir, "train") == expected
    tokens = TOKENS.replace(".jpg#", "#")
    (data_dir / "text/Tiny.token.txt").write_text(tokens)
    assert read_flickr(data_dir, "train") == expected
    (data_dir / "text/Tiny.trainImages.txt").write_text("b.jpg\na\na.jpg\n")
    with pytest.raises(DatasetError, match="  a: listed twice"):
        read_flickr(data_dir, "train")


def test_captions_are_composed(data_dir):
    (data_dir / "text/Tiny.token.txt").write_text("a.jpg#0\tcafe\u0301\nb.jpg#0\tx")
    assert read_flickr(data_dir, "train")[1].captions == ("caf\u00e9",)


# Karpathy's file


def write_karpathy(folder, *images):
    """Images are (file name, split, captions)."""
    entries = [
        {"filename": n, "split": s, "sentences": [{"raw": c} for c in captions]}
        for n, s, captions in images
    ]
    path = folder / "text/dataset_flickr30k.json"
    path.write_text(json.dumps({"images": entries, "dataset": "flickr30k"}))
    return path


def test_karpathys_file_alone(data_dir):
    for path in (data_dir / "text").iterdir():
        path.unlink()
    write_karpathy(
        data_dir,
        ("c.jpg", "val", ["Birds ."]),
        ("b.jpg", "train", [" A cat . ", "It sits ."]),
        ("a.jpg", "train", ["A dog ."]),
    )
    cat, dog = read_flickr(data_dir, "train")
    assert (cat.image_id, cat.captions) == ("b", ("A cat .", "It sits ."))
    assert dog.path == data_dir / "images/a.jpg"
    assert [i.captions for i in read_flickr(data_dir, "dev")] == [("Birds .",)]
    with pytest.raises(DatasetError, match="lists no image of the split test"):
        read_flickr(data_dir, "test")


def test_the_authors_captions_with_karpathys_split(data_dir):
    write_karpathy(data_dir, ("a.jpg", "test", ["other words"]))
    (image,) = read_flickr(data_dir, "test")
    assert image.captions == ("A dog runs .", "The dog # 2 runs\tfast .")
    names = [image.path.name for image in read_flickr(data_dir, "train")]
    assert names == ["b.jpg", "a.jpg"]  # of the list file


def test_karpathys_file_is_damaged(data_dir):
    path = write_karpathy(
        data_dir,
        ("a.jpg", "val", ["A dog ."]),
        ("b.jpg", "validation", ["A cat ."]),
        ("c.jpg", "val", []),
        ("c.jpg", "val", [""]),
    )
    with pytest.raises(DatasetError) as caught:
        read_flickr(data_dir, "dev")
    first, *listed = str(caught.value).splitlines()
    assert first.startswith(f"{path} has 3 unusable entries (expected filename,")
    assert [line[:10] for line in listed] == [f"  image {n}:" for n in (1, 2, 3)]
    path.write_text(path.read_text()[:50])
    with pytest.raises(DatasetError, match=r"json is damaged \(.*Get it again: http"):
        read_flickr(data_dir, "dev")
    path.write_text("[1]")
    with pytest.raises(DatasetError, match=r"json holds a list; expected an object"):
        read_flickr(data_dir, "dev")


# What is wrong


def test_windows_files_are_read(tmp_path):
    tokens = b"\xef\xbb\xbf" + TOKENS.replace("\n", "\r\n").encode()
    folder = write_dataset(tmp_path, tokens, b"\xef\xbb\xbfa.jpg\r\n\r\nc.jpg\r\n")
    first, last = read_flickr(folder, "train")
    assert first.captions == ("A dog runs .", "The dog # 2 runs\tfast .")
    assert last.captions == ("Two birds",)


def test_broken_lines_are_all_listed(data_dir):
    path = data_dir / "text" / "Tiny.token.txt"
    broken = (
        "no tab",
        "a.jpg\tno number",
        "a.jpg#x\tno digit",
        "#0\tno name",
        "a#0\t ",
    )
    path.write_bytes("\n".join(["", "a.jpg#0\tgood", *broken]).encode())
    with path.open("ab") as file:
        file.write(b"\na.jpg#1\tcaf\xe9\n")
    with pytest.raises(DatasetError) as caught:
        read_flickr(data_dir, "train")
    first, *listed = str(caught.value).splitlines()
    assert first == (
        f"{path} has 6 unusable entries (expected image.jpg#0<TAB>caption):"
    )
    expected = [
        f"  line {number}: {line!r}" for number, line in enumerate(broken, start=3)
    ]
    assert listed == [*expected, "  line 8: not UTF-8: 'a.jpg#1\\tcaf\ufffd'"]


def test_missing_images_and_captions_are_all_listed(data_dir):
    (data_dir / "text/Tiny.devImages.txt").write_text("a.jpg\nx.jpg\nb.jpg\ny.jpg\n")
    (data_dir / "images" / "b.jpg").unlink()
    (data_dir / "images" / "a.jpg").write_bytes(b"")
    with pytest.raises(DatasetError) as caught:
        read_flickr(data_dir, "dev")
    first, *listed = str(caught.value).splitlines()
    assert re.search(r"Images\.txt has 4 unusable .* \(get the images: http", first)
    assert listed == [
        f"  a.jpg: empty file in {data_dir / 'images'}",
        "  x.jpg: no caption in Tiny.token.txt",
        f"  b.jpg: no such file in {data_dir / 'images'}",
        "  y.jpg: no caption in Tiny.token.txt",
    ]


def test_many_missing_images_are_counted_and_kept(data_dir):
    names = [f"{number}.jpg" for number in range(LISTED + 1203)]
    tokens = "\n".join(f"{name}#0\ta dog" for name in names)
    (data_dir / "text/Tiny.token.txt").write_text(tokens)
    (data_dir / "text/Tiny.devImages.txt").write_text("\n".join([*names, "1.jpg"]))
    with pytest.raises(DatasetError) as caught:
        read_flickr(data_dir, "dev")
    lines = str(caught.value).splitlines()
    assert "has 1,225 unusable entries" in lines[0]
    assert lines[1] == "  1.jpg: listed twice" and len(lines) == LISTED + 2
    expected = "  ... and 1,205 more; python -m dataset.check lists all"
    assert lines[-1] == expected
    (problem,) = caught.value.problems
    assert len(problem.text().splitlines()) == LISTED + 1206


@pytest.mark.parametrize("name", ["flickr8k", "flickr30k"])
def test_everything_that_is_missing_is_told_with_where_to_get_it(tmp_path, name):
    with pytest.raises(DatasetError) as caught:
        DATASETS[name].read(tmp_path, "train", with_objects=True)
    lines = str(caught.value).splitlines()
    expected = ("*.token.txt or", "*.trainImages.txt or", "images is", "entities is")
    assert len(lines) == len(expected)
    for line, what in zip(lines, expected, strict=True):
        assert what in line and "Get it: " in line and "http" in line


def test_list_that_is_not_utf8(data_dir):
    (data_dir / "text/Tiny.devImages.txt").write_bytes(b"a.jpg\ncaf\xe9.jpg\n")
    with pytest.raises(DatasetError, match="caf\ufffd\\.jpg: no caption"):
        read_flickr(data_dir, "dev")


def test_missing_and_ambiguous_files(data_dir, tmp_path):
    with pytest.raises(
        DatasetError,
        match=r"one file \*\.testImages\.txt or dataset_.*; found none\. .*--data-dir",
    ):
        read_flickr(data_dir, "test")
    with pytest.raises(
        DatasetError, match=r"file \*\.token\.txt or \*\.token or .*; found no"
    ):
        read_flickr(tmp_path / "nowhere", "train")
    (data_dir / "text" / "Other.token.txt").touch()
    found = re.escape("found Other.token.txt, Tiny.token.txt")
    with pytest.raises(DatasetError, match=found):
        read_flickr(data_dir, "train")


def test_empty_list(data_dir):
    (data_dir / "text/Tiny.devImages.txt").write_text("\n \n")
    with pytest.raises(DatasetError, match=r"devImages\.txt lists no image"):
        read_flickr(data_dir, "dev")


def test_token_file_without_lines(tmp_path):
    (tmp_path / "empty.token.txt").touch()
    assert read_token_file(tmp_path / "empty.token.txt") == {}


# The published files


@pytest.mark.parametrize(("split", "number"), [("train", 6000), ("dev", 1000)])
def test_published_flickr8k(shared, split, number):
    images = read_flickr(shared / "data" / "flickr8k", split, with_objects=True)
    assert len({image.path for image in images}) == number
    assert {len(image.captions) for image in images} == {5}
    boxes = [object_.box for image in images for object_ in image.objects]
    assert 6 < len(boxes) / number < 7
    assert all(0 <= a < c <= 1 and 0 <= b < d <= 1 for a, b, c, d in boxes)


def test_published_lists_of_flickr30k(shared):
    folder = shared / "data" / "flickr30k_karpathy_split"
    lists = {
        split: (folder / f"Flickr_30k.{split}Images.txt").read_text().split()
        for split in ("train", "dev", "test")
    }
    numbers = {split: len(names) for split, names in lists.items()}
    assert numbers == {"train": 29000, "dev": 1014, "test": 1000}
    assert len(set().union(*lists.values())) == 31014


def write_flickr30k(shared, folder) -> None:
    """Lays out the photographs of Flickr8k as Flickr30K, of which they are a part."""
    source = shared / "data" / "flickr8k"
    for name in ("images", "text"):
        (folder / name).mkdir()
    (folder / "entities").symlink_to(source / "entities")
    tokens = (source / "text/Flickr8k.token.txt").read_text("utf-8").splitlines()
    here = {}
    for path in (source / "images").iterdir():
        here[path.name] = f"{path.stem.partition('_')[0]}.jpg"
        (folder / "images" / here[path.name]).symlink_to(path)
    lines = [(*line.partition("\t")[0].split("#"), line) for line in tokens]
    renamed = [
        (here[name], k, line.partition("\t")[2])
        for name, k, line in lines
        if name in here
    ]
    (folder / "text/results_20130124.token").write_text(
        "\n".join(f"{n}#{k}\t{c}" for n, k, c in renamed), "utf-8"
    )
    (folder / "results.csv").write_text(
        "\n".join(["header", *(f"{n}| {k}| {c}" for n, k, c in renamed)]), "utf-8"
    )
    lists = shared / "data" / "flickr30k_karpathy_split"
    for path in lists.glob("*.txt"):
        names = [name for name in path.read_text().split() if name in here.values()]
        (folder / "text" / path.name).write_text("\n".join(names))


@pytest.mark.slow
def test_flickr30k_on_the_photographs_that_are_here(shared, tmp_path):
    write_flickr30k(shared, tmp_path)
    read = DATASETS["flickr30k"].read
    splits = {s: read(tmp_path, s, s == "test") for s in ("train", "dev", "test")}
    total = sum(map(len, splits.values()))
    assert 6000 < total <= 7000 and len(splits["train"]) > 0.9 * total
    for images in splits.values():
        assert {len(image.captions) for image in images} == {5}
    assert sum(len(i.objects) for i in splits["test"]) > 5 * len(splits["test"])
    (tmp_path / "text/results_20130124.token").unlink()
    (tmp_path / "results.csv").rename(tmp_path / "text/results.csv")
    for split, images in splits.items():
        captions = [image.captions for image in read(tmp_path, split)]
        assert captions == [image.captions for image in images]
    lists = shared / "data" / "flickr30k_karpathy_split"
    whole = (lists / "Flickr_30k.trainImages.txt").read_bytes()
    (tmp_path / "text/Flickr_30k.trainImages.txt").write_bytes(whole)
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, "train")
    (problem,) = caught.value.problems
    assert len(problem.entries) == 29000 - len(splits["train"])
