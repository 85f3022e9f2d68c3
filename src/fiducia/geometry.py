"""The one coordinate convention, and the maps between its frames.

Everything in fiducia agrees on this page:

* x points right, y points down; a point is ``(x, y)``.
* The first pixel is 0 and an integer is a pixel's **centre**: an image of width W covers ``[-0.5, W - 0.5]``.
  Files that count from 1 are shifted when they are read and written.
* A box is ``x1 y1 x2 y2`` in the same continuous coordinates. A box **with an angle** is that rectangle turned about its
  own centre. Angles are radians; a positive one turns x towards y, which is clockwise as seen.
* Names carry the frame: ``xy_image`` (the photograph), ``xy_crop`` (the network's input), ``xy_map`` (heatmap cells).
* An affine is a ``2x3`` matrix ``M`` with ``p_to = M[:, :2] @ p_from + M[:, 2]``; ``to_image`` maps crop to photograph.

Scaling between grids keeps the *edges* of the images together (``align_corners=False``):
``p_map = (p_crop + 0.5) / stride - 0.5``, as FacePerceiver/FaRL does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

__all__ = [
    "affine_apply",
    "affine_compose",
    "affine_invert",
    "box_corners",
    "box_iou",
    "box_to_crop",
    "crop_to_map",
    "five_point_roll",
    "map_to_crop",
    "mirror_matrix",
    "rotation",
    "similarity_matrix",
    "square_box",
    "tight_box",
    "upright_box",
]


def affine_apply(matrix: npt.ArrayLike, xy: npt.ArrayLike) -> Array:
    """Map points through one affine, or through one affine each; nan stays nan.

    Args:
        matrix: ``(2, 3)``, or ``(..., 2, 3)`` broadcast against the leading axes of ``xy``.
        xy: points ``(..., K, 2)`` in the affine's source frame.

    Returns:
        float64 points ``(..., K, 2)`` in the target frame.
    """
    m = np.asarray(matrix, dtype=np.float64)
    p = np.asarray(xy, dtype=np.float64)
    return p @ np.swapaxes(m[..., :2], -1, -2) + m[..., None, :, 2]


def affine_invert(matrix: npt.ArrayLike) -> Array:
    """Invert an affine ``(..., 2, 3)``.

    Raises:
        ValueError: the affine squeezes the plane to a line and has no inverse.
    """
    m = np.asarray(matrix, dtype=np.float64)
    det = m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] * m[..., 1, 0]
    if np.any(np.abs(det) < 1e-12) or not np.all(np.isfinite(m)):
        raise ValueError("an affine of zero area cannot be inverted; is the face's box empty?")
    linear = np.linalg.inv(m[..., :2])
    shift = -(linear @ m[..., 2:])
    return np.concatenate([linear, shift], axis=-1)


def affine_compose(outer: npt.ArrayLike, inner: npt.ArrayLike) -> Array:
    """Return the affine that applies ``inner`` first and then ``outer``; both ``(..., 2, 3)``."""
    a = np.asarray(outer, dtype=np.float64)
    b = np.asarray(inner, dtype=np.float64)
    linear = a[..., :2] @ b[..., :2]
    shift = a[..., :2] @ b[..., 2:] + a[..., 2:]
    return np.concatenate([linear, shift], axis=-1)


def rotation(angle: float) -> Array:
    """Return the ``(2, 2)`` matrix that turns a vector by ``angle`` radians, x towards y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def tight_box(xy: npt.ArrayLike, angle: float = 0.0) -> Array:
    """Return the smallest box ``(4,)`` round the labelled (finite) points of ``xy (K, 2)``.

    Args:
        xy: points, nan where there is none.
        angle: of the box's own frame in radians. The box that comes back covers the points when it is turned by this
            angle about its centre (:func:`box_corners`).

    Raises:
        ValueError: no point is labelled.
    """
    p = np.asarray(xy, dtype=np.float64)
    p = p[np.isfinite(p).all(axis=-1)]
    if len(p) == 0:
        raise ValueError("no labelled point to draw a box round")
    if angle == 0.0:
        return np.concatenate([p.min(axis=0), p.max(axis=0)])
    turn = rotation(angle)
    own = p @ turn
    low, high = own.min(axis=0), own.max(axis=0)
    centre, half = turn @ ((low + high) / 2), (high - low) / 2
    return np.concatenate([centre - half, centre + half])


def box_corners(box: npt.ArrayLike, angle: float = 0.0) -> Array:
    """Return the corners ``(4, 2)`` of a box ``(4,)`` turned by ``angle`` about its centre.

    The order is that of the box's own frame: upper left, upper right, lower right, lower left.
    """
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    half = np.array([[x1 - x2, y1 - y2], [x2 - x1, y1 - y2], [x2 - x1, y2 - y1], [x1 - x2, y2 - y1]]) / 2
    return half @ rotation(angle).T + np.array([(x1 + x2) / 2, (y1 + y2) / 2])


def upright_box(box: npt.ArrayLike, angle: float, pivot: npt.ArrayLike) -> Array:
    """Return the smallest upright box ``(4,)`` round a box that was turned.

    Args:
        box: ``(4,)`` x1 y1 x2 y2 before it was turned.
        angle: in radians, clockwise as it is seen (y points down).
        pivot: ``(2,)`` the point about which it was turned, in the same pixels.
    """
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    centre = np.asarray(pivot, dtype=np.float64)
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]) - centre
    turned = corners @ rotation(angle).T + centre
    return np.concatenate([turned.min(axis=0), turned.max(axis=0)])


