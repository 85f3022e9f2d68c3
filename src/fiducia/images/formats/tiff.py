"""TIFF (revision 6.0, its technical notes, and BigTIFF): the first directory read here; see :mod:`.tiff_data` for pixels.

libtiff, which both OpenCV and Pillow use, prints its complaints on the process's standard error and goes on after many of
them. So nothing of it is used.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from .base import CUT, DAMAGED, Header, HeaderError, unsupported
from .tiff_data import MOST_PIECES, Layout, decode

__all__ = ["decode", "parse"]

_MOST_TAGS = 1000
_MOST_PROFILE = 4 << 20
# TIFF field type → numpy type of one value: byte, short, long, undefined, long8 (BigTIFF).
_TYPES = {1: "u1", 3: "u2", 4: "u4", 7: "u1", 13: "u4", 16: "u8", 18: "u8"}
_COMPRESSIONS = {
    2: "fax",
    3: "fax",
    4: "fax",
    6: "old JPEG",
    34712: "JPEG 2000",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_READ = {1, 5, 7, 8, 32773, 32946}
_PHOTOMETRIC = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}
_MOST_EXTRA = 2


@dataclass(frozen=True)
class _Directory:
    """The entries of one directory, and where the next one stands (0: nowhere)."""

    data: bytes
    order: str
    big: bool
    entries: dict[int, tuple[int, int, int]]
    following: int

    def values(self, tag: int, most: int = 64) -> list[int]:
        """Return a tag's whole numbers; none where it is absent.

        Raises:
            HeaderError: of another type, far too many, or outside the file.
        """
        if tag not in self.entries:
            return []
        if self.entries[tag][0] == 7 or self.entries[tag][1] == 0:
            raise HeaderError(DAMAGED.format(f"TIFF tag {tag} without numbers"))
        stored = np.frombuffer(self.raw(tag, most), self.order + _TYPES[self.entries[tag][0]])
        return [int(value) for value in stored]

    def raw(self, tag: int, most: int) -> bytes:
        """Return a tag's bytes."""
        kind, count, at = self.entries[tag]
        if kind not in _TYPES:
            raise HeaderError(DAMAGED.format(f"TIFF tag {tag} of type {kind}"))
        size = int(_TYPES[kind][1]) * count
        if size > (8 if self.big else 4):
            (at,) = struct.unpack_from(self.order + ("Q" if self.big else "I"), self.data, at)
        if count > most:
            raise HeaderError(DAMAGED.format(f"TIFF tag {tag} of {count} values"))
        if at + size > len(self.data):
            raise HeaderError(CUT.format(f"TIFF tag {tag} points beyond the end"))
        return self.data[at : at + size]

    def value(self, tag: int, otherwise: int) -> int:
        """Return a tag's first number."""
        if tag not in self.entries:
            return otherwise
        found = self.values(tag)
        if len(found) != 1:
            raise HeaderError(DAMAGED.format(f"TIFF tag {tag} of {len(found)} values"))
        return found[0]


def _directory(data: bytes, order: str, big: bool, at: int) -> _Directory:
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    if count > _MOST_TAGS:
        raise HeaderError(DAMAGED.format(f"a TIFF directory of {count} tags"))
    at += 8 if big else 2
    step = 20 if big else 12
    entries: dict[int, tuple[int, int, int]] = {}
    for i in range(count):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, at + step * i)
        entries.setdefault(tag, (kind, number, at + step * i + (12 if big else 8)))
    end = at + step * count
    following = struct.unpack_from(order + ("Q" if big else "I"), data, end)[0] if end + 8 <= len(data) else 0
    return _Directory(data, order, big, entries, following)


