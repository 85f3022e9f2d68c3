"""JPEG: its segments walked here, its pixels decoded by libjpeg-turbo through simplejpeg.

The decoder is chosen because it alone tells its warnings to the caller: OpenCV prints them on the process's standard error
and Pillow drops them. Its pixels are those of OpenCV, bit for bit. (ITU-T T.81, Annex B, for the segments.)
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

import numpy as np
import simplejpeg

from ..colour import cmyk_to_rgb
from ..exif import exif_orientation
from .base import CUT, DAMAGED, DecodeError, Header, HeaderError, Pixels, unsupported

__all__ = ["decode", "decode_stream", "parse"]

# The frame headers SOF0-SOF15; C4, C8 and CC are tables.
_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xCA}
# In entropy-coded data 0xff is followed by 0 (a stuffed byte), 0xff (fill) or a restart marker; all else is a marker.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_FILL = re.compile(rb"\xff+")
_MOST_SEGMENTS = 10_000
_MOST_SCANS = 100
# One scan of a progressive file touches every pixel, however short it is.
_MOST_WORK = 3_000_000_000
_USUAL_SCANS = 16


@dataclass
class _Walk:
    """What the segments said so far."""

    size: tuple[int, int] | None = None
    components: int = 0
    progressive: bool = False
    # component → the bits that each of its 64 coefficients still lacks
    missing: dict[int, list[int]] = field(default_factory=dict)
    scans: int = 0
    orientation: int = 1
    profile: dict[int, bytes] = field(default_factory=dict)
    adobe: bool = False


def parse(data: bytes) -> Header:
    """Walk the segments up to the last scan.

    Raises:
        HeaderError: no picture, cut short, bytes between segments, scans that are missing or far too many.
    """
    walk, at, segments = _Walk(), 2, 0
    while True:
        fill = _FILL.match(data, at)
        if fill is None:
            raise HeaderError(CUT.format("a JPEG that ends in its header") if at >= len(data) else _BETWEEN)
        code, at = data[fill.end()], fill.end() + 1
        segments += 1
        if segments > _MOST_SEGMENTS:
            raise HeaderError(DAMAGED.format(f"a JPEG of more than {_MOST_SEGMENTS} segments"))
        if code == 0xD9:
            break
        if code in (0x00, 0xD8) or 0xD0 <= code <= 0xD7:
            raise HeaderError(_BETWEEN)
        if code == 0x01:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        body = data[at + 2 : at + length]
        if length < 2 or len(body) < length - 2:
            raise HeaderError(CUT.format("a JPEG that ends inside a segment"))
        at += length
        if code in _SOF:
            _frame(walk, code, body)
        elif code in (0xE1, 0xE2, 0xEE):
            _application(walk, code, body)
        elif code == 0xDA:
            _scan(walk, body)
            if body[0] == walk.components and not walk.progressive:
                # A single scan holds all. The decoder itself sees whether it is whole.
                if not data.endswith(b"\xff\xd9") and data.rfind(b"\xff\xd9", at) < 0:
                    raise HeaderError(_NO_END)
                break
            found = _MARKER.search(data, at)
            if found is None:
                raise HeaderError(_NO_END)
            at = found.start()
    return _header(walk)


_BETWEEN = DAMAGED.format("JPEG segments with other bytes between them")
_NO_END = CUT.format("a JPEG without its end marker")


def _frame(walk: _Walk, code: int, body: bytes) -> None:
    precision, height, width, count = struct.unpack_from(">BHHB", body)
    if walk.size is not None or len(body) < 6 + 3 * count:
        raise HeaderError(DAMAGED.format("a JPEG with a wrong frame header"))
    if precision != 8:
        raise unsupported(f"a JPEG of {precision} bits a channel")
    if count not in (1, 3, 4):
        raise unsupported(f"a JPEG of {count} channels")
    walk.size, walk.components, walk.progressive = (width, height), count, code in _PROGRESSIVE
    bits = [16] * 64 if walk.progressive else [16]
    walk.missing = {body[6 + 3 * i]: list(bits) for i in range(count)}


def _application(walk: _Walk, code: int, body: bytes) -> None:
    if code == 0xE1 and body.startswith(b"Exif\0"):
        walk.orientation = exif_orientation(body)
    elif code == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
        walk.profile[body[12]] = body[14:]
    elif code == 0xEE and body.startswith(b"Adobe"):
        walk.adobe = True


def _scan(walk: _Walk, body: bytes) -> None:
    """Count a scan and the bits that it brings."""
    if walk.size is None:
        raise HeaderError(DAMAGED.format("a JPEG scan before its frame header"))
    walk.scans += 1
    pixels = walk.size[0] * walk.size[1]
    if walk.scans > _MOST_SCANS or (walk.scans > _USUAL_SCANS and walk.scans * pixels > _MOST_WORK):
        raise HeaderError(f"is a JPEG of {walk.scans} scans or more, which would take too long; export it again")
    count = body[0]
    first, last, low = body[1 + 2 * count], body[2 + 2 * count], body[3 + 2 * count] & 15
    for i in range(count):
        lacks = walk.missing.get(body[1 + 2 * i])
        if lacks is None:
            raise HeaderError(DAMAGED.format("a JPEG scan of a channel that is not there"))
        if not walk.progressive:
            lacks[0] = 0
            continue
        for k in range(first, min(last, 63) + 1):
            lacks[k] = low


def _header(walk: _Walk) -> Header:
    if walk.size is None:
        raise HeaderError("is a JPEG without a picture in it; export it again")
    if any(map(any, walk.missing.values())):
        kind = "progressive JPEG" if walk.progressive else "JPEG"
        raise HeaderError(CUT.format(f"a {kind} that lacks its last scans"))
    icc = b"".join(walk.profile[i] for i in sorted(walk.profile))
    return Header("JPEG", *walk.size, orientation=walk.orientation, icc=icc, detail=(walk.components, walk.adobe))


def decode(data: bytes, header: Header) -> Pixels:
    """Decode to grey or RGB uint8.

    Raises:
        DecodeError: the decoder met an error, or had any warning.
    """
    components, adobe = header.detail
    pixels = decode_stream(data, {1: "GRAY", 3: "RGB", 4: "CMYK"}[components])
    if components == 4:
        # Adobe stores CMYK inverted: 255 is no ink.
        pixels = cmyk_to_rgb(pixels if adobe else ~pixels)
    return pixels


def decode_stream(data: bytes, colours: str) -> Pixels:
    """Decode one JPEG stream to ``"GRAY"``, ``"RGB"`` or ``"CMYK"`` as stored; strict.

    Raises:
        DecodeError: the decoder met an error, or had any warning.
    """
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, colours, strict=True)
    except ValueError as error:
        text = str(error).split(": ", 1)[-1] if str(error).startswith("tj") else str(error)
        if "subsampling" in text:
            raise unsupported("a JPEG of an unusual chroma subsampling") from None
        cut = "remature end" in text or "marker 0xd9 instead" in text
        raise DecodeError((CUT if cut else DAMAGED).format(f"JPEG: {' '.join(text.split())}")) from None
    return np.squeeze(pixels, axis=2) if pixels.shape[2] == 1 else pixels
