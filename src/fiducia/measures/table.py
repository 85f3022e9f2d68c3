"""All measures of a face as plain values, for files and tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from ..errors import FiduciaError
from ..schemes.sets import Scheme, SchemeError
from .eyes import blink, eye_aspect, eye_centres, inter_ocular, mouth_open
from .pose import head_pose

__all__ = ["MEASURES", "measure_table"]

MEASURES = (
    *("yaw", "pitch", "roll", "pose_error", "inter_ocular", "eye_centre_right_x", "eye_centre_right_y"),
    *("eye_centre_left_x", "eye_centre_left_y", "eye_aspect_right", "eye_aspect_left", "blink_right", "blink_left"),
    "mouth_open",
)
"""The columns of a table of measures."""


def measure_table(xy: npt.ArrayLike, scheme: Scheme) -> dict[str, float | list[float]]:
    """Return the measures of a face that its landmark set and its known points allow.

    Args:
        xy: ``(K, 2)`` in pixels; nan = unknown.
        scheme: the landmark set.

    Returns:
        ``yaw``, ``pitch``, ``roll`` in degrees and ``pose_error`` as a share of the outer eye corners' distance;
        ``inter_ocular`` in pixels; ``eye_centre_right`` and ``eye_centre_left`` as x, y in pixels; ``eye_aspect_right``,
        ``eye_aspect_left``, ``blink_right``, ``blink_left``, ``mouth_open`` as ratios. A measure that cannot be taken is
        left out.
    """
    table: dict[str, float | list[float]] = {}

    def put(digits: int, measure: Callable[[], dict[str, Any]]) -> None:
        try:
            values = measure()
        except (SchemeError, FiduciaError):
            return
        for name, value in values.items():
            numbers = [round(float(v), digits) + 0.0 for v in (value if isinstance(value, list) else [value])]
            if all(map(math.isfinite, numbers)):
                table[name] = numbers if isinstance(value, list) else numbers[0]

    def pose() -> dict[str, Any]:
        found = head_pose(xy, scheme)
        angles = {"yaw": round(found.yaw, 2), "pitch": round(found.pitch, 2), "roll": round(found.roll, 2)}
        return {**angles, "pose_error": found.error}

    def sides(name: str, values: Any) -> dict[str, Any]:
        return {f"{name}_{side}": value for side, value in zip(("right", "left"), values, strict=True)}

    put(4, pose)
    put(3, lambda: {"inter_ocular": inter_ocular(xy, scheme)})
    put(3, lambda: sides("eye_centre", eye_centres(xy, scheme).tolist()))
    put(4, lambda: sides("eye_aspect", eye_aspect(xy, scheme)))
    put(4, lambda: sides("blink", blink(xy, scheme)))
    put(4, lambda: {"mouth_open": mouth_open(xy, scheme)})
    return table
