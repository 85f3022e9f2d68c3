"""From YuNet's box and five points to the tight box of a face's landmarks, on which networks are trained."""

from __future__ import annotations

import numpy as np

from ..geometry import five_point_roll, rotation
from .base import Array
from .candidates import Candidates

__all__ = ["landmark_boxes", "step_features"]


def step_features(rows: Array) -> tuple[Array, Array, Array, Array]:
    """Return what the landmark box is computed from; the step is linear in it.

    Args:
        rows: ``(N, 15)`` of the network: x, y, width, height, five points, score; counted from the first pixel's corner.

    Returns:
        features ``(N, 12)``: one, log of width / height, and the five points (x, y) in the face's own frame, counted
        from the box's centre in units of its side; centres ``(N, 2)`` of the boxes in pixels; sides ``(N, 1)``, the
        square root of their areas; angles ``(N,)`` of the faces.
    """
    points = rows[:, 4:14].reshape(-1, 5, 2)
    centres = rows[:, :2] + rows[:, 2:4] / 2
    sides = np.sqrt(rows[:, 2:3] * rows[:, 3:4])
    roll = five_point_roll(points)
    upright = ((points - centres[:, None]) @ _turns(roll)).reshape(-1, 10) / sides
    features = np.concatenate([np.ones_like(sides), np.log(rows[:, 2:3] / rows[:, 3:4]), upright], axis=1)
    return features, centres - 0.5, sides, roll


def landmark_boxes(rows: Array, step: Array) -> Candidates:
    """Return the faces of a view, in its pixels.

    Args:
        rows: as in :func:`step_features`.
        step: ``(12, 4)`` weights of the features: shift of the centre in x and y in units of the side, in the face's own
            frame, and log of the landmark box's width and height in the same units.
    """
    features, middle, sides, roll = step_features(rows)
    shift, size = np.split(features @ step, 2, axis=1)
    centres = middle + (_turns(roll) @ (sides * shift)[:, :, None])[:, :, 0]
    half = sides * np.exp(size) / 2
    return Candidates(
        head=np.concatenate([middle - sides / 2, middle + sides / 2], axis=1),
        own=np.concatenate([centres - half, centres + half], axis=1),
        roll=roll,
        tilt=roll,
        points=rows[:, 4:14].reshape(-1, 5, 2) - 0.5,
        score=rows[:, 14],
    )


def _turns(roll: Array) -> Array:
    """Return ``(N, 2, 2)`` rotations."""
    return np.array([rotation(float(angle)) for angle in roll]).reshape(-1, 2, 2)
