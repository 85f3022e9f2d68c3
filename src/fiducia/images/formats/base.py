"""What every format's module gives: a :class:`Header` from the bytes, then :class:`Pixels` from both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CUT", "DAMAGED", "DecodeError", "Header", "HeaderError", "ImageError", "Pixels", "unsupported"]

Pixels = npt.NDArray[Any]
"""Grey ``(H, W)``, grey and alpha ``(H, W, 2)``, RGB ``(H, W, 3)`` or RGBA ``(H, W, 4)``; uint8, uint16 or float in [0, 1]."""

CUT = "is cut short ({}); download or export it again"
DAMAGED = "is damaged ({}); download or export it again"


class ImageError(ValueError):
    """The bytes are no photograph that can be read: what was found, what was expected, and what mends it."""


class HeaderError(ImageError):
    """What is wrong was seen before anything was decoded."""


class DecodeError(ImageError):
    """The decoder complained."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        format: ``"JPEG"``, ``"PNG"`` and so on.
        width, height: stored size in pixels, before any EXIF rotation.
        bits: of one channel value as it is decoded: 8, 16, 32 or 64.
        orientation: EXIF orientation 1-8.
        icc: the embedded colour profile, or nothing.
        frames: pictures in the file; the first is read.
        premultiplied: the colours are stored multiplied by alpha.
        detail: what the format's own decoder needs further.
    """

    format: str
    width: int
    height: int
    bits: int = 8
    orientation: int = 1
    icc: bytes = field(default=b"", repr=False)
    frames: int = 1
    premultiplied: bool = False
    detail: Any = field(default=None, repr=False)


def unsupported(what: str) -> HeaderError:
    """Return the error for a kind of file that is whole but not supported."""
    return HeaderError(f"is {what}, which cannot be read; export it again as PNG or JPEG")


def as_array(picture: Any) -> Pixels:
    """Return the pixels of a decoded Pillow image of mode L, LA, RGB, RGBA, or of one that converts to RGB(A) exactly."""
    transparent = "transparency" in picture.info
    if picture.mode not in ("L", "LA", "RGB", "RGBA") or (transparent and picture.mode in ("L", "RGB")):
        alpha = transparent or picture.mode in ("PA", "La", "RGBa")
        picture = picture.convert("RGBA" if alpha else "RGB")
    return np.asarray(picture)
