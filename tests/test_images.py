"""Photographs from disk: what is read, what is refused and why."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dataset.images import ImageError, list_images, load_image

HEIGHT, WIDTH = 30, 40


def random_pixels(seed: int = 0, shape=(HEIGHT, WIDTH, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def save(path, pixels=None, **arguments):
    image = Image.fromarray(random_pixels() if pixels is None else pixels)
    image.save(path, **arguments)
    return path


def huge_png(path, width, height):
    """Writes the header of an image of that size and a single byte of it."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", b"x"), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def truncated(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


# What is read


def test_plain_resize(tmp_path):
    pixels = random_pixels()
    path = save(tmp_path / "photo.png", pixels)
    np.testing.assert_array_equal(load_image(path, 17), resized(pixels, 17))
    assert load_image(str(path)).shape == (224, 224, 3)
    assert load_image(path).dtype == np.uint8


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.swapaxes(0, 1)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: x[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda x: np.rot90(x, 1)),
        (9, lambda x: x),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_orientation_is_followed(tmp_path, orientation, upright, suffix):
    pixels = random_pixels()
    tags = Image.Exif()
    tags[0x0112] = orientation
    path = save(tmp_path / f"photo{suffix}", pixels, exif=tags)
    expected = resized(np.ascontiguousarray(upright(pixels)), 23)
    np.testing.assert_array_equal(load_image(path, 23), expected)


def test_a_damaged_tag_does_not_matter(tmp_path):
    tags = Image.Exif()
    tags[0x0112], tags[0x0213] = 6, 1
    path = save(tmp_path / "photo.jpg", exif=tags, quality=95)
    expected = load_image(path)
    content = path.read_bytes()
    tag = struct.pack(">HH", 0x0213, 3)  # a whole number, turned into text
    assert content.count(tag) == 1
    path.write_bytes(content.replace(tag, struct.pack(">HH", 0x0213, 2)))
    np.testing.assert_array_equal(load_image(path), expected)


def test_gray_is_repeated(tmp_path):
    gray = random_pixels(shape=(HEIGHT, WIDTH))
    path = save(tmp_path / "gray.png", gray)
    expected = resized(gray.repeat(3).reshape(HEIGHT, WIDTH, 3), 19)
    np.testing.assert_array_equal(load_image(path, 19), expected)


def test_transparency_is_dropped(tmp_path):
    pixels = random_pixels(shape=(HEIGHT, WIDTH, 4))
    path = save(tmp_path / "transparent.png", pixels)
    expected = resized(np.ascontiguousarray(pixels[..., :3]), 19)
    np.testing.assert_array_equal(load_image(path, 19), expected)


@pytest.mark.parametrize("transparency", [None, bytes(range(7))])
def test_palette_is_looked_up(tmp_path, transparency):
    colours = random_pixels(1, (7, 3))
    indices = random_pixels(2, (HEIGHT, WIDTH)) % 7
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    extra = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "palette.png", **extra)
    found = load_image(tmp_path / "palette.png", 19)
    np.testing.assert_array_equal(found, resized(colours[indices], 19))


def test_cmyk_is_converted(tmp_path):
    ink = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    ink[..., 0] = 255  # cyan: no red
    image = Image.frombytes("CMYK", (WIDTH, HEIGHT), ink.tobytes())
    image.save(tmp_path / "cyan.jpg", quality=95)
    # JPEG moves colours by a few levels.
    np.testing.assert_allclose(
        load_image(tmp_path / "cyan.jpg", 19)[5, 7], [0, 255, 255], atol=3
    )


@pytest.mark.parametrize("name", ["deep.png", "deep.tiff", "deep.pgm"])
def test_sixteen_bits_are_scaled(tmp_path, name):
    gray = random_pixels(shape=(HEIGHT, WIDTH))
    path = save(tmp_path / name, gray.astype(np.uint16) * 257)
    expected = resized(gray.repeat(3).reshape(HEIGHT, WIDTH, 3), 19)
    np.testing.assert_array_equal(load_image(path, 19), expected)


# What is refused


def write(path, content):
    path.write_bytes(content)
    return path


def folder(path):
    path.mkdir()
    return path


REFUSED = {
    "missing": (lambda p: p / "a.jpg", "the file does not exist"),
    "folder": (lambda p: folder(p / "a"), "the file is a folder"),
    "empty": (lambda p: write(p / "a.jpg", b""), "the file is empty"),
    "text": (lambda p: write(p / "a.jpg", b"no image\n"), "not an image that Pillow"),
    "html": (lambda p: write(p / "a.png", b"<html></html>"), "not an image that"),
    "jpeg": (lambda p: truncated(save(p / "a.jpg")), "damaged .*truncated"),
    "png": (lambda p: truncated(save(p / "a.png")), "damaged .*truncated"),
    "gif": (lambda p: truncated(save(p / "a.gif")), "the image is damaged"),
    "webp": (lambda p: truncated(save(p / "a.webp")), "not an image|damaged"),
    "header": (lambda p: truncated(save(p / "a.bmp"), 0.01), "the image is damaged"),
    "pixels": (lambda p: huge_png(p / "a.png", 9, 8), "the image is damaged"),
    "large": (lambda p: huge_png(p / "a.png", 10001, 10000), "10001x10000 pixels"),
    "bomb": (lambda p: huge_png(p / "a.png", 99999, 88888), "far too many pixels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    make, reason = REFUSED[case]
    path = make(tmp_path)
    with pytest.raises(ImageError, match=reason) as caught:
        load_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_every_truncation_is_refused(tmp_path):
    whole = save(tmp_path / "photo.jpg").read_bytes()
    for length in range(1, len(whole) - 20, 37):
        path = write(tmp_path / "part.jpg", whole[:length])
        with pytest.raises(ImageError, match=r"part\.jpg: "):
            load_image(path)


def test_list_images(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.JPG", "c.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"empty: the folder holds no image"):
        list_images(tmp_path / "empty")


def test_what_a_folder_holds_beside_images_is_told(tmp_path, caplog):
    caplog.set_level("INFO")
    for name in ("a.png", ".a.png", ".DS_Store", "notes.txt"):
        (tmp_path / name).touch()
    assert list_images(tmp_path) == [tmp_path / "a.png"] and len(caplog.records) == 1
    for name in ("f", "g", "h", "e.jpg"):
        (tmp_path / name).mkdir()
    caplog.clear()
    assert list_images(tmp_path) == [tmp_path / "a.png"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: left out are hidden files (.DS_Store, .a.png), "
        "subfolders (e.jpg, f, g and 1 more), other files (notes.txt)."
    ]
    (tmp_path / "a.png").unlink()
    with pytest.raises(
        ImageError, match=r"It has hidden files .* Name a folder of images"
    ):
        list_images(tmp_path)


def test_nothing_is_told_of_a_folder_of_images(tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "a.png").touch()
    list_images(tmp_path)
    assert not caplog.records
