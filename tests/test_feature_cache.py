"""The feature cache: its values, and what happens when a run is killed."""

import collections
import json

import numpy as np
import pytest

from dataset import feature_cache
from dataset.feature_cache import FeatureCache, ShardedArray, cache_features

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


def read_number(path):
    return np.array(int(path.stem))


class Encoder:
    """Turns the number of a file into features; may be killed."""

    def __init__(self, last=None):
        self.last, self.seen = last, []

    def __call__(self, numbers):
        names = [str(number) for number in numbers]
        if self.last in names:
            raise KeyboardInterrupt
        self.seen += names
        return np.stack([features_of(number) for number in numbers])


def features_of(number):
    generator = np.random.default_rng(int(number))
    return generator.normal(size=SHAPE).astype("float32")


def expected_features():
    return np.stack([features_of(number) for number in range(11)]).astype("float16")


def cache(folder, paths, encode, source="net", read=read_number):
    return cache_features(folder, paths, read, encode, SHAPE, source, BATCH)


def test_values_in_half_precision(tmp_path, paths):
    encoder = Encoder()
    features = cache(tmp_path / "cache", paths, encoder)
    expected = expected_features()
    np.testing.assert_array_equal(features, expected)
    assert encoder.seen == [path.stem for path in paths]
    assert features[0].dtype == features.dtype == "float16"
    with pytest.raises(ValueError, match="read-only"):
        features[0][0] = 0


def test_a_full_cache_is_not_computed_again(tmp_path, paths):
    expected = np.array(cache(tmp_path, paths, Encoder()))
    encoder = Encoder()
    again = cache(tmp_path, paths, encoder)
    np.testing.assert_array_equal(again, expected)
    assert encoder.seen == [] and not again[0].flags.writeable


@pytest.mark.parametrize("value", [7e4, -np.inf, np.nan])
def test_features_that_half_precision_cannot_hold(tmp_path, paths, value):
    def encode(some):
        features = np.stack([features_of(number) for number in some])
        features[1, 0, 2, 3] = value
        return features

    expected = r"features of .*1\.jpg are not finite in half precision.*largest is"
    with pytest.raises(ValueError, match=expected):
        cache(tmp_path / "cache", paths, encode)


# (SHARD, SAVE_EVERY, the image at which it is killed, where it goes on). Batches of 3
# start anew in each shard; the progress is noted after every second or third batch of
# a shard and at its end.
KILLED = [
    (99, 2, "10", 6),
    (99, 2, "7", 6),
    (99, 3, "10", 9),
    (99, 3, "6", 0),
    (99, 2, "0", 0),
    (4, 2, "2", 0),
    (4, 2, "3", 0),
    (4, 2, "4", 4),
    (4, 2, "7", 4),
    (4, 1, "7", 7),
    (4, 2, "9", 8),
    (1, 2, "9", 9),
]


@pytest.mark.parametrize(("shard", "save_every", "last", "first_again"), KILLED)
def test_a_killed_run_goes_on(
    tmp_path, paths, monkeypatch, shard, save_every, last, first_again
):
    monkeypatch.setattr(feature_cache, "SHARD", shard)
    monkeypatch.setattr(feature_cache, "SAVE_EVERY", save_every)
    with pytest.raises(KeyboardInterrupt):
        cache(tmp_path, paths, Encoder(last))
    encoder = Encoder()
    features = cache(tmp_path, paths, encoder)
    expected = expected_features()
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
    with pytest.raises(OSError, match=r"needs 0\.0 MB; .* Name another folder with"):
        cache(tmp_path / "cache", paths, Encoder())
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(2 * 11 * 24))
    cache(tmp_path / "cache", paths, Encoder())
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(0))
    cache(tmp_path / "cache", paths, Encoder())  # needs no more room


# Shards


@pytest.mark.parametrize("shard", [1, 4, 5, 10, 11, 12])
def test_shards_read_as_one_array(tmp_path, paths, monkeypatch, shard):
    monkeypatch.setattr(feature_cache, "SHARD", shard)
    found = cache(tmp_path, paths, Encoder())
    expected = expected_features()
    files = sorted(path.name for path in tmp_path.glob("*/features*"))
    numbers = range(1, -(-11 // shard))
    assert files == sorted(
        ["features.npy", *(f"features-{n:05d}.npy" for n in numbers)]
    )
    assert found.shape == expected.shape and len(found) == 11
    for index in (0, 3, 4, 10, -1, -11, np.int64(7)):
        np.testing.assert_array_equal(found[index], expected[index])
    for start, stop, step in ((0, 11, 1), (3, 5, 1), (2, 9, 3), (8, 99, 1), (4, 4, 1)):
        some = found[start:stop:step]
        assert some.shape == expected[start:stop:step].shape
        np.testing.assert_array_equal(some, expected[start:stop:step])
    np.testing.assert_array_equal(found[::-1], expected[::-1])
    for index in (11, -12):
        with pytest.raises(IndexError):
            found[index]


def test_a_part_of_one_shard_is_not_copied():
    shards = [np.arange(8).reshape(4, 2), np.arange(6).reshape(3, 2)]
    array = ShardedArray(shards)
    assert np.shares_memory(array[1:4], shards[0])
    assert np.shares_memory(array[4:6], shards[1])
    assert np.shares_memory(array[5], shards[1])


@pytest.mark.parametrize("done", [11, 6])
def test_caches_of_one_file_are_still_used(tmp_path, paths, monkeypatch, done):
    """Earlier versions wrote one file, however many images there were."""
    monkeypatch.setattr(feature_cache, "SHARD", 4)
    folder = FeatureCache.of(tmp_path, paths, SHAPE, "net").folder
    folder.mkdir()
    expected = expected_features()
    written = np.where(np.arange(11)[:, None, None, None] < done, expected, 0)
    np.save(folder / "features.npy", written)
    (folder / "progress.json").write_text(json.dumps({"done": done}))
    encoder = Encoder()
    np.testing.assert_array_equal(cache(tmp_path, paths, encoder), expected)
    assert encoder.seen == [path.stem for path in paths[done:]]
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["features.npy", "progress.json"]


@pytest.mark.parametrize("name", ["features.npy", "features-00002.npy"])
def test_a_damaged_cache_is_named(tmp_path, paths, monkeypatch, name):
    monkeypatch.setattr(feature_cache, "SHARD", 4)
    cache(tmp_path, paths, Encoder())
    (path,) = tmp_path.glob(f"*/{name}")
    whole = path.read_bytes()
    for content in (whole[:150], whole[:20], b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"is damaged \(.*\)\. Delete the folder"):
            cache(tmp_path, paths, Encoder())


def test_a_disk_that_fills_up_is_noticed_before_the_next_shard(
    tmp_path, paths, monkeypatch
):
    usage = collections.namedtuple("usage", "free")
    free = iter([usage(2 * 11 * 24), usage(2 * 7 * 24 - 1)])
    monkeypatch.setattr("shutil.disk_usage", lambda folder: next(free))
    monkeypatch.setattr(feature_cache, "SHARD", 4)
    encoder = Encoder()
    with pytest.raises(OSError, match="Name another folder with --cache-dir"):
        cache(tmp_path / "cache", paths, encoder)
    assert len(encoder.seen) == 4


def test_an_image_that_cannot_be_read_stops_at_its_batch(tmp_path, paths):
    def read(path):
        if path.stem == "7":
            raise ValueError("7.jpg is damaged")
        return read_number(path)

    encoder = Encoder()
    with pytest.raises(ValueError, match=r"7\.jpg is damaged"):
        cache(tmp_path, paths, encoder, read=read)
    assert encoder.seen == [*"012345"]
