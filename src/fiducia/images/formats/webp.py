"""WebP (RFC 9649): the chunks walked here, the pixels decoded by libwebp through Pillow."""

from __future__ import annotations

import io
import struct

from PIL import WebPImagePlugin

from ..exif import exif_orientation
from .base import CUT, DAMAGED, DecodeError, Header, HeaderError, Pixels, as_array, unsupported

__all__ = ["decode", "parse"]

_MOST_CHUNKS = 100_000
_MOST_PROFILE = 4 << 20


def parse(data: bytes) -> Header:
    """Walk the chunks of the length that RIFF promises.

    Raises:
        HeaderError: not WebP, cut short or damaged.
    """
    (length,) = struct.unpack_from("<I", data, 4)
    kind, end = data[12:16], length + 8
    if data[8:12] != b"WEBP" or len(data) < 30:
        raise HeaderError("is no image that can be read (a RIFF file, not WebP); convert it to PNG or JPEG")
    if len(data) < end:
        raise HeaderError(CUT.format(f"{len(data)} of {end} bytes of WebP"))
    if kind == b"VP8X":
        width, height = 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (v & 0x3FFF for v in struct.unpack_from("<HH", data, 26))
    else:
        raise HeaderError(DAMAGED.format(f"a WebP that starts with {kind!r}"))
    icc, orientation, frames, pictures, at = b"", 1, 0, 0, 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > end:
            break
        kind, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        if at + 8 + size > end:
            raise HeaderError(CUT.format(f"a WebP that ends inside {kind!r}"))
        if kind == b"EXIF":
            orientation = exif_orientation(data[at + 8 : at + 8 + min(size, 65536)])
        elif kind == b"ICCP":
            icc = data[at + 8 : at + 8 + min(size, _MOST_PROFILE)]
        frames += kind == b"ANMF"
        pictures += kind in (b"ANMF", b"VP8 ", b"VP8L")
        at += 8 + size + size % 2
    else:
        raise HeaderError(DAMAGED.format(f"a WebP of more than {_MOST_CHUNKS} chunks"))
    if not pictures:
        raise HeaderError(CUT.format("a WebP without pixel data"))
    return Header("WebP", width, height, 8, orientation, icc, max(frames, 1))


def decode(data: bytes, header: Header) -> Pixels:
    """Decode the first frame to RGB or RGBA uint8.

    Raises:
        DecodeError: the decoder complained.
    """
    try:
        with WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as picture:
            if picture.size != (header.width, header.height):
                raise unsupported("a WebP whose frames differ from its stated size")
            return as_array(picture)
    except (OSError, SyntaxError, EOFError, struct.error) as error:
        raise DecodeError(DAMAGED.format(f"WebP: {error}")) from None
