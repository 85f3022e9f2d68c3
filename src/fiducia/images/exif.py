"""EXIF orientation: reading it, and turning the pixels upright."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["exif_orientation", "upright"]

_TAG = 0x0112
_MOST_ENTRIES = 1000


def exif_orientation(exif: bytes) -> int:
    """Return the orientation 1-8 of an EXIF block (with or without its ``Exif`` mark); 1 where it says nothing usable.

    The tag stands in the first directory of a small TIFF (EXIF 2.32, section 4.6.4 A).
    """
    if exif.startswith(b"Exif\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for i in range(min(count, _MOST_ENTRIES)):
            tag, kind, _, short = struct.unpack_from(order + "HHIH", exif, at + 2 + 12 * i)
            if tag == _TAG and kind == 3:
                return short if 1 <= short <= 8 else 1
    except struct.error:
        # A damaged EXIF block says nothing; the picture itself is judged by its decoder.
        pass
    return 1


def upright(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn and mirror pixels ``(H, W, C)`` so that a picture of this EXIF orientation stands upright; contiguous."""
    turned: Any = image
    if orientation in (5, 6, 7, 8):
        turned = cv2.transpose(turned)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    if flip is not None:
        turned = cv2.flip(turned, flip)
    return np.ascontiguousarray(turned)
