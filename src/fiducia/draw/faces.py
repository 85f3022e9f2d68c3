"""Faces drawn over a photograph: box, lines and landmarks, coloured by confidence, legible on any background.

Sizes follow the face. Everything has a dark rim, so that it stands out from a bright picture as from a dark one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..faces.face import Face
from .basics import GREY, INK, SHADE, Colour, Image, confidence_colour, extent, near, text, text_width
from .overlay import Overlay

__all__ = ["LABELS", "Sizes", "Style", "draw_faces", "draw_legend", "face_sizes"]

WHITE: Colour = (255, 255, 255)
LABELS = ("", "index", "name")
"""What may be written beside each point."""


@dataclass(frozen=True)
class Style:
    """How faces are drawn.

    Attributes:
        box: mark the corners of each face's box.
        numbers: write each face's number above its box where there are several faces.
        edges: draw the landmark set's lines.
        labels: what is written beside each point: nothing, its ``index`` or its ``name``.
        legend: explain the colours in the lower left corner.
        low: confidence below which a point is a ring.
    """

    box: bool = True
    numbers: bool = True
    edges: bool = True
    labels: str = ""
    legend: bool = False
    low: float = 0.35


@dataclass(frozen=True)
class Sizes:
    """Widths in pixels of the picture, for a face of some size.

    Attributes:
        dot: radius of a landmark; 0 where the face is so small that dots would hide it.
        line: width of the landmark set's lines.
        rim: width of the dark rim on each side.
        frame: width of the box's corners.
    """

    dot: float
    line: float
    rim: float
    frame: float


def face_sizes(across: float) -> Sizes:
    """Return the widths for a face.

    Args:
        across: the longer side of its landmarks' box in pixels.
    """
    dot = max(0.0105 * across, 0.85) if across >= 44 else 0.0
    line = max(0.0055 * across, 0.6)
    # A rim would hide a face that is hardly wider than its lines.
    rim = max(0.5 * line, 0.5) if dot else 0.0
    return Sizes(dot, line, rim, max(0.008 * across, 0.9 if dot else 0.6))


def draw_faces(image: Image, faces: Sequence[Face], style: Style = Style()) -> Image:
    """Return a copy of the picture with every face's box, lines and points.

    A point's colour is its confidence, from green to red, and one below ``style.low`` is a ring: what the network does not
    know is seen at a glance, in black and white too. The lines of a face that is too small for dots have the colour.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        faces: in the picture's pixels.
        style: what is drawn.
    """
    canvas = np.ascontiguousarray(image).copy()
    for face in reversed(faces):
        sizes = _sizes(face, image)
        shown = [i for i in range(len(face.xy)) if near(face.xy[i], canvas)]
        box = _bounds(face, shown, style, 8 * sizes.frame + 4)
        if box is None:
            continue
        layer = Overlay(canvas, box)
        if style.box and np.isfinite(face.box).all():
            _corners(layer, face.box, sizes)
        lines = [(i, j) for i, j in face.scheme.edges if i in shown and j in shown] if style.edges else []
        _lines(layer, face, lines, sizes)
        if sizes.dot:
            _dots(layer, face, shown, sizes, style.low)
        elif not lines:
            for i in shown:
                layer.dot(face.xy[i], 0.8, confidence_colour(float(face.confidence[i])))
        layer.blend()
    for face in faces:
        sizes = _sizes(face, image)
        if style.box and style.numbers and len(faces) > 1 and np.isfinite(face.box).all():
            _number(canvas, face, sizes)
        if style.labels:
            _labels(canvas, face, sizes, style.labels)
    if style.legend:
        draw_legend(canvas)
    return canvas


def draw_legend(canvas: Image) -> None:
    """Write what the colours mean into the lower left corner of a picture, in place; not where it is too small for that."""
    height, width = canvas.shape[:2]
    size = float(np.clip(0.012 * max(height, width), 8.0, 40.0))
    words = ("confidence 0", "1")
    bar, gap = 9 * size, 0.8 * size
    whole = text_width(words[0], size) + bar + text_width(words[1], size) + 4 * gap
    tall = 2.4 * size
    left, top = gap, height - tall - gap
    if whole + 2 * gap > width or tall + 2 * gap > height:
        return
    _shade(canvas, (left, top, left + whole, top + tall))
    text(canvas, words[0], (left + gap, top + 0.7 * size), size, WHITE)
    start = left + text_width(words[0], size) + 2 * gap
    y1, y2 = round(top + 0.75 * size), round(top + 1.7 * size)
    for x in range(round(start), round(start + bar)):
        canvas[y1:y2, x] = confidence_colour((x - start) / bar)
    text(canvas, words[1], (start + bar + gap, top + 0.7 * size), size, WHITE)


def _sizes(face: Face, image: Image) -> Sizes:
    # Points far outside of the picture make no stroke wider than it.
    return face_sizes(min(extent(face.xy, image), 2.0 * max(image.shape[:2])))


def _bounds(face: Face, shown: list[int], style: Style, margin: float) -> npt.NDArray[np.float64] | None:
    """Return what a face's layer must cover; None where nothing of it is drawn."""
    parts = [face.xy[shown]] if shown else []
    if style.box and np.isfinite(face.box).all():
        parts.append(face.box.reshape(2, 2))
    if not parts:
        return None
    points = np.concatenate(parts).astype(np.float64)
    return np.concatenate([points.min(axis=0) - margin, points.max(axis=0) + margin])


