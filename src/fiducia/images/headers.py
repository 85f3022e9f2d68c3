"""What an image file says about itself before anything is decoded: its format, its size, and whether it is all there.

A decoder allocates what the header asks for and, of a file cut short, may quietly return a face that is grey from the
middle down. So the size is read here first, and the end of the file is looked for.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Header", "HeaderError", "read_header"]


class HeaderError(ValueError):
    """The bytes are no image that can be read: what was found, and what would help."""


class Header(NamedTuple):
    """Format name and stored size in pixels (before any EXIF rotation)."""

    format: str
    width: int
    height: int


_CUT = "is cut short ({}); download or export it again"
# In entropy-coded data 0xff is followed by 0 (a stuffed byte), 0xff (fill) or a restart marker; all else is a marker.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_PNM = re.compile(rb"P([1-6])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)")
# The frame headers SOF0-SOF15; C4, C8 and CC are tables.
_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def read_header(data: bytes) -> Header:
    """Return format and size of JPEG, PNG, WebP, BMP, TIFF, GIF or PNM bytes, checked to be complete where cheap.

    Raises:
        HeaderError: empty, of another format, damaged, or cut short.
    """
    if not data:
        raise HeaderError("is empty (0 bytes); download or export it again")
    for start, parse in _PARSERS:
        if data.startswith(start):
            try:
                return parse(data)
            except (struct.error, IndexError):
                raise HeaderError(_CUT.format(f"{len(data)} bytes, inside the header")) from None
    kind = "HEIC or AVIF" if data[4:8] == b"ftyp" else f"unknown, starting {data[:8]!r}"
    raise HeaderError(f"is no image that can be read (format {kind}; expected JPEG, PNG, WebP, BMP, TIFF); convert it")


def _jpeg(data: bytes) -> Header:
    """Walk the segments (so that a thumbnail's own end marker inside EXIF does not count) and the scans to EOI."""
    size: tuple[int, int] | None = None
    depths: dict[int, list[int]] | None = (
        None  # of a progressive file: component → bits that each coefficient still lacks
    )
    at = 2
    while True:
        # Between segments a marker must follow at once; garbage there is skipped as libjpeg does.
        found = _MARKER.search(data, at)
        if found is None:
            raise HeaderError(_CUT.format("a JPEG without its end marker"))
        code, at = found.group(1)[0], found.end()
        if code == 0xD9:
            break
        if code in (0x01, 0xD8):
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if code in _SOF and size is None:
            height, width = struct.unpack_from(">HH", data, at + 3)
            size = (width, height)
            depths = {data[at + 8 + 3 * i]: [16] * 64 for i in range(data[at + 7])} if code == 0xC2 else None
        if code == 0xDA and depths is not None:
            count = data[at + 2]
            first, last, low = data[at + 3 + 2 * count], data[at + 4 + 2 * count], data[at + 5 + 2 * count] & 15
            for i in range(count):
                for k in range(first, min(last, 63) + 1):
                    depths.setdefault(data[at + 3 + 2 * i], [16] * 64)[k] = low
        at += length
        if code == 0xDA and depths is None and data.endswith(b"\xff\xd9"):
            # The scan of a whole file need not be searched: a cut never falls just behind an end marker.
            break
    if size is None:
        raise HeaderError("is a JPEG without a picture in it; export it again")
    if depths is not None and any(map(any, depths.values())):
        raise HeaderError(_CUT.format("a progressive JPEG that lacks its last scans"))
    return Header("JPEG", *size)


def _png(data: bytes) -> Header:
    """Walk the chunks, checksums included, to IEND."""
    width, height = struct.unpack_from(">II", data, 16)
    at, view = 8, memoryview(data)
    while True:
        if at + 12 > len(data):
            raise HeaderError(_CUT.format("a PNG without its end chunk"))
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 8 + length
        if end + 4 > len(data):
            raise HeaderError(_CUT.format(f"a PNG that ends inside {kind!r}"))
        if zlib.crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise HeaderError(f"is damaged (PNG chunk {kind!r} fails its checksum); download or export it again")
        if kind == b"IEND":
            return Header("PNG", width, height)
        at = end + 4


def _webp(data: bytes) -> Header:
    """VP8X, VP8L or VP8, and the length that RIFF promises."""
    (length,) = struct.unpack_from("<I", data, 4)
    kind = data[12:16]
    if data[8:12] != b"WEBP" or len(data) < 30:
        raise HeaderError("is no image that can be read (a RIFF file, not WebP); convert it to PNG or JPEG")
    if len(data) < length + 8:
        raise HeaderError(_CUT.format(f"{len(data)} of {length + 8} bytes of WebP"))
    if kind == b"VP8X":
        width, height = 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (v & 0x3FFF for v in struct.unpack_from("<HH", data, 26))
    return Header("WebP", width, height)


def _bmp(data: bytes) -> Header:
    """Windows and OS/2 headers; uncompressed pixels must all be there."""
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
        width, height = abs(width), abs(height)
    needed = offset + (width * depth + 31) // 32 * 4 * height
    if compression == 0 and len(data) < needed:
        raise HeaderError(_CUT.format(f"{len(data)} of {needed} bytes of BMP"))
    return Header("BMP", width, height)


def _tiff(data: bytes) -> Header:
    """Tags 256 and 257 of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    found: dict[int, int] = {}
    for i in range(count):
        tag, kind = struct.unpack_from(order + "HH", data, at + 2 + 12 * i)
        if tag in (256, 257):
            (found[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 10 + 12 * i)
    if len(found) != 2:
        raise HeaderError("is a TIFF without a picture in it; export it again")
    return Header("TIFF", found[256], found[257])


def _gif(data: bytes) -> Header:
    return Header("GIF", *struct.unpack_from("<HH", data, 6))


def _pnm(data: bytes) -> Header:
    """Portable any-map, text or binary."""
    found = _PNM.match(data)
    if found is None:
        raise HeaderError("is no image that can be read (a damaged PNM header); convert it to PNG or JPEG")
    return Header("PNM", int(found.group(2)), int(found.group(3)))


_PARSERS: tuple[tuple[bytes, Callable[[bytes], Header]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"II*\x00", _tiff),
    (b"MM\x00*", _tiff),
    (b"GIF8", _gif),
    *((b"P%d" % digit, _pnm) for digit in range(1, 7)),
)
