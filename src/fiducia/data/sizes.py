"""The size of a photograph from the first bytes of its file, and labels that were made at another size.

Labels are often made on a resized copy, or by a tool that ignores the EXIF orientation. A file that states the size of
its pictures (COCO, CVAT, CSV with ``width`` and ``height``) is compared with the photographs that lie there.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..files import read_bytes
from ..images.exif import exif_orientation
from ..images.formats import heif
from ..images.formats.base import ImageError
from ..images.headers import read_header
from ..tars import member_of

__all__ = ["PhotoSize", "Size", "orient", "photo_size", "proportional", "rescale"]

Array = npt.NDArray[np.float64]
Size = tuple[int, int]
"""Width and height in pixels."""
_SEGMENTS = 4096
_CHUNKS = 200_000
_MOST_EXIF = 1 << 16
_LARGEST = 1 << 30
"""Bytes of a photograph in a shard."""
_SWAPPED = (5, 6, 7, 8)
_LEAST = 5
"""Pixels a side of a picture that anybody labels."""


@dataclass(frozen=True)
class PhotoSize:
    """A photograph's size.

    Attributes:
        stored: width and height of the pixels in the file.
        orientation: the EXIF code 1 to 8; 1 = as stored.
    """

    stored: Size
    orientation: int = 1

    @property
    def shown(self) -> Size:
        """Width and height once the EXIF orientation is applied, as :func:`fiducia.images.read_image` does."""
        return self.stored[::-1] if self.orientation in _SWAPPED else self.stored


def photo_size(path: Path) -> PhotoSize | None:
    """Return a photograph's size from its header; no pixel is decoded, and of most files a few kilobytes are read.

    Returns:
        None where the file is missing or no image: whoever reads its pixels will say why.
    """
    try:
        inside = member_of(path)
        facts = (inside[0] if inside is not None else path).stat()
        return _cached(path, facts.st_mtime_ns, facts.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=4096)
def _cached(path: Path, changed: int, size: int) -> PhotoSize | None:
    inside = member_of(path)
    if inside is None and not path.is_file():
        return None
    try:
        opened = path.open("rb") if inside is None else io.BytesIO(read_bytes(path, _LARGEST))
    except FiduciaError:
        return None
    with opened as file:
        start = file.read(32)
        try:
            if start.startswith(b"\xff\xd8"):
                return _jpeg(file)
            if start.startswith(b"\x89PNG\r\n\x1a\n"):
                return _png(file)
            if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
                return _webp(file, start)
            file.seek(0)
            data = file.read()
            header = read_header(data)
            if header.format in ("HEIC", "AVIF"):
                return PhotoSize(*heif.placed(data, header))
            return PhotoSize((header.width, header.height), header.orientation)
        except (ImageError, FiduciaError, struct.error, IndexError):
            return None


def _jpeg(file: BinaryIO) -> PhotoSize | None:
    """Walk the segments to the pixels, and note the frame header and the orientation in an Exif segment on the way."""
    file.seek(2)
    size: Size | None = None
    orientation = 1
    for _ in range(_SEGMENTS):
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte or byte[0] in (0xD9, 0xDA):
            break
        code = byte[0]
        if code in (0x00, 0x01) or 0xD0 <= code <= 0xD8:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        end = file.tell() + length - 2
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">xHH", file.read(5))
            size = (width, height)
        elif code == 0xE1:
            data = file.read(length - 2)
            if data.startswith(b"Exif\0"):
                orientation = exif_orientation(data)
        file.seek(end)
    return None if size is None else PhotoSize(size, orientation)


def _png(file: BinaryIO) -> PhotoSize:
    """Read IHDR, and the chunk eXIf where there is one, before the pixels or behind them."""
    file.seek(16)
    width, height = struct.unpack(">II", file.read(8))
    orientation = 1
    file.seek(8)
    for _ in range(_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            break
        (length,) = struct.unpack(">I", head[:4])
        end = file.tell() + length + 4
        if head[4:] == b"eXIf":
            orientation = exif_orientation(file.read(min(length, _MOST_EXIF)))
        file.seek(end)
    return PhotoSize((width, height), orientation)


def _webp(file: BinaryIO, start: bytes) -> PhotoSize | None:
    """Read the first chunk, and the chunk EXIF where there is one, behind the pixels."""
    file.seek(0)
    head = file.read(30)
    if len(head) < 30:
        return None
    size = _webp_size(head)
    orientation = 1
    end = 8 + int.from_bytes(start[4:8], "little")
    file.seek(12)
    for _ in range(_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or file.tell() > end:
            break
        (length,) = struct.unpack("<I", head[4:])
        following = file.tell() + length + length % 2
        if head[:4] == b"EXIF":
            orientation = exif_orientation(file.read(min(length, _MOST_EXIF)))
        file.seek(following)
    return PhotoSize(size, orientation)


def _webp_size(head: bytes) -> Size:
    """Return the size that the first chunk of a WebP file states (RFC 9649)."""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def proportional(stated: Size, real: Size) -> bool:
    """Tell whether one size is the other one resized: each stated side may be off by one pixel, for rounding.

    A size of a few pixels, such as 1 x 1, is no picture's, and anything would be proportional to it.
    """
    (w, h), (width, height) = stated, real
    return min(stated) >= _LEAST and abs(w * height - h * width) <= width + height


def rescale(xy: Array, stated: Size, real: Size) -> Array:
    """Move points ``(..., 2)`` from a picture of one size to the same picture at another; borders stay borders.

    ``x' = (x + 0.5) * W / w - 0.5``, as everywhere in the package (:mod:`fiducia.geometry`).
    """
    scale = np.array([real[0] / stated[0], real[1] / stated[1]])
    return (np.asarray(xy, dtype=np.float64) + 0.5) * scale - 0.5


def orient(xy: Array, stored: Size, orientation: int) -> Array:
    """Move points ``(..., 2)`` from the stored pixels to the picture as it is shown (EXIF 2.32, tag 0x0112).

    Args:
        xy: points in stored pixels.
        stored: width and height of the stored pixels.
        orientation: the EXIF code 1 to 8.
    """
    x, y = xy[..., 0], xy[..., 1]
    right, below = stored[0] - 1 - x, stored[1] - 1 - y
    ways = {
        1: (x, y),
        2: (right, y),
        3: (right, below),
        4: (x, below),
        5: (y, x),
        6: (below, x),
        7: (below, right),
        8: (y, right),
    }
    return np.stack(ways[orientation], axis=-1)