def _corners(layer: Overlay, box: npt.NDArray[np.float32], sizes: Sizes) -> None:
    x1, y1, x2, y2 = (float(v) for v in box)
    reach = 0.2 * min(x2 - x1, y2 - y1)
    arms = []
    for x, y, dx, dy in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x2, y2, -1, -1), (x1, y2, 1, -1)):
        arms += [((x, y), (x + dx * reach, y)), ((x, y), (x, y + dy * reach))]
    for width, colour, cover in ((sizes.frame + 2 * sizes.rim, SHADE, 0.6), (sizes.frame, WHITE, 0.9)):
        for a, b in arms:
            layer.line(a, b, width, colour, cover)


def _lines(layer: Overlay, face: Face, lines: list[tuple[int, int]], sizes: Sizes) -> None:
    for i, j in lines if sizes.rim else ():
        layer.line(face.xy[i], face.xy[j], sizes.line + 2 * sizes.rim, SHADE, 0.6)
    for i, j in lines:
        sure = float(face.confidence[i] + face.confidence[j]) / 2
        colour = WHITE if sizes.dot else confidence_colour(sure)
        layer.line(face.xy[i], face.xy[j], sizes.line, colour, 0.75 if sizes.dot else 0.95)


def _dots(layer: Overlay, face: Face, shown: list[int], sizes: Sizes, low: float) -> None:
    for i in shown:
        sure = float(face.confidence[i])
        colour = confidence_colour(sure)
        if sure < low:
            outer, inner = 1.9 * sizes.dot, 1.15 * sizes.dot
            layer.dot(face.xy[i], outer + 0.8 * sizes.rim, SHADE, 0.75, hole=max(0.05, inner - 0.6 * sizes.rim))
            layer.dot(face.xy[i], outer, colour, hole=inner)
        else:
            layer.dot(face.xy[i], sizes.dot + 0.8 * sizes.rim, SHADE, 0.75)
            layer.dot(face.xy[i], sizes.dot, colour)


def _number(canvas: Image, face: Face, sizes: Sizes) -> None:
    """Write a face's number above the upper left corner of its box, or within where the picture ends there."""
    size = float(np.clip(sizes.frame * 6, 8.0, 60.0))
    words = str(face.id)
    wide, tall = text_width(words, size) + size, 1.6 * size
    left = float(np.clip(face.box[0], 0, max(0.0, canvas.shape[1] - wide)))
    top = float(face.box[1]) - tall - 2 * sizes.frame
    top = top if top >= 0 else float(face.box[1]) + 2 * sizes.frame
    _shade(canvas, (left, top, left + wide, top + tall))
    text(canvas, words, (left + wide / 2, top + 0.3 * size), size, WHITE, anchor=0.5)


def _labels(canvas: Image, face: Face, sizes: Sizes, kind: str) -> None:
    size = max(6.0, 2.0 * sizes.dot if kind == "index" else 1.6 * sizes.dot)
    for i, p in enumerate(face.xy):
        if near(p, canvas):
            words = str(i) if kind == "index" else face.scheme.names[i]
            text(canvas, words, (float(p[0]) + 1.6 * sizes.dot, float(p[1]) - 1.2 * size), size, WHITE, halo=INK)


def _shade(canvas: Image, box: tuple[float, float, float, float]) -> None:
    """Darken a rectangle, in place, so that white letters are read on it."""
    x1, y1, x2, y2 = (max(0, round(v)) for v in box)
    part = canvas[y1:y2, x1:x2]
    part[:] = np.rint(part * 0.35 + np.array(INK) * 0.65).astype(np.uint8)
    if min(part.shape[:2]) > 2:
        part[[0, -1]] = part[[0, -1]] // 2 + np.array(GREY, np.uint8) // 2
        part[:, [0, -1]] = part[:, [0, -1]] // 2 + np.array(GREY, np.uint8) // 2
