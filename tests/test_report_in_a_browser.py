"""The report's script in a real browser: what a reader points at is what is shown."""

import json
from pathlib import Path

import numpy as np
import pytest
from browsers import open_browser
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from test_report import Page, fake_explanation

from report.html_report import write_report
from report.wording import number

WORDS = ("a", "brown", "dog")


@pytest.fixture(scope="module")
def browser():
    with open_browser() as chrome:
        yield chrome


class Report:
    """A report in the browser, and what it holds.

    Args:
        browser: The driver.
        path: Of the page.
    """

    def __init__(self, browser, path: Path):
        self.browser = browser
        self.data = json.loads(Page(path.read_text("utf-8")).data)["photos"][0]
        browser.get("about:blank")
        browser.get(path.as_uri())

    def all(self, selector: str) -> list:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def point_at(self, element) -> None:
        ActionChains(self.browser, duration=0).move_to_element(element).perform()

    def picture(self) -> str:
        (layer,) = self.all(".stage .layer")
        return layer.get_attribute("src")

    def shown_word(self) -> int | None:
        """The word whose heatmap lies over the photo."""
        words = self.data["methods"][0]["words"]
        pictures = [self.data["images"][word["heatmap"]] for word in words]
        assert len(set(pictures)) == len(pictures)
        return pictures.index(self.picture()) if self.picture() in pictures else None

    def check_words_before(self, explanation, row: int) -> None:
        """The chips have the relevance of the words before, and no others have any."""
        numbers = [chip.text.split("\n")[1:] for chip in self.all(".chip")]
        before = explanation.preceding_words[row, : row + 1]
        signed = [
            f"+{number(value)}" if value > 0 else number(value) for value in before
        ]
        assert numbers == [[text] for text in signed] + [[]] * (len(WORDS) - row)
        supported = [
            "supports" in chip.get_attribute("class") for chip in self.all(".chip")
        ]
        assert supported[: row + 1] == list(before > 0)


@pytest.fixture
def explanation():
    return fake_explanation(
        WORDS,
        image=np.full((120, 144, 3), 90, "uint8"),
        pixels=np.random.default_rng(0).normal(size=(3, 120, 144, 3)),
    )


@pytest.fixture
def page(browser, explanation, tmp_path):
    """The opened report; afterwards the console holds no message."""
    path = write_report(tmp_path / "report.html", [[explanation]], "tiny", "a note")
    yield Report(browser, path)
    assert browser.get_log("browser") == []


def test_pointing_at_a_word_shows_its_map_and_the_words_before(page, explanation):
    chips = page.all(".caption button.chip")
    assert [chip.text.split("\n")[0] for chip in chips] == [*WORDS]
    drawn = set()
    for row, chip in enumerate(chips):
        page.point_at(chip)
        assert page.shown_word() == row
        assert page.all(".detail h2")[0].text == WORDS[row]
        page.check_words_before(explanation, row)
        drawn.add(page.all(".stage")[0].screenshot_as_png)
    assert len(drawn) == len(WORDS), "the pictures on the screen differ"


def test_a_click_keeps_the_word_and_the_keys_walk(page):
    chips = page.all(".caption button.chip")
    chips[1].click()
    page.point_at(chips[2])
    assert page.shown_word() == 2
    page.point_at(page.all("h1")[0])
    assert page.shown_word() == 1, "a mouse that leaves gives the chosen word back"
    assert chips[1].get_attribute("aria-pressed") == "true"
    assert "word=1" in page.browser.current_url
    chips[1].send_keys(Keys.ARROW_RIGHT)
    assert page.shown_word() == 2
    page.all(".strip .tile")[0].click()
    assert page.shown_word() == 0


def test_attention_takes_the_place_of_relevance(page):
    (_, attention) = page.all(".views button")
    page.all(".caption button.chip")[1].click()
    attention.click()
    word = page.data["methods"][0]["words"][1]
    assert page.picture() == page.data["images"][word["attention"]]
    assert page.all(".low")[0].text == "no attention"


def test_the_captioner_and_the_note_are_read(page, explanation):
    sure = np.exp(explanation.log_probabilities).mean()
    text = page.all("article")[0].text
    assert f"captioner tiny · mean probability of the words {100 * sure:.0f} %" in text
    assert "a note" in text
