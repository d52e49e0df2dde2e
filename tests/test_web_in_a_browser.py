"""The live page in a real browser: a photograph, its words, another text, two users."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from browsers import open_browser, texts, wait_for
from conftest import SECONDS
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from tiny_page import Gate, png, tiny_captioners

from models import explain
from report import photo_record
from web.captioners import Captioners

pytest.importorskip("uvicorn", reason="needs requirements-web.txt")
from web.serving import address_of, make_server, open_socket


class Site:
    """A served page, and what stands behind it.

    Args:
        captioners: Those on the page; tiny ones if None.
    """

    def __init__(self, captioners: Captioners | None = None):
        self.gate = Gate()
        self.captioners = captioners or tiny_captioners(self.gate)
        self.server = make_server(self.captioners, "127.0.0.1")
        self.socket = open_socket("127.0.0.1", 0)
        self.address = address_of(self.socket, "127.0.0.1")
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))

    def __enter__(self):
        self.thread.start()
        end = time.monotonic() + SECONDS
        while not self.server.started and time.monotonic() < end:
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.gate.open()
        self.server.should_exit = True
        self.thread.join(SECONDS)
        self.socket.close()


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def browser():
    with open_browser() as chrome:
        yield chrome


class User:
    """A window of the browser with the page in it."""

    def __init__(self, browser, address: str):
        self.browser, self.tab = browser, browser.current_window_handle
        browser.get(address)
        self.wait(lambda: self.all("#examples img"))

    def all(self, selector: str) -> list:
        self.browser.switch_to.window(self.tab)
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        self.browser.switch_to.window(self.tab)
        return texts(self.browser, selector)

    def text(self, selector: str) -> str:
        return self.texts(selector)[0]

    def wait(self, condition):
        return wait_for(self.browser, condition)

    def give(self, path: Path) -> None:
        self.all("#drop input")[0].send_keys(str(path))

    def words(self) -> list:
        """The words of the caption, once they can be explained."""
        return self.wait(lambda: self.all(".caption button.chip"))

    def error(self) -> str:
        return self.wait(lambda: self.text("#error"))

    def explain(self, word: str) -> None:
        (chip,) = [chip for chip in self.words() if chip.text.split("\n")[0] == word]
        chip.click()
        self.wait(lambda: self.texts(".detail h2") == [word])

    def draw_over(self, first, last) -> None:
        """Draws the pointer from one chip to another."""
        chain = ActionChains(self.browser, duration=0).click_and_hold(first)
        chain.move_to_element(last).release().perform()

    def wait_for(self, name: str, *words: str) -> None:
        """Waits until this is explained, and its chips are pressed."""
        chosen = '.chip[aria-pressed="true"]'
        self.wait(
            lambda: (
                self.texts(".detail h2") == [name]
                and [text.split("\n")[0] for text in self.texts(chosen)] == [*words]
            )
        )

    def compare(self, text: str) -> None:
        field = self.all("#contrast")[0]
        field.clear()
        field.send_keys(text + Keys.TAB)

    def retype(self, text: str) -> None:
        if not self.all("#edit")[0].is_displayed():
            self.all("#rewrite")[0].click()
        field = self.all("#text")[0]
        field.clear()
        field.send_keys(text + Keys.ENTER)


@pytest.fixture
def user(browser, site):
    """The opened page; afterwards the console holds no message."""
    site.gate.open()
    yield User(browser, site.address)
    assert browser.get_log("browser") == []


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "red ball.png"
    path.write_bytes(png())
    return path


def test_a_photograph_is_captioned_and_a_word_explained(user, site, photo):
    user.give(photo)
    chips = user.words()
    captioner = site.captioners.get("tiny")
    expected = captioner.caption([photo])[0]
    assert [chip.text for chip in chips] == list(expected.words)
    base = user.all(".stage .base")[0]
    assert base.get_property("naturalWidth") == 40, "the photograph in its own size"
    assert expected.text in base.get_attribute("alt")
    word = next(w for w in expected.words if expected.words.count(w) == 1)
    user.explain(word)
    of_word = explain(captioner, photo, words=[word])
    record = photo_record([of_word])
    layer = user.all(".stage .layer")[0]
    assert layer.is_displayed() and layer.get_attribute("src") == record["images"][0]
    assert word in layer.get_attribute("alt")
    numbers = [chip.text.split("\n")[1:] for chip in user.all(".caption .chip")]
    step = of_word.steps[0]
    shown = [
        float(text[0].replace("\N{MINUS SIGN}", "-")) for text in numbers[: step + 1]
    ]
    before = of_word.preceding_words[0, : step + 1]
    np.testing.assert_allclose(shown, before, atol=0.00501)
    user.all("[data-view=attention]")[0].click()
    assert layer.get_attribute("src") == record["images"][1]


def test_another_text_method_and_word_to_contrast(user, site, photo):
    user.give(photo)
    own = [chip.text for chip in user.words()]
    user.retype("A dog runs on the moon.")
    assert user.error().startswith("The captioner does not know 'moon'")
    assert [chip.text for chip in user.words()] == own, "it is still there"
    user.retype("A dog runs on the grass.")
    user.wait(lambda: len(user.words()) == 6 and not user.text("#error"))
    user.explain("dog")
    captioner = site.captioners.get("tiny")
    how = {"caption": "a dog runs on the grass", "words": ["dog"]}
    for method, contrast in (("lrp", "cat"), ("grad_cam", "cat")):
        Select(user.all("#method")[0]).select_by_value(method)
        user.compare(contrast)
        found = explain(captioner, photo, method, contrast=contrast, **how)
        src = photo_record([found])["images"][0]
        layer = user.all(".stage .layer")[0]
        user.wait(lambda s=src, one=layer: one.get_attribute("src") == s)
    assert "Grad-CAM, rather than cat" in user.text(".method")
    user.all("#own")[0].click()
    user.wait(lambda: [chip.text for chip in user.words()] == own)


def test_a_phrase_and_another_caption(user, site, photo):
    user.give(photo)
    user.words()
    user.retype("a dog runs on the grass")
    user.wait(lambda: len(user.words()) == 6)
    chips = user.words()
    user.draw_over(chips[5], chips[4])
    user.wait_for("the grass", "the", "grass")
    given = (site.captioners.get("tiny"), photo, "lrp", "a dog runs on the grass")
    layer = user.all(".stage .layer")[0]
    record = photo_record([explain(*given, phrases=["the grass"])])
    assert layer.get_attribute("src") == record["images"][0]
    chips[0].click()
    user.wait_for("a", "a")
    chips[0].send_keys(Keys.SHIFT, Keys.ARROW_RIGHT)
    chips[1].send_keys(Keys.ENTER)
    user.wait_for("a dog", "a", "dog")
    user.compare("a cat runs on grass")
    user.wait_for("dog, not cat", "dog", "(cat)")
    (the,) = [chip for chip in user.words() if chip.text.split("\n")[0] == "the"]
    the.click()
    user.wait_for("the", "the")
    explained = explain(*given, against="a cat runs on grass")
    images = photo_record([explained])["images"]
    assert layer.get_attribute("src") == images[1]
    user.compare("")
    user.wait(lambda: len(user.words()) == 6)


def test_keys_walk_along_the_words(user, photo):
    user.give(photo)
    chips = user.words()
    chips[0].send_keys(Keys.ARROW_RIGHT)
    assert user.browser.switch_to.active_element == chips[1]
    chips[1].send_keys(Keys.ENTER)
    user.wait(lambda: chips[1].get_attribute("aria-pressed") == "true")
    word = chips[1].text.split("\n")[0]
    user.wait(lambda: user.texts(".detail h2") == [word])


def test_what_is_no_photograph_is_refused_in_one_sentence(user, tmp_path, photo):
    user.give(photo)
    user.words()
    (tmp_path / "notes.txt").write_text("<b>no</b> image")
    user.give(tmp_path / "notes.txt")
    assert user.error().startswith("'notes.txt': not an image that Pillow can read")
    assert not user.all("article")[0].is_displayed()
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(30_000_000)
    user.give(large)
    user.wait(lambda: user.error().startswith("large.png is too large: at most 20 MB"))
    user.give(photo)
    assert user.words() and not user.all("#error")[0].is_displayed()


def test_two_users_take_turns(user, site, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for number, path in enumerate(paths):
        path.write_bytes(png(number))
    user.browser.switch_to.new_window("window")
    other = User(user.browser, site.address)
    site.gate.close()
    user.give(paths[0])
    user.wait(lambda: user.text("#status").startswith("Looking at the photograph"))
    assert not user.all(".actions")[0].is_displayed(), "there is no caption yet"
    other.give(paths[1])
    expected = "Waiting: another computation comes first …"
    other.wait(lambda: other.text("#status") == expected)
    site.gate.open()
    captioner = site.captioners.get("tiny")
    for one, path in zip((user, other), paths, strict=True):
        words = list(captioner.caption([path])[0].words)
        assert [chip.text for chip in one.words()] == words
        assert one.text("#status") == ""
    user.browser.close()
    user.browser.switch_to.window(user.tab)


def test_the_report_is_downloaded(user, photo, tmp_path):
    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    user.browser.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
    user.give(photo)
    user.words()
    user.all("#report")[0].click()
    path = tmp_path / "red ball-report.html"
    user.wait(path.exists)
    assert "What the captioner saw, word by word" in path.read_text("utf-8")
