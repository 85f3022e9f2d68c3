"""An evaluation as one page for people, with the files behind it, beside other results on the same faces."""

from __future__ import annotations

from .folder import write_report
from .others import Compared, Other, compare_with, evaluate_against, read_other
from .words import unmeasured, verdict

__all__ = [
    "Compared",
    "Other",
    "compare_with",
    "evaluate_against",
    "read_other",
    "unmeasured",
    "verdict",
    "write_report",
]
