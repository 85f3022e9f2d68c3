"""Distances and ratios of a face, from its named points: eyes, blinking, the opening of the mouth.

All of them take points ``(K, 2)`` in any unit with x right and y down, and the landmark set. A point that is unknown (nan)
makes what depends on it nan, and so do corners in one spot, as where there is no face. Ratios are of lengths as seen: a head
that is turned or nods shows its width or height shorter.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..schemes.sets import Scheme, SchemeError

__all__ = ["OPEN_EYE", "blink", "eye_aspect", "eye_centres", "inter_ocular", "mouth_open"]

Array = npt.NDArray[np.float64]

OPEN_EYE = 0.32
"""Eye aspect ratio of an open eye: the median over 1,968 training faces of 300-W. Closed ones have about 0 to 0.1."""
_SIDES = ("right", "left")
_LIDS = (("top_outer", "bottom_outer"), ("top_inner", "bottom_inner"))
_MIDDLE = (("top", "bottom"),)


def inter_ocular(xy: npt.ArrayLike, scheme: Scheme) -> float:
    """Return the distance of the outer eye corners (the scheme's ``inter_ocular``), in the unit of ``xy``.

    Raises:
        SchemeError: the set has no such pair, as ``five``.
    """
    if scheme.inter_ocular is None:
        raise SchemeError(
            f"{scheme.name} has no outer eye corners (inter_ocular); measure the distance of other points"
        )
    a, b = np.asarray(xy, dtype=np.float64)[list(scheme.inter_ocular)]
    return float(np.linalg.norm(b - a))


def eye_centres(xy: npt.ArrayLike, scheme: Scheme) -> Array:
    """Return the centres ``(2, 2)`` of the right and the left eye: the mean of the eye's outline, wherever it looks.

    Pupils do not count. A set with a centre alone, as ``five``, gives that.

    Raises:
        SchemeError: the set has no regions ``right_eye`` and ``left_eye``.
    """
    points = np.asarray(xy, dtype=np.float64)
    centres = []
    for side in _SIDES:
        region = scheme.region(f"{side}_eye")
        outline = [i for i in region if not scheme.names[i].endswith(("_centre", "_pupil"))]
        centres.append(points[outline or list(region)].mean(axis=0))
    return np.stack(centres)


def eye_aspect(xy: npt.ArrayLike, scheme: Scheme) -> tuple[float, float]:
    """Return the eye aspect ratio of the right and the left eye (Soukupova and Cech 2016, eq. 1).

    The mean distance of the lids, at a third and two thirds of the eye, over the distance of its corners. A set with the
    middle of the lids alone, as ``cofw29``, gives their distance, which is a little larger.

    Raises:
        SchemeError: the set has no points on the lids, as ``aflw19`` and ``five``.
    """
    points, (right, left) = np.asarray(xy, dtype=np.float64), _SIDES
    return _aspect(points, scheme, right), _aspect(points, scheme, left)


def _aspect(points: Array, scheme: Scheme, side: str) -> float:
    def lids(pairs: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
        named = [(f"{side}_eye_{a}", f"{side}_eye_{b}") for a, b in pairs]
        return [pair for pair in named if set(pair) <= set(scheme.names)]

    pairs = lids(_LIDS) or lids(_MIDDLE)
    corners = (f"{side}_eye_outer", f"{side}_eye_inner")
    if not pairs or not set(corners) <= set(scheme.names):
        raise SchemeError(
            f"{scheme.name} has no points such as {side}_eye_top_outer and {side}_eye_bottom_outer; "
            "an eye's opening needs both lids"
        )
    return _ratio(
        float(np.mean([_distance(points, scheme, *pair) for pair in pairs])), _distance(points, scheme, *corners)
    )


def blink(xy: npt.ArrayLike, scheme: Scheme) -> tuple[float, float]:
    """Return how far the right and the left eye are closed, in [0, 1]: 1 - eye aspect ratio / :data:`OPEN_EYE`, clipped.

    Raises:
        SchemeError: as :func:`eye_aspect`.
    """
    right, left = (float(np.clip(1 - ratio / OPEN_EYE, 0.0, 1.0)) for ratio in eye_aspect(xy, scheme))
    return right, left


def mouth_open(xy: npt.ArrayLike, scheme: Scheme) -> float:
    """Return the gap between the lips over the distance of the mouth's corners: 0 = closed, about 0.5 = wide open.

    Raises:
        SchemeError: the set has no points on the inner lips, as ``aflw19`` and ``five``.
    """
    points = np.asarray(xy, dtype=np.float64)
    needed = ("upper_lip_bottom", "lower_lip_top", "right_mouth_corner", "left_mouth_corner")
    if not set(needed) <= set(scheme.names):
        raise SchemeError(f"{scheme.name} lacks one of {', '.join(needed)}; a mouth's opening needs them all")
    return _ratio(_distance(points, scheme, *needed[:2]), _distance(points, scheme, *needed[2:]))


def _distance(points: Array, scheme: Scheme, a: str, b: str) -> float:
    return float(np.linalg.norm(points[scheme.point(a)] - points[scheme.point(b)]))


def _ratio(height: float, width: float) -> float:
    """Return height / width; nan where the corners lie in one spot."""
    return height / width if width else math.nan
