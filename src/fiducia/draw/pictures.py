"""Pictures of points: arrays in, arrays out; the input is never changed.

Colours are RGB, coordinates are photograph pixels with an integer at a pixel's centre. Everything is anti-aliased and
placed to 1/16 of a pixel, and sizes grow with the face, so that a small face is not buried under its own dots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from .basics import (
    GREEN,
    GREY,
    INK,
    PAPER,
    RED,
    RULE,
    SERIES,
    SHIFT,
    Colour,
    Image,
    extent,
    fixed,
    near,
    text,
    text_width,
)

__all__ = [
    "GREEN",
    "RED",
    "ced_chart",
    "contact_sheet",
    "draw_errors",
    "draw_heatmaps",
    "draw_points",
]


def draw_points(image: Image, xy: npt.ArrayLike, colour: Colour, radius: float | None = None) -> Image:
    """Return a copy of the picture with a dot on every point.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        xy: points ``(K, 2)`` in its pixels; points that are nan or far outside are left out.
        colour: RGB in 0–255.
        radius: of a dot in pixels; None = fitting the points' extent.
    """
    canvas = np.ascontiguousarray(image).copy()
    r = 0.009 * extent(xy, image) if radius is None else radius
    for p in np.asarray(xy, dtype=np.float64).reshape(-1, 2):
        if near(p, canvas):
            _dot(canvas, p, max(r, 0.9), colour)
    return canvas


def draw_errors(image: Image, truth: npt.ArrayLike, found: npt.ArrayLike) -> Image:
    """Return a copy with the true points green, the found ones red, and a white line from each to its own.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        truth: ``(K, 2)`` in its pixels; nan = not labelled.
        found: ``(K, 2)``; nan = no answer.
    """
    canvas = np.ascontiguousarray(image).copy()
    t, p = np.asarray(truth, dtype=np.float64), np.asarray(found, dtype=np.float64)
    layer = canvas.copy()
    for a, b in zip(t, p, strict=True):
        if near(a, canvas) and near(b, canvas):
            cv2.line(layer, fixed(a), fixed(b), (255, 255, 255), 1, cv2.LINE_AA, SHIFT)
    _blend(canvas, layer, 0.7)
    radius = 0.009 * extent(t, image)
    return draw_points(draw_points(canvas, t, GREEN, radius), p, RED, radius)


def draw_heatmaps(image: Image, heat: npt.ArrayLike, strength: float = 0.8) -> Image:
    """Return the picture, dimmed, with all heatmaps glowing over it (the largest of them at every pixel).

    Args:
        image: uint8 ``(H, W, 3)`` RGB: the network's crop.
        heat: ``(K, h, w)`` in [0, 1], after the sigmoid; stretched over the picture edge to edge.
        strength: share of the colour where a heatmap is 1.
    """
    top = np.asarray(heat, dtype=np.float32).max(axis=0)
    size = (image.shape[1], image.shape[0])
    glow = np.clip(cv2.resize(top, size, interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    colour = table[np.rint(glow * 255).astype(np.uint8)].astype(np.float32)
    alpha = (strength * np.sqrt(glow))[..., None]
    mixed = image.astype(np.float32) * 0.75 * (1 - alpha) + colour * alpha
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def contact_sheet(images: Sequence[Image], *, captions: Sequence[str] | None = None, columns: int = 8) -> Image:
    """Return the pictures as one sheet of equal tiles, row by row, each with its caption below.

    Args:
        images: uint8 ``(H, W, 3)`` RGB of any sizes; each is fitted into a tile of the largest sides, its shape kept.
        captions: one line each, shortened to the tile; None = no captions.
        columns: tiles in a row.

    Raises:
        ValueError: not one caption for each picture, or no column.
    """
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(images)} pictures but {len(captions)} captions")
    if columns < 1:
        raise ValueError(f"columns = {columns}; expected at least 1")
    if not images:
        return np.full((64, 64, 3), PAPER, np.uint8)
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    gap = max(2, round(width * 0.03))
    strip = 0 if captions is None else max(18, round(width * 0.12))
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
            words, size = captions[i], strip * 0.42
            while text_width(words, size) > width and len(words) > 4:
                words = words[:-4] + "..."
            text(sheet, words, (left + width / 2, top + height + strip * 0.3), size, INK, anchor=0.5)
    return sheet


def ced_chart(
    curves: Mapping[str, npt.ArrayLike], *, threshold: float = 0.1, title: str = "", xlabel: str = "NME in %"
) -> Image:
    """Return a chart of cumulative error distributions, 1000 x 640: the share of faces whose error is at most x.

    Args:
        curves: name → per-face NME ``(N,)`` as fractions; nan = no answer, which keeps the curve below 100 %.
        threshold: the right end of the axis; 0.1 = 10 %.
        title: a line above.
        xlabel: what the errors are.
    """
    canvas = np.full((640, 1000, 3), PAPER, np.uint8)
    x0, y0, x1, y1 = 96.0, 84.0, 960.0, 548.0
    text(canvas, title, (x0, 30), 17, INK)
    for step in range(6):
        y = y1 + (y0 - y1) * step / 5
        cv2.line(canvas, fixed((x0, y)), fixed((x1, y)), RULE if step else GREY, 1, cv2.LINE_AA, SHIFT)
        text(canvas, f"{20 * step}", (x0 - 14, y - 6), 12, GREY, anchor=1.0)
    marks = int(round(threshold * 100, 6)) + 1 if threshold <= 0.2 else 11
    for value in np.linspace(0.0, threshold, marks):
        x = x0 + (x1 - x0) * value / threshold
        cv2.line(canvas, fixed((x, y1)), fixed((x, y1 + 6)), GREY, 1, cv2.LINE_AA, SHIFT)
        text(canvas, f"{100 * value:.3g}", (x, y1 + 16), 12, GREY, anchor=0.5)
    text(canvas, "faces in %", (x0, y0 - 24), 12, GREY)
    text(canvas, xlabel, (x1, y1 + 48), 12, GREY, anchor=1.0)
    legend = x1 - 12 - max((text_width(name, 13) for name in curves), default=0.0)
    for i, (name, values) in enumerate(curves.items()):
        v = np.asarray(values, dtype=np.float64)
        e = np.sort(v[v <= threshold])
        share = np.arange(1, len(e) + 1) / max(1, len(v))
        # A step curve: along at the old share, then up at the face's error.
        ex = np.concatenate([[0.0], np.repeat(e, 2), [threshold]])
        ey = np.concatenate([[0.0, 0.0], np.repeat(share, 2)])
        line = np.stack([x0 + (x1 - x0) * ex / threshold, y1 + (y0 - y1) * ey], axis=-1)
        path = np.rint(line * 2**SHIFT).astype(np.int32)
        colour = SERIES[i % len(SERIES)]
        cv2.polylines(canvas, [path[:, None]], False, colour, 3, cv2.LINE_AA, SHIFT)
        y = y1 - 28 - 28 * (len(curves) - 1 - i)
        cv2.line(canvas, fixed((legend - 42, y)), fixed((legend - 12, y)), colour, 3, cv2.LINE_AA, SHIFT)
        text(canvas, name, (legend, y - 7), 13, INK)
    return canvas


def _dot(canvas: Image, p: npt.NDArray[np.floating], radius: float, colour: Colour, hole: float = 0.0) -> None:
    """Paint a disc, or a ring with a ``hole``, in place; by coverage, since OpenCV's small circles are diamonds."""
    r = math.ceil(radius + 1)
    x, y = max(0, math.floor(p[0]) - r), max(0, math.floor(p[1]) - r)
    part = canvas[y : max(0, math.floor(p[1]) + r + 2), x : max(0, math.floor(p[0]) + r + 2)]
    if not part.size:
        return
    rows, columns = np.ogrid[y : y + part.shape[0], x : x + part.shape[1]]
    distance = np.hypot(columns - float(p[0]), rows - float(p[1]))
    cover = np.clip(radius + 0.5 - distance, 0.0, 1.0)
    if hole > 0:
        cover *= np.clip(distance - hole + 0.5, 0.0, 1.0)
    part[:] = np.rint(part + (np.array(colour) - part) * cover[..., None])


def _blend(canvas: Image, layer: Image, share: float) -> None:
    """Mix ``share`` of a layer into the canvas, in place."""
    cv2.addWeighted(layer, share, canvas, 1 - share, 0, dst=canvas)


def _fit(image: Image, width: int, height: int) -> Image:
    """Scale a picture into a tile, its shape kept."""
    h, w = image.shape[:2]
    factor = min(width / w, height / h)
    size = (max(1, round(w * factor)), max(1, round(h * factor)))
    if size == (w, h):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
