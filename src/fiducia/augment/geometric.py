"""The geometric half of f_A1 (eq. 3): one random similarity about the crop's centre, and mirroring (FaRL; Sect. 4).

Both are maps crop → crop. They are composed with the map photograph → crop, so that a face is resampled only once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..geometry import affine_apply, affine_compose, box_to_crop, mirror_matrix, similarity_matrix, tight_box
from ..recipes.sections import AugmentConfig

__all__ = ["Warp", "draw_warp", "reach", "refit"]


class Warp(NamedTuple):
    """One draw: a ``(2, 3)`` affine crop → crop, whether it mirrors (then points change their names too), and whether the
    turned face's own box is to be its crop (``augment.exact``; :func:`refit`)."""

    matrix: npt.NDArray[np.float64]
    mirrored: bool
    exact: bool = False


def draw_warp(rng: np.random.Generator, config: AugmentConfig, scale: float, size: int) -> Warp:
    """Draw rotation, scale, shift and mirroring.

    FaRL's distributions: the angle is uniform in ±``rotation`` radians, the box's share of the crop uniform in
    ``scale`` ± ``config.scale``, the shifts uniform in ±``shift`` of the crop's side. Five numbers are drawn whatever
    the configuration, so that switching a part off leaves the other draws alone (a sixth where ``exact`` is above 0).
    With ``warp`` off there is no similarity; mirroring has its own probability. An exact draw turns, but neither scales
    nor shifts.

    Args:
        rng: the face's generator.
        config: the augmentation of a recipe.
        scale: ``data.scale``, the box's share of the plain crop.
        size: side of the crop in pixels.
    """
    turn, grow, right, down = rng.uniform(-1.0, 1.0, 4).tolist()
    mirrored = bool(rng.random() < config.mirror)
    exact = config.warp and config.exact > 0 and bool(rng.random() < config.exact)
    matrix = np.eye(2, 3)
    if config.warp:
        shift = (0.0, 0.0) if exact else (right * config.shift * size, down * config.shift * size)
        grown = 1.0 if exact else 1.0 + grow * config.scale / scale
        rotation = config.exact_rotation if exact and config.exact_rotation is not None else config.rotation
        matrix = similarity_matrix(size, turn * rotation, grown, shift)
    if mirrored:
        matrix = affine_compose(mirror_matrix(size), matrix)
    return Warp(matrix, mirrored, exact)


def refit(to_crop: npt.NDArray[np.float64], xy: npt.ArrayLike, size: int, scale: float) -> npt.NDArray[np.float64]:
    """Move a warped crop onto the tight box of the points as it has turned them: the crop of a test on a turned photograph.

    Args:
        to_crop: ``(2, 3)``, photograph → crop, an exact draw applied.
        xy: ``(K, 2)`` photograph pixels; nan = not labelled.
        size: side of the crop in pixels.
        scale: the box's share of the crop's side.

    Returns:
        ``(2, 3)``, photograph → the moved crop.

    Raises:
        ValueError: the turned points span no area.
    """
    return affine_compose(box_to_crop(tight_box(affine_apply(to_crop, xy)), size, scale), to_crop)


def reach(config: AugmentConfig, scale: float) -> float:
    """Return how far the largest draw reaches from the crop's centre in x or y, in half sides of the plain crop (>= 1).

    Raises:
        UsageError: the smallest scale, ``scale`` - ``config.scale``, is not above zero.
    """
    if not config.warp:
        return 1.0
    if config.scale >= scale:
        raise UsageError(f"augment.scale must be below data.scale ({scale:g}); found {config.scale:g}")
    turn = min(max(config.rotation, config.exact_rotation or 0.0), math.pi / 4)
    corner = math.cos(turn) + math.sin(turn)
    drawn = (1.0 + 2.0 * config.shift) * corner / (1.0 - config.scale / scale)
    # The upright box of the turned points is squared about its own centre, which lies off the plain one's, and turned back.
    # Over all points that touch the four sides of their box this reaches 1 + 3 sin cos at most, found by search.
    # A mirrored face's box is moved by twice the labels' bias.
    exact = 1.0 + 3.0 * math.sin(turn) * math.cos(turn) + 4 * abs(config.mirror_bias) * scale * corner
    return max(drawn, exact) if config.exact > 0 else drawn
