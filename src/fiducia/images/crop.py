"""Crops of photographs: the one place that resamples pictures.

Whoever crops a face (training, evaluation, detection) does it by :func:`crop`, so that all see the same anti-aliasing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ..geometry import affine_apply, affine_compose, affine_invert

Image = npt.NDArray[np.uint8]

__all__ = ["Patch", "crop", "crop_patch", "cut_patch", "reduction"]

_INTERPOLATION = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of a photograph, perhaps reduced.

    Attributes:
        image: uint8 ``(h, w, 3)``.
        x, y: the column and row of its first pixel, counted in (reduced) pixels of the whole photograph.
        factor: f; one pixel is the mean of f x f photograph pixels, of a grid that starts at the photograph's corner.
            Pixel i of the reduced photograph is centred on ``f * (i + 0.5) - 0.5``.
    """

    image: Image
    x: int = 0
    y: int = 0
    factor: int = 1


def reduction(to_crop: npt.ArrayLike) -> int:
    """Return f = floor(1 / scale), at least 1: how many photograph pixels a side one crop pixel covers.

    Bilinear sampling looks at 2 x 2 pixels only; a photograph much larger than the crop is averaged down by f first.

    Args:
        to_crop: ``(2, 3)`` photograph → crop.

    Raises:
        ValueError: the affine squeezes the plane to a line, or is not finite.
    """
    linear = np.asarray(to_crop, dtype=np.float64)[:, :2]
    scale = math.sqrt(abs(linear[0, 0] * linear[1, 1] - linear[0, 1] * linear[1, 0]))
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"an affine of zero or endless scale cannot crop: {np.asarray(to_crop).tolist()}")
    # A ratio that is whole but for rounding counts as whole.
    return max(1, math.floor(1 / scale + 1e-6))


def cut_patch(image: Image, box: npt.ArrayLike, factor: int = 1) -> Patch:
    """Cut the part of a photograph that covers a box and area-reduce it.

    Args:
        image: the photograph, uint8 ``(H, W, 3)``.
        box: ``(4,)`` x1 y1 x2 y2 in photograph pixels; the part never reaches beyond the photograph.
        factor: f >= 1. Blocks are aligned to the photograph's corner, so any two cuts agree where they overlap; a block
            that hangs over the right or lower border is averaged with black, which is what lies outside.

    Returns:
        The patch; its image is empty where the box misses the photograph, and a view of ``image`` where f is 1.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64).tolist()
    columns, rows = -(-width // factor), -(-height // factor)
    # One reduced pixel of margin on each side: what bilinear sampling at the box's edge still touches.
    left, right = _span(x1, x2, factor, columns)
    top, bottom = _span(y1, y2, factor, rows)
    part: Any = image[top * factor : bottom * factor, left * factor : right * factor]
    if factor > 1 and part.size:
        down, across = (bottom - top) * factor - part.shape[0], (right - left) * factor - part.shape[1]
        if down or across:
            part = cv2.copyMakeBorder(part, 0, down, 0, across, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        part = cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return Patch(part, left, top, factor)


def _span(low: float, high: float, factor: int, limit: int) -> tuple[int, int]:
    """Return the first and one past the last reduced pixel, of ``limit``, that sampling within low..high touches."""
    first = math.floor(min(max((low + 0.5) / factor - 0.5, -2.0), limit)) - 1
    last = math.ceil(min(max((high + 0.5) / factor - 0.5, -2.0), limit)) + 2
    first = min(max(first, 0), limit)
    return first, max(min(last, limit), first)


def crop_patch(patch: Patch, to_crop: npt.ArrayLike, size: int, *, interpolation: str = "bilinear") -> Image:
    """Resample a patch to a crop; :func:`crop` for a patch that was cut and reduced before.

    Args:
        patch: must cover the crop's footprint, else what it lacks is black.
        to_crop: ``(2, 3)`` photograph → crop (of the photograph, not of the patch).
        size: side of the crop in pixels.
        interpolation: ``"bilinear"`` or ``"nearest"``, within the patch's own grid.

    Returns:
        uint8 ``(size, size, 3)``.

    Raises:
        ValueError: the affine has no inverse.
    """
    to_photo = affine_invert(to_crop)
    f = patch.factor
    # Always the same cut for the same crop, so that the patch's extent can never move a rounding error.
    left, right, top, bottom = _footprint(to_photo, size)
    height, width = patch.image.shape[:2]
    x0, x1 = _span(left, right, f, patch.x + width)
    y0, y1 = _span(top, bottom, f, patch.y + height)
    x0, y0 = max(x0, patch.x), max(y0, patch.y)
    part = patch.image[y0 - patch.y : max(y1 - patch.y, 0), x0 - patch.x : max(x1 - patch.x, 0)]
    if part.size == 0:
        return np.zeros((size, size, 3), np.uint8)
    shrink = np.array([[1 / f, 0.0, 0.5 / f - 0.5 - x0], [0.0, 1 / f, 0.5 / f - 0.5 - y0]])
    warped = cv2.warpAffine(
        part,
        affine_compose(shrink, to_photo),
        (size, size),
        flags=_INTERPOLATION[interpolation] | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0),
    )
    return cast(Image, warped)


def crop(image: Image, to_crop: npt.ArrayLike, size: int, *, interpolation: str = "bilinear") -> Image:
    """Crop a face: cut out what the crop needs, average it down where it is much larger, and warp it once.

    Args:
        image: the photograph, uint8 ``(H, W, 3)``.
        to_crop: ``(2, 3)`` photograph → crop, such as :func:`fiducia.geometry.box_to_crop` gives.
        size: side of the square crop in pixels.
        interpolation: ``"bilinear"`` or ``"nearest"``.

    Returns:
        uint8 ``(size, size, 3)``; black where the crop leaves the photograph.

    Raises:
        ValueError: the affine has no inverse.
    """
    left, right, top, bottom = _footprint(affine_invert(to_crop), size)
    patch = cut_patch(image, (left, top, right, bottom), reduction(to_crop))
    return crop_patch(patch, to_crop, size, interpolation=interpolation)


def _footprint(to_photo: npt.NDArray[np.float64], size: int) -> tuple[float, float, float, float]:
    """Return left, right, top, bottom of a crop's corner pixels in the photograph."""
    end = size - 1.0
    corners = affine_apply(to_photo, [[0.0, 0.0], [end, 0.0], [0.0, end], [end, end]])
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(left), float(right), float(top), float(bottom)
