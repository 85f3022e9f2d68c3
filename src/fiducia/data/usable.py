"""Which faces can be cropped at all: training and evaluation skip the others, and say how many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..structures import Record
from .sizes import photo_size

__all__ = ["fault_of", "skipped_lines", "usable"]

_LISTED = 3
_SMALLEST = 1.0
"""Pixels: a face of less has nothing to be seen in."""
_FLAT = 1e-6
"""Points are on a line where they spread so much less across it than along it."""
_CURE = "fiducia data check lists them"


def fault_of(record: Record, box_source: str = "landmarks") -> str | None:
    """Return why a face cannot be cropped, or None where it can.

    Args:
        record: a face.
        box_source: where its crop comes from: ``landmarks`` (the tight box of its points) or ``dataset`` (its own box).
    """
    known = record.xy[np.isfinite(record.xy).all(axis=1)]
    if len(known) < 2:
        return "no labelled point" if len(known) == 0 else "a single labelled point"
    if box_source == "dataset":
        if record.box is None:
            return "no box"
        if not np.isfinite(record.box).all() or (record.box[2:] <= record.box[:2]).any():
            return "a box without area"
        return None
    width, height = np.ptp(known, axis=0).tolist()
    if width == 0 and height == 0:
        return "all points in one place"
    if width == 0 or height == 0:
        return "all points on one horizontal or vertical line"
    if max(width, height) < _SMALLEST:
        return f"all points within {_SMALLEST:g} pixel"
    across = np.linalg.svd(known - known.mean(axis=0), compute_uv=False)
    if len(known) > 2 and across[1] < _FLAT * across[0]:
        return "all points on one line"
    return _outside(record, known)


def _outside(record: Record, known: npt.NDArray[np.float64]) -> str | None:
    """Return that a face lies wholly outside its photograph, or None; unknown where that cannot be read."""
    size = photo_size(record.image)
    if size is None:
        return None
    low, high = known.min(axis=0), known.max(axis=0)
    shown = np.array(size.shown)
    return "all points outside its photograph" if (high < -0.5).any() or (low > shown - 0.5).any() else None


def usable(records: Iterable[Record], box_source: str = "landmarks") -> tuple[list[Record], list[str]]:
    """Part faces into those that can be cropped and the rest.

    Args:
        records: faces of any landmark set.
        box_source: as in :func:`fault_of`; a recipe's ``data.box_source``.

    Returns:
        the faces that can be cropped, in their order, and a line for each reason why others are left out: how many, and
        the first three of them.
    """
    kept: list[Record] = []
    dropped: dict[str, list[str]] = {}
    for record in records:
        fault = fault_of(record, box_source)
        if fault is None:
            kept.append(record)
        else:
            dropped.setdefault(fault, []).append(record.id)
    return kept, skipped_lines(dropped)


def skipped_lines(dropped: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each reason why faces are skipped: how many, and the first three ids."""
    lines = []
    for fault, ids in dropped.items():
        more = ", …" if len(ids) > _LISTED else ""
        faces = "1 face is" if len(ids) == 1 else f"{len(ids):,} faces are"
        lines.append(f"{faces} skipped: {fault} ({', '.join(ids[:_LISTED])}{more}); {_CURE}")
    return lines
