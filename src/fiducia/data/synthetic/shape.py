"""The geometry of a drawn face: a parametric head with depth, its curves, its pose, its landmarks.

The head lives in its own frame: x right (as the viewer sees it), y down, z towards the viewer; the unit is about half
the width of a face, the eyes lie near y = 0 and the chin near y = 1.45. Everything that is painted and every landmark
is a point of the same curves, so a landmark is exact by construction. There is one dense face (WFLW's 98 points and
a few more); every landmark set is a selection of it. Left and right are the person's own, as in the schemes: the
right eye has x < 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .person import CHEEK_Y, FaceShape

Array = npt.NDArray[np.float64]

__all__ = ["DENSE", "SELECTIONS", "FaceShape", "Head", "build_head", "spline"]


def spline(points: npt.ArrayLike, steps: int = 8) -> Array:
    """Return the Catmull-Rom curve through ``points (M, D)``; the points are every ``steps``-th sample of it."""
    p = np.asarray(points, dtype=np.float64)
    q = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (q[i : len(q) - 3 + i, None, :] for i in range(4))
    body = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([body.reshape(-1, p.shape[1]), p[-1:]])


@dataclass(frozen=True, eq=False)
class Head:
    """A head ready to be drawn.

    Attributes:
        shape: what it was built from.
        curves: name → ``(N, 3)`` points in the head's frame; left and right are the person's own.
        points: ``(111, 3)`` WFLW's 98 points and those of :data:`EXTRA`.
        rotation: ``(3, 3)`` head → view.
    """

    shape: FaceShape
    curves: dict[str, Array]
    points: Array
    rotation: Array

    def view(self, xyz: npt.ArrayLike) -> Array:
        """Rotate points ``(..., 3)`` and drop the depth: ``(..., 2)`` in head units, y down."""
        return np.asarray(xyz, dtype=np.float64) @ self.rotation[:2].T


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Return head → view for angles in degrees: the nose goes right with yaw, down with pitch, clockwise with roll."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return lean @ nod @ turn


def _section(s: FaceShape, y: Array) -> tuple[Array, Array, Array]:
    """Return the half width, the side's depth and the front's depth of the head's level cut at height ``y``.

    Side and front meet at the chin, so that the two halves of the contour do too, however the head is turned.
    """
    t = np.clip((y - CHEEK_Y) / (s.chin_y - CHEEK_Y), 0, 1)
    up = np.clip((CHEEK_Y - y) / 1.40, 0, 1)
    sine = t ** (s.square / 2)
    jaw = s.width * np.sqrt(np.clip(1 - sine**2, 0, 1)) ** (2 / s.square) * (1 - s.taper * t**1.5)
    skull = s.width * (1 - up**2.6) ** 0.5
    half = np.where(y > CHEEK_Y, jaw, skull)
    side = 0.87 * t**1.9
    front = 0.92 - 0.05 * t - 0.75 * up**3
    return half, side, front


def height(s: FaceShape, x: Array, y: Array) -> Array:
    """Return the depth z of the face's surface over template positions; ``x`` and ``y`` broadcast."""
    half, side, front = _section(s, y)
    ratio = np.clip(x / np.maximum(half, 1e-6), -0.995, 0.995)
    z = side + np.maximum(front - side, 0) * np.sqrt(1 - ratio**2)

    def bump(cx: float, cy: float, rx: float, ry: float, size: float) -> Array:
        across = np.exp(-(((np.abs(x) - cx) / rx) ** 2)) if cx else np.exp(-((x / rx) ** 2))
        return size * across * np.exp(-(((y - cy) / ry) ** 2))

    t = np.clip((y + 0.14) / (s.nose_y - 0.02 + 0.14), 0, 1)
    fall = np.clip((s.nose_y + 0.16 - y) / 0.18, 0, 1)
    z = z + s.nose_z * t**1.25 * fall**0.8 * np.exp(-((x / (0.075 + 0.3 * s.nose_w * t)) ** 2))
    z = z + bump(s.nose_w * 0.80, s.nose_y - 0.01, 0.075, 0.085, 0.10)
    z = z + bump(s.eye_x, 0.0, 0.24, 0.15, -0.10) + bump(s.eye_x, 0.01, 0.15, 0.09, 0.05)
    z = z + bump(s.eye_x * 0.9, s.brow_y + 0.03, 0.28, 0.09, 0.04)
    z = z + bump(0.55, 0.46, 0.24, 0.22, 0.05 + 0.05 * max(s.smile, 0))
    z = (
        z
        + bump(0, s.mouth_y, 0.34, 0.20, 0.07)
        + bump(0, s.mouth_y + s.lip_low + 0.4 * s.open + 0.08, 0.2, 0.06, -0.04)
    )
    return z + bump(0, s.chin_y - 0.17, 0.22, 0.13, 0.07)


