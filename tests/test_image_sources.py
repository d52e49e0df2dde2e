"""One photograph of every kind gives the same pixels; what is none is refused."""

import contextlib
import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import tiny_captioner
from keras import ops
from PIL import Image

from dataset.addresses import AddressError, fetch
from dataset.image_values import draw_array
from dataset.images import ImageError, load_image, open_image, split_images

HEIGHT, WIDTH = 20, 31
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), "uint8")
GREY = PIXELS[..., 0]
ALPHA = PIXELS[..., 1:2]
COLOURS = PIXELS.astype("int64")


def png(pixels=PIXELS, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


class Recording:
    """Behaves as a tensor of another library does that records."""

    shape, dtype, ndim = PIXELS.shape, "float32", 3

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on a tensor that records.")

    def detach(self):
        return self

    cpu = detach

    def is_floating_point(self):
        return True

    def float(self):
        return (PIXELS / 255).astype("float32")


KINDS = {
    "bytes": png(),
    "a bytearray": bytearray(png()),
    "a picture": Image.fromarray(PIXELS),
    "an opened picture": Image.open(io.BytesIO(png())),
    "whole numbers": COLOURS,
    "fractions": PIXELS / 255,
    "fractions up to 255": PIXELS.astype("float32"),
    "a word for each": (COLOURS * 257).astype("uint16"),
    "half precision": (PIXELS / 255).astype("float16"),
    "channels first": np.moveaxis(PIXELS, -1, 0),
    "opaque": np.concatenate([PIXELS, np.full_like(ALPHA, 255)], axis=-1),
    "turned memory": np.asfortranarray(PIXELS),
    "a tensor": ops.convert_to_tensor(PIXELS),
    "a tensor of fractions": ops.convert_to_tensor((PIXELS / 255).astype("float32")),
    "a tensor that records": Recording(),
    "a photograph": open_image(png()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_pixels(kind):
    found = open_image(KINDS[kind])
    np.testing.assert_array_equal(found.pixels, PIXELS)
    assert found.picture.mode == "RGB"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (GREY[None], GREY),
        (GREY > 99, np.where(GREY > 99, 255, 0)),
        (np.concatenate([GREY[..., None], ALPHA], -1), None),
        (GREY.astype("uint16") * 16, GREY.astype("int64") * 16 * 255 // 4095),
    ],
    ids=["grey", "one channel", "channel first", "truth", "with alpha", "12 bits"],
)
def test_grey_is_repeated(values, expected):
    if expected is None:
        alpha = ALPHA[..., 0].astype("int64")
        expected = (GREY * alpha + 255 * (255 - alpha) + 127) // 255
    found = open_image(values).pixels
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, axis=-1))


def test_what_is_transparent_is_laid_on_white_as_in_files():
    values = np.concatenate([PIXELS, ALPHA], axis=-1)
    expected = open_image(png(values)).pixels
    np.testing.assert_array_equal(open_image(values).pixels, expected)
    np.testing.assert_array_equal(open_image(values / 255).pixels, expected)


def test_half_fractions_of_other_libraries_are_read():
    values = ops.cast(ops.convert_to_tensor((PIXELS / 255).astype("f4")), "bfloat16")
    np.testing.assert_allclose(open_image(values).pixels, PIXELS, atol=1)  # 8 bits


