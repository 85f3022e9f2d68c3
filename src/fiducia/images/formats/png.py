"""PNG (W3C PNG, third edition): chunks and compressed data checked here, rows unfiltered by libpng through OpenCV.

libpng inside OpenCV prints its warnings on the process's standard error, and leaves rows that never came as memory was.
So the data are inflated here, with the exact length known and the checksum tested, and what OpenCV gets is a plain PNG
of the verified rows, stored without compression: header, rows, end. No other chunk reaches it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..exif import exif_orientation
from ..inflate import InflateError, crc32, inflate
from .base import CUT, DAMAGED, DecodeError, Header, HeaderError, Pixels

__all__ = ["decode", "parse"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 200_000
_MOST_PROFILE = 4 << 20
# OpenCV decodes no side longer than this.
_LONGEST = 1 << 20
# Saves a copy in OpenCV; older versions lack it.
_AS_RGB: int = getattr(cv2, "IMREAD_COLOR_RGB", cv2.IMREAD_UNCHANGED)
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Adam7: first column and row of each pass, and its steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass
class _Chunks:
    """What the chunks hold, as far as it is used."""

    depth: int
    colour: int
    interlaced: bool
    data: list[memoryview] = field(default_factory=list)
    palette: bytes = b""
    transparent: bytes = b""
    icc: bytes = b""
    orientation: int = 1
    frames: int = 1
    size: tuple[int, int] = (0, 0)
    closed: bool = False


def parse(data: bytes) -> Header:
    """Walk the chunks, checksums included, to IEND.

    Raises:
        HeaderError: cut short, damaged, or a header outside the specification.
    """
    if len(data) < 33:
        raise HeaderError(CUT.format("a PNG that ends inside its header"))
    if data[12:16] != b"IHDR":
        raise HeaderError(DAMAGED.format("a PNG that does not start with its header"))
    width, height, depth, colour, compression, filters, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if depth not in _DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
        raise HeaderError(DAMAGED.format(f"a PNG header of type {colour}, {depth} bits"))
    if max(width, height) > _LONGEST:
        raise HeaderError(f"is {width} x {height} pixels; expected sides of at most {_LONGEST}; shrink it")
    chunks = _Chunks(depth, colour, bool(interlace))
    at, view = 8, memoryview(data)
    for _ in range(_MOST_CHUNKS):
        if at + 12 > len(data):
            raise HeaderError(CUT.format("a PNG without its end chunk"))
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 8 + length
        if end + 4 > len(data):
            raise HeaderError(CUT.format(f"a PNG that ends inside {kind!r}"))
        if crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise HeaderError(DAMAGED.format(f"PNG chunk {kind!r} fails its checksum"))
        if kind == b"IEND":
            break
        _chunk(chunks, kind, view[at + 8 : end])
        at = end + 4
    else:
        raise HeaderError(DAMAGED.format(f"a PNG of more than {_MOST_CHUNKS} chunks"))
    if not chunks.data:
        raise HeaderError(CUT.format("a PNG without pixel data"))
    if colour == 3 and not 3 <= len(chunks.palette) <= 768:
        raise HeaderError(DAMAGED.format("a PNG without its palette"))
    return Header(
        "PNG", width, height, 16 if depth == 16 else 8, chunks.orientation, chunks.icc, chunks.frames, detail=chunks
    )


def _chunk(chunks: _Chunks, kind: bytes, body: memoryview) -> None:
    if kind != b"IDAT" and chunks.data:
        chunks.closed = True
    # A capital says: critical, or, in the third place, of this version.
    if not kind.isalpha() or kind[2] > 90 or (kind[0] < 97 and kind not in (b"IHDR", b"IDAT", b"PLTE")):
        raise HeaderError(DAMAGED.format(f"an unknown PNG chunk {kind!r}"))
    if kind == b"IDAT":
        if chunks.closed:
            raise HeaderError(DAMAGED.format("PNG pixel data with other chunks between them"))
        chunks.data.append(body)
    elif kind == b"PLTE":
        if chunks.data or chunks.palette or len(body) % 3:
            raise HeaderError(DAMAGED.format("a wrong PNG palette"))
        chunks.palette = bytes(body)
    elif kind == b"tRNS" and not chunks.data:
        chunks.transparent = bytes(body)
    elif kind == b"eXIf":
        chunks.orientation = exif_orientation(bytes(body[:65536]))
    elif kind == b"IHDR":
        if chunks.size != (0, 0):
            raise HeaderError(DAMAGED.format("a PNG of two headers"))
        chunks.size = struct.unpack_from(">II", body)
    elif kind == b"acTL" and not chunks.data:
        if len(body) != 8 or not 0 < int.from_bytes(body[:4]) < 1 << 31:
            raise HeaderError(DAMAGED.format("an animated PNG without frames"))
        chunks.frames = int.from_bytes(body[:4])
    elif kind == b"fcTL" and not chunks.data:
        # The picture is the first frame too, so it must be of one size with it.
        if (
            len(body) != 26
            or struct.unpack_from(">IIII", body, 4) != (*chunks.size, 0, 0)
            or body[24] > 2
            or body[25] > 1
        ):
            raise HeaderError(DAMAGED.format("an animated PNG whose first frame is not like its picture"))
    elif kind == b"iCCP":
        packed = bytes(body).partition(b"\0")[2][1:]
        try:
            chunks.icc = inflate(packed, _MOST_PROFILE).data
        except InflateError:
            # The pixels do not depend on it; a damaged profile counts as none.
            chunks.icc = b""


def decode(data: bytes, header: Header) -> Pixels:
    """Decode to grey (and alpha), RGB or RGBA, uint8 or uint16.

    Raises:
        DecodeError: the compressed data are damaged, too short or too long, or a row has an unknown filter.
    """
    chunks: _Chunks = header.detail
    depth, colour = chunks.depth, chunks.colour
    # The rows keep their bytes and get the simplest type of the same size: palette numbers become grey, grey and alpha
    # of 8 bits one grey of 16, of 16 bits RGBA of 8.
    plain_depth, plain_colour = {(3, depth): (depth, 0), (4, 8): (16, 0), (4, 16): (8, 6)}.get(
        (colour, depth), (depth, colour)
    )
    rows, checksum = _inflate(chunks, header.width, header.height)
    plain = _store(rows, checksum, header, plain_depth, plain_colour, chunks.interlaced)
    del rows
    flags = _AS_RGB if (plain_colour, plain_depth) == (2, 8) else cv2.IMREAD_UNCHANGED
    pixels: Any = cv2.imdecode(np.frombuffer(plain, np.uint8), flags)
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise DecodeError(DAMAGED.format("PNG rows that cannot be decoded"))
    if pixels.ndim == 3 and flags == cv2.IMREAD_UNCHANGED:
        order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        pixels = cv2.cvtColor(pixels, order, dst=pixels)
    if colour == 3:
        return _look_up(chunks, pixels)
    if colour == 4:
        return _grey_alpha(pixels, depth)
    return _key(chunks, pixels) if chunks.transparent and colour != 6 else pixels


def _passes(chunks: _Chunks, width: int, height: int) -> list[tuple[int, int]]:
    """Return (bytes a row, rows) of each pass of the picture; a row's first byte is its filter."""
    bits = chunks.depth * _CHANNELS[chunks.colour]
    if not chunks.interlaced:
        return [(1 + (width * bits + 7) // 8, height)]
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _PASSES]
    return [(1 + (w * bits + 7) // 8, h) for w, h in sizes if w > 0 and h > 0]


def _inflate(chunks: _Chunks, width: int, height: int) -> tuple[bytes, bytes]:
    """Return the filtered rows, exactly as many as there must be, and their checksum; it and the filters were tested."""
    passes = _passes(chunks, width, height)
    expected = sum(row * count for row, count in passes)
    packed = b"".join(chunks.data)
    try:
        rows, ended, rest = inflate(packed, expected)
    except InflateError as error:
        raise DecodeError(DAMAGED.format(f"PNG: {error}")) from None
    if len(rows) > expected or rest:
        raise DecodeError(DAMAGED.format("a PNG of more data than its size needs"))
    if len(rows) < expected or not ended:
        raise DecodeError(CUT.format(f"{len(rows)} of {expected} bytes of PNG rows"))
    at = 0
    for row, count in passes:
        if np.frombuffer(rows, np.uint8, row * count, at)[::row].max() > 4:
            raise DecodeError(DAMAGED.format("a PNG row of an unknown filter"))
        at += row * count
    # The data end with the stream, and the stream with its checksum.
    return rows, packed[-4:]


def _store(rows: bytes, checksum: bytes, header: Header, depth: int, colour: int, interlaced: bool) -> bytes:
    """Return a PNG of these rows, with this Adler-32, in stored blocks (RFC 1951, section 3.2.4)."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", header.width, header.height, depth, colour, 0, 0, interlaced)
    out: list[bytes | memoryview] = [SIGNATURE, struct.pack(">I", 13), ihdr, struct.pack(">I", crc32(ihdr))]
    view, size = memoryview(rows), len(rows)
    # Several chunks rather than one: libpng's buffer stays in the cache.
    for start in range(0, size, 4 * 65535):
        stop = min(start + 4 * 65535, size)
        chunk: list[bytes | memoryview] = [b"IDAT" if start else b"IDAT\x78\x01"]
        for at in range(start, stop, 65535):
            part = view[at : min(at + 65535, stop)]
            chunk += [struct.pack("<BHH", at + 65535 >= size, len(part), len(part) ^ 0xFFFF), part]
        if stop == size:
            chunk.append(checksum)
        check = 0
        for piece in chunk:
            check = crc32(piece, check)
        out += [struct.pack(">I", sum(map(len, chunk)) - 4), *chunk, struct.pack(">I", check)]
    return b"".join([*out, struct.pack(">I4sI", 0, b"IEND", crc32(b"IEND"))])


def _look_up(chunks: _Chunks, pixels: Pixels) -> Pixels:
    """Return RGB of palette numbers, or RGBA where colours let through what is behind them."""
    colours = np.frombuffer(chunks.palette, np.uint8).reshape(-1, 3)
    # libpng stretches grey of few bits to 8.
    step = 255 // ((1 << chunks.depth) - 1)
    if int(pixels.max()) // step >= len(colours):
        raise DecodeError(DAMAGED.format("a PNG with colours outside its palette"))
    given = np.frombuffer(chunks.transparent, np.uint8)[: len(colours)]
    if len(given):
        alpha = np.append(given, np.full(len(colours) - len(given), 255, np.uint8))
        colours = np.column_stack([colours, alpha])
    table = np.zeros((256, colours.shape[1]), np.uint8)
    table[: len(colours) * step : step] = colours
    return cv2.merge([cv2.LUT(pixels, np.ascontiguousarray(column)) for column in table.T])


def _grey_alpha(pixels: Pixels, depth: int) -> Pixels:
    """Return ``(H, W, 2)`` of grey and alpha that were read as one channel of 16 bits, or as four of 8."""
    if depth == 8:
        return np.stack([(pixels >> 8).astype(np.uint8), (pixels & 255).astype(np.uint8)], axis=2)
    deep: npt.NDArray[np.uint16] = np.ascontiguousarray(pixels).view(">u2").astype(np.uint16)
    return deep


def _key(chunks: _Chunks, pixels: Pixels) -> Pixels:
    """Return grey and alpha, or RGBA: the one colour that the file names is transparent."""
    count = _CHANNELS[chunks.colour]
    if len(chunks.transparent) < 2 * count:
        return pixels
    key = np.array(struct.unpack_from(f">{count}H", chunks.transparent), np.float64)
    if chunks.depth < 8:
        key *= 255 // ((1 << chunks.depth) - 1)
    named: Any = cv2.inRange(pixels, key, key)
    alpha = (~named).astype(pixels.dtype)
    alpha *= np.iinfo(pixels.dtype).max // 255
    return np.dstack([pixels, alpha])
