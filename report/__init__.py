"""Pictures and pages that show what a captioner saw; knows arrays and words only.

An explanation is any object with the attributes of `models.Explanation`.
"""

from report.figures import (
    FORMATS,
    heatmap_figure,
    word_picture,
    write_figure,
    write_pictures,
)
from report.grid_figure import grid_figure, method_figure
from report.html_report import photo_record, report_page, write_report
from report.index_page import Card, write_index
from report.look import SCALES, Look
from report.notebook import html, show
from report.overlays import attention_overlay, overlay
from report.page_parts import page_style, words_script
from report.photo_folder import (
    finished_caption,
    in_use,
    joined_captions,
    list_cards,
    name_folders,
    place_of,
    write_photo,
)
from report.word_figure import word_relevance_figure
from report.wording import mean_probability

__all__ = [
    "FORMATS",
    "SCALES",
    "Card",
    "Look",
    "attention_overlay",
    "finished_caption",
    "grid_figure",
    "heatmap_figure",
    "html",
    "in_use",
    "joined_captions",
    "list_cards",
    "mean_probability",
    "method_figure",
    "name_folders",
    "overlay",
    "page_style",
    "photo_record",
    "place_of",
    "report_page",
    "show",
    "word_picture",
    "word_relevance_figure",
    "words_script",
    "write_figure",
    "write_index",
    "write_photo",
    "write_pictures",
    "write_report",
]
