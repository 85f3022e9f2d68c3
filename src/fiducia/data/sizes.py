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
from ..images.headers import HeaderError, read_header
from ..tars import member_of

__all__ = ["PhotoSize", "Size", "orient", "photo_size", "proportional", "rescale"]

Array = npt.NDArray[np.float64]
Size = tuple[int, int]
"""Width and height in pixels."""
_SEGMENTS = 4096
_LARGEST = 1 << 30
"""Bytes of a photograph in a shard."""
_SWAPPED = (5, 6, 7, 8)


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
            orientation = _exif(data) if header.format == "TIFF" else 1
            return PhotoSize((header.width, header.height), orientation)
        except (HeaderError, struct.error, IndexError):
            return None


def _jpeg(file: BinaryIO) -> PhotoSize | None:
    """Walk the segments to the frame header, and note the orientation in an Exif segment on the way."""
    file.seek(2)
    orientation = 1
    for _ in range(_SEGMENTS):
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte or byte[0] in (0xD9, 0xDA):
            return None
        code = byte[0]
        if code in (0x00, 0x01) or 0xD0 <= code <= 0xD8:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">xHH", file.read(5))
            return PhotoSize((width, height), orientation)
        if code == 0xE1:
            data = file.read(length - 2)
            if data.startswith(b"Exif\0\0"):
                orientation = _exif(data[6:])
        else:
            file.seek(length - 2, 1)
    return None


def _png(file: BinaryIO) -> PhotoSize:
    """Read IHDR, and the chunk eXIf where there is one before the pixels."""
    file.seek(16)
    width, height = struct.unpack(">II", file.read(8))
    file.seek(8)
    for _ in range(_SEGMENTS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            break
        (length,) = struct.unpack(">I", head[:4])
        if head[4:] == b"eXIf":
            return PhotoSize((width, height), _exif(file.read(min(length, 1 << 20))))
        file.seek(length + 4, 1)
    return PhotoSize((width, height))


def _webp(file: BinaryIO, start: bytes) -> PhotoSize:
    """Read the first chunk, and the chunk EXIF behind the pixels where the header announces one."""
    file.seek(0)
    size = _webp_size(file.read(30))
    if start[12:16] != b"VP8X" or not start[20] & 8:
        return PhotoSize(size)
    file.seek(12)
    for _ in range(_SEGMENTS):
        head = file.read(8)
        if len(head) < 8:
            break
        (length,) = struct.unpack("<I", head[4:])
        if head[:4] == b"EXIF":
            return PhotoSize(size, _exif(file.read(min(length, 1 << 20)).removeprefix(b"Exif\0\0")))
        file.seek(length + length % 2, 1)
    return PhotoSize(size)


def _webp_size(head: bytes) -> Size:
    """Return the size that the first chunk of a WebP file states (RFC 9649)."""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _exif(data: bytes) -> int:
    """Return the orientation in a TIFF structure; 1 where there is none or it makes no sense."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        for i in range(count):
            tag, kind = struct.unpack_from(order + "HH", data, at + 2 + 12 * i)
            if tag == 0x0112 and kind == 3:
                (value,) = struct.unpack_from(order + "H", data, at + 10 + 12 * i)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def proportional(stated: Size, real: Size) -> bool:
    """Tell whether one size is the other one resized: each stated side may be off by one pixel, for rounding."""
    (w, h), (width, height) = stated, real
    return abs(w * height - h * width) <= width + height


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
