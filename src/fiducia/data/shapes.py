"""Labels against the shape of a face: which faces lie farthest from the median one, and at which points.

Two points swapped, or a face mirrored without its points' names, change no count and no file; they show in the shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..schemes.sets import get_scheme
from ..structures import Record

__all__ = ["MIN_FACES", "Oddity", "align", "farthest", "lone_pairs", "median_face", "oddness"]

Array = npt.NDArray[np.float64]

MIN_FACES = 10
"""Fewer faces than this have no median worth the name."""
_FLOOR = 0.005
"""The least that counts as a point's usual distance, as a share of the face's size."""
_WIDE = 0.3
"""Points closer than this across, in units of the face's root mean square size, may well lie in the middle both."""
_LEVEL = 0.2
"""Points are opposite each other where they are level and centred to this share of their distance."""


@dataclass(frozen=True)
class Oddity:
    """A face by how odd its labels are: its place in the records, its score, and its oddest points' names, worst first."""

    index: int
    score: float
    points: tuple[str, ...]


def align(xy: Array, reference: Array) -> Array:
    """Move a shape onto another by the least-squares rotation, scale and shift; never by a reflection (Umeyama 1991).

    Args:
        xy: ``(K, 2)``; nan = not labelled.
        reference: ``(K, 2)``, of any size and place.

    Returns:
        ``(K, 2)`` in the reference's frame; all nan where fewer than two different points are labelled in both.
    """
    both = np.isfinite(xy).all(axis=1) & np.isfinite(reference).all(axis=1)
    if both.sum() < 2:
        return np.full_like(xy, np.nan)
    # As complex numbers, a similarity without reflection is one factor.
    a, b = xy[both] @ (1, 1j), reference[both] @ (1, 1j)
    a0, b0 = a.mean(), b.mean()
    size = float((abs(a - a0) ** 2).sum())
    if size <= 0:
        return np.full_like(xy, np.nan)
    z = (np.conj(a - a0) @ (b - b0)) / size * (xy @ (1, 1j) - a0) + b0
    return np.stack([z.real, z.imag], axis=-1)


def median_face(shapes: Array, rounds: int = 4) -> Array:
    """Return the median ``(K, 2)`` of shapes ``(N, K, 2)`` aligned to it, centred and of unit size (root mean square).

    The first reference is the most fully labelled shape; a few rounds of aligning and taking medians forget it.
    """
    reference = _unit(shapes[int(np.isfinite(shapes).all(axis=2).sum(axis=1).argmax())])
    for _ in range(rounds):
        reference = _unit(_median(np.stack([align(xy, reference) for xy in shapes])))
    return reference


def oddness(distances: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Score faces by their two oddest points, each in units of what is usual at that point.

    Two points, since that is what a swap moves; a face that is wrong as a whole has two such points as well.

    Args:
        distances: ``(N, K)`` of every point from where it should be, as a share of the face's size; nan = unknown.

    Returns:
        scores ``(N,)``, 1 = as usual, 0 where nothing is known; and the points ``(N, 2)``, worst first.
    """
    usual = np.maximum(np.nan_to_num(_median(distances)), _FLOOR)
    ratio = np.nan_to_num(distances / usual, nan=0.0)
    worst = np.argsort(-ratio, axis=1, kind="stable")[:, :2]
    return np.take_along_axis(ratio, worst, axis=1).mean(axis=1), worst


def farthest(records: Sequence[Record], most: int = 5) -> list[Oddity]:
    """Return the faces of one landmark set that lie farthest from their median face, farthest first.

    Returns:
        At most ``most``; none of fewer than :data:`MIN_FACES` faces.
    """
    if len(records) < MIN_FACES:
        return []
    shapes = np.stack([record.xy for record in records])
    middle = median_face(shapes)
    aligned = np.stack([align(xy, middle) for xy in shapes])
    scores, worst = oddness(np.linalg.norm(aligned - middle, axis=2))
    names = get_scheme(records[0].scheme).names
    order = np.argsort(-scores, kind="stable")[:most]
    return [Oddity(int(i), float(scores[i]), tuple(names[k] for k in worst[i])) for i in order if scores[i] > 0]


def lone_pairs(records: Sequence[Record]) -> list[tuple[int, int]]:
    """Return pairs of points that lie opposite each other though their landmark set's mirror leaves both in place.

    The shapes are not turned: photographs are upright on the whole, so the median face's axis is vertical, through the
    middles of the pairs that the set does name, else through the centre.

    Returns:
        Index pairs, the lower first; none of fewer than :data:`MIN_FACES` faces.
    """
    shapes = [record.xy for record in records if np.isfinite(record.xy).all(axis=1).sum() > 1]
    if len(shapes) < MIN_FACES:
        return []
    mirror = np.array(get_scheme(records[0].scheme).mirror)
    middle = _median(np.stack([_unit(xy) for xy in shapes]))
    known = np.asarray(np.isfinite(middle).all(axis=1))
    paired: npt.NDArray[np.bool_] = known & known[mirror] & (mirror != np.arange(len(mirror)))
    axis = float(np.median((middle[paired, 0] + middle[mirror[paired], 0]) / 2)) if paired.any() else 0.0
    lone: list[int] = np.flatnonzero(known & (mirror == np.arange(len(mirror)))).tolist()
    pairs: list[tuple[float, int, int]] = []
    for n, a in enumerate(lone):
        for b in lone[n + 1 :]:
            width, height = np.abs(middle[a] - middle[b])
            off = abs((middle[a, 0] + middle[b, 0]) / 2 - axis)
            if width > _WIDE and height + off < _LEVEL * width:
                pairs.append((float((height + off) / width), a, b))
    found: list[tuple[int, int]] = []
    for _, a, b in sorted(pairs):
        if not any({a, b} & set(pair) for pair in found):
            found.append((a, b))
    return sorted(found)


def _unit(xy: Array) -> Array:
    """Centre a shape and scale it to a root mean square distance of 1."""
    centred = xy - np.nanmean(xy, axis=0)
    return centred / max(float(np.sqrt(np.nanmean((centred**2).sum(axis=1)))), 1e-12)


def _median(values: Array) -> Array:
    """Return the median over the first axis, nan left out; nan where there is nothing else, in silence."""
    known = np.isfinite(values).any(axis=0)
    result = np.full(values.shape[1:], np.nan)
    result[known] = np.nanmedian(values[:, known], axis=0)
    return result