def _lift(s: FaceShape, xy: Array, out: float = 0.0) -> Array:
    """Put template positions ``(N, 2)`` on the surface, ``out`` before it."""
    return np.column_stack([xy, height(s, xy[:, 0], xy[:, 1]) + out])


def rim(s: FaceShape, y: Array, side: int, inset: float = 1.0) -> Array:
    """Return the face's visible edge ``(N, 3)`` at heights ``y``: the ear's line, or the silhouette when turned away."""
    half, back, front = _section(s, y)
    turn = np.radians(s.yaw)
    phi = np.minimum(np.pi / 2, np.arctan2(half * np.cos(turn), side * (front - back) * np.sin(turn))) * inset
    return np.column_stack([side * half * np.sin(phi), y, back + (front - back) * np.cos(phi)])


def _contour(s: FaceShape) -> Array:
    """Return the visible contour ``(129, 3)`` from x < 0 to x > 0; every fourth point is one of WFLW's 33."""
    angle = np.linspace(0, np.pi / 2, 400)
    y = CHEEK_Y + (s.chin_y - CHEEK_Y) * np.sin(angle) ** (2 / s.square)
    half = _section(s, y)[0]
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(half), np.diff(y)))])
    even = np.interp(np.linspace(0, length[-1], 65), length, y)
    return np.concatenate([rim(s, even, -1), rim(s, even, 1)[-2::-1]])


def _eye(s: FaceShape, side: int) -> tuple[Array, Array, Array]:
    """Return the upper lid and lower lid, each ``(41, 2)`` from outer to inner corner, and the pupil ``(2,)``."""
    u = np.linspace(-1, 1, 41)
    lid = s.lids[0 if side < 0 else 1]
    arch = np.clip(1 - np.abs(u + 0.08 * (1 - u**2)) ** 2.1, 0, 1)
    base = s.eye_tilt * u + 0.012 * (1 - u**2)
    up = base - s.eye_h * arch**0.85 * (1.05 * lid - 0.42 * (1 - lid))
    low = base + s.eye_h * arch * (0.42 + 0.10 * lid - 0.08 * max(s.smile, 0))
    up, low = np.minimum(up, low), np.maximum(up, low)
    x = side * (s.eye_x - s.eye_w * u)
    look = float(np.clip(-side * s.gaze[0], -1, 1)) * 0.32
    where = (np.interp(look, u, up), np.interp(look, u, low))
    share = float(np.clip(0.47 + 0.16 * s.gaze[1], 0.3, 0.7))
    pupil = np.array([side * (s.eye_x - s.eye_w * look), where[0] + share * (where[1] - where[0])])
    return np.column_stack([x, up]), np.column_stack([x, low]), pupil


