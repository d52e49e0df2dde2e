"""A real browser for the tests of pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_programs() -> tuple[str, str]:
    """A browser and its driver; without them the test skips, or fails in CI."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    missing = f"needs chromedriver and one of {', '.join(BROWSERS)}"
    if "BROWSER_EXPECTED" in os.environ:
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def open_browser() -> Iterator[Chrome]:
    """Opens a browser without a window."""
    program, driver = find_programs()
    options = ChromeOptions()
    options.binary_location = program
    # Containers have neither the rights of a sandbox nor much shared memory.
    for option in ("headless", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{option}")
    options.add_argument("--window-size=1200,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options, Service(driver)) as chrome:
        yield chrome


def texts(browser: Chrome, selector: str) -> list[str]:
    """The texts of all elements at one moment, since pages replace elements."""
    script = """return [...document.querySelectorAll(arguments[0])].map(
        (element) => element.checkVisibility() ? element.innerText.trim() : "")"""
    return browser.execute_script(script, selector)
