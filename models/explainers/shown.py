"""How an explanation shows itself: the one door from `models` up to `report`."""

from pathlib import Path

from PIL import Image


class Shown:
    """Draws an explanation by `report`, which is imported only then."""

    def show(self, scale: str = "word", colour_map: str | None = None) -> Path | None:
        """Shows the report: in the notebook's cell, else in the browser.

        Args:
            scale: "word": each word's strongest relevance has full colour; "caption":
                that of all words, so that a word which hardly reads the photo is pale.
            colour_map: A name of matplotlib's; None for blue and red.

        Returns:
            None in a notebook; else the path of the page that was written.

        Raises:
            ValueError: There is no such scale or colour map.
        """
        report = _report()
        return report.show(self, look=report.Look(scale, colour_map))

    def overlay(
        self, word: str | int, scale: str = "word", colour_map: str | None = None
    ) -> Image.Image:
        """Draws the relevance of one word over the photograph in its own size.

        The photograph is that of `photo`: as it was given to `explain`, or after
        `load` the folder's `photo.jpg`, at most 1600 pixels a side. Where there is
        none, it is `image`, resized as the model saw it.

        Args:
            word: An explained word, or its place in the caption, from 0.
            scale: See `show`.
            colour_map: See `show`.

        Returns:
            A picture that a notebook shows; `picture.save(path)` saves it.

        Raises:
            ValueError: There is no such word, scale or colour map; or the word is
                there several times.
        """
        report = _report()
        return report.word_picture(self, word, report.Look(scale, colour_map))

    def _repr_html_(self) -> str:
        """Returns the report, for the cell of a notebook."""
        return _report().html(self)


def _report():
    import report

    return report
