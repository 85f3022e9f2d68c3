"""GIF89a: the blocks walked here to the trailer, the first frame decoded by Pillow."""

from __future__ import annotations

import io
import struct

from PIL import GifImagePlugin

from .base import CUT, DAMAGED, DecodeError, Header, HeaderError, Pixels, as_array

__all__ = ["decode", "parse"]


def parse(data: bytes) -> Header:
    """Walk all blocks.

    Raises:
        HeaderError: cut short, damaged, or without a picture.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    frames = 0
    while True:
        if at >= len(data):
            raise HeaderError(CUT.format("a GIF without its end"))
        mark = data[at]
        if mark == 0x3B:
            break
        if mark == 0x2C:
            left, top, w, h, local = struct.unpack_from("<HHHHB", data, at + 1)
            if frames == 0:
                # A first frame larger than the screen enlarges it, in Pillow as in browsers.
                width, height = max(width, left + w), max(height, top + h)
            frames += 1
            at += 10 + (3 << (local & 7) + 1 if local & 0x80 else 0) + 1
        elif mark == 0x21:
            at += 2
        else:
            raise HeaderError(DAMAGED.format(f"a GIF with an unknown block {mark:#04x}"))
        while (size := data[at]) != 0:
            at += size + 1
        at += 1
    if frames == 0:
        raise HeaderError("is a GIF without a picture in it; export it again")
    return Header("GIF", width, height, frames=frames)


def decode(data: bytes, header: Header) -> Pixels:
    """Decode the first frame to grey, RGB or RGBA uint8.

    Raises:
        DecodeError: the decoder complained.
    """
    try:
        with GifImagePlugin.GifImageFile(io.BytesIO(data)) as picture:
            picture.load()
            return as_array(picture)
    except (OSError, SyntaxError, EOFError, ValueError, IndexError, struct.error) as error:
        raise DecodeError(DAMAGED.format(f"GIF: {error}")) from None
