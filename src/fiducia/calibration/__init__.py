"""What a network's confidence is worth: quality of faces, expected errors and visibility of points."""

from __future__ import annotations

from .judge import Judgement, judge
from .table import Calibration

__all__ = ["Calibration", "Judgement", "judge"]
