"""What a detector looks at: a photograph at some size, turned by quarters, in tiles; or one face, upright.

Every view carries the affine from its own pixels to the photograph's, so that what is found in it is mapped back exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ..geometry import affine_compose, affine_invert, box_to_crop
from ..images import crop
from .base import Array, Image

__all__ = ["Pyramid", "View"]

_STRETCH = 64.0
"""Proportions of a picture beyond this count as this."""
_OVERLAP = 128
"""Pixels that neighbouring tiles share; a larger face is found in a smaller view of the whole."""


@dataclass(frozen=True, eq=False)
class View:
    """A picture, and where it lies in the photograph.

    Attributes:
        bgr: uint8 ``(h, w, 3)``, in OpenCV's order of channels.
        to_photo: ``(2, 3)`` affine, pixels of the view → pixels of the photograph.
        cut: whether the picture goes on beyond the left, upper, right and lower edge.
    """

    bgr: Image
    to_photo: Array
    cut: tuple[bool, bool, bool, bool] = (False, False, False, False)

    def turned(self, turn: int) -> View:
        """Return an uncut view turned counter-clockwise by quarters."""
        height, width = self.bgr.shape[:2]
        affine = affine_compose(self.to_photo, _unturned(width, height, turn))
        return View(np.ascontiguousarray(np.rot90(self.bgr, turn)), affine)


@dataclass(eq=False)
class Pyramid:
    """A photograph, and halves of it as they are needed.

    Averaging down by two at a time is quick, and bounds memory: all halves together take a third of the photograph.
    Not for several threads at once; it lives as long as one call.

    Attributes:
        image: uint8 ``(H, W, 3)`` RGB.
    """

    image: Image
    _halves: list[Any] = field(default_factory=list)

    @property
    def longest(self) -> int:
        """The longer side in pixels."""
        return max(self.image.shape[:2])

    def side_for(self, size: float) -> float:
        """Return the longest side of a view of ``size``: the same where the proportions are ordinary, more for a panorama.

        From 2 : 1 on the view keeps its number of pixels, so that the faces of a panorama do not become too small.
        """
        height, width = self.image.shape[:2]
        return size * math.sqrt(max(1.0, min(max(height, width) / min(height, width), _STRETCH) / 2))

    def whole(self, longest: float, turn: int = 0) -> View:
        """Return the photograph with its longest side at ``longest`` pixels, turned counter-clockwise by quarters."""
        height, width = self.image.shape[:2]
        factor = longest / max(height, width)
        w, h = max(1, round(width * factor)), max(1, round(height * factor))
        level, halved = self._level(factor)
        # From a level of less than twice the size; averaging there found no more faces, and took three times as long.
        small = cv2.resize(level, (w, h), interpolation=cv2.INTER_LINEAR) if (w, h) != level.shape[1::-1] else level
        bgr: Any = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        # An odd last row or column is not in the halves, so what they cover is not always the whole.
        fx, fy = level.shape[1] * 2**halved / w, level.shape[0] * 2**halved / h
        scale = np.array([[fx, 0.0, 0.5 * fx - 0.5], [0.0, fy, 0.5 * fy - 0.5]])
        return View(bgr, scale).turned(turn)

    def tiles(self, longest: float, side: int, turn: int = 0) -> Iterator[View]:
        """Yield a view of the whole in tiles of at most ``side`` pixels that overlap."""
        whole = self.whole(longest, turn)
        height, width = whole.bgr.shape[:2]
        for y in _starts(height, side):
            for x in _starts(width, side):
                part = np.ascontiguousarray(whole.bgr[y : y + side, x : x + side])
                cut = (x > 0, y > 0, x + side < width, y + side < height)
                yield View(part, affine_compose(whole.to_photo, [[1.0, 0.0, x], [0.0, 1.0, y]]), cut)

    def face(self, box: Array, angle: float, size: int, share: float) -> View:
        """Return one face, turned upright.

        Args:
            box: ``(4,)`` in the frame that ``angle`` turns, photograph pixels.
            angle: of the face, in radians.
            size: side of the view in pixels.
            share: of the side that the box takes.
        """
        to_crop = box_to_crop(box, size, share, angle)
        level, halved = self._level(math.sqrt(abs(float(np.linalg.det(to_crop[:, :2])))))
        grow = float(2**halved)
        to_photo = np.array([[grow, 0.0, 0.5 * grow - 0.5], [0.0, grow, 0.5 * grow - 0.5]])
        rgb = crop(level, affine_compose(to_crop, to_photo), size)
        bgr: Any = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        return View(bgr, affine_invert(to_crop))

    def _level(self, factor: float) -> tuple[Any, int]:
        """Return the smallest half of halves that need not be enlarged for a factor, and how often it was halved."""
        wanted = max(0, math.floor(-math.log2(factor)))
        while len(self._halves) < wanted:
            last = self._halves[-1] if self._halves else self.image
            h, w = last.shape[0] // 2 * 2, last.shape[1] // 2 * 2
            if min(h, w) < 2:
                break
            # Exactly halved, without the last row or column where their number is odd: that is what is quick.
            self._halves.append(cv2.resize(last[:h, :w], (w // 2, h // 2), interpolation=cv2.INTER_AREA))
        wanted = min(wanted, len(self._halves))
        return (self._halves[wanted - 1] if wanted else self.image), wanted


def _unturned(width: int, height: int, turn: int) -> Array:
    """Return the affine that undoes ``numpy.rot90(picture, turn)`` for a picture of this size."""
    w, h = width - 1.0, height - 1.0
    return np.array(
        [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            [[0.0, -1.0, w], [1.0, 0.0, 0.0]],
            [[-1.0, 0.0, w], [0.0, -1.0, h]],
            [[0.0, 1.0, 0.0], [-1.0, 0.0, h]],
        ][turn % 4]
    )


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles of ``side`` begin that cover ``length`` with an overlap."""
    if length <= side:
        return [0]
    count = math.ceil((length - _OVERLAP) / (side - _OVERLAP))
    return [round(i * (length - side) / (count - 1)) for i in range(count)]
