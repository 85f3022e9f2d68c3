"""Elastic views: a face bent by a few long random waves, its points with it (after Simard et al., ICDAR 2003).

A similarity moves a face but never changes its shape; a few thousand faces show few shapes. Waves about as long as a face make
another jaw, brow or mouth of the same photograph. The paper and FaRL have nothing of the kind: 0 in their recipes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..geometry import affine_apply, affine_invert

Array = npt.NDArray[np.float64]

__all__ = ["MAX_ELASTIC", "Bend", "draw_bend"]

_WAVES = 4
_SHORTEST, _LONGEST = 0.6, 1.6
MAX_ELASTIC = 0.03
"""Above it the waves could fold the face: their slopes sum to at most 4 * 2 pi / 0.6 * amplitude / sqrt(2) = 0.89 here."""


@dataclass(frozen=True, eq=False)
class Bend:
    """A smooth map of the photograph onto itself, from where a pixel is drawn to where it is read.

    Attributes:
        to_plain: ``(2, 3)``, photograph → shares of the plain crop's side, in which the waves are counted.
        waves: ``(W, 2)`` wave vectors, radians a side.
        phases: ``(W,)``.
        moves: ``(W, 2)`` amplitudes, in sides.
    """

    to_plain: Array
    waves: Array
    phases: Array
    moves: Array

    def read_at(self, xy: npt.ArrayLike) -> Array:
        """Return where the photograph is read for points ``(..., 2)`` of the bent one; both in photograph pixels."""
        p = np.asarray(xy, dtype=np.float64)
        shares = affine_apply(self.to_plain, p)
        shift = np.sin(shares @ self.waves.T + self.phases) @ self.moves
        return p + shift @ affine_invert(self.to_plain)[:, :2].T

    def moved(self, xy: npt.ArrayLike) -> Array:
        """Return where points ``(..., 2)`` of the photograph stand in the bent one, to 1e-6 of a side; nan stays nan."""
        goal = np.asarray(xy, dtype=np.float64)
        p = goal
        # A fixed point: the map is a contraction, as the slopes of the waves sum to less than one.
        for _ in range(_steps(self.waves, self.moves)):
            p = goal - (self.read_at(p) - p)
        return p


def _steps(waves: Array, moves: Array) -> int:
    """Return how often to iterate until an error of one amplitude is below 1e-6 of a side."""
    slope = float((np.linalg.norm(waves, axis=1) * np.linalg.norm(moves, axis=1)).sum())
    return 1 if slope <= 0 else max(1, math.ceil(math.log(1e-6) / math.log(min(slope, 0.99))))


def draw_bend(rng: np.random.Generator, elastic: float, plain: Array, size: int) -> Bend:
    """Draw four waves of random direction, 0.6 to 1.6 of the crop's side long.

    Args:
        rng: the face's generator.
        elastic: root mean square of the displacement, in sides of the plain crop, at most :data:`MAX_ELASTIC`.
        plain: ``(2, 3)``, photograph → plain crop.
        size: side of the crop in pixels.
    """
    ways = rng.uniform(0.0, 2 * math.pi, (2, _WAVES))
    lengths = rng.uniform(_SHORTEST, _LONGEST, _WAVES)
    phases = rng.uniform(0.0, 2 * math.pi, _WAVES)
    waves = (2 * math.pi / lengths)[:, None] * np.stack([np.cos(ways[0]), np.sin(ways[0])], axis=1)
    moves = elastic * math.sqrt(2 / _WAVES) * np.stack([np.cos(ways[1]), np.sin(ways[1])], axis=1)
    return Bend(np.asarray(plain, dtype=np.float64) / size, waves, phases, moves)
