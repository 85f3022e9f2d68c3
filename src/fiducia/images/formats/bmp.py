"""BMP: the header read here, the pixels decoded by Pillow."""

from __future__ import annotations

import io
import struct

from PIL import BmpImagePlugin

from .base import CUT, DAMAGED, DecodeError, Header, HeaderError, Pixels, as_array, unsupported

__all__ = ["decode", "parse"]

# Pillow unpacks run lengths in Python.
_MOST_RUNS = 8_000_000


def parse(data: bytes) -> Header:
    """Read Windows and OS/2 headers; uncompressed pixels must all be there.

    Raises:
        HeaderError: cut short, or of a compression that is not read.
    """
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
        if width < 0:
            raise HeaderError(DAMAGED.format(f"a BMP of width {width}"))
        height = abs(height)
    if compression in (4, 5):
        raise unsupported("a BMP that wraps a JPEG or PNG")
    needed = offset + (width * depth + 31) // 32 * 4 * height
    if compression not in (1, 2) and len(data) < needed:
        raise HeaderError(CUT.format(f"{len(data)} of {needed} bytes of BMP"))
    if compression in (1, 2) and len(data) > _MOST_RUNS:
        raise unsupported("a BMP of more than 8 MB of run lengths")
    return Header("BMP", width, height)


def decode(data: bytes, header: Header) -> Pixels:
    """Decode to grey, RGB or RGBA uint8.

    Raises:
        DecodeError: the decoder complained.
    """
    try:
        with BmpImagePlugin.BmpImageFile(io.BytesIO(data)) as picture:
            if picture.size != (header.width, header.height):
                raise DecodeError(DAMAGED.format("a BMP of two sizes"))
            picture.load()
            return as_array(picture)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(DAMAGED.format(f"BMP: {error}")) from None
