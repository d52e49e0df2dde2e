"""The boxes of Flickr30k Entities, on written and on published files."""

import pytest

from dataset import CaptionedImage, DatasetError
from dataset.entities import read_entities

XML = """\
<annotation><filename>12.jpg</filename>
<size><width>200</width><height>50</height><depth>3</depth></size>
<object><name>7</name><bndbox>
  <xmin>20</xmin><ymin>5</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>
<object><name>7</name><name>8</name><bndbox>
  <xmin>100</xmin><ymin>10</ymin><xmax>201</xmax><ymax>20</ymax></bndbox></object>
<object><name>9</name><scene>1</scene><nobndbox>0</nobndbox></object>
<object><name>10</name><bndbox>
  <xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object>
</annotation>
"""
SENTENCES = """\
[/EN#7/people/clothing Two  Girls] near [/EN#8/animals a dog] in [/EN#9/scene a park] .
[/EN#7/people The girls] run with [/EN#0/notvisual it] .
[/EN#7/people two girls]
"""


@pytest.fixture
def folder(tmp_path):
    """The files of one photograph."""
    for name, suffix, text in (
        ("Annotations", "xml", XML),
        ("Sentences", "txt", SENTENCES),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"12.{suffix}").write_text(text)
    return tmp_path


def image_of(folder, name):
    return CaptionedImage(name, folder / f"{name}.jpg", ("a",))


@pytest.mark.parametrize("name", ["12", "12_ab34"])
def test_boxes_and_the_phrases_that_name_them(folder, name):
    (objects,) = read_entities(folder, [image_of(folder, name)], "there")
    one, both = objects  # no box has no object, and no phrase neither
    assert one.phrases == ("two girls", "the girls")
    assert one.box == pytest.approx((0.1, 0.1, 0.3, 1.0))
    assert both.phrases == ("two girls", "the girls", "a dog")
    assert both.box == pytest.approx((0.5, 0.2, 1.0, 0.4))  # cut at the edge


@pytest.mark.parametrize("change", ["<xmax>20", "<xmax>nan", "<xmax>", "<xmax>wide"])
def test_a_box_that_cannot_be_used_is_named_and_left_out(folder, caplog, change):
    path = folder / "Annotations/12.xml"
    path.write_text(XML.replace("<xmax>60", change))
    (objects,) = read_entities(folder, [image_of(folder, "12")], "there")
    assert [len(o.phrases) for o in objects] == [3]
    assert ": 1 entries cannot be used and are left out: 12.xml, object 7: " in (
        caplog.text
    )


def test_missing_and_damaged_files_are_all_listed(folder):
    for number in (13, 14, 15):
        (folder / f"Sentences/{number}.txt").write_text("[/EN#7/people a girl]")
    (folder / "Annotations/13.xml").write_text(XML[:99])
    (folder / "Annotations/14.xml").write_text(XML.replace("<annot", "<?xml?><annot"))
    (folder / "Annotations/15.xml").write_text("<annotation/>")
    images = [image_of(folder, str(number)) for number in range(11, 17)]
    (folder / "Sentences/16.txt").touch()
    with pytest.raises(DatasetError) as caught:
        read_entities(folder, images, "there")
    first, *listed = str(caught.value).splitlines()
    assert first == f"{folder} has 5 unusable entries (get them: there):"
    expected = [
        "Sentences/11.txt: No such file or directory",
        "Annotations/13.xml: damaged (no element",
        "Annotations/14.xml: damaged (XML declaration",
        "Annotations/15.xml: damaged (int",
        "Annotations/16.xml: No such file or directory",
    ]
    for line, what in zip(listed, expected, strict=True):
        assert what in line
    with pytest.raises(DatasetError, match=r"nowhere is no folder\. Get it: there"):
        read_entities(folder / "nowhere", images, "there")
