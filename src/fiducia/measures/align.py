"""Aligned crops: the similarity (rotation, scale, shift; no reflection) that brings a face to a template's places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError, UsageError
from ..images.crop import Image, crop
from ..schemes.sets import Scheme, conversion
from .pose import head_points

__all__ = ["FIVE_POINTS", "Aligned", "align_crop", "align_matrix", "similarity", "template"]

Array = npt.NDArray[np.float64]

FIVE_POINTS: Array = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where face recognition networks expect the points of ``five`` in a crop of 112 x 112 pixels: the positions that SphereFace
(Liu et al. 2017) published for 96 x 112 pixels, 8 pixels further right, as ArcFace (Deng et al. 2019) and most others use."""
_SIDE = 112


class Aligned(NamedTuple):
    """An aligned crop: ``image`` uint8 ``(S, S, 3)`` RGB, and ``matrix`` ``(2, 3)``, image of the face -> crop."""

    image: Image
    matrix: Array


def template(scheme: Scheme, size: int = _SIDE, points: str = "five") -> Array:
    """Return where an aligned crop has the points of a landmark set, ``(M, 2)`` in crop pixels.

    Args:
        scheme: the landmark set.
        size: side of the crop in pixels. The template scales with the crop, edges together.
        points: ``five`` = the five points of face recognition; ``all`` = every point that the mean head has (nan for the
            others, such as a contour's): its frontal view, laid on the five points by a similarity.
    """
    if points not in ("five", "all"):
        raise UsageError(f"points = {points!r}; expected 'five' or 'all'")
    if size < 1:
        raise UsageError(f"size = {size}; expected pixels, 1 or more")
    places = FIVE_POINTS
    if points == "all":
        frontal = head_points(scheme)[:, :2]
        five = np.stack([frontal[list(group)].mean(axis=0) for group in conversion(scheme, "five")])
        matrix = similarity(five, FIVE_POINTS)
        places = frontal @ matrix[:, :2].T + matrix[:, 2]
    return (places + 0.5) * (size / _SIDE) - 0.5


def align_matrix(xy: npt.ArrayLike, scheme: Scheme, size: int = _SIDE, points: str = "five") -> Array:
    """Return the affine ``(2, 3)`` image -> crop that aligns a face, by least squares over its known points.

    Args:
        xy: ``(K, 2)`` in pixels of the image; nan = unknown.
        scheme: the landmark set; it must be ``five`` or convert to it.
        size: side of the crop in pixels.
        points: ``five`` or ``all``; see :func:`template`. All points make a steadier crop where single ones are off.

    Raises:
        SchemeError: the set does not convert to five points.
        UsageError: another word for ``points``, or a size below 1.
        FiduciaError: fewer than two known points, or all in one spot.
    """
    seen = np.asarray(xy, dtype=np.float64)
    groups = conversion(scheme, "five")
    if points == "five":
        seen = np.stack([seen[list(group)].mean(axis=0) for group in groups])
    return similarity(seen, template(scheme, size, points))


def align_crop(image: Image, matrix: npt.ArrayLike, size: int = _SIDE) -> Aligned:
    """Return the crop of an image under an affine image -> crop; black where it leaves the image."""
    return Aligned(crop(image, matrix, size), np.asarray(matrix, dtype=np.float64))


def similarity(source: npt.ArrayLike, target: npt.ArrayLike) -> Array:
    """Return the affine ``(2, 3)`` of the similarity source -> target of least squares (Umeyama 1991), without reflection.

    Args:
        source: ``(K, 2)``; a point that is nan here or in ``target`` is left out.
        target: ``(K, 2)``.

    Raises:
        FiduciaError: fewer than two known points, or all in one spot.
    """
    a, b = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    # As complex numbers, a similarity without reflection is one factor and one shift.
    p, q = a[known] @ (1, 1j), b[known] @ (1, 1j)
    spread = float((abs(p - p.mean()) ** 2).sum()) if len(p) else 0.0
    if len(p) < 2 or not spread > 1e-12:
        raise FiduciaError(f"{len(p)} known points, or all in one spot; aligning a face needs two different points")
    factor = complex((np.conj(p - p.mean()) @ (q - q.mean())) / spread)
    shift = complex(q.mean() - factor * p.mean())
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])
