"""HEIC (ISO/IEC 23008-12) through the extra ``heif``, and AVIF through Pillow: phones' photographs.

Both decoders turn the picture upright themselves, or tell Pillow's EXIF block how; see :func:`decode`.
"""

from __future__ import annotations

import io
import struct
from typing import Any

from ...errors import UsageError
from ..exif import exif_orientation
from .base import DAMAGED, DecodeError, Header, HeaderError, Pixels, as_array

__all__ = ["AVIF_BRANDS", "HEIC_BRANDS", "decode", "parse", "placed"]

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
_SEQUENCES = frozenset({b"avis", b"msf1", b"hevc", b"hevx"})
_MOST_SIZES = 10_000


def parse(data: bytes) -> Header:
    """Read the brand, the largest of the sizes that the file states (``ispe`` boxes), its profile and number of frames.

    Raises:
        HeaderError: no size is stated.
    """
    (length,) = struct.unpack_from(">I", data)
    brands = {data[i : i + 4] for i in (8, *range(16, min(length, 256), 4))}
    kind = "AVIF" if brands & AVIF_BRANDS else "HEIC"
    # The boxes that state sizes stand in the head of the file; coded pictures may follow in any amount.
    head, at, sizes = data[: 1 << 20], 0, []
    for _ in range(_MOST_SIZES):
        at = head.find(b"ispe", at) + 4
        if at < 4:
            break
        if head[at : at + 4] == bytes(4) and len(head) >= at + 12:
            sizes.append(struct.unpack_from(">II", head, at + 4))
    if not sizes:
        raise HeaderError(DAMAGED.format(f"a {kind} that states no size"))
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Header(kind, width, height, icc=_profile(head), frames=_frames(head) if brands & _SEQUENCES else 1)


def _profile(head: bytes) -> bytes:
    """Return the colour profile in the first ``colr`` box that holds one, or nothing."""
    at = 0
    for _ in range(_MOST_SIZES):
        at = head.find(b"colr", at) + 4
        if at < 8:
            break
        (length,) = struct.unpack_from(">I", head, at - 8)
        if head[at : at + 4] in (b"prof", b"rICC") and 12 < length <= len(head) - at + 8:
            return head[at + 4 : at - 8 + length]
    return b""


def _frames(head: bytes) -> int:
    """Return the number of pictures in the first track of a sequence (the samples of its ``stsz`` box)."""
    at = head.find(b"stsz")
    return max(1, struct.unpack_from(">I", head, at + 12)[0]) if 0 <= at <= len(head) - 16 else 1


def decode(data: bytes, header: Header) -> Pixels:
    """Decode the primary picture, upright, to RGB or RGBA uint8.

    Raises:
        UsageError: the package for this format is not installed.
        DecodeError: the decoder complained.
    """
    try:
        picture, orientation = _open(data, header)
        pixels = as_array(picture.to_pillow() if header.format == "HEIC" else picture)
    except _COMPLAINTS as error:
        raise _damaged(error, header) from None
    if orientation != 1:
        from ..exif import upright

        pixels = upright(pixels, orientation)
    return pixels


def placed(data: bytes, header: Header) -> tuple[tuple[int, int], int]:
    """Return width and height of the primary picture as its decoder gives it, and the EXIF orientation that is left to apply.

    The sizes in the file are those before it is turned. No pixel is decoded.

    Raises:
        UsageError: the package for this format is not installed.
        DecodeError: the decoder complained.
    """
    try:
        picture, orientation = _open(data, header)
    except _COMPLAINTS as error:
        raise _damaged(error, header) from None
    return (picture.size[0], picture.size[1]), orientation


_COMPLAINTS = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, LookupError, struct.error)


def _damaged(error: BaseException, header: Header) -> DecodeError:
    if isinstance(error, DecodeError):
        return error
    return DecodeError(DAMAGED.format(f"{header.format}: {' '.join(str(error).split())}"))


def _open(data: bytes, header: Header) -> tuple[Any, int]:
    """Return the opened picture, not yet decoded, and how it must be turned.

    Raises:
        DecodeError: it is larger than the file states.
    """
    picture, orientation = _open_avif(data) if header.format == "AVIF" else _open_heic(data)
    if picture.size[0] * picture.size[1] > header.width * header.height:
        raise DecodeError(DAMAGED.format(f"a {header.format} larger than it states"))
    return picture, orientation


def _open_heic(data: bytes) -> tuple[Any, int]:
    """Return pillow-heif's picture; libheif turns it upright."""
    try:
        import pillow_heif
    except ImportError:
        raise UsageError(_MISSING.format("a HEIC photograph")) from None
    # 10 and 12 bits become 8, as phones' photographs are shown.
    return pillow_heif.open_heif(data, convert_hdr_to_8bit=True), 1


def _open_avif(data: bytes) -> tuple[Any, int]:
    """Return a Pillow image, and how it must be turned."""
    try:
        from PIL import AvifImagePlugin, features
    except ImportError:
        raise UsageError(_MISSING.format("an AVIF photograph")) from None
    if not features.check("avif"):
        raise UsageError(_MISSING.format("an AVIF photograph"))
    picture = AvifImagePlugin.AvifImageFile(io.BytesIO(data))
    return picture, exif_orientation(picture.info.get("exif", b""))


_MISSING = 'is {}, which needs pillow-heif and a newer Pillow; run: pip install "fiducia[heif]"'
