"""The pixels of a TIFF: strips and tiles unpacked, predictors undone, and put in their place."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..colour import cmyk_to_rgb, to_8_bits
from ..inflate import InflateError, inflate
from ..lzw import LzwError, decode_lzw
from . import jpeg
from .base import CUT, DAMAGED, DecodeError, Header, HeaderError, Pixels, unsupported

__all__ = ["MOST_PIECES", "Layout", "decode"]

MOST_PIECES = 200_000
_SPARE_AREA = 1 << 26
# What numpy and Python unpack within seconds.
_MOST_LZW = 100_000_000
_MOST_LZW_PIECES = 20_000
_MOST_RUNS = 10_000_000
_REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
# An Adobe segment that says: RGB as it stands, no YCbCr.
_AS_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


@dataclass(frozen=True)
class Layout:
    """How the pixels of a TIFF lie in the file; the names are those of the tags.

    Attributes:
        order: ``"<"`` or ``">"``.
        box: width and height of a strip or tile.
        colours: channels that are colour; ``samples`` counts the extra ones too.
        extra: what the first extra channel is: 0 unknown, 1 premultiplied alpha, 2 alpha.
        separate: each channel lies in strips of its own.
    """

    order: str
    compression: int
    photometric: int
    bits: int
    floats: bool
    samples: int
    colours: int
    separate: bool
    predictor: int
    reversed_bits: bool
    box: tuple[int, int]
    tiled: bool
    offsets: list[int]
    sizes: list[int]
    extra: int
    palette: list[int]
    tables: bytes


def decode(data: bytes, header: Header) -> Pixels:
    """Decode to grey (and alpha), RGB or RGBA; uint8, uint16 or floats.

    Raises:
        DecodeError: a strip or tile is missing, cut short or damaged.
        HeaderError: strips or tiles that cannot fit the picture.
    """
    layout: Layout = header.detail
    return _colours(_assemble(data, header.width, header.height, layout), layout)


def _assemble(data: bytes, width: int, height: int, layout: Layout) -> Pixels:
    """Return ``(H, W, samples)`` as stored, in the machine's byte order."""
    wide, high = layout.box
    if not (wide and high):
        raise HeaderError(DAMAGED.format("TIFF tiles of no size"))
    across, down = -(-width // wide), -(-height // high)
    planes = layout.samples if layout.separate else 1
    depth = 1 if layout.separate else layout.samples
    pieces = across * down * planes
    if pieces > MOST_PIECES or across * down * wide * high > 4 * width * height + _SPARE_AREA:
        raise HeaderError(DAMAGED.format("TIFF strips or tiles that do not fit its size"))
    sizes = layout.sizes
    row = (wide * depth * layout.bits + 7) // 8
    if not sizes and layout.compression == 1:
        sizes = [row * min(high, height - top * high) for _ in range(planes) for top in range(down)]
    if (len(layout.offsets), len(sizes)) != (pieces, pieces):
        found = f"{len(layout.offsets)} places and {len(sizes)} sizes of {pieces} TIFF strips or tiles"
        raise HeaderError(DAMAGED.format(found))
    if layout.compression == 5 and (row * high * pieces > _MOST_LZW or pieces > _MOST_LZW_PIECES):
        raise unsupported("a TIFF of more than 100 MB of LZW pixels")
    out: Pixels = np.empty((height, width, layout.samples), _stored_type(layout).newbyteorder("="))
    runs = [_MOST_RUNS]
    for number in range(pieces):
        plane, place = divmod(number, across * down)
        top, left = place // across * high, place % across * wide
        rows = high if layout.tiled else min(high, height - top)
        start, size = layout.offsets[number], sizes[number]
        if start + size > len(data):
            raise DecodeError(CUT.format(f"TIFF strip or tile {number + 1} of {pieces} lies beyond the end"))
        piece = data[start : start + size]
        if layout.compression == 7:
            block = _jpeg(piece, rows, wide, depth, layout)
        else:
            raw = _unpack(piece, row * rows, row * high, layout, runs)
            block = _rows(raw, rows, wide, depth, layout)
        target = out[top : top + rows, left : left + wide]
        last = plane + depth
        target[..., plane:last] = block[: target.shape[0], : target.shape[1]]
    return out


def _stored_type(layout: Layout) -> np.dtype:
    return np.dtype(layout.order + ("f" if layout.floats else "u") + str(max(layout.bits, 8) // 8))


def _unpack(piece: bytes, expected: int, whole: int, layout: Layout, runs: list[int]) -> bytes | bytearray:
    """Return the expected bytes of one strip or tile.

    The data must end there: damage makes them longer as often as shorter. But writers may fill up the last strip, so that it
    gives the ``whole`` bytes of any other.
    """
    if layout.reversed_bits:
        piece = piece.translate(_REVERSED)
    if layout.compression == 1:
        rows: bytes | bytearray = piece[:expected]
    elif layout.compression == 5:
        if piece[:1] == b"\0" and piece[1:2] in (b"\1", b"\3"):
            raise unsupported("a TIFF of old-style LZW")
        try:
            rows = decode_lzw(piece, expected, whole)
        except LzwError as error:
            raise DecodeError(DAMAGED.format(f"TIFF LZW: {error}")) from None
    elif layout.compression == 32773:
        rows = _packbits(piece, expected, whole, runs)
    else:
        try:
            rows, ended, _ = inflate(piece, whole)
        except InflateError as error:
            raise DecodeError(DAMAGED.format(f"TIFF: {error}")) from None
        if not ended or len(rows) not in (expected, whole):
            raise DecodeError(DAMAGED.format("a TIFF strip or tile of another length than its size needs"))
    if len(rows) < expected:
        raise DecodeError(CUT.format(f"{len(rows)} of {expected} bytes of a TIFF strip or tile"))
    return rows[:expected]


def _packbits(piece: bytes, expected: int, whole: int, runs: list[int]) -> bytearray:
    """Unpack runs of bytes (TIFF 6.0, section 9)."""
    out, at = bytearray(), 0
    while at < len(piece) and len(out) <= whole:
        count = piece[at]
        runs[0] -= 1
        if runs[0] < 0:
            raise unsupported("a TIFF of more than 10 million PackBits runs")
        if count < 128:
            out += piece[at + 1 : at + 2 + count]
            at += 2 + count
        elif count > 128:
            out += piece[at + 1 : at + 2] * (257 - count)
            at += 2
        else:
            at += 1
        if len(out) == expected and len(piece) - at <= 1:
            # A byte may follow that makes the length even.
            break
    if len(out) > expected and len(out) != whole:
        raise DecodeError(DAMAGED.format("a TIFF strip or tile of more bytes than its size needs"))
    return out


def _rows(raw: bytes | bytearray, rows: int, wide: int, depth: int, layout: Layout) -> Pixels:
    """Return ``(rows, wide, depth)`` of unpacked bytes; few bits are kept as small numbers."""
    if layout.bits < 8:
        packed = np.frombuffer(raw, np.uint8).reshape(rows, -1)
        count = 8 // layout.bits
        shifts = np.arange(count - 1, -1, -1, dtype=np.uint8) * np.uint8(layout.bits)
        values = (packed[..., None] >> shifts) & np.uint8((1 << layout.bits) - 1)
        return values.reshape(rows, -1)[:, :wide, None]
    stored = _stored_type(layout)
    if layout.predictor == 3:
        # Adobe's floating-point predictor: byte planes of a row, most significant first, as differences.
        size = stored.itemsize
        deltas = np.frombuffer(raw, np.uint8).reshape(rows, wide * size, depth)
        planes = np.cumsum(deltas, axis=1, dtype=np.uint8).reshape(rows, size, wide * depth)
        return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{size}").reshape(rows, wide, depth)
    block = np.frombuffer(raw, stored).reshape(rows, wide, depth)
    if layout.predictor == 2:
        bits = np.dtype(f"{layout.order}u{stored.itemsize}")
        same = bits.newbyteorder("=")
        # The differences of floats are taken of their bits.
        block = np.cumsum(block.view(bits).astype(same), axis=1, dtype=same).view(stored.newbyteorder("="))
    return block


def _jpeg(piece: bytes, rows: int, wide: int, depth: int, layout: Layout) -> Pixels:
    """Decode one strip or tile of JPEG, whose tables may stand apart (TIFF technical note 2)."""
    if not piece.startswith(b"\xff\xd8"):
        raise DecodeError(DAMAGED.format("a TIFF strip or tile that is no JPEG"))
    tables = layout.tables[2:-2] if layout.tables.startswith(b"\xff\xd8") else b""
    as_rgb = _AS_RGB if layout.photometric == 2 else b""
    stream = b"".join([b"\xff\xd8", as_rgb, tables, piece[2:]])
    try:
        header = jpeg.parse(stream)
    except (struct.error, IndexError):
        raise DecodeError(CUT.format("a TIFF strip or tile of JPEG")) from None
    if (header.width, header.height) != (wide, rows) or header.detail[0] != depth:
        raise DecodeError(DAMAGED.format("a TIFF strip or tile of JPEG of another size"))
    return jpeg.decode_stream(stream, "GRAY" if depth == 1 else "RGB").reshape(rows, wide, depth)


def _colours(pixels: Pixels, layout: Layout) -> Pixels:
    """Return grey (and alpha), RGB or RGBA of samples as stored."""
    largest = (1 << min(layout.bits, 8)) - 1
    if layout.photometric == 3:
        colours = _look_up(pixels[..., 0], layout)
        return np.dstack([colours, pixels[..., 1]]) if layout.extra in (1, 2) else colours
    if layout.bits < 8:
        pixels = pixels * np.uint8(255 // largest)
    if layout.photometric == 0:
        pixels = _inverted(pixels, layout)
    if layout.photometric == 5:
        inks = cmyk_to_rgb(~to_8_bits(pixels[..., :4]))
        return np.dstack([inks, to_8_bits(pixels[..., 4])]) if layout.extra == 2 else inks
    count = layout.colours
    if layout.extra not in (1, 2):
        pixels = pixels[..., :count]
        return pixels[..., 0] if count == 1 else pixels
    return pixels[..., : count + 1]


def _inverted(pixels: Pixels, layout: Layout) -> Pixels:
    """Return samples of which 0 is white, turned; alpha stays."""
    invert: Callable[[Pixels], Pixels] = (lambda v: 1 - v) if layout.floats else (lambda v: ~v)
    pixels[..., : layout.colours] = invert(pixels[..., : layout.colours])
    return pixels


def _look_up(numbers: Pixels, layout: Layout) -> Pixels:
    """Return RGB of palette numbers; the table holds all reds, then greens, then blues, of 16 bits."""
    count = 1 << layout.bits
    if len(layout.palette) < 3 * count:
        raise HeaderError(DAMAGED.format("a TIFF without its palette"))
    table = np.array(layout.palette[: 3 * count], np.uint16).reshape(3, count).T
    # Of 16 bits the upper 8 count, however a writer filled the lower ones. Some old writers store 8 bits.
    colours = (table if table.max() < 256 else table >> 8).astype(np.uint8)
    return np.take(colours, numbers, axis=0)
