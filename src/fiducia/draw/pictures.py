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

from ..faces.face import Face

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

GREEN: Colour = (90, 220, 90)
RED: Colour = (255, 80, 60)
SHADE: Colour = (20, 24, 30)
INK: Colour = (38, 42, 51)
GREY: Colour = (128, 134, 146)
RULE: Colour = (222, 224, 228)
PAPER: Colour = (252, 252, 250)
SERIES: tuple[Colour, ...] = (
    (31, 102, 190),
    (214, 90, 34),
    (22, 140, 110),
    (150, 70, 160),
    (190, 150, 20),
    (90, 90, 90),
)
_RAMP = ((0.0, (230, 45, 40)), (0.35, (255, 170, 30)), (0.7, (70, 225, 190)), (1.0, (60, 235, 150)))

_SHIFT = 4  # OpenCV's fixed point: 2**4 steps a pixel
_FONT = cv2.FONT_HERSHEY_SIMPLEX

__all__ = [
    "GREEN",
    "RED",
    "ced_chart",
    "confidence_colour",
    "contact_sheet",
    "draw_errors",
    "draw_faces",
    "draw_heatmaps",
    "draw_points",
]


def confidence_colour(value: float) -> Colour:
    """Return green for a sure point, through amber, to red for a doubtful one; ``value`` in [0, 1]."""
    stops = [stop for stop, _ in _RAMP]
    r, g, b = (round(float(np.interp(value, stops, [colour[c] for _, colour in _RAMP]))) for c in range(3))
    return r, g, b


def draw_points(image: Image, xy: npt.ArrayLike, colour: Colour, radius: float | None = None) -> Image:
    """Return a copy of the picture with a dot on every point.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        xy: points ``(K, 2)`` in its pixels; points that are nan or far outside are left out.
        colour: RGB in 0–255.
        radius: of a dot in pixels; None = fitting the points' extent.
    """
    canvas = np.ascontiguousarray(image).copy()
    r = 0.009 * _extent(xy, image) if radius is None else radius
    for p in np.asarray(xy, dtype=np.float64).reshape(-1, 2):
        if _near(p, canvas):
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
        if _near(a, canvas) and _near(b, canvas):
            cv2.line(layer, _fixed(a), _fixed(b), (255, 255, 255), 1, cv2.LINE_AA, _SHIFT)
    _blend(canvas, layer, 0.7)
    radius = 0.009 * _extent(t, image)
    return draw_points(draw_points(canvas, t, GREEN, radius), p, RED, radius)


def draw_faces(
    image: Image,
    faces: Sequence[Face],
    *,
    box: bool = True,
    edges: bool = True,
    labels: bool = False,
    low: float = 0.35,
) -> Image:
    """Return a copy of the picture with every face's box, lines and points.

    A point's colour is its confidence, from green to red, and one below ``low`` is a ring with nothing in it:
    what the network does not know is seen at a glance, in black and white too.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        faces: in the picture's pixels.
        box: draw the face's box, with its number where there are several.
        edges: draw the scheme's lines.
        labels: write each point's index beside it.
        low: confidence below which a point is a ring.
    """
    canvas = np.ascontiguousarray(image).copy()
    for face in faces:
        unit = 0.009 * _extent(face.xy, image)
        line = max(1, round(unit * 0.6))
        if box and np.isfinite(face.box).all():
            corners = (_fixed(face.box[:2]), _fixed(face.box[2:]))
            layer = canvas.copy()
            cv2.rectangle(layer, *corners, (255, 255, 255), line, cv2.LINE_AA, _SHIFT)
            _blend(canvas, layer, 0.55)
            if len(faces) > 1:
                size = max(9.0, unit * 5)
                x, y = float(face.box[0]), max(0.0, float(face.box[1]) - size * 1.5)
                _text(canvas, str(face.id), (x, y), size, (255, 255, 255), halo=INK)
        if edges:
            layer = canvas.copy()
            for i, j in face.scheme.edges:
                if _near(face.xy[i], canvas) and _near(face.xy[j], canvas):
                    cv2.line(layer, _fixed(face.xy[i]), _fixed(face.xy[j]), (255, 255, 255), line, cv2.LINE_AA, _SHIFT)
            _blend(canvas, layer, 0.45)
        for i, (p, c) in enumerate(zip(face.xy, face.confidence, strict=True)):
            if not _near(p, canvas):
                continue
            colour = confidence_colour(float(c))
            r = max(unit, 0.9)
            hole = 1.1 * r if c < low else 0.0
            outer = 1.9 * r if c < low else r
            _dot(canvas, p, outer + 0.4 * r, SHADE, hole)
            _dot(canvas, p, outer, colour, hole)
            if labels:
                _text(canvas, str(i), (p[0] + 2 * r, p[1] - 2 * r), max(7.0, unit * 2.5), (255, 255, 255), halo=INK)
    return canvas


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
            while _text_width(words, size) > width and len(words) > 4:
                words = words[:-4] + "..."
            _text(sheet, words, (left + width / 2, top + height + strip * 0.3), size, INK, anchor=0.5)
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
    _text(canvas, title, (x0, 30), 17, INK)
    for step in range(6):
        y = y1 + (y0 - y1) * step / 5
        cv2.line(canvas, _fixed((x0, y)), _fixed((x1, y)), RULE if step else GREY, 1, cv2.LINE_AA, _SHIFT)
        _text(canvas, f"{20 * step}", (x0 - 14, y - 6), 12, GREY, anchor=1.0)
    marks = int(round(threshold * 100, 6)) + 1 if threshold <= 0.2 else 11
    for value in np.linspace(0.0, threshold, marks):
        x = x0 + (x1 - x0) * value / threshold
        cv2.line(canvas, _fixed((x, y1)), _fixed((x, y1 + 6)), GREY, 1, cv2.LINE_AA, _SHIFT)
        _text(canvas, f"{100 * value:.3g}", (x, y1 + 16), 12, GREY, anchor=0.5)
    _text(canvas, "faces in %", (x0, y0 - 24), 12, GREY)
    _text(canvas, xlabel, (x1, y1 + 48), 12, GREY, anchor=1.0)
    legend = x1 - 12 - max((_text_width(name, 13) for name in curves), default=0.0)
    for i, (name, values) in enumerate(curves.items()):
        v = np.asarray(values, dtype=np.float64)
        e = np.sort(v[v <= threshold])
        share = np.arange(1, len(e) + 1) / max(1, len(v))
        # A step curve: along at the old share, then up at the face's error.
        ex = np.concatenate([[0.0], np.repeat(e, 2), [threshold]])
        ey = np.concatenate([[0.0, 0.0], np.repeat(share, 2)])
        line = np.stack([x0 + (x1 - x0) * ex / threshold, y1 + (y0 - y1) * ey], axis=-1)
        fixed = np.rint(line * 2**_SHIFT).astype(np.int32)
        colour = SERIES[i % len(SERIES)]
        cv2.polylines(canvas, [fixed[:, None]], False, colour, 3, cv2.LINE_AA, _SHIFT)
        y = y1 - 28 - 28 * (len(curves) - 1 - i)
        cv2.line(canvas, _fixed((legend - 42, y)), _fixed((legend - 12, y)), colour, 3, cv2.LINE_AA, _SHIFT)
        _text(canvas, name, (legend, y - 7), 13, INK)
    return canvas