def test_the_orientation_of_a_picture_is_followed():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = png(np.rot90(PIXELS), exif=exif)
    for image in (turned, Image.open(io.BytesIO(turned))):
        np.testing.assert_array_equal(open_image(image).pixels, PIXELS)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "an array or a tensor; received None"),
        ([[1, 2], [3, 4]], r"received \[\[1, 2\], \[3, 4\]\]"),
        (b"", "bytes of the image are empty"),
        (b"no image", "the bytes given: not an image that Pillow can read"),
        (png()[:200], "the bytes given: the image is damaged"),
        (PIXELS - 300.0, r"\(20, 31, 3\) of float64: .*negative values"),
        (PIXELS / 60, "its values reach 4.25; expected fractions"),
        (np.full((4, 5), np.nan), "not finite"),
        (np.zeros((5, 6, 7)), "its shape is that of no picture"),
        (PIXELS[None], "of a batch, one image"),
        (PIXELS[:0], "its shape is that of no picture"),
        (PIXELS[0, 0], "its shape is that of no picture"),
        (PIXELS * 1j, "no real numbers"),
        (np.array([["a"]]), "no real numbers"),
        (np.zeros((2, 2), object), "no real numbers"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(ImageError, match=message):
        load_image(image)


def test_arrays_are_not_changed():
    values = PIXELS / 255
    before = values.copy()
    draw_array(values)
    np.testing.assert_array_equal(values, before)


def test_one_image_and_many_are_told_apart(tmp_path):
    batch = np.stack([PIXELS, PIXELS])
    for one in ("a.jpg", tmp_path, png(), PIXELS, GREY, open_image(PIXELS)):
        (found,) = split_images(one)
        assert found is one
    for many in (batch, [PIXELS, PIXELS], iter((PIXELS, PIXELS))):
        assert len(split_images(many)) == 2
    assert split_images(None) == split_images([]) == []


def test_captions_are_those_of_the_file(tmp_path):
    captioner, path = tiny_captioner(), tmp_path / "a.png"
    path.write_bytes(png())
    kinds = [path, str(path), png(), Image.open(path), PIXELS, PIXELS / 255]
    captions = captioner.caption(kinds, 1)
    (expected,) = captioner.caption(path, 1)
    assert expected.text and {one.text for one in captions} == {expected.text}
    assert captioner.caption(PIXELS, 1)[0].text == expected.text
    assert len(captioner.caption(np.stack([PIXELS, PIXELS]), 1)) == 2


# Addresses


class Answers(BaseHTTPRequestHandler):
    """Answers with a photograph, or badly, as the path says."""

    def do_GET(self):
        name = self.path.partition("/")[2]
        if name == "missing":
            return self.send_error(404)
        if name == "elsewhere":
            self.send_response(302)
            self.send_header("Location", self.server.elsewhere)
            return self.end_headers()
        content = b"no image" if name == "text" else png()
        self.send_response(200)
        if name == "cut":
            self.send_header("Content-Length", str(len(content) + 9))
        self.end_headers()
        for byte in content[:200] if name == "slow" else ():
            self.wfile.write(bytes([byte]))
            time.sleep(0.02)
        self.wfile.write(content)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return f"http://127.0.0.1:{server.server_port}"


def test_an_address_gives_the_same_pixels(address, server):
    found = open_image(f"{address}/a photo ä.png")
    np.testing.assert_array_equal(found.pixels, PIXELS)
    assert found.name == f"{address}/a photo ä.png"
    server.elsewhere = f"{address}/b.png"
    np.testing.assert_array_equal(open_image(f"{address}/elsewhere").pixels, PIXELS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", r"the server answers 404 \(Not Found\). Check the address"),
        ("text", "not an image that Pillow can read"),
        ("cut", "the connection ended before the file did"),
    ],
)
def test_an_address_without_a_photo_says_so(address, name, message):
    with pytest.raises(ImageError, match=f"{address}/{name}: {message}"):
        load_image(f"{address}/{name}")


def test_files_of_this_machine_are_not_answers(address, server, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    for elsewhere in ((tmp_path / "a.png").as_uri(), "ftp://127.0.0.1/a.png"):
        server.elsewhere = elsewhere
        with pytest.raises(AddressError, match=r"302|unknown|not allowed"):
            fetch(f"{address}/elsewhere")


def test_what_is_fetched_has_bounds(address):
    with pytest.raises(AddressError, match="more than 100 bytes"):
        fetch(address, max_bytes=100)
    with pytest.raises(AddressError, match=r"not there within 0.3 seconds"):
        fetch(f"{address}/slow", seconds=0.3)


@pytest.mark.parametrize("address", ["http://", "http://[::1", "http://127.0.0.1:1/a"])
def test_addresses_that_lead_nowhere(address, monkeypatch):
    with contextlib.suppress(KeyError):
        monkeypatch.delenv("http_proxy")
    with pytest.raises(ImageError, match=r"cannot be reached|answers"):
        load_image(address)
