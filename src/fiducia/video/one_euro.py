"""The One-Euro filter: strong smoothing at rest, little lag in motion.

Casiez, Roussel, Vogel: "1 EUR Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems",
CHI 2012. Here the cutoff is in Hz and the speed in face sizes a second, so that one setting serves every resolution,
every size of a face and every frame rate, also one that varies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import UsageError

__all__ = ["OneEuro", "PointFilter", "Smoothing"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Smoothing:
    """How strongly points are smoothed.

    The cutoff frequency is ``cutoff + slope * speed``, with the speed in face sizes a second. The motion of the whole
    face is known far better than that of a single point, since the noise of the points cancels: it may be followed
    sooner and has a slope of its own. The defaults were chosen on training photographs: a third of the flicker at rest
    is left, and a blink of 0.3 seconds keeps nine tenths of its height (docs/video.md).

    Attributes:
        cutoff: Hz of a point at rest; lower = calmer.
        slope: Hz for each face size a second that a point moves relative to the face.
        face_slope: the same for the motion of the whole face.
        speed_cutoff: Hz of the filter of the speed itself.

    Raises:
        UsageError: a value below 0, or one that is no finite number.
    """

    cutoff: float = 1.0
    slope: float = 40.0
    face_slope: float = 100.0
    speed_cutoff: float = 4.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise UsageError(f"smoothing: {name} = {value}; expected a number of 0 or more")


class OneEuro:
    """Filters any number of places at once; each has a cutoff by its own speed.

    Args:
        cutoff: Hz at rest.
        slope: Hz for each size a second.
        speed_cutoff: Hz of the filter of the speed.

    Example:
        >>> import numpy as np
        >>> still = OneEuro(cutoff=1.0, slope=1.0)
        >>> out = [still(np.array([[float(i % 2), 0.0]]), i / 30, 100.0)[0, 0] for i in range(60)]
        >>> bool(abs(out[-1] - out[-2]) < 0.2)  # the input jumps by 1 pixel in every frame
        True
    """

    def __init__(self, cutoff: float = 1.0, slope: float = 1.0, speed_cutoff: float = 1.0) -> None:
        self.cutoff = cutoff
        self.slope = slope
        self.speed_cutoff = speed_cutoff
        self._value: Array | None = None
        self._speed: Array | None = None
        self._time = 0.0

    def __call__(self, xy: npt.ArrayLike, time: float, size: float) -> Array:
        """Return the filtered places.

        Args:
            xy: ``(..., 2)`` pixels; the same shape in every call.
            time: seconds. Where it does not grow, the places come back as they were.
            size: of the face in pixels, the unit of the speed.
        """
        new = np.asarray(xy, dtype=np.float64)
        if self._value is None or self._speed is None:
            self._value, self._speed, self._time = new, np.zeros_like(new), time
            return new
        dt = time - self._time
        if dt <= 0:
            return self._value
        self._time = time
        slow = _share(self.speed_cutoff, dt)
        self._speed = self._speed + slow * ((new - self._value) / dt - self._speed)
        speed = np.linalg.norm(self._speed, axis=-1, keepdims=True) / size
        share = _share(self.cutoff + self.slope * speed, dt)
        self._value = self._value + share * (new - self._value)
        return self._value


class PointFilter:
    """Filters the points of one face: its motion as a whole (shift, turn, size) apart from the points' places in it.

    The whole motion is the similarity that lays the first shape over the points, by least squares. It is filtered as
    two places that it moves, so that its speed is in face sizes a second too.

    Args:
        settings: how strongly.
    """

    def __init__(self, settings: Smoothing | None = None) -> None:
        s = settings or Smoothing()
        self._whole = OneEuro(s.cutoff, s.face_slope, s.speed_cutoff)
        self._inside = OneEuro(s.cutoff, s.slope, s.speed_cutoff)
        self._first: npt.NDArray[np.complex128] | None = None

    def __call__(self, xy: npt.ArrayLike, time: float, size: float) -> Array:
        """Return filtered points ``(K, 2)`` of points ``(K, 2)`` in pixels, at a time in seconds, for a face's size in pixels."""
        points = np.asarray(xy, dtype=np.float64)
        z = points[:, 0] + 1j * points[:, 1]
        mean = z.mean()
        if self._first is None:
            spread = math.sqrt(float((np.abs(z - mean) ** 2).mean())) or 1.0
            self._first = (z - mean) / spread
        turn = np.vdot(self._first, z - mean) / len(z)
        if abs(turn) < 1e-6 * size:
            return points
        inside = (z - mean) / turn
        whole = self._whole(_plane(np.array([mean, mean + turn])), time, size)
        shape = self._inside(_plane(inside), time, size / abs(turn))
        new_mean, new_turn = whole[0, 0] + 1j * whole[0, 1], complex(*(whole[1] - whole[0]))
        return _plane(new_mean + new_turn * (shape[:, 0] + 1j * shape[:, 1]))


def _plane(z: npt.NDArray[np.complex128]) -> Array:
    """Return complex numbers as places ``(N, 2)``."""
    return np.stack([z.real, z.imag], axis=-1)


def _share(cutoff: npt.ArrayLike, dt: float) -> Array:
    """Return the share of the new value: ``1 / (1 + tau / dt)`` with ``tau = 1 / (2 pi cutoff)`` (Casiez, eq. 3)."""
    rate = 2 * math.pi * np.asarray(cutoff, dtype=np.float64) * dt
    return rate / (1 + rate)