def _brow(s: FaceShape, side: int) -> tuple[Array, Array]:
    """Return the brow's upper and lower edge, ``(33, 2)`` each, from the outer tip to the inner end."""
    u = np.linspace(0, 1, 33)
    rise = 0.07 * s.raised * (1 + 0.5 * side * s.lopsided)
    middle = s.brow_y - rise + s.brow_tilt * (2 * u - 1) + 0.035 * (1 - u) ** 2 - s.brow_arch * np.sin(np.pi * u**0.8)
    thick = s.brow_h * np.clip(0.06 + 1.6 * u**0.55, 0, 1) * (1 - 0.12 * u**4)
    x = side * (s.eye_x + s.brow_w * (0.98 - 1.78 * u))
    return np.column_stack([x, middle - thick / 2]), np.column_stack([x, middle + thick / 2])


def _nose_side(s: FaceShape, side: int) -> Array:
    """Return the side of the nose ``(4, 2)``: beside the bridge, above the wing, the wing, the end of the base."""
    x = np.array([0.085, 0.78 * s.nose_w, 1.06 * s.nose_w, s.nose_w])
    return np.column_stack([side * x, [-0.02, s.nose_y - 0.13, s.nose_y - 0.045, s.nose_y]])


def _lips(s: FaceShape) -> dict[str, Array]:
    """Return the four edges of the lips ``(N, 2)``, left to right; controls are every eighth sample."""
    w = s.mouth_w * (1 + 0.13 * max(s.smile, 0) - 0.25 * s.open)
    corner = s.mouth_y - 0.085 * s.smile + 0.25 * s.open
    y, up, low, gap = s.mouth_y, s.lip_up * (1 - 0.2 * max(s.smile, 0)), s.lip_low, 0.12 * s.open
    bend = 0.03 * s.smile
    fall = y + 0.85 * s.open + bend
    f = np.array([-1, -0.64, -0.24, 0, 0.24, 0.64, 1.0])
    tilt = 0.03 * s.lopsided * f

    def edge(share: Array, level: list[float], lean: Array) -> Array:
        return spline(np.column_stack([w * share, np.asarray(level) + lean]))

    top = [
        corner,
        y - 0.60 * up - 0.02 * s.smile,
        y - up,
        y - 0.86 * up,
        y - up,
        y - 0.60 * up - 0.02 * s.smile,
        corner,
    ]
    g = np.array([-1, -0.68, -0.30, 0, 0.30, 0.68, 1.0])
    under = 0.62 * low * np.array([0, 1, 1.48, 1.61, 1.48, 1, 0])
    bottom = corner + (fall - corner) * np.array([0, 0.72, 0.96, 1, 0.96, 0.72, 0]) + under
    h = np.array([-0.88, -0.42, 0, 0.42, 0.88])
    lean = 0.03 * s.lopsided * h
    inset = corner + 0.12 * (y - corner)
    roof = [inset, y + 0.5 * bend - gap, y + bend - gap + 0.01, y + 0.5 * bend - gap, inset]
    floor = [inset, fall - 0.14 * (fall - inset) - 0.002, fall + 0.012, fall - 0.14 * (fall - inset) - 0.002, inset]
    floor = [max(a, b) for a, b in zip(floor, roof, strict=True)]
    return {
        "lip_top": edge(f, top, tilt),
        "lip_bottom": edge(g, list(bottom), 0.03 * s.lopsided * g),
        "mouth_top": edge(h, roof, lean),
        "mouth_bottom": edge(h, floor, lean),
    }


