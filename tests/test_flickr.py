"""The reader of the Flickr datasets, on written lines and on the published files."""

import re

import pytest

from dataset.flickr import DatasetError, read_flickr, read_token_file

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
        (folder / "images" / f"{name}.jpg").touch()
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
    with pytest.raises(DatasetError) as caught:
        read_flickr(data_dir, "dev")
    first, *listed = str(caught.value).splitlines()
    assert first.endswith("Tiny.devImages.txt has 3 unusable entries:")
    assert listed == [
        "  x.jpg: no caption in Tiny.token.txt",
        f"  b.jpg: no such file in {data_dir / 'images'}",
        "  y.jpg: no caption in Tiny.token.txt",
    ]


def test_list_that_is_not_utf8(data_dir):
    (data_dir / "text/Tiny.devImages.txt").write_bytes(b"a.jpg\ncaf\xe9.jpg\n")
    with pytest.raises(DatasetError, match="caf\ufffd\\.jpg: no caption"):
        read_flickr(data_dir, "dev")


def test_missing_and_ambiguous_files(data_dir, tmp_path):
    with pytest.raises(
        DatasetError,
        match=r"text must hold one file \*\.testImages\.txt; found none\. .*--data-dir",
    ):
        read_flickr(data_dir, "test")
    with pytest.raises(
        DatasetError, match=r"file \*\.token\.txt or \*\.token; found no"
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


@pytest.mark.parametrize(("split", "number"), [("train", 6000), ("dev", 1000)])
def test_published_flickr8k(shared, split, number):
    images = read_flickr(shared / "data" / "flickr8k", split)
    assert len({image.path for image in images}) == number
    assert {len(image.captions) for image in images} == {5}
