"""The feature cache: its values, and what happens when a run is killed."""

import collections

import numpy as np
import pytest

from dataset import feature_cache
from dataset.feature_cache import cache_features

SHAPE = (2, 3, 4)
BATCH = 3


@pytest.fixture
def paths(tmp_path):
    """Eleven files: four batches, the last one smaller."""
    (tmp_path / "images").mkdir()
    paths = [tmp_path / "images" / f"{number}.jpg" for number in range(11)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * number)
    return paths


class Encoder:
    """Turns a file into features that depend on its name; may be killed."""

    def __init__(self, last=None):
        self.last, self.seen = last, []

    def __call__(self, paths):
        if self.last in [path.stem for path in paths]:
            raise KeyboardInterrupt
        self.seen += [path.stem for path in paths]
        return np.stack([features_of(path) for path in paths])


def features_of(path):
    generator = np.random.default_rng(int(path.stem))
    return generator.normal(size=SHAPE).astype("float32")


def cache(folder, paths, encode, source="net"):
    return cache_features(folder, paths, encode, SHAPE, source, BATCH)


def test_values_in_half_precision(tmp_path, paths):
    encoder = Encoder()
    features = cache(tmp_path / "cache", paths, encoder)
    expected = np.stack([features_of(path) for path in paths]).astype("float16")
    np.testing.assert_array_equal(features, expected)
    assert encoder.seen == [path.stem for path in paths]
    with pytest.raises(ValueError, match="read-only"):
        features[0] = 0


def test_a_full_cache_is_not_computed_again(tmp_path, paths):
    expected = np.array(cache(tmp_path, paths, Encoder()))
    encoder = Encoder()
    again = cache(tmp_path, paths, encoder)
    np.testing.assert_array_equal(again, expected)
    assert encoder.seen == [] and again.mode == "r"


@pytest.mark.parametrize("value", [7e4, -np.inf, np.nan])
def test_features_that_half_precision_cannot_hold(tmp_path, paths, value):
    def encode(some):
        features = np.stack([features_of(path) for path in some])
        features[1, 0, 2, 3] = value
        return features

    expected = r"features of .*1\.jpg are not finite in half precision.*largest is"
    with pytest.raises(ValueError, match=expected):
        cache(tmp_path / "cache", paths, encode)


@pytest.mark.parametrize(
    ("save_every", "last", "first_again"),
    # Batches start at 0, 3, 6, 9; the progress is noted after every second or third.
    [(2, "10", 6), (2, "7", 6), (3, "10", 9), (3, "6", 0), (2, "0", 0)],
)
def test_a_killed_run_goes_on(
    tmp_path, paths, monkeypatch, save_every, last, first_again
):
    monkeypatch.setattr(feature_cache, "SAVE_EVERY", save_every)
    with pytest.raises(KeyboardInterrupt):
        cache(tmp_path, paths, Encoder(last))
    encoder = Encoder()
    features = cache(tmp_path, paths, encoder)
    expected = np.stack([features_of(path) for path in paths]).astype("float16")
    np.testing.assert_array_equal(features, expected)
    assert encoder.seen == [path.stem for path in paths[first_again:]]


def test_other_images_and_sources_have_other_caches(tmp_path, paths):
    folder = tmp_path / "cache"
    cache(folder, paths, Encoder())
    cache(folder, paths, Encoder(), source="other net")
    cache(folder, paths[::-1], Encoder())
    cache(folder, paths[:10], Encoder())
    paths[4].write_bytes(b"changed")
    encoder = Encoder()
    features = cache(folder, paths, encoder)
    assert len(encoder.seen) == 11
    assert features.shape == (11, *SHAPE)
    assert len(list(folder.iterdir())) == 5


def test_too_little_room(tmp_path, paths, monkeypatch):
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(500))
    with pytest.raises(OSError, match=r"needs 0\.0 GB; .* Name another folder with"):
        cache(tmp_path / "cache", paths, Encoder())
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(2 * 11 * 24))
    cache(tmp_path / "cache", paths, Encoder())