def _extent(xy: npt.ArrayLike, image: Image) -> float:
    """Return the longer side of the points' box in pixels; half the picture's where there are fewer than two."""
    p = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    p = p[np.isfinite(p[:, 0]) & np.isfinite(p[:, 1])]
    return float(np.ptp(p, axis=0).max()) if len(p) > 1 else max(image.shape[:2]) / 2


def _near(p: npt.NDArray[np.floating], image: Image) -> bool:
    """Whether a point is finite and in or near the picture: OpenCV's fixed point overflows far outside."""
    far = max(image.shape[:2])
    return bool(-far < p[0] < 2 * far and -far < p[1] < 2 * far)


def _fixed(p: npt.ArrayLike) -> tuple[int, int]:
    """Pixels → OpenCV's fixed point."""
    x, y = np.asarray(p, dtype=np.float64)
    return round(float(x) * 2**_SHIFT), round(float(y) * 2**_SHIFT)


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


_OVER = 4  # text is drawn four times as large and averaged down: OpenCV's own small letters are ragged


def _text_width(words: str, size: float) -> float:
    """Return how wide a line is in pixels, for capitals ``size`` pixels high."""
    (w, _), _ = cv2.getTextSize(_plain(words), _FONT, size * _OVER / 21, 1)
    return float(w) / _OVER


def _text(
    canvas: Image,
    words: str,
    at: tuple[float, float],
    size: float,
    colour: Colour,
    *,
    anchor: float = 0.0,
    halo: Colour | None = None,
) -> None:
    """Write a line in place: ``at`` is its top, at its left (anchor 0), middle (0.5) or right end (1)."""
    words, scale, pad = _plain(words), size * _OVER / 21, int(size)
    width = int(_text_width(words, size)) + 1
    ink = np.zeros(((round(size * 1.4) + 2 * pad) * _OVER, (width + 2 * pad) * _OVER), np.uint8)
    origin = (pad * _OVER, (pad + round(size)) * _OVER)
    top, left = round(at[1]) - pad, round(at[0] - anchor * width) - pad
    stroke = max(1, round(size * _OVER * 0.13))
    for tint, extra in ((halo, 2 * _OVER), (colour, 0)):
        if tint is None:
            continue
        ink[:] = 0
        cv2.putText(ink, words, origin, _FONT, scale, 255, stroke + extra, cv2.LINE_AA)
        h, w = ink.shape[0] // _OVER, ink.shape[1] // _OVER
        alpha = cv2.resize(ink, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
        y, x = slice(max(0, top), min(canvas.shape[0], top + h)), slice(max(0, left), min(canvas.shape[1], left + w))
        if y.start >= y.stop or x.start >= x.stop:
            return
        a = alpha[y.start - top : y.stop - top, x.start - left : x.stop - left]
        canvas[y, x] = np.rint(canvas[y, x] * (1 - a) + np.array(tint, np.float32) * a).astype(np.uint8)


def _plain(words: str) -> str:
    """Return the letters that OpenCV can draw; the others as question marks."""
    return words.encode("ascii", "replace").decode()
