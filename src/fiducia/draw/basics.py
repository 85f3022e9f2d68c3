"""What all drawings share: colours, sizes, text. Arrays are changed in place here, and nowhere else in this directory."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

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
RAMP = ((0.0, (230, 45, 40)), (0.35, (255, 170, 30)), (0.7, (70, 225, 190)), (1.0, (60, 235, 150)))

SHIFT = 4  # OpenCV's fixed point: 2**4 steps a pixel
_FONT = cv2.FONT_HERSHEY_SIMPLEX

__all__ = [
    "GREEN",
    "GREY",
    "INK",
    "PAPER",
    "RAMP",
    "RED",
    "RULE",
    "SERIES",
    "SHADE",
    "Colour",
    "Image",
    "confidence_colour",
    "extent",
    "fixed",
    "near",
    "text",
    "text_width",
]


def confidence_colour(value: float) -> Colour:
    """Return green for a sure point, through amber, to red for a doubtful one; ``value`` in [0, 1]."""
    stops = [stop for stop, _ in RAMP]
    r, g, b = (round(float(np.interp(value, stops, [colour[c] for _, colour in RAMP]))) for c in range(3))
    return r, g, b


def extent(xy: npt.ArrayLike, image: Image) -> float:
    """Return the longer side of the points' box in pixels; half the picture's where there are fewer than two."""
    p = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    p = p[np.isfinite(p[:, 0]) & np.isfinite(p[:, 1])]
    return float(np.ptp(p, axis=0).max()) if len(p) > 1 else max(image.shape[:2]) / 2


def near(p: npt.NDArray[np.floating], image: Image) -> bool:
    """Whether a point is finite and in or near the picture: OpenCV's fixed point overflows far outside."""
    far = max(image.shape[:2])
    return bool(-far < p[0] < 2 * far and -far < p[1] < 2 * far)


def fixed(p: npt.ArrayLike) -> tuple[int, int]:
    """Pixels → OpenCV's fixed point."""
    x, y = np.asarray(p, dtype=np.float64)
    return round(float(x) * 2**SHIFT), round(float(y) * 2**SHIFT)


_OVER = 4  # text is drawn four times as large and averaged down: OpenCV's own small letters are ragged


def text_width(words: str, size: float) -> float:
    """Return how wide a line is in pixels, for capitals ``size`` pixels high."""
    (w, _), _ = cv2.getTextSize(_plain(words), _FONT, size * _OVER / 21, 1)
    return float(w) / _OVER


def text(
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
    width = int(text_width(words, size)) + 1
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
