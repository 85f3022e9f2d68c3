"""Where a face will be next: a Kalman filter of constant velocity on its centre and the logarithm of its size."""

from __future__ import annotations

import copy
import math

import numpy as np
import numpy.typing as npt

__all__ = ["Motion"]

Array = npt.NDArray[np.float64]

ACCELERATION = np.array([6.0, 6.0, 1.5])
"""Standard deviation of the acceleration: face sizes a second squared for the centre, 1 / s squared for the log of the size."""
NOISE = np.array([0.01, 0.01, 0.02])
"""Standard deviation of a measurement: face sizes, and log of the size."""
SLOWER = 1.0
"""Seconds after which an unseen face is taken to have kept a third (1 / e) of its speed."""


class Motion:
    """The state of one face; frames may be any time apart.

    Args:
        box: ``(4,)`` x1 y1 x2 y2 in pixels.
        time: seconds.
    """

    def __init__(self, box: npt.ArrayLike, time: float) -> None:
        self.time = time
        self._place = _places(box)
        self._speed = np.zeros(3)
        self._ratio = _ratio(box)
        unit = self.size
        self._unit = np.array([unit, unit, 1.0])
        # For each of the three: variance of the place, covariance, variance of the speed.
        self._cov = np.stack([(NOISE * self._unit) ** 2, np.zeros(3), (1.0 * self._unit) ** 2])

    @property
    def size(self) -> float:
        """The square root of the box's area in pixels."""
        return math.exp(self._place[2])

    @property
    def speed(self) -> float:
        """Of the centre, in face sizes a second."""
        return math.hypot(self._speed[0], self._speed[1]) / self.size

    @property
    def box(self) -> Array:
        """The expected box ``(4,)`` in pixels."""
        half = np.array([self.size * math.sqrt(self._ratio), self.size / math.sqrt(self._ratio)]) / 2
        return np.concatenate([self._place[:2] - half, self._place[:2] + half])

    @property
    def centre(self) -> Array:
        """The expected centre ``(2,)`` in pixels."""
        return self._place[:2].copy()

    def predict(self, time: float, seen: bool = True) -> None:
        """Move on to a time; a face that is not seen slows down."""
        dt = time - self.time
        if dt <= 0:
            return
        self.time = time
        self._place = self._place + self._speed * dt
        self._place[2] = min(max(self._place[2], 0.0), 12.0)
        if not seen:
            self._speed = self._speed * math.exp(-dt / SLOWER)
        q = (ACCELERATION * self._unit) ** 2
        p, c, v = self._cov
        self._cov = np.stack([p + 2 * dt * c + dt * dt * v + q * dt**3 / 3, c + dt * v + q * dt * dt / 2, v + q * dt])

    def update(self, box: npt.ArrayLike) -> None:
        """Take in where the face is at the present time."""
        p, c, v = self._cov
        total = p + (NOISE * self._unit) ** 2
        gain, gain_speed = p / total, c / total
        off = _places(box) - self._place
        self._place = self._place + gain * off
        self._speed = self._speed + gain_speed * off
        self._cov = np.stack([(1 - gain) * p, (1 - gain) * c, v - gain_speed * c])
        self._ratio = _ratio(box)
        self._unit = np.array([self.size, self.size, 1.0])

    def distance(self, box: npt.ArrayLike) -> float:
        """Return how far a box is from the expected one: face sizes of the centre and log of the size, added in squares."""
        off = _places(box) - self._place
        return float(math.sqrt((off[0] ** 2 + off[1] ** 2) / self.size**2 + off[2] ** 2))

    def copy(self) -> Motion:
        """Return the state as it is now."""
        return copy.copy(self)


def _places(box: npt.ArrayLike) -> Array:
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, math.log(max(1.0, math.sqrt(max(0.0, (x2 - x1) * (y2 - y1)))))])


def _ratio(box: npt.ArrayLike) -> float:
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    return float(min(max((x2 - x1) / max(y2 - y1, 1e-6), 0.2), 5.0))
