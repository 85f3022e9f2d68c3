"""A contact sheet of photographs with their faces: small pictures in rows, names below, the colours explained at the foot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from ..faces.face import Face
from .basics import INK, Image, confidence_colour, text, text_width
from .faces import Style, draw_faces
from .pictures import contact_sheet

__all__ = ["COLUMNS", "MOST", "faces_sheet", "thumbnail"]

SIDE = 300
"""Longest side of a photograph on the sheet, in pixels."""
COLUMNS, MOST = 6, 48
"""Photographs in a row, and on a sheet."""


def thumbnail(image: Image, faces: Sequence[Face]) -> Image:
    """Return a photograph of at most :data:`SIDE` pixels, with its faces drawn at that size.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        faces: in its pixels.
    """
    height, width = image.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    fx, fy = size[0] / width, size[1] / height
    scale = np.array([fx, fy], np.float32)
    moved = [
        replace(face, xy=(face.xy + 0.5) * scale - 0.5, box=(face.box + 0.5) * np.tile(scale, 2) - 0.5)
        for face in faces
    ]
    return draw_faces(small, moved, Style(numbers=False))


def faces_sheet(tiles: Sequence[Image], captions: Sequence[str]) -> Image:
    """Return one sheet.

    Args:
        tiles: what :func:`thumbnail` gave, of at most :data:`MOST` photographs.
        captions: one line each.
    """
    sheet = contact_sheet(tiles, captions=captions, columns=COLUMNS)
    size = 13.0
    foot = np.full((46, sheet.shape[1], 3), sheet[0, 0], np.uint8)
    right = foot.shape[1] - 16.0
    words = ("confidence 0", "1")
    bar = 150
    start = round(right - text_width(words[1], size) - 10 - bar)
    if start - text_width(words[0], size) > 8:
        text(foot, words[1], (right, 14), size, INK, anchor=1.0)
        text(foot, words[0], (start - 10.0, 14), size, INK, anchor=1.0)
        for x in range(bar):
            foot[14:28, start + x] = confidence_colour(x / bar)
    return np.concatenate([sheet, foot])
