"""The report in the cell of a notebook, or in the browser."""

import html as markup
import sys
import tempfile
import webbrowser
from pathlib import Path

from report.html_report import report_page, write_report
from report.look import USUAL, Look

HEIGHT = 760  # pixels, until the page says how high it is


def html(*explanations, look: Look = USUAL) -> str:
    """Returns the report as a frame, which fits into any page several times.

    Args:
        explanations: Of one photo, one per method.
        look: The colours.

    Returns:
        HTML that needs no network and no other file.

    Raises:
        ValueError: If there is none, or arrays do not fit their words.
    """
    page = markup.escape(report_page([explanations], look=look))
    title = markup.escape(f"Explanation of: {explanations[0].caption}")
    return (
        f'<iframe title="{title}" srcdoc="{page}" '
        f'style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>'
    )


def show(*explanations, look: Look = USUAL) -> Path | None:
    """Shows the report: in the notebook's cell, else in the browser.

    Args:
        explanations: Of one photo, one per method.
        look: The colours.

    Returns:
        None in a notebook; else the path of the page that was written, in the folder
        for temporary files. It is opened if there is a browser with windows.
    """
    display = _notebook_display()
    if display is not None:
        display({"text/html": html(*explanations, look=look)}, raw=True)
        return None
    folder = Path(tempfile.mkdtemp(prefix="explanation-"))
    path = write_report(folder / "report.html", [explanations], look=look)
    _open(path)
    return path


def _notebook_display():
    """Returns what shows things in a notebook's cell; None outside of notebooks."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return ipython.display.display if hasattr(shell, "kernel") else None


def _open(path: Path) -> None:
    """Opens a page in a browser with windows; one in the terminal would take it."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is not webbrowser.GenericBrowser:
        browser.open(path.as_uri())
