"""Rendered scenes of which it is known why each word of a caption is true."""

from dataset.scenes.evidence.edits import Edit
from dataset.scenes.evidence.evidence_files import (
    EditedImage,
    EvidenceScene,
    read_evidence,
    write_evidence_scenes,
)
from dataset.scenes.evidence.told_words import ABOUT, BADGE, FIRST, ToldWord

__all__ = [
    "ABOUT",
    "BADGE",
    "FIRST",
    "Edit",
    "EditedImage",
    "EvidenceScene",
    "ToldWord",
    "read_evidence",
    "write_evidence_scenes",
]
