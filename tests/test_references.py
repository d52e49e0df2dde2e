"""Captions and references that anyone wrote: how they are read, matched and scored."""

import json

import pytest
from conftest import CANDIDATES

from files.messages import FileError
from scoring.captions import score_captions
from scoring.captions.__main__ import main
from scoring.references import bring_together, read_candidates, read_references

REFERENCES = {
    "a": ["Two men don't sit on a bench.", "Men (two) on the bench"],
    "b": ["A brown dog runs on the grass.", "The dog, running!"],
    "c": ["A child throws a red ball ."],
    "d": ["Nobody describes this", "A photo"],
}
IDS = dict(zip(REFERENCES, (7, 8, 9, 391895), strict=True))


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setattr("scoring.captions.has_java", lambda: False)

    def write(name, content):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        return path

    return write


def results(captions=CANDIDATES, name_of=str):
    return [{"image_id": name_of(key), "caption": c} for key, c in captions.items()]


def like_coco(with_images=True):
    annotations = [
        {"id": number, "image_id": IDS[key], "caption": text}
        for key, texts in REFERENCES.items()
        for number, text in enumerate(texts)
    ]
    images = [{"id": id_, "file_name": f"{key}.jpg"} for key, id_ in IDS.items()]
    return {"annotations": annotations} | ({"images": images} if with_images else {})


NAMINGS = {
    "ids of a list": (REFERENCES, str),
    "files of a list": (REFERENCES, lambda key: f"photos/{key}.jpg"),
    "COCO's numbers": (like_coco(), IDS.get),
    "COCO's numbers as texts": (like_coco(False), lambda key: f"{IDS[key]:012d}"),
    "COCO's files": (like_coco(), str),
}


@pytest.mark.parametrize("naming", NAMINGS)
def test_captions_find_their_references(write, naming):
    content, name_of = NAMINGS[naming]
    references = read_references(write("references", content))
    candidates = read_candidates(write("captions", results(name_of=name_of)))
    wanted, found = bring_together(candidates, references, partly=False)
    assert list(found) == list(wanted)
    assert list(found.values()) == list(CANDIDATES.values())
    assert list(wanted.values()) == list(REFERENCES.values())


def test_the_scores_are_those_of_python(write, tmp_path, capsys):
    captions, references = write("c", results()), write("r", REFERENCES)
    output = tmp_path / "out" / "scores.json"
    arguments = [str(captions), str(references), "--output", str(output)]
    assert main([*arguments, "--metrics", "bleu,cider"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = score_captions(REFERENCES, CANDIDATES, ("bleu", "cider"))
    content = json.loads(output.read_text())
    assert content["scores"] == expected
    assert (content["num_images"], content["missing"]) == (4, {})
    assert f"cider      {expected['cider']:.4f}" in lines and lines[-1] == str(output)
    assert main(arguments) == 2
    message = f"{output} exists. Replace it (--overwrite) or name another (--output)."
    assert message in capsys.readouterr().err
    assert main([*arguments, "--metrics", "bleu", "--overwrite"]) == 0
    assert "bleu_4" in json.loads(output.read_text())["scores"]


def test_images_without_a_caption(write, capsys):
    some = {key: CANDIDATES[key] for key in "ab"}
    arguments = [str(write("c", results(some))), str(write("r", REFERENCES))]
    arguments += ["--metrics", "cider,rouge_l"]
    assert main(arguments) == 2
    message = "2 of 4 images with references have no caption, such as 'c'. Caption all"
    assert message in capsys.readouterr().err
    assert main([*arguments, "--captioned-only"]) == 0
    scores = score_captions({k: REFERENCES[k] for k in "ab"}, some, ("cider",))
    printed = capsys.readouterr().out
    assert printed.startswith("scored 2 images; 2 without a caption left out\n")
    assert f"cider      {scores['cider']:.4f}" in printed


@pytest.mark.parametrize(
    ("captions", "references", "message"),
    [
        (
            results({"a": "x", "q": "y"}),
            REFERENCES,
            "1 of 2 captions .* such as 'q'. Na",
        ),
        ([], REFERENCES, "0 of 0 captions are of images without references. Name"),
        (results() + results(), REFERENCES, "4 images are there more than once, such"),
        (
            [{"image_id": 1.5, "caption": "a"}],
            REFERENCES,
            "a whole number or a text",
        ),
        ({"a": "a dog"}, REFERENCES, "c.json is damaged .expected a list, received"),
        (
            [{"image_id": 1}],
            REFERENCES,
            r"c.json is damaged .\[0\]: caption is missing",
        ),
        (
            results(),
            ["a"],
            r"r.json is damaged .expected an object, .*as MSCOCO",
        ),
        (results(), {"a": []}, r"r.json is damaged .a: expected a caption, or a list"),
        (
            results(),
            {"annotations": [{"image_id": 1}]},
            r"r.json is damaged .annotations\[0\]: caption is missing",
        ),
    ],
)
def test_what_cannot_be_scored(write, captions, references, message):
    paths = write("c", captions), write("r", references)
    with pytest.raises((FileError, ValueError), match=message):
        bring_together(read_candidates(paths[0]), read_references(paths[1]), False)
    assert main([*map(str, paths), "--metrics", "cider"]) == 2


def test_one_caption_may_stand_without_a_list(write):
    references = read_references(write("r", {"7": "a dog"}))
    assert references.by_id == {"7": ["a dog"]}


def test_inputs_are_not_replaced(write, capsys):
    path = write("c", results())
    arguments = [str(path), str(write("r", REFERENCES)), "--overwrite", "--output"]
    assert main([*arguments, str(path)]) == 2
    assert "would replace" in capsys.readouterr().err
    assert main([*arguments, "scores.txt"]) == 2
    assert "expected --output FILE.json" in capsys.readouterr().err
