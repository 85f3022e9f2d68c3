"""A transparent layer over a part of a picture, drawn at a resolution of its own and blended once.

Lines and dots may be of any width, a fraction of a pixel too: a face of 20 pixels is drawn as finely as one of 2,000, and
in about the same time.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from .basics import Colour, Image

__all__ = ["Overlay"]

_SIDE = 1200.0
"""Side of a layer in its own pixels."""
_FINEST = 6.0
"""Pixels of a layer in one of the picture, at most along a side."""
_SHIFT = 4


class Overlay:
    """A layer for one face. What is drawn later covers what was drawn before.

    Args:
        image: the picture, uint8 ``(H, W, 3)`` RGB; :meth:`blend` changes it.
        box: ``(4,)`` what the layer must cover, in its pixels; what lies outside of the picture is left out.
    """

    def __init__(self, image: Image, box: npt.ArrayLike) -> None:
        height, width = image.shape[:2]
        x1, y1, x2, y2 = (float(v) for v in np.asarray(box, dtype=np.float64))
        self._left, self._top = max(0, math.floor(x1)), max(0, math.floor(y1))
        right, bottom = min(width, math.ceil(x2) + 1), min(height, math.ceil(y2) + 1)
        self._part = image[self._top : max(self._top, bottom), self._left : max(self._left, right)]
        rows, columns = self._part.shape[:2]
        self.empty = rows == 0 or columns == 0
        self._fine = min(_FINEST, _SIDE / max(rows, columns, 1))
        size = max(1, round(rows * self._fine)), max(1, round(columns * self._fine))
        self._x, self._y = size[1] / max(columns, 1), size[0] / max(rows, 1)
        # Colours are stored as they will be blended: multiplied by how much they cover.
        self._colour = np.zeros((*size, 3), np.uint8)
        self._cover = np.zeros(size, np.uint8)

    def line(self, a: npt.ArrayLike, b: npt.ArrayLike, width: float, colour: Colour, cover: float = 1.0) -> None:
        """Draw a line between two points.

        Args:
            a: in the picture's pixels.
            b: the same.
            width: in the picture's pixels.
            colour: RGB.
            cover: how much of the picture it hides, in [0, 1].
        """
        thick = max(1, round(width * self._fine))
        start, end = self._fixed(a), self._fixed(b)
        cv2.line(self._colour, start, end, _part(colour, cover), thick, cv2.LINE_8, _SHIFT)
        cv2.line(self._cover, start, end, round(255 * cover), thick, cv2.LINE_8, _SHIFT)

    def dot(self, p: npt.ArrayLike, radius: float, colour: Colour, cover: float = 1.0, hole: float = 0.0) -> None:
        """Draw a disc, or a ring round a ``hole`` of that radius; sizes in the picture's pixels."""
        centre = self._fixed(p)
        middle = (radius + hole) / 2 if hole else radius
        thick = max(1, round((radius - hole) * self._fine)) if hole else -1
        size = max(1, round(middle * self._fine * 2**_SHIFT))
        cv2.circle(self._colour, centre, size, _part(colour, cover), thick, cv2.LINE_8, _SHIFT)
        cv2.circle(self._cover, centre, size, round(255 * cover), thick, cv2.LINE_8, _SHIFT)

    def blend(self) -> None:
        """Lay everything over the picture, in place."""
        if self.empty:
            return
        rows, columns = self._part.shape[:2]
        how = cv2.INTER_AREA if self._fine > 1 else cv2.INTER_LINEAR
        colour = cv2.resize(self._colour, (columns, rows), interpolation=how).astype(np.float32)
        cover = cv2.resize(self._cover, (columns, rows), interpolation=how).astype(np.float32)[..., None] / 255
        self._part[:] = np.rint(np.clip(self._part * (1 - cover) + colour, 0, 255)).astype(np.uint8)

    def _fixed(self, p: npt.ArrayLike) -> tuple[int, int]:
        x, y = np.asarray(p, dtype=np.float64)
        u, v = (x - self._left + 0.5) * self._x - 0.5, (y - self._top + 0.5) * self._y - 0.5
        return round(float(u) * 2**_SHIFT), round(float(v) * 2**_SHIFT)


def _part(colour: Colour, cover: float) -> tuple[int, int, int]:
    r, g, b = (round(channel * cover) for channel in colour)
    return r, g, b
