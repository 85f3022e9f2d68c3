"""Masks of a face and its regions, in the size of the image."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..schemes.scheme import GROUPS
from ..schemes.sets import Scheme

__all__ = ["coverage", "region_mask", "region_polygons"]

Array = npt.NDArray[np.float64]
_OVER = 4
"""Coverage is counted on a grid four times as fine."""
_SHIFT = 4
_LARGEST = 4_000_000
"""Pixels of a polygon's box above which the grid is as fine as the image: an edge of a pixel does not show there."""


def region_polygons(xy: npt.ArrayLike, scheme: Scheme, name: str = "face") -> list[Array]:
    """Return the outlines ``(M, 2)`` of a region.

    Args:
        xy: ``(K, 2)`` in pixels; unknown points (nan) are left out.
        scheme: the landmark set.
        name: ``face`` = the convex hull of all points, from the brows down to the contour; a region of the scheme, or a
            group of them: its own outline where the scheme's edges close one (eyes, lips), else its convex hull.

    Raises:
        SchemeError: the scheme has no such region.
        FiduciaError: fewer than three known points.
    """
    points = np.asarray(xy, dtype=np.float64)
    if name == "face" and name not in scheme.regions:
        return [_hull(points, "face")]
    if name in scheme.regions or name not in GROUPS:
        return [_outline(points, scheme, name)]
    scheme.region(name)
    return [_outline(points, scheme, part) for part in GROUPS[name] if part in scheme.regions]


def region_mask(
    xy: npt.ArrayLike, scheme: Scheme, shape: tuple[int, int], name: str = "face", *, antialias: bool = False
) -> npt.NDArray[Any]:
    """Return the mask of a region.

    Args:
        xy: ``(K, 2)`` in pixels of the image.
        scheme: the landmark set.
        shape: (height, width) of the image.
        name: as in :func:`region_polygons`; ``lips`` = the outer lips without what lies within the inner ones.
        antialias: give the covered share of each pixel.

    Returns:
        bool ``(height, width)``, True where at least half of the pixel is covered; with ``antialias`` float32 in [0, 1].
    """
    if name == "lips" and name not in scheme.regions:
        outer, inner = (region_polygons(xy, scheme, part) for part in ("outer_lip", "inner_lip"))
        mask = np.clip(coverage(outer, shape) - coverage(inner, shape), 0.0, 1.0)
    else:
        mask = coverage(region_polygons(xy, scheme, name), shape)
    return mask if antialias else mask >= 0.5


def coverage(polygons: list[Array], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return the share of each pixel that polygons ``(M, 2)`` cover together, float32 ``(height, width)`` in [0, 1].

    An integer is the centre of a pixel. What lies outside the image is cut off.
    """
    height, width = shape
    mask = np.zeros((height, width), np.float32)
    for polygon in polygons:
        low = np.floor(polygon.min(axis=0)).astype(np.int64) - 1
        high = np.ceil(polygon.max(axis=0)).astype(np.int64) + 2
        x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
        x1, y1 = min(int(high[0]), width), min(int(high[1]), height)
        if x1 <= x0 or y1 <= y0:
            continue
        seen = x0, y0, x1, y1
        if math.prod((high - low).tolist()) <= _LARGEST:
            # Drawn as a whole and cut afterwards: OpenCV moves the edges that it cuts itself, by a part of a pixel.
            (x0, y0), (x1, y1) = low.tolist(), high.tolist()
        over = _OVER if (x1 - x0) * (y1 - y0) <= _LARGEST else 1
        # A point far outside would overflow OpenCV's fixed point; what it cuts off lies outside too.
        near = np.clip(polygon - (x0, y0), -30_000, 30_000)
        fine = np.zeros(((y1 - y0) * over, (x1 - x0) * over), np.uint8)
        fixed = np.rint(((near + 0.5) * over - 0.5) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(fine, [fixed[:, None]], 255, cv2.LINE_8, _SHIFT)
        # OpenCV fills the pixels on the edge as well; they are covered by half.
        cv2.polylines(fine, [fixed[:, None]], True, 128, 1, cv2.LINE_8, _SHIFT)
        part = cv2.resize(fine, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA) if over > 1 else fine
        left, top, right, bottom = seen
        window = mask[top:bottom, left:right]
        inside = part[top - y0 : bottom - y0, left - x0 : right - x0]
        np.maximum(window, inside.astype(np.float32) / 255, out=window)
    return mask


def _outline(points: Array, scheme: Scheme, name: str) -> Array:
    """Return a region's own ring of points where the scheme draws one, else the convex hull."""
    indices = scheme.region(name)
    edges = {frozenset(edge) for edge in scheme.edges}
    ring = zip(indices, (*indices[1:], indices[0]), strict=True)
    if len(indices) > 2 and all(frozenset(pair) in edges for pair in ring):
        own = points[list(indices)]
        own = own[np.isfinite(own).all(axis=1)]
        if len(own) > 2:
            return own
    return _hull(points[list(indices)], name)


def _hull(points: Array, name: str) -> Array:
    known = points[np.isfinite(points).all(axis=1)]
    if len(known) < 3:
        raise FiduciaError(f"the region {name!r} has {len(known)} known points; a mask needs three")
    return np.asarray(cv2.convexHull(known.astype(np.float32))[:, 0], dtype=np.float64)
