"""Tiny data sets as they lie on disk, drawn on the spot: sound ones here, the tests damage them."""

from __future__ import annotations

from tests.layouts.draw import class_folders, drawn_face, save_face, write_lines
from tests.layouts.fer2013 import (
    FER2013_WORDS,
    NEW_HEADER,
    WORKED_VOTES,
    fer2013_folders,
    fer2013_lines,
    ferplus_folders,
    ferplus_new,
    icml_lines,
    label_csv_line,
    pixels,
)

__all__ = [
    "FER2013_WORDS",
    "NEW_HEADER",
    "WORKED_VOTES",
    "class_folders",
    "drawn_face",
    "fer2013_folders",
    "fer2013_lines",
    "ferplus_folders",
    "ferplus_new",
    "icml_lines",
    "label_csv_line",
    "pixels",
    "save_face",
    "write_lines",
]
