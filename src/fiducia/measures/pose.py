"""Head pose: the rotation of a mean 3-D face that explains the points of a face (perspective n-point, PnP).

The signs and the order of the angles are those of AFLW2000-3D and 300W-LP, so that numbers can be compared:

* **yaw**: positive = the head is turned to the person's own right, so the nose points to the image's left;
* **pitch**: positive = the head is raised, so the nose points up;
* **roll**: positive = the head leans to the person's own left, which is clockwise as seen.

In OpenCV's camera frame (x right, y down, z away from the camera) the rotation head -> camera is
``R = Rx(-pitch) @ Ry(yaw) @ Rz(roll)``. A frontal, upright face has R = identity. Near a yaw of 90 degrees pitch and roll
turn about the same axis, and only the rotation as a whole is well defined.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..schemes.sets import Scheme
from .head_table import HEAD

__all__ = ["LEAST", "HeadPose", "angle_between", "head_points", "head_pose", "pose_angles", "pose_rotation"]

Array = npt.NDArray[np.float64]

LEAST = 5
"""Fewer points than this give no pose."""
_DISTANCE = 10.0
"""Distance of the assumed camera, in radii (root mean square) of the points: about half a metre. Crops do not tell it."""
_DERIVED = {
    "{}_eye_centre": (
        *("{}_eye_outer", "{}_eye_top_outer", "{}_eye_top_inner"),
        *("{}_eye_inner", "{}_eye_bottom_inner", "{}_eye_bottom_outer"),
    ),
    "{}_pupil": ("{}_eye_top_outer", "{}_eye_top_inner", "{}_eye_bottom_inner", "{}_eye_bottom_outer"),
    "{}_eye_top": ("{}_eye_top_outer", "{}_eye_top_inner"),
    "{}_eye_bottom": ("{}_eye_bottom_outer", "{}_eye_bottom_inner"),
    "mouth_centre": ("upper_lip_bottom", "lower_lip_top"),
}
"""Points that the table lacks, as the mean of others."""


@dataclass(frozen=True, eq=False)
class HeadPose:
    """How a head is turned.

    Attributes:
        yaw, pitch, roll: degrees in (-180, 180]; yaw in [-90, 90]. The module's head tells the signs.
        rotation: float64 ``(3, 3)``, head -> camera, x right, y down, z away from the camera. The camera looks at the face:
            angles are those of a crop round the face.
        centre: float64 ``(2,)`` in pixels of the image: where the middle between the outer eye corners is seen.
        scale: pixels that the distance of the outer eye corners would have if the head were frontal.
        error: root mean square distance of the points from the turned mean face, as a share of ``scale``. A large one
            (above about 0.1) tells a strong expression, wrong points, or no face.
        points: how many points were fitted.

    Example:
        >>> HeadPose(yaw=0, pitch=0, roll=0, rotation=np.eye(3), centre=np.zeros(2), scale=1, error=0, points=51)
        HeadPose(yaw=0.0, pitch=0.0, roll=0.0, error=0, points=51)
    """

    yaw: float
    pitch: float
    roll: float
    rotation: Array
    centre: Array
    scale: float
    error: float
    points: int

    def project(self, xyz: npt.ArrayLike) -> Array:
        """Return where points ``(..., 3)`` of the head's frame are seen, ``(..., 2)`` in pixels of the image.

        The head's frame: unit = distance of the outer eye corners, origin in their middle, x right, y down, z away from
        the viewer of a frontal face. Without perspective: for axes and boxes to draw.
        """
        turned = np.asarray(xyz, dtype=np.float64) @ self.rotation[:2].T
        return self.centre + self.scale * turned

    def __repr__(self) -> str:
        angles = ", ".join(f"{name}={getattr(self, name):.1f}" for name in ("yaw", "pitch", "roll"))
        return f"HeadPose({angles}, error={self.error:.3g}, points={self.points})"


def head_points(scheme: Scheme) -> Array:
    """Return where the mean head has the points of a landmark set, ``(K, 3)`` by their names; nan where it has none.

    The contour has none: it slides over a head that turns.
    """
    return _head_points(scheme.names).copy()


@lru_cache(maxsize=64)
def _head_points(names: tuple[str, ...]) -> Array:
    table = dict(HEAD)
    for name, parts in _DERIVED.items():
        for side in ("right", "left"):
            places = [table[part.format(side)] for part in parts]
            table[name.format(side)] = tuple(np.mean(places, axis=0).tolist())
    unknown = (np.nan, np.nan, np.nan)
    return np.array([table.get(name, unknown) for name in names], dtype=np.float64)


def head_pose(xy: npt.ArrayLike, scheme: Scheme) -> HeadPose:
    """Fit the pose of a head to the points of a face.

    Args:
        xy: ``(K, 2)`` in pixels of the image; nan = unknown, such as the hidden half of a profile. Unknown points are left
            out.
        scheme: the landmark set; its points are matched with the mean head by name.

    Raises:
        FiduciaError: fewer than five known points that the mean head has, points in one spot, or points that no head
            before the camera explains.
    """
    head, seen = head_points(scheme), np.asarray(xy, dtype=np.float64)
    known = np.isfinite(head).all(axis=1) & np.isfinite(seen).all(axis=1)
    if int(known.sum()) < LEAST:
        raise FiduciaError(
            f"{int(known.sum())} of the {scheme.num_points} points of {scheme.name} are known and on the mean head; a pose "
            f"needs {LEAST} points with the names of docs/points.md"
        )
    model, points = head[known], seen[known]
    middle = points.mean(axis=0)
    radius = float(np.sqrt(((points - middle) ** 2).sum(axis=1).mean()))
    if not radius > 1e-6:
        raise FiduciaError("the points lie in one spot; a pose needs a face")
    unit = (points - middle) / radius
    camera = np.diag([_DISTANCE, _DISTANCE, 1.0])
    turn, shift = _solve(model, unit, camera)
    rotation = np.asarray(cv2.Rodrigues(turn)[0], dtype=np.float64)
    projected = cv2.projectPoints(model, turn, shift, camera, None)[0][:, 0]
    centre = _DISTANCE * shift[:2, 0] / shift[2, 0]
    scale = radius * _DISTANCE / float(shift[2, 0])
    apart = radius * float(np.sqrt(((projected - unit) ** 2).sum(axis=1).mean()))
    yaw, pitch, roll = pose_angles(rotation)
    return HeadPose(
        yaw, pitch, roll, rotation, middle + radius * centre, scale, error=apart / scale, points=int(known.sum())
    )


def _solve(model: Array, unit: Array, camera: Array) -> tuple[Array, Array]:
    """Return the rotation vector and the shift of the head before the camera.

    Points that are no face can be explained best by a head behind the camera, whose scale and error would be negative. Then
    the search begins at a frontal head.

    Raises:
        FiduciaError: that ends behind the camera too.
    """
    _, turn, shift = cv2.solvePnP(model, unit, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    away = _DISTANCE * float(np.sqrt(((model - model.mean(axis=0)) ** 2).sum(axis=1).mean()))
    frontal = np.zeros((3, 1)), np.array([[0.0], [0.0], [away]])
    starts: list[tuple[Any, Any]] = [(turn, shift), frontal]
    for start in starts:
        _, *found = cv2.solvePnP(model, unit, camera, None, *start, True, flags=cv2.SOLVEPNP_ITERATIVE)
        turn, shift = (np.asarray(part, dtype=np.float64) for part in found)
        if shift[2, 0] > 0:
            return turn, shift
    raise FiduciaError("no pose of a head explains the points; a pose needs a face")


def pose_angles(rotation: npt.ArrayLike) -> tuple[float, float, float]:
    """Return yaw, pitch and roll in degrees of a rotation head -> camera ``(3, 3)``; yaw in [-90, 90]."""
    r = np.asarray(rotation, dtype=np.float64)
    yaw = np.arcsin(np.clip(r[0, 2], -1.0, 1.0))
    pitch, roll = np.arctan2(r[1, 2], r[2, 2]), np.arctan2(-r[0, 1], r[0, 0])
    angles = np.degrees([yaw, pitch, roll])
    return float(angles[0]), float(angles[1]), float(angles[2])


def pose_rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Return the rotation head -> camera ``(3, 3)`` of angles in degrees; the inverse of :func:`pose_angles`."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(nod @ turn @ lean, dtype=np.float64)


def angle_between(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Return the angle in degrees, 0 to 180, of the rotation that leads from one rotation ``(3, 3)`` to another."""
    cosine = (np.trace(np.asarray(a).T @ np.asarray(b)) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
