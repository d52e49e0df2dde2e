"""What is saved is loaded as it was; damaged and foreign files are named."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from conftest import REFERENCE
from test_report import fake_explanation

import report
from dataset.images import ImageError
from files.arrays import read_arrays
from files.messages import FileError
from models import Explanation

WORDS = ("a", "brown", "dog")
EARLIER = REFERENCE / "e42c30f" / "explanation"
DERIVED = ("unusual_precision", "chosen_rules")
RELATIVE = 2**-11  # of half precision


def an_explanation(**changes) -> Explanation:
    """A small one with arrays of the types that methods give."""
    drawn = vars(fake_explanation(WORDS, **changes))
    fields = {name: value for name, value in drawn.items() if name not in DERIVED}
    single = {
        name: value.astype("float32")
        for name, value in fields.items()
        if isinstance(value, np.ndarray) and value.dtype == "float64" and name != "lost"
    }
    photo = np.random.default_rng(3).integers(0, 256, (30, 50, 3), "uint8")
    return Explanation(**({"photo": photo} | fields | single))


def assert_equal(found: Explanation, expected: Explanation, but: tuple = ()) -> None:
    """All fields are equal, arrays with their types; some are not compared."""
    for name, value in vars(expected).items():
        other = getattr(found, name)
        if name in but:
            continue
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(other, value, err_msg=name)
            assert other.dtype == value.dtype, name
        else:
            assert other == value and type(other) is type(value), name


@pytest.mark.parametrize(
    "changes",
    [
        {"mean_feature": np.array([0.5, -1.0, 2.0])},
        {"attention": None, "beta": None, "photo": None},
        {"lost": np.full((3, 2), np.nan), "features": np.full((3, 4, 5, 6), np.nan)},
        {"contrast": "cat", "has_pieces": True, "lrp_preset": "epsilon_plus"},
        {"pixels": np.zeros((3, 20, 24, 3)), "precision": "bfloat16"},
    ],
    ids=["whole", "no attention", "unknown", "with texts", "nothing"],
)
def test_what_is_saved_is_loaded(tmp_path, changes):
    if changes.get("has_pieces"):
        changes = changes | {
            "words_read": ("<start>", *WORDS),
            "preceding_words": np.random.default_rng(1).normal(size=(3, 4)),
        }
    e = an_explanation(**changes)
    e.save(tmp_path, exact=True)
    exact = Explanation.load(tmp_path)
    assert_equal(exact, e, but=("photo",))
    e.save(tmp_path)
    small = Explanation.load(str(tmp_path))
    assert_equal(small, e, but=("photo", "pixels", "features"))
    for name in ("pixels", "features"):
        values, found = getattr(e, name), getattr(small, name)
        assert found.dtype == values.dtype
        for one, other in zip(values, found, strict=True):
            limit = RELATIVE * np.abs(one).max()
            np.testing.assert_allclose(other, one, atol=limit, rtol=RELATIVE)


def test_the_photograph_lies_beside_it(tmp_path):
    photo = np.full((40, 2400, 3), 90, "uint8")
    e = an_explanation(photo=photo)
    paths = e.save(tmp_path)
    names = ["explanation.json", "explanation.npz", "photo.jpg"]
    assert [path.name for path in paths] == names
    assert sorted(tmp_path.iterdir()) == paths
    kept = Explanation.load(tmp_path).photo
    assert kept.shape == (27, 1600, 3) and abs(kept.astype(int) - 90).max() <= 2
    (tmp_path / "photo.jpg").unlink()
    assert Explanation.load(tmp_path).photo is None
    (tmp_path / "photo.jpg").write_text("no photo")
    with pytest.raises(ImageError, match=r"photo.jpg: not an image"):
        Explanation.load(tmp_path)


def test_an_explanation_of_an_earlier_version_is_loaded(tmp_path):
    e = Explanation.load(EARLIER)
    assert e.words == WORDS and e.words_read == ("<start>", *WORDS[:-1])
    assert e.steps == (0, 1, 2) and not e.has_pieces and e.photo is None
    given = e.preceding_words.sum(1) + e.features.sum((1, 2, 3)) + e.lost[:, 0]
    np.testing.assert_allclose(given, e.logits, atol=0.02)  # of half precision
    assert report.write_report(tmp_path / "report.html", [[e]]).is_file()


def test_a_folder_of_several_methods_names_them(tmp_path):
    for method in ("lrp", "gradient"):
        an_explanation(method=method).save(tmp_path / method)
    with pytest.raises(FileError, match="Load one of them: gradient, lrp"):
        Explanation.load(tmp_path)
    assert Explanation.load(tmp_path / "gradient").method == "gradient"
    with pytest.raises(FileError, match=r"none.explanation.json is missing. Explain"):
        Explanation.load(tmp_path / "none")


def save_changed(folder, **changes) -> None:
    """Saves an explanation, and then other arrays; None leaves one out."""
    an_explanation().save(folder)
    with np.load(folder / "explanation.npz") as arrays:
        found = dict(arrays) | changes
    kept = {name: value for name, value in found.items() if value is not None}
    np.savez_compressed(folder / "explanation.npz", **kept)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": None}, "the array logits is missing"),
        ({"pixels": np.zeros((3, 20, 25, 3), "f2")}, r"received \(3, 20, 25, 3\)"),
        ({"preceding_words": np.zeros((3, 2))}, r"expected preceding_words of shape"),
        ({"beta": np.zeros(2)}, r"expected beta of shape \(3,\)"),
        ({"image": np.zeros((20, 24, 3))}, "image has float64, expected uint8"),
        ({"lost": np.zeros((3, 2), int)}, "lost has int64, expected fractions"),
        ({"log_probabilities": np.full(3, np.nan)}, "that are not finite"),
        ({"logits": np.zeros(3)}, r"its logits are not those of explanation\.json"),
        ({"beta": np.array([{}] * 3)}, "Object arrays cannot be loaded"),
    ],
)
def test_arrays_of_another_explanation_are_refused(tmp_path, changes, message):
    save_changed(tmp_path, **changes)
    with pytest.raises(FileError, match=rf"explanation.npz is damaged \(.*{message}"):
        Explanation.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": []}, "words: expected a list of at least 1 entries"),
        ({"caption": 3}, "caption: expected a text, received 3"),
        ({"precision": "float8"}, "precision: expected one of float32, bfloat16"),
        ({"words_read": [1]}, r"words_read\[0\]: expected a text"),
    ],
)
def test_a_changed_summary_is_refused(tmp_path, change, message):
    path = an_explanation().save(tmp_path)[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileError, match=rf"explanation.json is damaged \({message}"):
        Explanation.load(tmp_path)


def test_damaged_arrays_are_named(tmp_path):
    """Bytes are cut off or changed: the file is refused, or the arrays are right."""
    e = an_explanation()
    path = e.save(tmp_path, exact=True)[1]
    whole = path.read_bytes()
    places = np.random.default_rng(0).integers(0, len(whole), 24)
    damage = [whole[:place] for place in places[:6]]
    damage += [whole[:p] + bytes([whole[p] ^ 255]) + whole[p + 1 :] for p in places]
    refused = 0
    for content in (b"", b"no zip", *damage):
        path.write_bytes(content)
        try:
            assert_equal(Explanation.load(tmp_path), e, but=("photo",))
        except FileError as error:
            refused += "explanation.npz is damaged" in str(error)
    assert refused > len(damage) / 2


def test_what_is_no_file_of_arrays_is_named(tmp_path):
    np.save(tmp_path / "a.npz", np.zeros(3))
    (tmp_path / "a.npz.npy").rename(tmp_path / "a.npz")
    with pytest.raises(FileError, match=r"a.npz is damaged .File is not a zip file"):
        read_arrays(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", bytes(1_000_000))
    with pytest.raises(FileError, match=r"b.npz is damaged"):
        read_arrays(tmp_path / "b.npz")


def test_arrays_far_too_large_are_refused(tmp_path, monkeypatch):
    shutil.copy(EARLIER / "explanation.npz", tmp_path)
    monkeypatch.setattr("files.arrays.MOST_BYTES", 10_000)
    with pytest.raises(FileError, match=r"its arrays take [\d,]+ bytes"):
        read_arrays(tmp_path / "explanation.npz")
