"""Do faces agree with their landmark set? Two tests on the shapes alone, without a look at the photographs.

1. Mirrored, with the points renamed by the set's mirror pairs, the median face is the median face again.
2. Points called left lie at the picture's right, for left and right are the person's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..schemes.sets import Scheme, get_scheme
from ..structures import Record
from .shapes import MIN_FACES, align, median_face

__all__ = ["Doubt", "doubts", "mirror_gap", "side_gap", "sides", "upright"]

Array = npt.NDArray[np.float64]

_FACES = 500
"""At most so many faces are looked at, evenly spread."""
# Measured on 300-W, in units of a face's root mean square size: of the median face the mirror gap is 0.002 to 0.011 with
# the right pairs, and 0.15 to 1.0 with wrong ones; of single faces it grows with the yaw, to 0.5 at 30 degrees. The
# side gap of single faces is 0.9 to 1.9, and 0.5 at a yaw of 70 degrees.
_GAPS = ((50, 0.2), (MIN_FACES, 0.35), (2, 0.5), (1, 0.7))
"""(number of faces, the gap from which so many faces or more contradict the mirror pairs)."""
_SURE_GAP = 0.35
_SIDE, _FEW_SIDE = 0.3, 0.15


@dataclass(frozen=True)
class Doubt:
    """What speaks against a landmark set: a line, and whether there are faces enough to be sure."""

    message: str
    sure: bool


def doubts(records: Sequence[Record]) -> list[Doubt]:
    """Return what speaks against the landmark set of faces; nothing for bare points.

    Args:
        records: faces of one landmark set.
    """
    if not records:
        return []
    scheme = get_scheme(records[0].scheme)
    shapes = _shapes(records, scheme.num_points)
    if not len(shapes) or not scheme.mirrors:
        return []
    found = []
    many = len(shapes) >= MIN_FACES
    faces = f"{len(shapes)} face{'s' * (len(shapes) != 1)}"
    gap = mirror_gap(median_face(shapes), scheme.mirror) if many else _middle(shapes, scheme.mirror)
    if gap is not None and gap > next(limit for least, limit in _GAPS if len(shapes) >= least):
        found.append(
            Doubt(
                f"the mirror pairs of {scheme.name} contradict these faces: mirrored, the median of {faces} is off by "
                f"{100 * gap:.0f} % of its size; are the points of another set or in another order?",
                many and gap > _SURE_GAP,
            )
        )
    side = side_gap(shapes, scheme)
    if side is not None and side < (_SIDE if many else _FEW_SIDE):
        found.append(
            Doubt(
                f"points called left in {scheme.name} do not lie at the picture's right, as the person's own left does, in "
                f"the median of {faces}; are left and right swapped, or the photographs mirrored or turned?",
                many and side < 0.0,
            )
        )
    return found


def sides(scheme: Scheme) -> tuple[list[int], list[int]]:
    """Return the points called right and the points called left that a mirror swaps, in the same order."""
    right, left = [], []
    for i, j in enumerate(scheme.mirror):
        words, other = scheme.names[i].lower().split("_"), scheme.names[j].lower().split("_")
        if i != j and "right" in words and "left" in other:
            right.append(i)
            left.append(j)
    return right, left


def mirror_gap(shape: Array, mirror: Sequence[int]) -> float | None:
    """Return how far a shape ``(K, 2)`` is from its own mirror image with the points renamed.

    Returns:
        the root mean square distance after the best turn, scale and shift, in units of the shape's own size; None where
        no pair is labelled, no point changes its place, or all such points lie in one spot.
    """
    order = np.asarray(mirror, dtype=np.intp)
    labelled = np.asarray(np.isfinite(shape).all(axis=1))
    known = labelled & labelled[order]
    if known.sum() < 3 or not (known & (order != np.arange(len(order)))).any():
        return None
    whole = np.where(known[:, None], shape, np.nan)
    image = align(whole[order] * (-1.0, 1.0), whole)
    size = np.nanmean(((whole - np.nanmean(whole, axis=0)) ** 2).sum(axis=1))
    if not size > 0 or not np.isfinite(image).any():
        return None
    return float(np.sqrt(np.nanmean(((image - whole) ** 2).sum(axis=1)) / size))


def side_gap(shapes: Array, scheme: Scheme) -> float | None:
    """Return how far the left points lie to the right of the right ones in the picture.

    Args:
        shapes: ``(N, K, 2)`` of unit size, not turned.
        scheme: names left and right.

    Returns:
        the median over the faces of the mean over the pairs, in units of the face's size; None where nothing is named so.
    """
    right, left = sides(scheme)
    across = shapes[:, left, 0] - shapes[:, right, 0]
    known = np.isfinite(across).any(axis=1)
    if not right or not known.any():
        return None
    return float(np.median(np.nanmean(across[known], axis=1)))


def upright(xy: Array, scheme: Scheme) -> float | None:
    """Return the angle in degrees by which a face ``(K, 2)`` is turned, from the middles of its left and right points.

    0 is upright, 90 is turned clockwise by a quarter; None where nothing is named left and right.
    """
    right, left = sides(scheme)
    known = [(r, e) for r, e in zip(right, left, strict=True) if np.isfinite(xy[[r, e]]).all()]
    if not known:
        return None
    pairs = np.array(known)
    x, y = (xy[pairs[:, 1]] - xy[pairs[:, 0]]).mean(axis=0).tolist()
    return float(np.degrees(np.arctan2(y, x))) if x or y else None


def _shapes(records: Sequence[Record], points: int) -> Array:
    """Return shapes ``(N, K, 2)`` of unit size about their centre, of faces with two points apart or more."""
    some = records[:: max(1, len(records) // _FACES)]
    shapes = []
    for record in some:
        known = record.xy[np.isfinite(record.xy).all(axis=1)]
        if len(record.xy) == points and len(known) > 1 and np.ptp(known, axis=0).any():
            centred = record.xy - known.mean(axis=0)
            shapes.append(centred / np.sqrt(((known - known.mean(axis=0)) ** 2).sum(axis=1).mean()))
    return np.array(shapes).reshape(-1, points, 2)


def _middle(shapes: Array, mirror: Sequence[int]) -> float | None:
    gaps = [gap for shape in shapes if (gap := mirror_gap(shape, mirror)) is not None]
    return float(np.median(gaps)) if gaps else None
