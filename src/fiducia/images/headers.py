"""What an image file says about itself before anything is decoded: its format, its size, and whether it is all there.

A decoder allocates what the header asks for, and of a file cut short may quietly return a face that is grey from the
middle down. So the size is read here first, and the end of the file is looked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from .formats import bmp, gif, heif, jpeg, png, pnm, tiff, webp
from .formats.base import CUT, Header, HeaderError, Pixels
from .sniff import kind_of_file

__all__ = ["Format", "Header", "HeaderError", "find_format", "is_image", "read_header"]


class Format(NamedTuple):
    """A format's two functions."""

    parse: Callable[[bytes], Header]
    decode: Callable[[bytes, Header], Pixels]


_PNM = Format(pnm.parse, pnm.decode)
_TIFF = Format(tiff.parse, tiff.decode)
_FORMATS: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", Format(jpeg.parse, jpeg.decode)),
    (png.SIGNATURE, Format(png.parse, png.decode)),
    (b"BM", Format(bmp.parse, bmp.decode)),
    (b"II*\x00", _TIFF),
    (b"MM\x00*", _TIFF),
    (b"II+\x00", _TIFF),
    (b"MM\x00+", _TIFF),
    (b"GIF87a", Format(gif.parse, gif.decode)),
    (b"GIF89a", Format(gif.parse, gif.decode)),
    *((b"P%d" % digit, _PNM) for digit in range(1, 7)),
)
_WEBP = Format(webp.parse, webp.decode)
_HEIF = Format(heif.parse, heif.decode)


def find_format(data: bytes) -> Format:
    """Return the functions for the format of these bytes.

    Raises:
        HeaderError: empty, or no photograph.
    """
    if not data:
        raise HeaderError("is empty (0 bytes); download or export it again")
    for start, functions in _FORMATS:
        if data.startswith(start):
            return functions
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _WEBP
    if data[4:8] == b"ftyp" and data[8:12] in heif.HEIC_BRANDS | heif.AVIF_BRANDS:
        return _HEIF
    raise HeaderError(
        f"is no image that can be read ({kind_of_file(data)}; expected a photograph such as JPEG, PNG, TIFF or WebP); convert it"
    )


def is_image(head: bytes) -> bool:
    """Whether a file that starts so is of a format that is read; damaged or not."""
    try:
        find_format(head)
    except HeaderError:
        return False
    return True


def read_header(data: bytes) -> Header:
    """Return format and size of an image file, checked to be complete where that is cheap.

    Raises:
        HeaderError: empty, of another format, damaged, or cut short.
    """
    return parse_with(find_format(data), data)


def parse_with(functions: Format, data: bytes) -> Header:
    """Read the header with a format's own function; a header that ends too early is an error like any other."""
    try:
        return functions.parse(data)
    except (struct.error, IndexError):
        raise HeaderError(CUT.format(f"{len(data)} bytes, inside the header")) from None
