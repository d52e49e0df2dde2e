"""A real browser for the tests of pages."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
from conftest import SECONDS
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "headless",
    # Containers have neither the rights of a sandbox nor much shared memory.
    *("no-sandbox", "disable-dev-shm-usage"),
    # A page behind another one is slowed down, on a busy machine to a halt.
    *("disable-renderer-backgrounding", "disable-backgrounding-occluded-windows"),
    *("disable-background-timer-throttling", "window-size=1200,1000"),
)
Result = TypeVar("Result")


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
    for option in OPTIONS:
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options, Service(driver)) as chrome:
        yield chrome


def wait_for(browser: Chrome, condition: Callable[[], Result]) -> Result:
    """Waits until a condition holds; a failure says what the page shows."""
    try:
        return WebDriverWait(browser, SECONDS, 0.02).until(lambda _: condition())
    except TimeoutException:
        page = "\n".join(texts(browser, "body"))
        console = browser.get_log("browser")
        pytest.fail(f"After {SECONDS} s the page shows:\n{page}\nConsole: {console}")


def texts(browser: Chrome, selector: str) -> list[str]:
    """The texts of all elements at one moment, since pages replace elements."""
    script = """return [...document.querySelectorAll(arguments[0])].map(
        (element) => element.checkVisibility() ? element.innerText.trim() : "")"""
    return browser.execute_script(script, selector)
