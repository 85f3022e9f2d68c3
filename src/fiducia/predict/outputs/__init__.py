"""Results on disk: one file a format, each registered in :data:`writers` under the word that ``--format`` takes."""

from __future__ import annotations

from .base import (
    LineWriter,
    Origin,
    Result,
    Writer,
    check_formats,
    check_holds_photographs,
    face_table,
    result_table,
    writers,
)

__all__ = [
    "LineWriter",
    "Origin",
    "Result",
    "Writer",
    "check_formats",
    "check_holds_photographs",
    "face_table",
    "result_table",
    "writers",
]
