"""The geometric half of f_A1: one random similarity about the crop's centre, and mirroring (FaRL; Sect. 4).

Both are maps crop → crop. They are composed with the map photograph → crop, so that a face is resampled only once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..config import AugmentConfig
from ..geometry import affine_compose, mirror_matrix, similarity_matrix
from ..structures import UsageError

__all__ = ["Warp", "draw_warp", "reach"]


class Warp(NamedTuple):
    """One draw: a ``(2, 3)`` affine crop → crop, and whether it mirrors (then points change their names too)."""

    matrix: npt.NDArray[np.float64]
    mirrored: bool


def draw_warp(rng: np.random.Generator, config: AugmentConfig, scale: float, size: int) -> Warp:
    """Draw rotation, scale, shift and mirroring.

    FaRL's distributions: the angle is uniform in ±``rotation`` radians, the box's share of the crop uniform in
    ``scale`` ± ``config.scale``, the shifts uniform in ±``shift`` of the crop's side. Five numbers are drawn whatever
    the configuration, so that switching a part off leaves the other draws alone. With ``warp`` off there is no
    similarity; mirroring has its own probability.

    Args:
        rng: the face's generator.
        config: the augmentation of a recipe.
        scale: ``data.scale``, the box's share of the plain crop.
        size: side of the crop in pixels.
    """
    turn, grow, right, down = rng.uniform(-1.0, 1.0, 4).tolist()
    mirrored = bool(rng.random() < config.mirror)
    matrix = np.eye(2, 3)
    if config.warp:
        shift = (right * config.shift * size, down * config.shift * size)
        matrix = similarity_matrix(size, turn * config.rotation, 1.0 + grow * config.scale / scale, shift)
    if mirrored:
        matrix = affine_compose(mirror_matrix(size), matrix)
    return Warp(matrix, mirrored)


def reach(config: AugmentConfig, scale: float) -> float:
    """Return how far the largest draw reaches from the crop's centre in x or y, in half sides of the plain crop (>= 1).

    Raises:
        UsageError: the smallest scale, ``scale`` - ``config.scale``, is not above zero.
    """
    if not config.warp:
        return 1.0
    if config.scale >= scale:
        raise UsageError(f"augment.scale must be below data.scale ({scale:g}); found {config.scale:g}")
    turn = min(config.rotation, math.pi / 4)
    return (1.0 + 2.0 * config.shift) * (math.cos(turn) + math.sin(turn)) / (1.0 - config.scale / scale)
