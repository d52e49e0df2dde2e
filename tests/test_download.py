"""Downloads from a server on this machine: resumed, checked, unpacked whole."""

import functools
import hashlib
import http.server
import io
import threading
import zipfile

import pytest

from dataset import archives, download
from dataset.archives import KEPT, PART, Archive, DownloadError
from dataset.flickr import read_flickr

TOKENS = "a.jpg#0\tA dog .\nb.jpg#0\tA cat .\n"
LISTS = {"train": "a.jpg\n", "dev": "b.jpg\n", "test": "b.jpg\n"}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves files from a dict, and parts of them where it is asked for parts."""

    def __init__(self, server_of, *arguments):
        self.of = server_of
        super().__init__(*arguments)

    def do_GET(self):
        name = self.path[1:]
        asked = self.headers.get("Range")
        self.of.asked.append((name, asked))
        content = self.of.files.get(name)
        start = int(asked[6:-1]) if asked and self.of.knows_ranges else 0
        if content is None or start >= len(content):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.of.cut_at])

    def log_message(self, *_):
        """Says nothing."""


class Files:
    """What a server has, and what it was asked for."""

    files, asked, knows_ranges, cut_at = None, None, True, None


@pytest.fixture
def server():
    files = Files()
    files.files, files.asked = {}, []
    handler = functools.partial(Handler, files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        files.url = f"http://127.0.0.1:{running.server_port}"
        yield files
        running.shutdown()
        thread.join()


def packed(files, **more) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text, **more)
    return content.getvalue()


def md5(content):
    return hashlib.md5(content).hexdigest()


PHOTOS = packed(
    {"Flicker8k_Dataset/a.jpg": "first", "Flicker8k_Dataset/b.jpg": "second" * 99}
    | {"__MACOSX/Flicker8k_Dataset/._a.jpg": "rest", "readme.md": "text"}
)
TEXTS = packed(
    {"Flickr8k.token.txt": TOKENS, "readme.txt": ""}
    | {f"Flickr_8k.{name}Images.txt": text for name, text in LISTS.items()}
)


@pytest.fixture
def flickr8k(server, monkeypatch):
    """The parts of Flickr8k, small and on this machine."""
    server.files |= {"images.zip": PHOTOS, "text.zip": TEXTS}
    parts = download.PARTS["flickr8k"]
    small = {
        name: Archive(
            f"{server.url}/{name}.zip",
            parts[name].folder,
            parts[name].pattern,
            md5(content),
            parts[name].files,
        )
        for name, content in (("text", TEXTS), ("images", PHOTOS))
    } | {"entities": parts["entities"]}
    monkeypatch.setitem(download.PARTS, "flickr8k", small)
    return small


def run(folder, *more, name="flickr8k"):
    return download.main([name, "--data-dir", str(folder), *more])


def test_flickr8k_is_laid_out_for_its_reader(flickr8k, server, tmp_path, capsys):
    assert run(tmp_path / "data") == 0
    printed = capsys.readouterr().out
    assert "entities: " in printed and "evaluate_bbox.py needs its boxes" in printed
    assert f"-m dataset.check --dataset flickr8k --data-dir {tmp_path}/data" in printed
    (image,) = read_flickr(tmp_path / "data", "train")
    assert image.captions == ("A dog .",) and image.path.read_text() == "first"
    names = {path.name for path in (tmp_path / "data").rglob("*")}
    assert names == {"images", "text", "a.jpg", "b.jpg", "Flickr8k.token.txt"} | {
        f"Flickr_8k.{name}Images.txt" for name in LISTS
    }
    assert len(server.asked) == 2
    assert run(tmp_path / "data") == 0  # nothing again
    assert capsys.readouterr().out.count("there already") == 2
    assert len(server.asked) == 2


def test_a_download_goes_on_where_it_stopped(flickr8k, server, tmp_path, capsys):
    server.cut_at = 100
    options = ["--only", "images", "--keep"]
    assert run(tmp_path, *options) == 2
    assert "goes on with what is here" in capsys.readouterr().err
    part = tmp_path / KEPT / f"images.zip{PART}"
    assert part.read_bytes() == PHOTOS[:100] and not (tmp_path / "images").exists()
    server.cut_at = None
    assert run(tmp_path, *options) == 0
    assert server.asked == [("images.zip", None), ("images.zip", "bytes=100-")]
    assert (tmp_path / KEPT / "images.zip").read_bytes() == PHOTOS
    assert (tmp_path / "images/b.jpg").read_text() == "second" * 99
    # The server does not send parts; or everything was here and not yet renamed.
    for knows, length in ((False, 70), (True, len(PHOTOS))):
        server.knows_ranges = knows
        part.write_bytes(PHOTOS[:length])
        archives.fetch(f"{server.url}/images.zip", part.with_name("images.zip"))
        assert part.with_name("images.zip").read_bytes() == PHOTOS


def test_an_archive_with_another_sum_is_refused(flickr8k, server, tmp_path, capsys):
    server.files["images.zip"] = packed({"a.jpg": "another"})
    assert run(tmp_path) == 2
    assert "images.zip is not the file that was published" in capsys.readouterr().err
    assert (tmp_path / "text").is_dir() and not (tmp_path / "images").exists()
    assert not (tmp_path / KEPT).exists() or not list((tmp_path / KEPT).iterdir())
    server.files["images.zip"] = PHOTOS
    assert run(tmp_path) == 0


def test_a_damaged_archive_without_a_known_sum(server, tmp_path):
    whole = packed({"dataset_coco.json": "{}" * 50, "dataset_flickr8k.json": "{}"})
    archive = Archive(
        f"{server.url}/c.zip", "text", download.JSON, None, ("dataset_coco.json",)
    )
    for content, reason in (
        (whole.replace(b"{}{}{}", b"{}[]{}", 1), "CRC-32"),
        (whole[:-30], "not a zip file"),
        (packed({"other.json": "{}"}), "lacks dataset_coco.json"),
    ):
        server.files["c.zip"] = content
        with pytest.raises(DownloadError, match=rf"c\.zip is damaged .*{reason}"):
            archives.get(archive, tmp_path)
        assert not (tmp_path / "text").exists()
    server.files["c.zip"] = whole
    archives.get(archive, tmp_path)
    assert [path.name for path in tmp_path.rglob("*.json")] == ["dataset_coco.json"]


def test_what_cannot_be_reached_is_named(flickr8k, server, tmp_path, capsys):
    del server.files["text.zip"]
    assert run(tmp_path) == 2
    error = capsys.readouterr().err
    assert "text.zip cannot be downloaded: the server answers 404 Not Found." in error
    assert (tmp_path / "images/a.jpg").is_file()  # the others are there
    with pytest.raises(DownloadError, match=r"1/a\.zip cannot be downloaded: "):
        archives.fetch("http://127.0.0.1:1/a.zip", tmp_path / "a.zip")


def test_what_must_be_got_by_hand_is_said(server, tmp_path, capsys, monkeypatch):
    options = ["--only", "images,entities"]
    assert run(tmp_path, *options, name="flickr30k") == 2
    printed, error = capsys.readouterr()
    assert "Fill it in at https://shannon.cs.illinois.edu/DenotationGraph" in printed
    assert "images must be got by hand; see above." in error
    (tmp_path / "images").mkdir()
    assert run(tmp_path, *options, name="flickr30k") == 0
    assert run(tmp_path, "--only", "entities", name="coco2017") == 0
    printed = capsys.readouterr().out
    assert f"{tmp_path}/COCOvalEntities.json: it lies in a Google Drive" in printed
    with pytest.raises(SystemExit):
        run(tmp_path, "--only", "boxes")
    assert "--only boxes: flickr8k has the parts text," in capsys.readouterr().err


@pytest.mark.parametrize("name", download.PARTS)
def test_parts_lie_where_the_readers_read(name):
    for part in download.PARTS[name].values():
        if isinstance(part, Archive):
            assert part.url.startswith("http") and part.url.endswith(".zip")
            assert part.md5 is None or len(part.md5) == 32
