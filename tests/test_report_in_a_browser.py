"""The report's script in a real browser: what a reader points at is what is shown."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from browsers import open_browser, texts, wait_for
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from test_report import Page, decoded, fake_explanation

import report
from report.html_report import balance, write_report
from report.notebook import HEIGHT
from report.overlays import RELEVANCE_COLOURS, heatmaps, relevance_levels
from report.wording import METHOD_ADVICE, number

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


def picture_levels(source: str) -> np.ndarray:
    """The levels of a heatmap, by its alpha."""
    alpha = np.asarray(decoded(source).convert("RGBA"))[..., 3]
    level = np.full(256, -1)
    level[RELEVANCE_COLOURS[:, 3]] = np.arange(127)
    return level[alpha]


def drag(page, first, last) -> None:
    """Draws the pointer from the middle of one element to that of another."""
    chain = ActionChains(page.browser, duration=0).click_and_hold(first)
    chain.move_to_element(last).release().perform()
    wait_for(page.browser, lambda: page.all(".stage .layer")[0].is_displayed())


def test_words_drawn_over_are_added_up(page, explanation):
    chips = page.all(".caption button.chip")
    drag(page, chips[2], chips[1])
    assert page.all(".detail h2")[0].text == "brown dog"
    assert [chip.get_attribute("aria-pressed") for chip in chips] == [
        *("false", "true", "true")
    ]
    heat = heatmaps(explanation.pixels[1:].sum(0))
    found, expected = picture_levels(page.picture()), relevance_levels(heat)
    # Each word has 63 levels, and what is strongest in it is clipped.
    assert np.abs(found - expected).mean() < 1.5
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995
    parts = [balance(explanation, row) for row in (1, 2)]
    logit = sum(part["logit"] for part in parts)
    assert f"sum of the logits {number(logit)} =" in page.all(".equation")[0].text
    numbers = [chip.text.split("\n")[1] for chip in page.all(".chip")[:3]]
    total = explanation.preceding_words[1:].sum(0)
    assert numbers == [f"+{number(v)}" if v > 0 else number(v) for v in total]
    assert "word=2-1" in page.browser.current_url
    page.browser.refresh()
    assert page.all(".detail h2")[0].text == "brown dog"
    page.all(".caption button.chip")[0].click()
    assert page.shown_word() == 0


def test_shift_and_the_arrow_keys_choose_several_words(page):
    page.all(".caption button.chip")[0].click()
    for keys, name in (
        ((Keys.SHIFT, Keys.ARROW_RIGHT), "a brown"),
        ((Keys.SHIFT, Keys.END), "a brown dog"),
        ((Keys.ARROW_LEFT,), "brown"),
    ):
        ActionChains(page.browser, duration=0).send_keys("").perform()
        page.browser.switch_to.active_element.send_keys(*keys)
        wait_for(
            page.browser,
            lambda name=name: texts(page.browser, ".detail h2") == [name],
        )


def test_maps_that_do_not_add_up_are_not_added(browser, tmp_path):
    explanation = fake_explanation(WORDS, method="grad_cam")
    page = Report(browser, write_report(tmp_path / "a.html", [[explanation]]))
    chips = page.all(".caption button.chip")
    ActionChains(browser, duration=0).drag_and_drop(chips[0], chips[1]).perform()
    assert not page.all(".stage .layer")[0].is_displayed()
    assert '--phrases "a brown"' in page.all(".detail")[0].text


def test_a_phrase_is_chosen_by_any_of_its_words(browser, tmp_path):
    phrases = {"words": ("a brown", "dog"), "steps": (0, 2), "lengths": (2, 1)}
    whole = fake_explanation(WORDS)
    arrays = {
        name: value[1:]
        for name, value in vars(whole).items()
        if isinstance(value, np.ndarray) and name != "image"
    }
    explanation = SimpleNamespace(**(vars(whole) | arrays | phrases))
    page = Report(browser, write_report(tmp_path / "a.html", [[explanation]]))
    chips = page.all(".caption button.chip")
    for chip, name in zip(chips, ("a brown", "a brown", "dog"), strict=True):
        chip.click()
        assert page.all(".detail h2")[0].text == name
        pressed = [
            one.text.split("\n")[0] for one in page.all('.chip[aria-pressed="true"]')
        ]
        assert " ".join(pressed) == name


def test_two_methods_lie_side_by_side(browser, tmp_path):
    """What is chosen in one is chosen in the other."""
    methods = [fake_explanation(WORDS, method) for method in ("lrp", "grad_cam")]
    methods[0].mean_feature = np.array([0.5, 1.25, -1.0])
    page = Report(browser, write_report(tmp_path / "a.html", [methods]))
    page.all(".caption button.chip")[1].click()
    assert "+ mean 1.25" in page.all(".equation")[0].text.replace("\n", " ")
    (beside,) = page.all("button.beside")
    beside.click()
    articles = page.all("article")
    assert len(articles) == 2
    tops = [article.location["y"] for article in articles]
    assert tops[0] == tops[1]
    advice = [line.text for line in page.all(".advice")]
    assert advice == [
        f"LRP: {METHOD_ADVICE['lrp']}",
        f"Grad-CAM: {METHOD_ADVICE['grad_cam']}",
    ]
    names = [label.text for label in page.all(".methods [aria-pressed='true']")]
    assert names == ["LRP", "Side by side", "Grad-CAM", "Side by side"]
    assert [title.text for title in page.all(".detail h2")] == ["brown", "brown"]
    page.all(".caption button.chip")[5].click()  # of the second article
    assert [title.text for title in page.all(".detail h2")] == ["dog", "dog"]
    beside.click()
    assert len(page.all("article")) == 1
    assert browser.get_log("browser") == []


def test_two_captioners_lie_beside_each_other(browser, tmp_path):
    groups = [[fake_explanation(WORDS)], [fake_explanation(("a", "cat"), seed=1)]]
    path = write_report(tmp_path / "a.html", groups, ["one", "two"])
    page = Report(browser, path)
    tops = [article.location["y"] for article in page.all("article")]
    assert len(tops) == 2 and tops[0] == tops[1]
    facts = [one.text.partition(" ·")[0] for one in page.all(".facts")]
    assert facts == ["captioner one", "captioner two"]
    assert not page.all("button.beside")
    chips = page.all(".caption button.chip")
    chips[0].click()
    titles = lambda: [title.text for title in page.all(".detail h2")]  # noqa: E731
    assert titles() == ["a", "a"], "the same word is shown in both"
    chips[-1].click()
    assert titles() == ["a", "cat"], "the other caption lacks it"
    page.point_at(chips[3])
    page.point_at(page.all("h1")[0])
    assert titles() == ["a", "cat"], "each keeps what was chosen"


def test_attention_takes_the_place_of_relevance(page):
    (_, attention) = page.all(".views button")
    page.all(".caption button.chip")[1].click()
    attention.click()
    word = page.data["methods"][0]["words"][1]
    assert page.picture() == page.data["images"][word["attention"]]
    assert page.all(".low")[0].text == "no attention"


def test_several_reports_fit_into_one_page(browser, explanation, tmp_path):
    """As the cells of a notebook: each frame is as high as its report and works."""
    other = fake_explanation(("a", "cat"), seed=1)
    cells = "".join(f"<div>{report.html(one)}</div>" for one in (explanation, other))
    page = tmp_path / "notebook.html"
    page.write_text(f"<!doctype html><meta charset='utf-8'>{cells}", "utf-8")
    browser.get(page.as_uri())
    frames = browser.find_elements(By.TAG_NAME, "iframe")
    heights = []
    for frame, words in zip(frames, (WORDS, ("a", "cat")), strict=True):
        browser.switch_to.frame(frame)
        chips = browser.find_elements(By.CSS_SELECTOR, ".caption button.chip")
        assert [chip.text.split("\n")[0] for chip in chips] == [*words]
        chips[-1].click()
        (name,) = browser.find_elements(By.CSS_SELECTOR, ".detail h2")
        assert name.text == words[-1]
        script = "return [document.body.offsetHeight, innerHeight]"
        heights.append(browser.execute_script(script))
        browser.switch_to.default_content()
    assert all(0 <= inner - page < 2 for page, inner in heights), heights
    assert HEIGHT not in dict(heights)
    assert browser.get_log("browser") == []


def test_the_captioner_and_the_note_are_read(page, explanation):
    sure = np.exp(explanation.log_probabilities).mean()
    text = page.all("article")[0].text
    assert f"captioner tiny · mean probability of the words {100 * sure:.0f} %" in text
    assert "a note" in text
