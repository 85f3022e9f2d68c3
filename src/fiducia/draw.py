"""Pictures of points: arrays in, arrays out; the input is never changed.

Colours are RGB, coordinates are photograph pixels with an integer at a pixel's centre. Everything is anti-aliased and
placed to 1/16 of a pixel, and sizes grow with the face, so that a small face is not buried under its own dots.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

GREEN: Colour = (90, 220, 90)
RED: Colour = (255, 80, 60)
INK: Colour = (38, 42, 51)
PAPER: Colour = (250, 250, 248)

_SHIFT = 4  # OpenCV's fixed point: 2**4 steps a pixel
_FONT = cv2.FONT_HERSHEY_SIMPLEX

__all__ = ["GREEN", "RED", "contact_sheet", "draw_points"]


def point_radius(xy: npt.ArrayLike, image: Image) -> float:
    """Return a dot's radius in pixels: 0.9 % of the points' extent, and never under 0.9 pixels."""
    p = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    p = p[np.isfinite(p).all(axis=1)]
    extent = float(np.ptp(p, axis=0).max()) if len(p) > 1 else max(image.shape[:2]) / 2
    return max(0.9, 0.009 * extent)


def draw_points(image: Image, xy: npt.ArrayLike, colour: Colour, radius: float | None = None) -> Image:
    """Return a copy of the picture with a dot on every point.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        xy: points ``(K, 2)`` in its pixels; points that are nan or far outside are left out.
        colour: RGB in 0–255.
        radius: of a dot in pixels; None = fitting the points' extent.
    """
    canvas = np.ascontiguousarray(image).copy()
    r = point_radius(xy, image) if radius is None else radius
    for x, y in _visible(xy, canvas):
        cv2.circle(canvas, _fixed(x, y), round(r * 2**_SHIFT), colour, -1, cv2.LINE_AA, _SHIFT)
    return canvas


def contact_sheet(images: Sequence[Image], *, captions: Sequence[str] | None = None, columns: int = 8) -> Image:
    """Return the pictures as one sheet of equal tiles, row by row, each with its caption below.

    Args:
        images: uint8 ``(H, W, 3)`` RGB of any sizes; each is fitted into a tile of the largest sides, its shape kept.
        captions: one line each, shortened to the tile; None = no captions.
        columns: tiles in a row.

    Raises:
        ValueError: as many captions as pictures are needed, and at least one column.
    """
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(images)} pictures but {len(captions)} captions")
    if columns < 1:
        raise ValueError(f"columns = {columns}; expected at least 1")
    if not images:
        return np.full((64, 64, 3), PAPER, np.uint8)
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    gap = max(2, round(width * 0.03))
    strip = 0 if captions is None else max(14, round(width * 0.11))
    across = min(columns, len(images))
    down = -(-len(images) // across)
    sheet = np.full((gap + down * (height + strip + gap), gap + across * (width + gap), 3), PAPER, np.uint8)
    for i, image in enumerate(images):
        tile = _fit(image, width, height)
        top = gap + (i // across) * (height + strip + gap)
        left = gap + (i % across) * (width + gap)
        y, x = top + (height - tile.shape[0]) // 2, left + (width - tile.shape[1]) // 2
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        if captions is not None:
            _caption(sheet, captions[i], left, top + height, width, strip)
    return sheet


def _visible(xy: npt.ArrayLike, image: Image) -> npt.NDArray[np.float64]:
    """Return the finite points in or near the picture; OpenCV's fixed point overflows far outside."""
    p = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    h, w = image.shape[:2]
    with np.errstate(invalid="ignore"):
        near = (p > -max(h, w)).all(axis=1) & (p < 2 * max(h, w)).all(axis=1)
    return p[near]


def _fixed(x: float, y: float) -> tuple[int, int]:
    """Pixels → OpenCV's fixed point."""
    return round(float(x) * 2**_SHIFT), round(float(y) * 2**_SHIFT)


def _fit(image: Image, width: int, height: int) -> Image:
    """Scale a picture into a tile, its shape kept."""
    h, w = image.shape[:2]
    factor = min(width / w, height / h)
    if factor == 1.0:
        return image
    size = (max(1, round(w * factor)), max(1, round(h * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _caption(sheet: Image, words: str, left: int, top: int, width: int, height: int) -> None:
    """Write one line centred under a tile, shortened until it fits."""
    scale = height / 34
    thick = max(1, round(scale * 1.4))
    (w, h), _ = cv2.getTextSize(words, _FONT, scale, thick)
    while w > width and len(words) > 4:
        words = words[:-4] + "..."
        (w, h), _ = cv2.getTextSize(words, _FONT, scale, thick)
    at = (left + (width - w) // 2, top + (height + h) // 2)
    cv2.putText(sheet, words, at, _FONT, scale, INK, thick, cv2.LINE_AA)
