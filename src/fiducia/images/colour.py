"""Colours as users see them: depth, transparency, inks and colour profiles become 8-bit RGB."""

from __future__ import annotations

import io
import struct
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageCms

from .formats.base import DecodeError, Pixels

__all__ = [
    "LAID_OVER_WHITE",
    "cmyk_to_rgb",
    "convert_profile",
    "over_white",
    "profile_name",
    "see_through",
    "to_8_bits",
    "to_rgb",
]

LAID_OVER_WHITE = "has transparent pixels; they are laid over white"
"""The remark on a picture that :func:`see_through` is true of."""

_ROWS = 256
"""Rows at a time, where a step needs wider numbers than it gives back."""
_XYZ = {b"rXYZ": (0.4361, 0.2225, 0.0139), b"gXYZ": (0.3851, 0.7169, 0.0971), b"bXYZ": (0.1431, 0.0606, 0.7141)}
"""The primaries of sRGB seen from D50, as ICC profiles store them (IEC 61966-2-1, ICC.1:2022)."""


def to_8_bits(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return uint8: 16 bits are divided by 257 and rounded, floats are multiplied by 255 and rounded.

    Raises:
        DecodeError: floats outside [0, 1], or that are no numbers.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        # round(v / 257), exact for every v of 16 bits: no quotient comes near a half.
        return cast(npt.NDArray[np.uint8], cv2.convertScaleAbs(pixels, alpha=1 / 257))
    out = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(pixels), _ROWS):
        rows = pixels[top : top + _ROWS]
        low, high = float(rows.min()), float(rows.max())
        if not (low >= 0.0 and high <= 1.0):
            raise DecodeError(
                f"holds floating-point values from {low:g} to {high:g}; expected 0 to 1; scale them, or save 8 or 16 bits"
            )
        out[top : top + _ROWS] = np.rint(rows * 255.0)
    return out


def over_white(pixels: npt.NDArray[np.uint8], premultiplied: bool = False) -> npt.NDArray[np.uint8]:
    """Lay pixels ``(H, W, C + 1)``, whose last channel is alpha, over white; ``(H, W, C)``.

    Args:
        pixels: uint8.
        premultiplied: the colours are already multiplied by alpha.
    """
    colour = np.ascontiguousarray(pixels[..., :-1])
    for top in range(0, len(pixels), _ROWS):
        alpha = pixels[top : top + _ROWS, :, -1:].astype(np.uint16)
        if alpha.min() == 255:
            continue
        rows = colour[top : top + _ROWS]
        if premultiplied:
            rows[...] = np.minimum(rows + (255 - alpha), 255)
        else:
            # What the ink takes from white.
            rows[...] = 255 - _over_255((255 - rows) * alpha)
    return colour


def _over_255(products: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Divide products of two bytes by 255, rounded to nearest, in place: x / 255 = (x + x / 256) / 256, nearly enough."""
    products += 128
    products += products >> 8
    products >>= 8
    return products


def see_through(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether pixels have an alpha channel that lets through, anywhere, what is behind them."""
    if pixels.ndim != 3 or pixels.shape[2] not in (2, 4):
        return False
    return any(pixels[top : top + _ROWS, :, -1].min() < 255 for top in range(0, len(pixels), _ROWS))


def to_rgb(pixels: Pixels, premultiplied: bool = False) -> npt.NDArray[np.uint8]:
    """Return RGB ``(H, W, 3)``, writable, of grey, grey and alpha, RGB or RGBA; what is transparent is laid over white.

    Args:
        pixels: uint8.
        premultiplied: the colours are already multiplied by alpha.
    """
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = over_white(pixels, premultiplied)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return np.require(pixels, requirements=["C", "W"])


def cmyk_to_rgb(inverted: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return RGB of CMYK ``(H, W, 4)`` in which 255 is no ink: each colour times black, without a profile."""
    out = np.empty((*inverted.shape[:2], 3), np.uint8)
    for top in range(0, len(inverted), _ROWS):
        rows = inverted[top : top + _ROWS].astype(np.uint16)
        out[top : top + _ROWS] = _over_255(rows[..., :3] * rows[..., 3:])
    return out


def profile_name(icc: bytes) -> str:
    """Return what a colour profile calls itself, or nothing where it is sRGB's, a grey one or no profile at all."""
    if len(icc) < 132 or icc[36:40] != b"acsp" or icc[16:20] == b"GRAY":
        return ""
    tags = _tags(icc)
    name = _description(tags.get(b"desc", b"")) or "unnamed"
    if icc[16:20] == b"RGB ":
        if "srgb" in name.lower():
            return ""
        found = [_xyz(tags.get(key, b"")) for key in _XYZ]
        if all(np.allclose(a, b, atol=0.005) for a, b in zip(found, _XYZ.values(), strict=True)):
            return ""
    return name


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    tags: dict[bytes, bytes] = {}
    for i in range(min(count, 100)):
        entry = icc[132 + 12 * i : 144 + 12 * i]
        if len(entry) < 12:
            break
        key, at, size = struct.unpack(">4sII", entry)
        tags[key] = icc[at : at + min(size, 4096)]
    return tags


def _xyz(tag: bytes) -> npt.NDArray[np.float64]:
    if len(tag) < 20:
        return np.zeros(3)
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536.0


def _description(tag: bytes) -> str:
    """Return the text of a ``desc`` (version 2) or ``mluc`` (version 4) tag, on one line."""
    if tag[:4] == b"desc" and len(tag) > 12:
        (size,) = struct.unpack_from(">I", tag, 8)
        text = tag[12 : 12 + min(size, 100)].decode("latin-1")
    elif tag[:4] == b"mluc" and len(tag) > 28:
        size, at = struct.unpack_from(">II", tag, 20)
        text = tag[at : at + min(size, 200)].decode("utf-16-be", "ignore")
    else:
        return ""
    return "".join(c for c in text if c.isprintable()).strip()


def convert_profile(rgb: npt.NDArray[np.uint8], icc: bytes) -> npt.NDArray[np.uint8]:
    """Return RGB ``(H, W, 3)`` of an embedded RGB profile as sRGB (relative colorimetric).

    Raises:
        DecodeError: the profile cannot be used.
    """
    try:
        profile: Any = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        done = ImageCms.profileToProfile(
            PillowImage.fromarray(rgb), profile, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise DecodeError(f"has a colour profile that cannot be used ({error}); read it without conversion") from None
    return np.asarray(done)
