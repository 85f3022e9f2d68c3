"""A brush for smooth shapes: drawn at twice the picture's size with OpenCV's integer polygons.

Points are in the final picture's pixels (integers are centres) everywhere but inside :class:`Brush`. Coordinates are
rounded to 1/16 of a canvas pixel and every operation on bytes is an integer one, so the bytes depend on the points alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .shape import Array, Head

Image = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]

__all__ = ["Brush", "Colour", "Image", "Placing", "blend", "mix", "scalar", "slim", "soften"]


@dataclass(frozen=True)
class Placing:
    """Where a head stands in its picture: pixels a unit, and the pixel of the head's origin."""

    size: int
    scale: float
    origin: Array

    def __call__(self, head: Head, xyz: npt.ArrayLike) -> Array:
        """Map points ``(..., 3)`` of the head's frame to picture pixels ``(..., 2)``."""
        return self.scale * head.view(xyz) + self.origin


class Brush:
    """Draws on a uint8 canvas of twice the picture's size; points and widths are in the picture's pixels."""

    def __init__(self, canvas: Image) -> None:
        self.canvas = canvas

    @staticmethod
    def _fixed(points: npt.ArrayLike) -> npt.NDArray[np.int32]:
        p = (np.asarray(points, dtype=np.float64) + 0.5) * 2 - 0.5
        return np.ascontiguousarray(np.round(p * 16).astype(np.int32))

    def fill(self, points: npt.ArrayLike, colour: Colour | float) -> None:
        """Fill a polygon ``(N, 2)``."""
        cv2.fillPoly(self.canvas, [self._fixed(points)], scalar(colour), cv2.LINE_AA, 4)

    def line(self, points: npt.ArrayLike, colour: Colour | float, width: float, *, closed: bool = False) -> None:
        """Draw a line through ``(N, 2)``, or through each of ``(M, N, 2)``."""
        p = self._fixed(points)
        lines = [p] if p.ndim == 2 else list(p)
        cv2.polylines(self.canvas, lines, closed, scalar(colour), max(1, round(2 * width)), cv2.LINE_AA, 4)

    def blob(self, centre: npt.ArrayLike, radius: float, colour: Colour | float) -> None:
        """Fill a disc."""
        x, y = self._fixed(centre)
        cv2.circle(self.canvas, (int(x), int(y)), round(32 * radius), scalar(colour), -1, cv2.LINE_AA, 4)

    def paste(self, picture: Image) -> None:
        """Copy a picture of the whole canvas."""
        self.canvas[:] = picture

    def within(self, polygon: npt.ArrayLike, draw: Callable[[Brush], None]) -> None:
        """Let ``draw`` paint, and keep only what falls inside ``polygon``."""
        p = self._fixed(polygon)
        low = np.maximum(p.min(axis=0) // 16 - 2, 0)
        high = np.minimum(p.max(axis=0) // 16 + 4, np.array(self.canvas.shape[1::-1]))
        if np.any(high - low < 1):
            return
        part = self.canvas[low[1] : high[1], low[0] : high[0]]
        mask = np.zeros(part.shape[:2], np.uint8)
        cv2.fillPoly(mask, [(p - 16 * low).astype(np.int32)], 255, cv2.LINE_AA, 4)
        other = part.copy()
        draw(_Window(other, low))
        part[:] = blend(part, other, mask)


class _Window(Brush):
    """A brush on a cut-out of the canvas."""

    def paste(self, picture: Image) -> None:
        x, y = self.corner
        self.canvas[:] = picture[y : y + self.canvas.shape[0], x : x + self.canvas.shape[1]]

    def __init__(self, canvas: Image, corner: npt.NDArray[np.int64]) -> None:
        super().__init__(canvas)
        self.corner = corner

    def _fixed(self, points: npt.ArrayLike) -> npt.NDArray[np.int32]:  # type: ignore[override]
        return np.ascontiguousarray((Brush._fixed(points) - 16 * self.corner).astype(np.int32))


def scalar(colour: Colour | float) -> tuple[float, ...]:
    """Return a colour as whole numbers in 0 to 255, as OpenCV takes it."""
    values = colour if isinstance(colour, tuple) else (colour,)
    return tuple(float(min(max(round(v), 0), 255)) for v in values)


def blend(below: Image, above: Image, mask: Image) -> Image:
    """Return ``above`` where the mask (H, W) is 255, ``below`` where it is 0."""
    m = cv2.merge([mask, mask, mask])
    return cv2.add(cv2.multiply(above, m, scale=1 / 255), cv2.multiply(below, 255 - m, scale=1 / 255))  # type: ignore[return-value]


def mix(a: Sequence[float] | Array, b: Sequence[float] | Array, share: float) -> Colour:
    """Return the colour ``share`` of the way from ``a`` to ``b``."""
    red, green, blue = (float(p + share * (q - p)) for p, q in zip(a, b, strict=True))
    return red, green, blue


def slim(polygon: Array) -> Array:
    """Shrink a polygon by what OpenCV's anti-aliased filling adds all round, 0.31 of a picture's pixel (measured)."""
    edge = np.roll(polygon, -1, axis=0) - polygon
    ahead = edge / np.maximum(np.hypot(edge[:, 0], edge[:, 1]), 1e-9)[:, None]
    normal = (ahead + np.roll(ahead, 1, axis=0)) @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    normal /= np.maximum(np.hypot(normal[:, 0], normal[:, 1]), 1e-9)[:, None]
    after = np.roll(polygon, -1, axis=0)
    turn = np.sign(np.sum(polygon[:, 0] * after[:, 1] - after[:, 0] * polygon[:, 1]))
    return polygon + 0.31 * turn * normal


def soften(image: Image, sigma: float) -> Image:
    """Blur; sigma in pixels of ``image``."""
    return cv2.GaussianBlur(image, (0, 0), sigma)  # type: ignore[return-value]
