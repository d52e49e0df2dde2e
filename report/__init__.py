"""Pictures and pages that show what a captioner saw; knows arrays and words only.

An explanation is any object with the attributes of `models.Explanation`.
"""

from report.figures import heatmap_figure, word_relevance_figure, write_pictures
from report.html_report import (
    page_style,
    photo_record,
    report_page,
    words_script,
    write_report,
)
from report.index_page import Card, write_index
from report.overlays import attention_overlay, overlay
from report.photo_folder import (
    finished_caption,
    in_use,
    list_cards,
    name_folders,
    place_of,
    write_photo,
)

__all__ = [
    "Card",
    "attention_overlay",
    "finished_caption",
    "heatmap_figure",
    "in_use",
    "list_cards",
    "name_folders",
    "overlay",
    "page_style",
    "photo_record",
    "place_of",
    "report_page",
    "word_relevance_figure",
    "words_script",
    "write_index",
    "write_photo",
    "write_pictures",
    "write_report",
]
