"""Takes the screenshots of docs/: of docs/report.html, and of the live page.

    PYTHONPATH=. python tests/picture_pages.py --output docs

It needs Chromium or Chrome and chromedriver, as the tests of pages do.
"""

import sys
from pathlib import Path

import quiet_start  # noqa: F401

# isort: split
import test_web_in_a_browser as pages
from browsers import open_browser
from selenium.webdriver.common.by import By

from command_line import ANEW, make_parser, print_paths, run_script
from web.captioners import Captioners

CAPTIONER = "flickr8k-adaptive-attention"
PHOTO = "photographer"  # of the example images
OPPOSED = "bench"  # by the photograph
PHRASE = ("a", "man")
NOT_SHIPPED = ("motorcycle",)  # its licence is not stated, see LICENCES.md
WIDTH = 1260  # pixels of the window


def picture_report(browser, output: Path) -> Path:
    """Takes the report, with the word that the photograph opposes."""
    browser.get((output / "report.html").resolve().as_uri())
    chips = browser.find_elements(By.CSS_SELECTOR, ".caption button.chip")
    next(chip for chip in chips if chip.text.startswith(OPPOSED)).click()
    return save(browser, output / "report.png")


def picture_page(browser, output: Path) -> Path:
    """Takes the live page, with a phrase explained."""
    with pages.Site(Captioners([CAPTIONER])) as site:
        user = pages.User(browser, site.address)
        examples = user.all("#examples button")
        next(one for one in examples if one.text == PHOTO).click()
        user.draw_over(*user.words()[: len(PHRASE)])
        user.wait_for(" ".join(PHRASE), *PHRASE)
        browser.execute_script("document.activeElement.blur()")
        for one in examples:
            if one.text in NOT_SHIPPED:
                browser.execute_script("arguments[0].remove()", one)
        return save(browser, output / "page.png")


def save(browser, path: Path) -> Path:
    """Saves the whole page."""
    browser.set_window_size(WIDTH, 600)
    frame, page = browser.execute_script(
        "return [outerHeight - innerHeight, document.documentElement.scrollHeight]"
    )
    browser.set_window_size(WIDTH, frame + page)
    browser.save_screenshot(str(path))
    return path


def take(output: Path) -> list[Path]:
    """Takes both pictures; returns their paths."""
    with open_browser() as browser:
        return [one(browser, output) for one in (picture_report, picture_page)]


def main(argv: list[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    parser = make_parser(__doc__, "picture_pages")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="has report.html"
    )
    folder = parser.parse_args(argv).output
    return run_script("picture_pages", lambda: print_paths(*take(folder)), ANEW)


if __name__ == "__main__":
    sys.exit(main())