def square_box(box: npt.ArrayLike) -> Array:
    """Grow a box ``(4,)`` about its centre to a square with the side of its longer edge."""
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    cx, cy, half = (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1) / 2
    return np.array([cx - half, cy - half, cx + half, cy + half])


def box_to_crop(box: npt.ArrayLike, size: int, scale: float = 0.8, angle: float = 0.0) -> Array:
    """Return the affine photograph → crop for a face's box.

    The box is squared about its centre; its side becomes ``scale * size`` crop pixels, so FaRL's ``scale = 0.8``
    leaves a crop 1.25 times as wide as the box (FaRL trainers, scale_mu). With an angle, the crop is turned about the
    box's centre, so that a face which is turned by this angle stands upright in the crop.

    Args:
        box: ``(4,)`` x1 y1 x2 y2 in photograph pixels, in the frame that ``angle`` turns.
        size: side of the square crop in pixels.
        scale: the box's share of the crop's side, > 0.
        angle: of the face in the photograph, in radians.

    Returns:
        ``(2, 3)`` affine; invert it for ``to_image``.

    Raises:
        ValueError: the box is not finite or has no area, or the angle is not finite.
    """
    b = np.asarray(box, dtype=np.float64)
    if b.shape != (4,) or not np.all(np.isfinite(b)):
        raise ValueError(f"a box is four finite numbers x1 y1 x2 y2; found {box!r}")
    x1, y1, x2, y2 = square_box(b)
    if not (b[2] > b[0] and b[3] > b[1]):
        raise ValueError(f"a box has x1 < x2 and y1 < y2; found {b.tolist()}")
    if not np.isfinite(angle):
        raise ValueError(f"an angle is a finite number of radians; found {angle}")
    s = scale * size / (x2 - x1)
    centre = (size - 1) / 2
    if angle == 0.0:
        return np.array([[s, 0.0, centre - s * (x1 + x2) / 2], [0.0, s, centre - s * (y1 + y2) / 2]])
    linear = s * rotation(-angle)
    shift = centre - linear @ np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    return np.concatenate([linear, shift[:, None]], axis=1)


def five_point_roll(points: npt.ArrayLike) -> Array:
    """Return the angle of a face from five points: 0 = upright, positive = turned clockwise as seen; in [-pi, pi].

    The directions eye to eye, corner to corner of the mouth, and (turned by a right angle) from the eyes down to the
    mouth are added as vectors. So a profile, whose eyes nearly coincide, is read by its height.

    Args:
        points: ``(..., 5, 2)`` right eye, left eye, nose tip, right and left corner of the mouth, of the person.

    Returns:
        ``(...)`` radians.
    """
    p = np.asarray(points, dtype=np.float64)
    across = (p[..., 1, :] - p[..., 0, :]) + (p[..., 4, :] - p[..., 3, :])
    down = (p[..., 3, :] + p[..., 4, :] - p[..., 0, :] - p[..., 1, :]) / 2
    return np.asarray(np.arctan2(across[..., 1] - down[..., 0], across[..., 0] + down[..., 1]), dtype=np.float64)


def similarity_matrix(size: int, angle: float, scale: float, shift: tuple[float, float]) -> Array:
    """Return crop → crop: rotate by ``angle`` and scale about the crop's centre, then shift.

    Args:
        size: side of the square crop in pixels.
        angle: radians; positive turns x towards y (clockwise as seen, since y points down).
        scale: factor, > 0.
        shift: ``(dx, dy)`` in crop pixels.
    """
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    centre = (size - 1) / 2
    return np.array(
        [
            [c, -s, centre - c * centre + s * centre + shift[0]],
            [s, c, centre - s * centre - c * centre + shift[1]],
        ]
    )


def mirror_matrix(size: int) -> Array:
    """Return crop → crop that mirrors left and right: ``x → size - 1 - x``.

    Points also change their names when mirrored: apply ``Scheme.mirror`` to the point axis too.
    """
    return np.array([[-1.0, 0.0, size - 1.0], [0.0, 1.0, 0.0]])


def crop_to_map(xy_crop: npt.ArrayLike, stride: float) -> Array:
    """Crop pixels → heatmap cells: ``(p + 0.5) / stride - 0.5``."""
    return (np.asarray(xy_crop, dtype=np.float64) + 0.5) / stride - 0.5


def map_to_crop(xy_map: npt.ArrayLike, stride: float) -> Array:
    """Heatmap cells → crop pixels; the inverse of :func:`crop_to_map`."""
    return (np.asarray(xy_map, dtype=np.float64) + 0.5) * stride - 0.5


def box_iou(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Return the intersection over union of every pair of boxes, ``(N, 4)`` and ``(M, 4)`` → ``(N, M)`` in [0, 1]."""
    p = np.asarray(a, dtype=np.float64).reshape(-1, 4)
    q = np.asarray(b, dtype=np.float64).reshape(-1, 4)
    low = np.maximum(p[:, None, :2], q[None, :, :2])
    high = np.minimum(p[:, None, 2:], q[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=-1)
    area_p = np.clip(p[:, 2:] - p[:, :2], 0, None).prod(axis=-1)
    area_q = np.clip(q[:, 2:] - q[:, :2], 0, None).prod(axis=-1)
    union = area_p[:, None] + area_q[None, :] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
