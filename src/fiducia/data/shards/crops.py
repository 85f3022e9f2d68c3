"""A wide crop around a face, cut from its photograph without resampling, so that shards need not hold whole photographs."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...geometry import square_box, tight_box
from ...structures import Record

__all__ = ["cut_face", "encode"]

Image = npt.NDArray[np.uint8]


def cut_face(record: Record, image: Image, scale: float, box_source: str) -> tuple[Record, Image]:
    """Cut a face out of its photograph.

    The crop is ``scale`` times as wide as the face's square box, with a margin for the pixels that resampling touches. Its corner
    lies on a multiple of 1, 2, 6, 12 or 60 pixels, the more the larger the face: training that averages blocks of up to 6 x 6
    pixels, for crops of 64 pixels or more, then averages the same blocks as on the photograph.

    Args:
        record: the face, in pixels of the photograph.
        image: the photograph, uint8 ``(H, W, 3)``.
        scale: side of the crop in sides of the box.
        box_source: ``landmarks`` or ``dataset``.

    Returns:
        The face in pixels of the crop, with the tag ``cut`` (x and y of the crop's first pixel, width and height of the
        photograph); and the crop, uint8 ``(h, w, 3)``.

    Raises:
        FiduciaError: the face lies outside of its photograph.
    """
    box = record.box if box_source == "dataset" and record.box is not None else tight_box(record.xy)
    x1, y1, x2, y2 = square_box(box).tolist()
    side = x2 - x1
    grown = side * (scale - 1) / 2 + 2 + side / 24
    step = math.lcm(*range(1, min(6, max(1, int(side // 50))) + 1))
    height, width = image.shape[:2]
    left, right = _span(x1 - grown, x2 + grown, step, width)
    top, bottom = _span(y1 - grown, y2 + grown, step, height)
    if right <= left or bottom <= top:
        raise FiduciaError(
            f"{record.image}: the face {record.id} lies outside of it; correct its labels, or leave it out"
        )
    corner = np.array([left, top], dtype=np.float64)
    moved = replace(
        record,
        xy=record.xy - corner,
        box=None if record.box is None else record.box - np.tile(corner, 2),
        tags={**record.tags, "cut": [left, top, width, height]},
    )
    return moved, np.ascontiguousarray(image[top:bottom, left:right])


def _span(low: float, high: float, step: int, limit: int) -> tuple[int, int]:
    first, last = math.floor(low / step) * step, math.ceil(high / step) * step + 1
    return min(max(first, 0), limit), min(max(last, 0), limit)


def encode(image: Image, quality: int | None) -> tuple[str, bytes]:
    """Return suffix and bytes of a picture: PNG, or JPEG of a quality from 1 to 100."""
    suffix = ".png" if quality is None else ".jpg"
    options = [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, buffer = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise FiduciaError(f"a crop of {image.shape[1]} x {image.shape[0]} pixels cannot be stored as {suffix}")
    return suffix, buffer.tobytes()
