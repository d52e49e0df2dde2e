"""The live page's server: who may ask, how much, in which order, and the answers."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from tiny_page import NAMES, Gate, png, tiny_captioners
from tiny_published import write_captioner

from models import explain
from report import photo_record, report_page
from web import __main__ as script
from web.captioners import MOST_LOADED, Captioners

pytest.importorskip("starlette", reason="needs requirements-web.txt")
from starlette.testclient import TestClient

from web import serving
from web.app import ASSETS, MOST_QUESTION, make_app
from web.guard import HEADERS
from web.photos import MOST_BYTES, GoneError, Photo, Photos
from web.turns import FAULT, BusyError, Turns

ROOT = Path(__file__).parents[1]
TEXT = "a dog runs on the grass"
OWN = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def captioners():
    return tiny_captioners(Gate())


@pytest.fixture(scope="module")
def client(captioners):
    """A browser on this machine, which has no Origin where it follows a link."""
    app = make_app(captioners, photos=Photos(3))
    with TestClient(app, base_url=OWN) as client:
        yield client


def send(client, content=None, name="a.png") -> str:
    answer = client.post(f"/photos?name={name}", content=content or png())
    assert answer.status_code == 200, answer.text
    return answer.json()["photo"]


def ask(client, path: str, photo: str, captioner="tiny", **question) -> list[dict]:
    """Returns the events of an answer."""
    question = {"photo": photo, "captioner": captioner, **question}
    answer = client.post(path, json=question)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def refusal(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


# Who may ask, and how much


@pytest.mark.parametrize("path", ASSETS)
def test_the_page_needs_no_network_and_runs_nothing_of_others(client, path):
    answer = client.get(path)
    assert answer.status_code == 200 and answer.text
    assert "//" not in re.sub(r"(?m)(^|\s)//.*$", "", answer.text), "an address"
    assert "@@" not in answer.text
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8", "10.0.0.2"])
def test_own_names_are_answered(client, host):
    headers = {"Host": host}
    assert client.get("/choices", headers=headers).status_code == 200
    for scheme in ("http", "https"):
        headers["Origin"] = f"{scheme}://{host}"
        assert client.get("/choices", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1.evil.example", "", "a:b"]
)
def test_other_hosts_are_refused(client, host):
    for path in ("/", "/choices", "/nothing"):
        answer = client.get(path, headers={"Host": host})
        assert refusal(answer)[0] == 403
        assert "does not answer to this name" in answer.json()["error"]
        assert answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9"]
)
def test_other_sites_are_refused(client, origin):
    headers = {"Origin": origin}
    answer = client.post("/photos", content=png(), headers=headers)
    assert refusal(answer) == (403, "The request came from another site.")
    assert "access-control-allow-origin" not in answer.headers


def test_large_and_empty_bodies_are_refused(client):
    too_large = (413, f"At most {MOST_BYTES:,} bytes are taken. Send a smaller file.")
    declared = {"Content-Length": str(MOST_BYTES + 1)}
    assert refusal(client.post("/photos", content=b"", headers=declared)) == too_large
    parts = (bytes(1_000_000) for _ in range(MOST_BYTES // 1_000_000 + 1))
    assert refusal(client.post("/photos", content=parts)) == too_large
    answer = client.post("/photos?name=a%0Ab.png", content=b"")
    assert refusal(answer) == (400, r"'a\nb.png' is empty; expected an image file.")
    assert client.get("/photos").status_code == 405
    answer = client.post("/caption", content=bytes(MOST_QUESTION + 1))
    assert refusal(answer)[0] == 413


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("no", "it is no JSON"),
        ("[]", ": expected an object"),
        ('{"photo": "x"}', "captioner is missing"),
        ('{"photo": "x", "captioner": 1}', ".captioner: expected a text"),
        (
            '{"photo": "x", "captioner": "tiny", "place": -1}',
            ".place: expected a whole",
        ),
        ("[" * 10_000, "nested too deeply"),
    ],
)
def test_wrong_questions_are_named(client, content, reason):
    status, sentence = refusal(client.post("/explanation", content=content))
    assert status == 400 and reason in sentence


def test_the_photo_unused_for_longest_is_dropped(client):
    photos = Photos(3)
    keys = [photos.add(Photo(f"{n}.png", bytes([n]))) for n in range(3)]
    assert len(set(keys)) == 3 and min(map(len, keys)) > 20
    photos.get(keys[0])
    keys.append(photos.add(Photo("3.png", b"3")))
    assert [photos.get(keys[n]).name[0] for n in (0, 2, 3)] == ["0", "2", "3"]
    with pytest.raises(GoneError, match=r"keeps the last 3\. Choose it again\."):
        photos.get(keys[1])
    question = {"photo": keys[0], "captioner": "tiny"}
    assert refusal(client.post("/caption", json=question))[0] == 410


def test_nothing_but_the_captioners_on_the_page_is_loaded(client):
    for name in ("../other", "runs/other", "/etc", "hf://a/b"):
        event = ask(client, "/caption", send(client), name)[-1]
        assert event == {
            "error": "There is no captioner of this name; expected one of tiny, other."
        }


# Captions and explanations


def test_the_caption_is_written_as_the_beam_finds_it(client, captioners, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    expected = captioners.get("tiny").caption([tmp_path / "a.png"])[0]
    key = send(client)
    events = ask(client, "/caption", key)
    written = [event["caption"] for event in events if "caption" in event]
    assert {"waiting": 0} in events
    assert written[-1] == expected.text and len(written[-1].split()) > 2
    assert [len(text.split()) for text in written[:3]] == [1, 2, 3]
    done = events[-1]["done"]
    assert done["caption"] == expected.text
    assert done["words"] == list(expected.words)
    names = [method["name"] for method in done["methods"]]
    assert "lrp" in names and "occlusion" in names and "attention_rollout" not in names
    again = ask(client, "/caption", key)
    assert again[-1] == events[-1]
    assert not any("caption" in event for event in again), "it is not searched again"


@pytest.mark.parametrize("contrast", [None, "cat"])
def test_one_word_is_explained_as_explain_does(client, captioners, contrast, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    question = {"caption": TEXT, "method": "lrp", "contrast": contrast}
    record = ask(client, "/explanation", send(client), place=2, **question)[-1]["done"]
    expected = explain(
        captioners.get("tiny"),
        tmp_path / "a.png",
        caption=TEXT,
        words=["runs"],
        contrast=contrast,
    )
    assert record == json.loads(json.dumps(photo_record([expected], "tiny")))


def test_only_the_word_at_its_place_is_explained(client):
    question = {"caption": "a dog runs on a ball", "place": 4, "contrast": ""}
    (event,) = ask(client, "/explanation", send(client), **question)[-1:]
    (method,) = event["done"]["methods"]
    assert [(word["word"], word["step"]) for word in method["words"]] == [("a", 4)]


def test_a_phrase_and_another_caption_as_explain_does(client, captioners, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    key, other = send(client), "a cat runs on grass"
    for question, how in (
        ({"place": 4, "count": 2}, {"phrases": ["the grass"]}),
        ({"against": other}, {"against": other}),
    ):
        record = ask(client, "/explanation", key, caption=TEXT, **question)[-1]["done"]
        given = (captioners.get("tiny"), tmp_path / "a.png", "lrp", TEXT)
        expected = photo_record([explain(*given, **how)], "tiny")
        assert record == json.loads(json.dumps(expected))


def test_the_report_is_that_of_the_library(client, captioners, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    question = {"caption": "a dog", "method": "grad_cam"}
    page = ask(client, "/report", send(client), **question)[-1]["done"]
    of_file = explain(
        captioners.get("tiny"), tmp_path / "a.png", "grad_cam", caption="a dog"
    )
    assert page == report_page([[of_file]], "tiny")


def test_words_of_a_published_captioner_are_explained(tmp_path):
    folder = write_captioner(tmp_path / "blip", "blip", says="skate")
    captioners = Captioners([str(folder)])
    with TestClient(make_app(captioners), base_url=OWN) as client:
        key = send(client)
        events = ask(client, "/caption", key, "blip")
        written = [event["caption"] for event in events if "caption" in event]
        assert written[:2] == ["skate", "skate skate"]
        question = {"caption": "a skateboard runs.", "place": 1}
        done = ask(client, "/caption", key, "blip", **question)[-1]["done"]
        assert done["words"] == ["a", "skateboard", "runs", "."]
        assert "guided_grad_cam" not in [method["name"] for method in done["methods"]]
        done = ask(client, "/explanation", key, "blip", **question)[-1]["done"]
    ((word,),) = [method["words"] for method in done["methods"]]
    assert word["word"] == "skateboard" and len(word["preceding"]) == 3


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ({"caption": "a dog and a xylophone"}, "does not know 'and', 'xylophone'"),
        ({"caption": "   "}, "the caption is empty"),
        ({"caption": "a dog", "place": 2}, "has 2 words; there is no word number 3."),
        ({"caption": "a dog", "count": 3}, "has 2 words; there is no word number 3."),
        ({"caption": "a dog", "count": 2, "contrast": "cat"}, "A phrase cannot be"),
        ({"caption": "a dog", "against": "A dog!"}, "have the same words"),
        ({"caption": "a dog", "against": "a moon"}, "does not know 'moon'"),
        (
            {"caption": "a dog", "against": "a cat", "method": "grad_cam"},
            "its maps do not add up. Choose one of lrp",
        ),
        ({"caption": "a dog", "method": "magic"}, "Unknown method 'magic'"),
        ({"caption": "a dog", "method": "attention_mean"}, "Choose another method."),
        ({"caption": "a dog", "contrast": "moon"}, "does not know 'moon'"),
        ({"caption": "a dog", "contrast": "a"}, "cannot be contrasted with itself"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(client, question, sentence):
    event = ask(client, "/explanation", send(client), **question)[-1]
    assert sentence in event["error"] and "\n" not in event["error"]


def test_a_file_that_is_no_photograph_is_named(client):
    key = send(client, b"no image", "notes.txt")
    sentence = ask(client, "/caption", key)[-1]["error"]
    assert sentence.startswith("'notes.txt': not an image that Pillow can read")


def test_the_examples_are_images(client):
    choices = client.get("/choices").json()
    assert choices["captioners"] == ["tiny", "other"]
    assert {example["name"] for example in choices["examples"]} >= {"cat", "lawn"}
    for name in ("cat", "lawn"):
        answer = client.get(f"/examples/{name}")
        assert answer.headers["content-type"].startswith("image/")
        Image.open(BytesIO(answer.content)).load()
    assert client.get("/examples/dog").status_code == 404


# Turns


def test_computations_wait_for_each_other():
    """The second waits, the third gives up, the fourth takes its place."""
    go, ran = threading.Event(), []

    def work(name, say):
        say({"name": name})
        assert go.wait(30)
        ran.append(name)
        return name

    async def use(turns):
        readers = [turns.enter(lambda say, n=n: work(n, say)) for n in range(4)]
        firsts = [await anext(reader) for reader in readers]
        assert firsts == [{"waiting": n} for n in range(4)]
        assert await anext(readers[0]) == {"name": 0}
        with pytest.raises(BusyError, match="3 computations wait already"):
            turns.enter(print)
        await readers[2].aclose()
        assert await anext(readers[3]) == {"waiting": 2}
        go.set()
        rest = [[event async for event in reader] for reader in readers]
        assert rest[0] == [{"done": 0}]
        assert rest[1] == [{"waiting": 0}, {"name": 1}, {"done": 1}]
        assert rest[2] == []
        assert rest[3] == [{"waiting": 1}, {"waiting": 0}, {"name": 3}, {"done": 3}]

    asyncio.run(use(Turns(3)))
    assert ran == [0, 1, 3]


def test_who_leaves_stops_the_search():
    reached, left, ended = threading.Event(), threading.Event(), threading.Event()

    def work(say):
        try:
            reached.set()
            assert left.wait(30)
            say({"caption": "a"})
            pytest.fail("it went on")
        finally:
            ended.set()

    async def use(turns):
        reader = turns.enter(work)
        assert await anext(reader) == {"waiting": 0}
        assert await asyncio.to_thread(reached.wait, 30)
        await reader.aclose()
        left.set()
        assert await asyncio.to_thread(ended.wait, 30)
        events = [event async for event in turns.enter(lambda say: 1)]
        assert events[-1] == {"done": 1}

    asyncio.run(use(Turns()))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("a reason."), "a reason."),
        (
            MemoryError(),
            "The memory is used up. Take a smaller photograph or captioner.",
        ),
        (KeyError("bug"), FAULT),
    ],
)
def test_a_computation_that_fails_says_why(error, sentence, caplog):
    def work(say):
        raise error

    async def use(turns):
        return [event async for event in turns.enter(work)]

    assert asyncio.run(use(Turns()))[-1] == {"error": sentence}
    assert ("KeyError" in caplog.text) == (sentence == FAULT)


# The script


def test_few_captioners_are_loaded_at_a_time():
    loaded = []
    captioners = Captioners(["a", "x/b", "y/b", "runs/c/", "hf://u/m"], loaded.append)
    assert captioners.names == ["a", "x/b", "y/b", "c", "hf://u/m"]
    for name in ("a", "c", "a", "x/b", "a", "c"):
        captioners.get(name)
    assert loaded == ["a", "runs/c/", "x/b", "runs/c/"] and MOST_LOADED == 2
    with pytest.raises(ValueError, match="needs a captioner"):
        Captioners([])


def test_the_chosen_captioners_come_first(tmp_path, capsys):
    names = serving.offered_names([str(tmp_path)], "flickr8k-adaptive-attention")
    assert names[:2] == [str(tmp_path), "flickr8k-adaptive-attention"]
    assert "scenes-adaptive-attention" in names and len(set(names)) == len(names)
    assert script.main(["--model", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("web: No captioner 'nothing'")


def test_the_script_serves_the_first_captioner(monkeypatch, capsys, caplog):
    def run(captioners, host):
        def serve(sockets):
            (listening,) = sockets
            address = listening.getsockname()
            with socket.create_connection(address):
                served.append((captioners.has("tiny"), host, address[1]))
            raise KeyboardInterrupt

        return SimpleNamespace(run=serve)

    served = []
    monkeypatch.setattr(serving, "offered_names", lambda *_: list(NAMES))
    monkeypatch.setattr("web.captioners.Captioners", lambda _: tiny_captioners(Gate()))
    monkeypatch.setattr(serving, "make_server", run)
    assert script.main(["--port", "0"]) == 130
    ((is_loaded, host, number),) = served
    assert is_loaded and host == "127.0.0.1"
    found = capsys.readouterr()
    assert found.out == f"http://127.0.0.1:{number}/\n"
    assert found.err.startswith("web: stopped; nothing is kept;")
    assert "Everyone" not in caplog.text
    assert script.main(["--port", "0", "--host", "0.0.0.0"]) == 130
    assert "Everyone who reaches this machine can use the page." in caplog.text


def test_a_port_that_is_taken_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        assert script.main(["--port", str(number)]) == 2
    error = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1, port {number}: " in error
    assert error.endswith("Choose another --port or --host.\n")
    for wrong in ("65536", "-1", "http", ""):
        with pytest.raises(SystemExit):
            script.parse(["--port", wrong])


def test_missing_packages_are_named(monkeypatch, capsys):
    found = script.importlib.util.find_spec
    lacking = lambda name: None if name == "uvicorn" else found(name)  # noqa: E731
    monkeypatch.setattr(script.importlib.util, "find_spec", lacking)
    assert script.main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("web: The live page needs uvicorn. Install")
    assert error.endswith("-m pip install -r requirements-web.txt\n")
    assert len(error.splitlines()) == 1


def test_help_needs_no_packages_and_no_keras():
    code = (
        "import sys; sys.modules |= dict.fromkeys(('starlette', 'uvicorn', 'keras'))\n"
        "from web.__main__ import main; main(['--help'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert found.returncode == 0 and "--port" in found.stdout, found.stderr
