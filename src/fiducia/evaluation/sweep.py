"""How much a network suffers from a box that is not the annotation's: moved, too small, too large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..structures import Record
from .locate import Settings, annotated_box, find_at

Array = npt.NDArray[np.float64]

__all__ = ["DIRECTIONS", "SCALES", "SHIFTS", "box_sweep", "moved_boxes", "summary"]

SHIFTS = (0.0, 0.05, 0.10, 0.15)
"""Lengths of the shift, as shares of the box's longer side."""
DIRECTIONS = 8
"""A shift goes in so many directions, the first to the right, evenly spread."""
SCALES = (0.8, 0.9, 1.0, 1.1, 1.2)
"""Factors of both sides, about the box's centre."""


def moved_boxes(box: npt.ArrayLike) -> Array:
    """Return the boxes of the sweep, ``(29, 4)``: the box itself, each shift in each direction, then each other scale."""
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    side = max(x2 - x1, y2 - y1)
    centre, half = np.array([x1 + x2, y1 + y2]) / 2, np.array([x2 - x1, y2 - y1]) / 2
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    moves = [s * side * np.array([np.cos(a), np.sin(a)]) for s in SHIFTS if s for a in angles]
    boxes = [np.concatenate([centre + m - half, centre + m + half]) for m in [np.zeros(2), *moves]]
    boxes += [np.concatenate([centre - f * half, centre + f * half]) for f in SCALES if f != 1.0]
    return np.stack(boxes)


def box_sweep(settings: Settings, records: Sequence[Record], box_source: str) -> Array:
    """Return the points ``(P, N, K, 2)`` that a network finds in each of the P boxes of :func:`moved_boxes`.

    Args:
        settings: how the network is run; a detector is not asked, but its second pass is made.
        records: N annotated faces.
        box_source: ``landmarks`` or ``dataset``: the annotation's box.

    Raises:
        FiduciaError: a photograph that cannot be read, or a moved box that lies outside it.
    """
    boxes = [list(moved_boxes(annotated_box(record, box_source))) for record in records]
    found = find_at(settings.predictor(settings.device), records, boxes)
    return np.stack([one.xy for one in found], axis=1)


def summary(nme: Sequence[float | None]) -> dict[str, Any]:
    """Return the NME of the P boxes of :func:`moved_boxes` as ``shift`` and ``scale``: share or factor → NME.

    A shift's NME is the mean over its directions; None where one of them has none.
    """
    values = [np.nan if value is None else value for value in nme]
    shifts = {SHIFTS[0]: values[0]}
    for i, share in enumerate(SHIFTS[1:]):
        shifts[share] = float(np.mean(values[1 + DIRECTIONS * i : 1 + DIRECTIONS * (i + 1)]))
    rest = iter(values[1 + DIRECTIONS * (len(SHIFTS) - 1) :])
    scales = {factor: values[0] if factor == 1.0 else next(rest) for factor in SCALES}
    return {
        "shift": {f"{share:g}": value for share, value in shifts.items()},
        "scale": {f"{factor:g}": value for factor, value in scales.items()},
        "directions": DIRECTIONS,
    }
