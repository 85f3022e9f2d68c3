"""What the detectors share: boxes to the landmark box, doubles, the order of faces, scores as probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..geometry import box_iou
from ..structures import Detection

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

__all__ = ["MIN_SCORE", "best_first", "check_image", "keep_surest", "probability", "suppress", "to_landmark_box"]

MIN_SCORE = 0.9
"""YuNet's faces that are less likely than this are left out, unless the user says otherwise. ``docs/detect.md`` has the costs."""

_ROWS = 256
"""Boxes that are compared with all others at once: it bounds the memory for thousands of faces."""


def check_image(image: Any) -> Image:
    """Return an image that a detector can use.

    Raises:
        FiduciaError: not uint8, or not of the shape ``(H, W, 3)`` with at least one pixel.
    """
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise FiduciaError(f"a detector takes a uint8 RGB image (H, W, 3); found {array.dtype} {array.shape}")
    return array


def to_landmark_box(box: npt.ArrayLike, relation: Sequence[float]) -> Array:
    """Move and scale a detector's box ``(4,)`` towards the tight box of the landmarks; the same frame comes back.

    Args:
        box: x1 y1 x2 y2.
        relation: shift of the centre in x and y as a share of the box's width and height, factor on its width and on
            its height.
    """
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    dx, dy, fw, fh = relation
    w, h = x2 - x1, y2 - y1
    cx, cy = (x1 + x2) / 2 + dx * w, (y1 + y2) / 2 + dy * h
    return np.array([cx - fw * w / 2, cy - fh * h / 2, cx + fw * w / 2, cy + fh * h / 2])


def probability(score: npt.ArrayLike, slope: float, offset: float) -> Array:
    """Return logistic calibration ``1 / (1 + exp(-(slope * score + offset)))``, in (0, 1) (Platt 1999)."""
    return 1.0 / (1.0 + np.exp(-(slope * np.asarray(score, dtype=np.float64) + offset)))


def keep_surest(
    boxes: npt.ArrayLike, scores: npt.ArrayLike, overlap: float, inside: float = 1.0
) -> npt.NDArray[np.intp]:
    """Return the places of the boxes that are no doubles of a surer box, surest first.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``.
        overlap: a double overlaps the surer box by an IoU above this, ...
        inside: ... or shares more than this part of the smaller of the two.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    table = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)[order]
    doubles = np.zeros((len(table), len(table)), dtype=bool)
    for start in range(0, len(table), _ROWS):
        doubles[start : start + _ROWS] = _doubles(table[start : start + _ROWS], table, overlap, inside)
    free = np.ones(len(table), dtype=bool)
    for i in range(len(table)):
        if free[i]:
            free[i + 1 :] &= ~doubles[i, i + 1 :]
    return order[free]


def _doubles(some: Array, every: Array, overlap: float, inside: float) -> npt.NDArray[np.bool_]:
    """Return ``(M, N)``: is the one box a double of the other?"""
    iou = box_iou(some, every)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (some, every)]
    shared = iou * (areas[0][:, None] + areas[1]) / (1 + iou)
    smaller = np.minimum(areas[0][:, None], areas[1])
    found: npt.NDArray[np.bool_] = (iou > overlap) | (shared > inside * smaller * (1 + 1e-9))
    return found


def suppress(found: Sequence[Detection], overlap: float = 0.45) -> list[Detection]:
    """Drop every box that overlaps a surer one by an IoU above ``overlap``; the rest comes back best first."""
    kept = keep_surest([d.box for d in found], [d.score for d in found], overlap)
    return best_first([found[i] for i in kept])


def best_first(found: Sequence[Detection]) -> list[Detection]:
    """Order faces: the surest first, by scores rounded to hundredths; among equals the one with the largest box.

    Rounding lets size decide between faces that are all but certain, as most are.
    """
    return sorted(found, key=lambda d: (-round(d.score, 2), -_area(d.box)))


def _area(box: Array) -> float:
    return math.prod(float(side) for side in box[2:] - box[:2])
