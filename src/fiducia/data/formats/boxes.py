"""Boxes that label files give to faces: which can be used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..kinds import LabelError
from .own import Notes

__all__ = ["used_box"]


def used_box(box: npt.NDArray[np.float64], said: str, form: str, notes: Notes) -> npt.NDArray[np.float64] | None:
    """Return a face's box, or None where it has no area, which is noted.

    Args:
        box: ``(4,)`` x1 y1 x2 y2.
        said: what the file says and where, for messages, such as ``"faces.json: annotations[3]: bbox is [8, 8, 0, 24]"``.
        form: what the file's four numbers are, such as ``"x y width height"``.
        notes: takes the remark.

    Raises:
        LabelError: a side is negative.
    """
    side = box[2:] - box[:2]
    if (side < 0).any():
        raise LabelError("box", f"{said}; expected {form} with a positive size")
    if (side == 0).any():
        notes.say("empty-box", f"{said}, which has no area; it is not used")
        return None
    return box
