"""Photographs from disk: what is read, what is refused and why."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from dataset.images import (
    FORMATS,
    IMAGE_SUFFIXES,
    ImageError,
    list_images,
    load_image,
)

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


def on_white(pixels: np.ndarray) -> np.ndarray:
    colours, alpha = pixels[..., :3].astype(float), pixels[..., 3:] / 255
    return np.rint(colours * alpha + 255 * (1 - alpha)).astype(np.uint8)


def test_transparency_is_laid_on_white(tmp_path):
    pixels = random_pixels(shape=(HEIGHT, WIDTH, 4))
    pixels[:5, ..., 3], pixels[5:9, ..., 3] = 0, 255
    path = save(tmp_path / "transparent.png", pixels)
    np.testing.assert_array_equal(load_image(path, 19), resized(on_white(pixels), 19))
    for suffix in (".tif", ".webp"):
        path = save(tmp_path / f"transparent{suffix}", pixels, lossless=True)
        found = load_image(path, 40)[:4]
        assert (found == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB", "1", "I;16"])
def test_hidden_colours_do_not_matter(tmp_path, mode):
    """Row R3 of the cases: one picture, whatever lies under what is transparent."""
    found = []
    for hidden in ((0, 0, 0, 0), (255, 255, 255, 0), (0, 200, 0, 0)):
        pixels = np.full((HEIGHT, WIDTH, 4), hidden, np.uint8)
        pixels[9:20, 9:20] = (90, 90, 90, 255)
        image, extra = Image.fromarray(pixels), {}
        level = hidden[0]
        if mode == "P":
            image = Image.fromarray((pixels[..., 3] > 0).astype(np.uint8))
            image.putpalette([*hidden[:3], 90, 90, 90])
            extra = {"transparency": 0}
        elif mode in ("L", "RGB"):
            image = image.convert(mode)
            extra = {"transparency": level if mode == "L" else hidden[:3]}
            if mode == "L":
                extra = {"transparency": image.getpixel((0, 0))}
        elif mode == "I;16":
            image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
            extra = {"transparency": level * 257}
        elif mode == "1":
            level = 255 * (level > 0)
            pixels[9:20, 9:20, :3] = 255 - level
            pixels[..., :3] = np.where(pixels[..., 3:] > 0, 255 - level, level)
            image = Image.fromarray(pixels[..., 0]).convert("1")
            extra = {"transparency": level // 255}
        elif mode != "RGBA":
            image = image.convert(mode)
        image.save(tmp_path / "a.png", **extra)
        picture = load_image(tmp_path / "a.png", 60)
        assert (picture[:5] == 255).all()
        found.append(picture)
    if mode != "1":  # has two colours, one of them hidden
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("transparency", [None, bytes(range(7))])
def test_palette_is_looked_up(tmp_path, transparency):
    colours = random_pixels(1, (7, 3))
    indices = random_pixels(2, (HEIGHT, WIDTH)) % 7
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    extra = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "palette.png", **extra)
    alpha = np.full(7, 255) if transparency is None else np.arange(7)
    expected = on_white(np.concatenate([colours, alpha[:, None]], axis=1)[indices])
    found = load_image(tmp_path / "palette.png", 19)
    np.testing.assert_array_equal(found, resized(expected, 19))


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


GRAY = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)


@pytest.mark.parametrize(
    "values",
    [
        GRAY / np.float32(255),  # in [0, 1]
        GRAY.astype(np.float32),  # in [0, 255]
        GRAY * np.float32(257),  # in [0, 65535]
        GRAY.astype(np.int32),
        GRAY.astype(np.int32) * 257,
        GRAY.astype(np.uint16),  # 8 bits in 16
        ((GRAY.astype(int) * 4095 + 254) // 255).astype(np.uint16),  # 12 bits in 16
        (GRAY.astype(np.int64) * (2**31 - 1) // 255 + 1).clip(0, 2**31 - 1),
    ],
    ids=["unit", "bytes", "words", "int32", "words32", "8in16", "12in16", "31"],
)
def test_grey_is_scaled_by_its_range(tmp_path, values):
    values = values.astype(np.int32) if values.dtype == np.int64 else values
    path = save(tmp_path / "grey.tif", values)
    expected = resized(GRAY.repeat(3).reshape(HEIGHT, WIDTH, 3), 19)
    found = load_image(path, 19)
    np.testing.assert_allclose(found.astype(int), expected, atol=1)


def test_other_kinds_of_colour(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:] = (200, 60, 30)
    image = Image.fromarray(pixels)
    image.convert("YCbCr").save(tmp_path / "YCbCr.tif")
    image.convert("CMYK").save(tmp_path / "CMYK.tif")
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    lab.save(tmp_path / "LAB.tif")
    for name in ("YCbCr", "CMYK", "LAB"):
        found = load_image(tmp_path / f"{name}.tif", 19)
        np.testing.assert_allclose(found[5, 5].astype(int), pixels[0, 0], atol=4)
    Image.fromarray(pixels[..., 0] > 0).save(tmp_path / "bits.png")
    assert (load_image(tmp_path / "bits.png") == 255).all()


@pytest.mark.parametrize("kind", [b"eXIf", b"tEXt", b"iTXt", b"zTXt", b"iCCP", b"pHYs"])
@pytest.mark.parametrize("data", [b"", b"x", b"Exif\0\0broken", b"\xff" * 40])
@pytest.mark.parametrize("is_sound", [True, False])
def test_broken_metadata_of_a_png_do_not_matter(tmp_path, kind, data, is_sound):
    path = save(tmp_path / "photo.png")
    expected = load_image(path)
    content = path.read_bytes()
    checksum = zlib.crc32(kind + data) ^ (0 if is_sound else 1)
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
    for place in (33, len(content) - 12):  # before the pixels and after them
        path.write_bytes(content[:place] + chunk + content[place:])
        np.testing.assert_array_equal(load_image(path), expected)


@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xED, 0xFE, 0xE0])
@pytest.mark.parametrize(
    "head",
    [b"", b"Exif\0\0", b"MPF\0", b"ICC_PROFILE\0", b"Photoshop 3.0\0", b"JFIF\0"],
)
def test_broken_metadata_of_a_jpeg_do_not_matter(tmp_path, marker, head):
    path = save(tmp_path / "photo.jpg")
    expected = load_image(path)
    content = path.read_bytes()
    data = head + b"MM\0*\0\0\0\x08\xff\xff\x01\x12broken"
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data
    path.write_bytes(content[:20] + segment + content[20:])
    np.testing.assert_array_equal(load_image(path), expected)


def test_orientation_beside_broken_metadata(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6
    path = save(tmp_path / "photo.png", exif=tags)
    expected = load_image(path)
    content = path.read_bytes()
    path.write_bytes(content[:33] + b"\0\0\0\1tEXtx\0\0\0\0" + content[33:])
    np.testing.assert_array_equal(load_image(path), expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, np.nan]], np.float32), r"not finite \(NaN or infinity\)"),
        (np.array([[0, np.inf]], np.float32), r"not finite"),
        (np.array([[-3, 9]], np.float32), r"negative values \(down to -3\)"),
        (
            np.array([[0, 1.5]], np.float32),
            r"reach 1.5; expected fractions in \[0, 1\]",
        ),
        (np.array([[0, 1e9]], np.float32), r"reach 1e\+09"),
    ],
)
def test_values_of_no_known_range(tmp_path, values, message):
    path = save(tmp_path / "a.tif", values)
    with pytest.raises(
        ImageError, match=f"a.tif: the image cannot be shown: .*{message}"
    ):
        load_image(path)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.uint8])
def test_white_may_be_zero(tmp_path, dtype):
    """Tag 262 of TIFF is 0."""
    top = {np.uint16: 65535, np.float32: 1, np.uint8: 255}[dtype]
    values = np.full((HEIGHT, WIDTH), top, dtype)
    values[:15] = 0
    tifffile = pytest.importorskip("tifffile")  # comes with scikit-image
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    found = load_image(tmp_path / "a.tif", 30)
    assert (found[:14] == 255).all() and (found[16:] == 0).all()


@pytest.mark.parametrize("tag", [700, 33723, 34377, 34665, 34675, 34853])
@pytest.mark.parametrize("value", [0xFFFFFF0, 3, 0])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_broken_metadata_of_a_tiff_do_not_matter(tmp_path, tag, value, compression):
    """XMP, IPTC, Photoshop, EXIF, ICC, GPS: they point to nowhere."""
    tifffile = pytest.importorskip("tifffile")
    arguments = {"photometric": "rgb", "compression": compression}
    pixels, extra = random_pixels(), [(tag, "I", 1, value, True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=extra, **arguments)
    np.testing.assert_array_equal(
        load_image(tmp_path / "a.tif", 19), resized(pixels, 19)
    )


def test_signed_numbers_have_a_bit_less(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    values = GRAY.astype(np.int16) * 128
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    expected = resized(GRAY.repeat(3).reshape(HEIGHT, WIDTH, 3), 19)
    found = load_image(tmp_path / "a.tif", 19)
    np.testing.assert_allclose(found.astype(int), expected, atol=1)


def test_signed_bytes_are_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", GRAY.astype(np.int8), photometric="minisblack")
    with pytest.raises(ImageError, match="its bytes have a sign"):
        load_image(tmp_path / "a.tif")


def test_dark_colours_of_16_bits_are_refused(tmp_path):
    path = png16(tmp_path / "a.png", 4095)
    with pytest.raises(ImageError, match="16 bits hold values of 12 bits or fewer"):
        load_image(path)
    assert (load_image(png16(tmp_path / "b.png", 65535)) == 255).all()


def png16(path, value):
    """A PNG of 9x8 pixels of one grey, with three times 16 bits."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    rows = (b"\0" + struct.pack(">H", value) * 27) * 8
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 8, 16, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return write(path, b"\x89PNG\r\n\x1a\n" + header + pixels)