def build_head(s: FaceShape) -> Head:
    """Build the curves and the dense points of a face, and turn it into its pose."""
    c: dict[str, Array] = {"contour": _contour(s)}
    p = np.full((DENSE, 3), np.nan)
    p[0:33] = c["contour"][::4]
    for side, name in ((-1, "right"), (1, "left")):
        up, low = (_lift(s, edge) for edge in _brow(s, side))
        c[f"{name}_brow_top"], c[f"{name}_brow_bottom"] = up, low
        lid, under, pupil = _eye(s, side)
        c[f"{name}_lid_top"], c[f"{name}_lid_bottom"] = _lift(s, lid), _lift(s, under)
        top, bottom = c[f"{name}_lid_top"], c[f"{name}_lid_bottom"]
        ring = np.concatenate([top[[0, 11, 20, 29, 40]], bottom[[29, 20, 11]]])
        brow = np.concatenate([up[[0, 8, 16, 24, 32]], low[[32, 24, 16, 8]]])
        # On the person's left, the brow and the eye are counted from the inside outwards along the top, then back.
        turned = [4, 3, 2, 1, 0]
        p[33:42] = brow if side < 0 else p[33:42]
        p[60:68] = ring if side < 0 else p[60:68]
        if side > 0:
            p[42:51] = brow[[*turned, 8, 7, 6, 5]]
            p[68:76] = ring[[*turned, 7, 6, 5]]
        k = 0 if side < 0 else 1
        p[96 + k] = _lift(s, pupil[None])[0]
        p[98 + k] = (up[32] + low[32]) / 2
        p[100 + k] = (up[16] + low[16]) / 2
        p[103 + k] = ring.mean(axis=0)
        c[f"{name}_nostril"] = spline(_lift(s, _nose_side(s, side)))
        p[105 + 3 * k : 108 + 3 * k] = c[f"{name}_nostril"][[0, 8, 16] if side < 0 else [16, 8, 0]]
    bridge = np.column_stack([np.zeros(4), np.linspace(-0.10, s.nose_y - 0.09, 4)])
    c["bridge"] = spline(_lift(s, bridge))
    p[51:55] = c["bridge"][::8]
    share = np.array([-1, -0.5, 0, 0.5, 1])
    base = np.column_stack([s.nose_w * share, s.nose_y + np.array([0.0, 0.045, 0.065, 0.045, 0.0])])
    c["nose_base"] = spline(_lift(s, base))
    p[55:60] = c["nose_base"][::8]
    for name, edge in _lips(s).items():
        c[name] = _lift(s, edge, 0.02)
    p[76:83], p[83:88] = c["lip_top"][::8], c["lip_bottom"][-9:0:-8]
    p[88:93], p[93:96] = c["mouth_top"][::8], c["mouth_bottom"][-9:0:-8]
    p[102] = (p[90] + p[94]) / 2
    return Head(shape=s, curves=c, points=p, rotation=rotation(s.yaw, s.pitch, s.roll))


EXTRA = (
    *("right brow's inner end", "left brow's inner end", "right brow's middle", "left brow's middle"),
    *("mouth's middle", "right eye's centre", "left eye's centre"),
    *(
        "right of the bridge",
        "above the right wing",
        "right wing",
        "left wing",
        "above the left wing",
        "left of the bridge",
    ),
)
"""What the dense points from 98 on are; an eye's centre is the mean of its outline."""
DENSE = 98 + len(EXTRA)

SELECTIONS: dict[str, tuple[int, ...]] = {
    "wflw98": tuple(range(98)),
    "ibug68": (
        *range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 60),
        60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75, *range(76, 96),
    ),
    "cofw29": (
        33, 46, 98, 99, 35, 40, 44, 48, 60, 72, 64, 68, 62, 66, 70, 74, 96, 97, 55, 59, 54, 57,
        76, 82, 79, 90, 94, 85, 16,
    ),
    "aflw19": (33, 100, 98, 99, 101, 46, 60, 96, 64, 68, 97, 72, 55, 54, 59, 76, 102, 82, 16),
    "lapa106": (*range(55), *range(105, 108), *range(55, 60), *range(108, 111), *range(60, 68), 96, *range(68, 76), 97,
                *range(76, 98)),
    "five": (103, 104, 54, 76, 82),
    "ibug51": (
        *range(33, 38), *range(42, 47), *range(51, 60), 60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75, *range(76, 96),
    ),
}  # fmt: skip
"""Landmark set → its points' places in the dense face."""
