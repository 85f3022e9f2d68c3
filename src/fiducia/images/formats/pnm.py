"""Portable any-map (Netpbm): PBM, PGM and PPM, as text or binary, of 8 or 16 bits."""

from __future__ import annotations

import re

import numpy as np

from .base import CUT, DAMAGED, DecodeError, Header, HeaderError, Pixels, unsupported

__all__ = ["decode", "parse"]

# White space and comments, then a number that fits; a longer one is no number of pixels.
_NUMBER = rb"(?:\s|#[^\n]{0,1000}\n){1,1000}?(\d{1,10})(?!\d)"
_BITMAP = re.compile(rb"P[14]" + _NUMBER * 2 + rb"(?=\s)")
_MAP = re.compile(rb"P[2356]" + _NUMBER * 3 + rb"(?=\s)")
_MOST_TEXT = 16_000_000


def parse(data: bytes) -> Header:
    """Read type, size and largest value.

    Raises:
        HeaderError: a damaged header, or fewer bytes than pixels.
    """
    kind = data[1] - 48
    found = (_BITMAP if kind in (1, 4) else _MAP).match(data)
    if found is None:
        raise HeaderError("is no image that can be read (a damaged PNM header); convert it to PNG or JPEG")
    width, height, *rest = (int(group) for group in found.groups())
    largest = rest[0] if rest else 1
    if not 0 < largest < 65536:
        raise HeaderError(DAMAGED.format(f"a PNM whose largest value is {largest}"))
    channels = 3 if kind in (3, 6) else 1
    bits = 16 if largest > 255 else 8
    if kind == 4:
        row = (width + 7) // 8
    elif kind in (5, 6):
        row = width * channels * bits // 8
    else:
        # As text a bit takes at least one byte, and any other value two, but for the last.
        row = width * channels * (1 if kind == 1 else 2)
        if len(data) > _MOST_TEXT:
            raise unsupported("a PNM of more than 16 MB of text")
    start = found.end() + (kind > 3)
    needed = row * height - (kind in (2, 3))
    if len(data) - start < needed:
        raise HeaderError(CUT.format(f"{max(len(data) - start, 0)} of {needed} bytes of PNM"))
    return Header("PNM", width, height, bits, detail=(kind, channels, largest, start, row))


def decode(data: bytes, header: Header) -> Pixels:
    """Decode to grey ``(H, W)`` or RGB, uint8 or uint16; values are stretched to the full range.

    Raises:
        DecodeError: a value above the largest, or text that is no number.
    """
    kind, channels, largest, start, row = header.detail
    width, height = header.width, header.height
    if kind == 4:
        packed = np.frombuffer(data, np.uint8, row * height, start).reshape(height, row)
        # A set bit is black.
        white: Pixels = (np.unpackbits(packed, axis=1, count=width) ^ 1) * np.uint8(255)
        return white
    count = width * height * channels
    if kind in (5, 6):
        values = np.frombuffer(data, ">u2" if largest > 255 else np.uint8, count, start)
    else:
        values = _text(data[start:], count, bits=kind == 1)
    if int(values.max()) > largest:
        raise DecodeError(DAMAGED.format(f"a PNM value of {int(values.max())}, above the largest, {largest}"))
    if kind == 1:
        values = 1 - values
    top = 65535 if largest > 255 else 255
    if largest != top:
        values = (values.astype(np.uint32) * np.uint32(top) + np.uint32(largest // 2)) // np.uint32(largest)
    pixels = values.astype(np.uint16 if top > 255 else np.uint8)
    return pixels.reshape((height, width, 3) if channels == 3 else (height, width))


def _text(text: bytes, count: int, bits: bool) -> Pixels:
    """Return the first ``count`` numbers; a bitmap's bits may stand without space between them."""
    text = re.sub(rb"#[^\n]*", b"", text)
    if bits:
        digits = np.frombuffer(text, np.uint8)
        digits = digits[(digits > 32) & (digits != 127)][:count]
        if len(digits) and (digits.min() < 48 or digits.max() > 49):
            raise DecodeError(DAMAGED.format("a PNM with text that is no bit"))
        values = digits - 48
    else:
        words = text.split(maxsplit=count)
        if len(words) > count and re.search(rb"[^\d\s]", words.pop()):
            raise DecodeError(DAMAGED.format("a PNM with other text behind its numbers"))
        if any(len(word) > 5 or not word.isdigit() for word in words):
            raise DecodeError(DAMAGED.format("a PNM with text that is no number"))
        values = np.array(words, dtype="S5").astype(np.int64) if words else np.zeros(0, np.int64)
    if len(values) < count:
        raise DecodeError(CUT.format(f"{len(values)} of {count} values of PNM"))
    return values