def parse(data: bytes) -> Header:
    """Read the first directory.

    Raises:
        HeaderError: cut short, damaged, a raw photograph, or of a layout that is not read.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    first = _directory(data, order, big, at)
    if data[8:10] == b"CR" or 50706 in first.entries or first.value(254, 0) & 1:
        raise unsupported("a raw photograph, of which only a small preview could be seen")
    width, height = first.value(256, 0), first.value(257, 0)
    if not (width and height):
        raise HeaderError("is a TIFF without a picture in it; export it again")
    layout = _layout(first, width, height)
    icc = first.raw(34675, _MOST_PROFILE) if 34675 in first.entries else b""
    orientation = first.value(274, 1)
    return Header(
        "TIFF",
        width,
        height,
        max(8, layout.bits),
        orientation if 1 <= orientation <= 8 else 1,
        icc,
        1 + _has_more(data, order, big, first.following),
        # Of inks that are multiplied by alpha, what is left is what lies on white paper.
        premultiplied=layout.extra == 1 and layout.photometric not in (3, 5),
        detail=layout,
    )


def _has_more(data: bytes, order: str, big: bool, at: int) -> bool:
    """Say whether a second full picture follows: not a smaller copy, and not a mask."""
    if at == 0:
        return False
    try:
        return not _directory(data, order, big, at).value(254, 0) & 5
    except (HeaderError, struct.error):
        return False


def _layout(tags: _Directory, width: int, height: int) -> Layout:
    """Check that the pixels are of a kind that is read, and where they lie."""
    compression, photometric = tags.value(259, 1), tags.value(262, -1)
    if compression not in _READ:
        name = _COMPRESSIONS.get(compression, f"number {compression}")
        raise unsupported(f"a TIFF of compression {name}")
    samples, planar = tags.value(277, 1), tags.value(284, 1)
    if any(len(tags.values(tag)) not in (0, 1, samples) for tag in (258, 339)):
        raise HeaderError(DAMAGED.format("TIFF tags that contradict each other"))
    bits, kinds = set(tags.values(258)) or {1}, set(tags.values(339)) or {1}
    colours = _PHOTOMETRIC.get(photometric)
    if colours is None or (photometric == 6 and compression != 7) or (photometric == 5 and compression == 7):
        raise unsupported(f"a TIFF of colour space {photometric} with compression {compression}")
    extra = tags.values(338)
    known = set(extra) <= {0, 1, 2} and len(extra) <= _MOST_EXTRA
    if samples != colours + len(extra) or not known or planar not in (1, 2):
        raise unsupported(f"a TIFF of {samples} channels in colour space {photometric}, {len(extra)} of them extra")
    kind, depth = min(kinds), min(bits)
    whole = kind in (1, 4) and depth in ((1, 2, 4, 8) if samples == 1 else (8,)) + ((16,) if photometric != 3 else ())
    floats = kind == 3 and depth in (16, 32, 64) and photometric in (0, 1, 2)
    if len(bits) > 1 or len(kinds) > 1 or not (whole or floats) or (compression == 7 and depth != 8):
        what = {2: "signed", 3: "floating-point"}.get(kind, "unsigned")
        raise unsupported(f"a TIFF of {'/'.join(map(str, sorted(bits)))} bits, {what}")
    predictor = tags.value(317, 1)
    if predictor not in ((1, 2, 3) if floats else (1, 2)) or (predictor > 1 and (depth < 8 or compression == 7)):
        raise unsupported(f"a TIFF of predictor {predictor}")
    tiled = 322 in tags.entries
    if tiled:
        box = (tags.value(322, 0), tags.value(323, 0))
    else:
        box = (width, min(tags.value(278, height), height))
    return Layout(
        order=tags.order,
        compression=compression,
        photometric=photometric,
        bits=depth,
        floats=floats,
        samples=samples,
        colours=colours,
        separate=planar == 2 and samples > 1,
        predictor=predictor,
        reversed_bits=tags.value(266, 1) == 2,
        box=box,
        tiled=tiled,
        offsets=tags.values(324 if tiled else 273, MOST_PIECES),
        sizes=tags.values(325 if tiled else 279, MOST_PIECES),
        extra=extra[0] if extra else 0,
        palette=tags.values(320, 768),
        tables=tags.raw(347, 65536) if 347 in tags.entries else b"",
    )