# What is refused


def write(path, content):
    path.write_bytes(content)
    return path


def folder(path):
    path.mkdir()
    return path


def pipe(folder):
    os.mkfifo(folder / "pipe.jpg")
    return folder / "pipe.jpg"


REFUSED = {
    "missing": (lambda p: p / "a.jpg", "the file does not exist"),
    "pipe": (pipe, "the file is a pipe or a device"),
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


def test_list_images_leaves_out_what_is_no_photo(tmp_path):
    for name in ("a.jfif", "b.JPE", "._b.jpg", "d.heic", "e.avif", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "c.jpg").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.jfif", "b.JPE"]


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_suffix_is_read(tmp_path, suffix):
    formats = {s: name for name, suffixes in FORMATS.items() for s in suffixes}
    path = save(tmp_path / f"a{suffix}", format=formats[suffix])
    assert load_image(path).std() > 1
    assert list_images(tmp_path) == [path]


@pytest.mark.parametrize("name", ["EPS", "SPIDER", "ICO", "PCX", "TGA"])
def test_only_the_named_formats_are_opened(tmp_path, name):
    image = Image.fromarray(random_pixels())
    image = image.convert("F") if name == "SPIDER" else image
    content = io.BytesIO()
    image.save(content, format=name)  # SPIDER would take over the suffix of a file
    (tmp_path / "photo.jpg").write_bytes(content.getvalue())
    with pytest.raises(ImageError, match="not an image that Pillow can read as one of"):
        load_image(tmp_path / "photo.jpg")


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
