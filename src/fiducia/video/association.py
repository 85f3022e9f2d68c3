"""Which detection belongs to which track: two rounds, as in ByteTrack.

Zhang et al.: "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022, algorithm 1: sure
detections are matched first, by the IoU with the boxes that the tracks' motion predicts; doubtful ones then go to tracks
that are left, and never begin a track. The assignment is the Hungarian one (scipy). This is an adapter of that idea for
faces; there is no appearance model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..geometry import box_iou

__all__ = ["Matches", "assign", "associate"]

LEAST_IOU = 0.2
"""Least IoU of a sure detection with a track's predicted box (ByteTrack, section 4.1)."""
LEAST_IOU_LOW = 0.5
"""The same for a doubtful one."""


class Matches(NamedTuple):
    """Pairs (track, detection), and the sure detections that belong to no track."""

    pairs: list[tuple[int, int]]
    new: list[int]


def associate(
    predicted: npt.ArrayLike, seen: npt.ArrayLike, boxes: npt.ArrayLike, scores: npt.ArrayLike, high: float
) -> Matches:
    """Match detections to tracks.

    Args:
        predicted: ``(T, 4)`` boxes where the tracks are expected.
        seen: bool ``(T,)``: the track was seen in the frame before; doubtful detections go to such tracks only.
        boxes: ``(N, 4)`` detections.
        scores: ``(N,)``.
        high: score from which on a detection is sure.

    Example:
        >>> associate([[0, 0, 10, 10]], [True], [[1, 0, 11, 10], [50, 50, 60, 60]], [0.9, 0.8], 0.7)
        Matches(pairs=[(0, 0)], new=[1])
    """
    overlap = box_iou(predicted, boxes)
    live = np.asarray(seen, dtype=bool).reshape(-1)
    sure = np.asarray(scores, dtype=np.float64).reshape(-1) >= high
    pairs = assign(np.where(sure[None, :], 1 - overlap, np.inf), 1 - LEAST_IOU)
    taken = {track for track, _ in pairs}
    left = live & ~np.isin(np.arange(len(live)), list(taken))
    second = np.where(left[:, None] & ~sure[None, :], 1 - overlap, np.inf)
    matched = {number for _, number in pairs}
    pairs += assign(second, 1 - LEAST_IOU_LOW)
    return Matches(sorted(pairs), [int(i) for i in np.flatnonzero(sure) if int(i) not in matched])


def assign(cost: npt.NDArray[np.float64], most: float) -> list[tuple[int, int]]:
    """Return pairs (row, column) of the least total cost; no pair costs more than ``most``, and inf means never.

    Raises:
        UsageError: scipy is not installed.
    """
    if cost.size == 0:
        return []
    allowed = cost <= most
    if not allowed.any():
        return []
    if allowed.sum() == 1:
        row, column = np.argwhere(allowed)[0]
        return [(int(row), int(column))]
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise UsageError("tracking several faces needs scipy: pip install 'fiducia[video]'") from None
    # A pair that is not allowed costs more than any number of allowed ones.
    rows, columns = linear_sum_assignment(np.where(allowed, cost, 1e6))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]
