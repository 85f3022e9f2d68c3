"""Photographs in: the one function that opens, checks and decodes an image file.

JPEG is decoded by libjpeg-turbo through simplejpeg, which turns every warning into an error, and PNG by OpenCV from rows
that were inflated and verified here; the pixels are OpenCV's bit for bit, and so is the time. Nothing is printed, no file
descriptor of the process is touched and no temporary file is made, so any number of threads may read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..files import read_bytes
from .colour import LAID_OVER_WHITE, convert_profile, profile_name, see_through, to_8_bits, to_rgb
from .exif import upright
from .formats.base import DAMAGED, DecodeError, Header, ImageError
from .headers import find_format, parse_with

Image = npt.NDArray[np.uint8]

__all__ = ["MAX_PIXELS", "Image", "Photo", "read_image", "read_photo"]

MAX_PIXELS = 100_000_000
"""A file that claims more pixels than this is refused before memory is taken; pixels of 16 bits count double."""

_HEADROOM = 16 << 20


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph.

    Attributes:
        name: what to call it in errors and results.
        image: uint8 ``(H, W, 3)`` RGB.
        remarks: what a user should know of it, a line each, such as that it is the first frame of an animation.
        is_file: ``name`` is the path of a file that holds these pixels.
        again: makes the pixels anew from the object that they came from, or gives None if that is gone; None = there is no way.
    """

    name: str
    image: Image
    remarks: tuple[str, ...] = ()
    is_file: bool = False
    again: Callable[[], Image | None] | None = None


def read_image(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode a photograph; :func:`read_photo` without the remarks."""
    return read_photo(source, max_pixels=max_pixels).image


def read_photo(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, convert_colours: bool = False) -> Photo:
    """Decode a photograph: JPEG, PNG, WebP, BMP, TIFF, GIF, PNM, AVIF, and HEIC with the extra ``heif``.

    * EXIF orientation is applied; grey becomes three equal channels; CMYK becomes RGB without a profile.
    * What is transparent is laid over white, as viewers show it, with a remark: colours hidden beneath never reach the network.
    * 16-bit values are divided by 257; floats must lie in [0, 1] and are multiplied by 255.
    * The first frame of an animation is read, with a remark.
    * A colour profile other than sRGB is named in a remark; with ``convert_colours`` it is applied.

    Any error or warning of the decoder refuses the file. Time and memory are bounded by ``max_pixels``: about 12 bytes a
    pixel, and at most 4 bytes a pixel of file (16 MB more for what else it holds).

    Args:
        source: a path, or a file's bytes. A pipe is read, for at most ten seconds without a writer.
        max_pixels: larger images are refused; pixels of 16 bits count double, of 32 bits four times.
        convert_colours: convert RGB profiles to sRGB, about 25 ms a million pixels.

    Raises:
        FiduciaError: missing, empty, no plain file, cut short, damaged, of another format, or too large.
        UsageError: its format needs a package that is not installed; the line says which.
    """
    name = "image bytes" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else read_bytes(source, 4 * max_pixels + _HEADROOM, "an image")
    try:
        return replace(_decode(name, data, max_pixels, convert_colours), is_file=not isinstance(source, bytes))
    except ImageError as error:
        raise FiduciaError(f"{name}: {error}") from None
    except FiduciaError as error:
        raise type(error)(f"{name}: {error}") from None
    except MemoryError:
        raise FiduciaError(f"{name}: not enough memory to decode it; shrink it") from None


def _decode(name: str, data: bytes, max_pixels: int, convert_colours: bool) -> Photo:
    functions = find_format(data)
    header = parse_with(functions, data)
    _check_size(header, max_pixels)
    try:
        pixels = functions.decode(data, header)
    except cv2.error as error:
        raise DecodeError(DAMAGED.format(f"{header.format}: {error.err}")) from None
    if pixels.shape[:2] != (header.height, header.width) and header.format not in ("HEIC", "AVIF"):
        raise DecodeError(DAMAGED.format(f"{header.format}: {pixels.shape[1]} x {pixels.shape[0]} pixels decoded"))
    pixels = to_8_bits(pixels)
    remarks = [LAID_OVER_WHITE] if see_through(pixels) else []
    image = to_rgb(pixels, header.premultiplied)
    profile = profile_name(header.icc)
    if profile and convert_colours and header.icc[16:20] == b"RGB ":
        image = convert_profile(image, header.icc)
        remarks.append(f"its colours were converted from the profile {profile!r} to sRGB")
    elif profile:
        remarks.append(f"its colour profile {profile!r} is not applied: colours are read as if they were sRGB")
    if header.frames > 1:
        pictures = "more than one picture" if header.format == "TIFF" else f"{header.frames} frames"
        remarks.append(f"holds {pictures}; the first is read")
    return Photo(name, upright(image, header.orientation), tuple(remarks))


def _check_size(header: Header, max_pixels: int) -> None:
    """Refuse a picture of no pixels, or of more than ``max_pixels``; deeper ones count more."""
    weight = max(1, header.bits // 8)
    if not 0 < header.width * header.height * weight <= max_pixels:
        size = f"{header.width} x {header.height} pixels" + (f" of {header.bits} bits" if weight > 1 else "")
        most = f"{max_pixels / weight / 1e6:g} million"
        raise ImageError(f"{size}; expected at least one and at most {most}; shrink it, or raise max_pixels")
