"""What fuzzing and public reports found, drawn by code: each is refused, or read, within a second and in little memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from whole_files import FILES, PHOTO, encode

from fiducia.errors import FiduciaError
from fiducia.images import read_image, read_photo

JPEG, PROGRESSIVE, PNG, GIF, WEBP = (FILES[k] for k in ("jpeg", "jpeg progressive", "png", "gif", "webp alpha"))
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG[:8] + chunk(b"IHDR", ihdr) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bmp_runs(runs: bytes, side: int = 5000) -> bytes:
    head = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 54 + 1024)
    return head + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 0, 0, 0, 0, 0) + bytes(1024) + runs


def riff(extra: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(WEBP) - 8 + len(extra)) + WEBP[8:] + extra


def tiff_field(tag: int, value: int, at: int = 8) -> bytes:
    data = bytearray(FILES["tiff lzw"])
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for i in range(count):
        if struct.unpack_from("<H", data, start + 2 + 12 * i)[0] == tag:
            struct.pack_into("<I", data, start + 2 + 12 * i + at, value)
    return bytes(data)


REFUSED: dict[str, Callable[[], bytes]] = {
    # A regular expression that tried every fill byte as a start was quadratic.
    "fill bytes before a stray zero": lambda: JPEG[:2] + b"\xff" * 300_000 + b"\0" + JPEG[2:],
    "fill bytes behind a cut scan": lambda: PROGRESSIVE[:-9] + b"\xff" * 300_000,
    # Every scan of a progressive file goes over all pixels.
    "one scan six hundred times": lambda: PROGRESSIVE[:-2] + LAST_SCAN * 600 + b"\xff\xd9",
    "a million comments": lambda: JPEG[:2] + b"\xff\xfe\0\2" * 1_000_000 + JPEG[2:],
    "a scan before the frame": lambda: JPEG[:2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + JPEG[2:],
    "two frames": lambda: JPEG.replace(b"\xff\xda", JPEG[JPEG.index(b"\xff\xc0") :][:19] + b"\xff\xda", 1),
    "a scan of a missing channel": lambda: PROGRESSIVE.replace(b"\xff\xda\0\x0c\3\1", b"\xff\xda\0\x0c\3\7", 1),
    "bytes between segments": lambda: JPEG[:20] + b"junk" + JPEG[20:],
    "twelve bits": lambda: JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    "two channels": lambda: JPEG[: JPEG.index(b"\xff\xc0") + 9] + b"\2" + JPEG[JPEG.index(b"\xff\xc0") + 10 :],
    "a width of no pixels": lambda: JPEG.replace(struct.pack(">HH", 120, 160), struct.pack(">HH", 120, 0), 1),
    "16-bit PNG of 199 million pixels": lambda: png_of(14_100, 14_100, 16, 2, zlib.compress(bytes(100))),
    "a PNG that says too little": lambda: png_of(9000, 9000, 8, 2, zlib.compress(bytes(10_000_000), 1)),
    "a million empty chunks": lambda: PNG[:33] + chunk(b"tEXt", b"") * 1_000_000 + PNG[33:],
    "APNG with its picture cut": lambda: FILES["apng"][: FILES["apng"].index(b"IDAT") + 12],
    # int() of so many digits is a ValueError of Python's own.
    "a PNM width of 5000 digits": lambda: b"P2\n" + b"9" * 5000 + b" 1\n255\n0\n",
    "a PNM that is all space": lambda: b"P2" + b" " * 1_000_000,
    "a PNM comment without end": lambda: b"P2\n" + b"#" * 1_000_000,
    "a PNM value above the largest": lambda: b"P5\n2 2\n100\n\x64\x65\x00\x00",
    "a PNM of letters": lambda: b"P2\n2 1\n255\n1 x\n",
    "a PNM of numbers, then letters": lambda: b"P2\n2 1\n255\n1 2 IEND",
    "a PNM bit that is 2": lambda: b"P1\n2 1\n02\n",
    "a PNM with nothing behind its largest value": lambda: b"P6\n1 1\n255*abc",
    "a BMP of runs that end": lambda: bmp_runs(b"\0\1"),
    "a BMP of runs that jump": lambda: bmp_runs(b"\0\2\xff\xff" * 10),
    "a BMP of negative width": lambda: FILES["bmp"][:18] + struct.pack("<i", -160) + FILES["bmp"][22:],
    "a BMP around a JPEG": lambda: FILES["bmp"][:30] + struct.pack("<I", 4) + FILES["bmp"][34:],
    "a GIF without frames": lambda: GIF[: 13 + 768] + b";",
    "a GIF with a wrong block": lambda: GIF[:-1] + b"\x99" + GIF[-1:],
    "a GIF of 65535 x 65535": lambda: GIF[:6] + b"\xff\xff\xff\xff" + GIF[10:],
    "a million WebP chunks": lambda: riff(struct.pack("<4sI", b"XXXX", 0) * 1_000_000),
    "a WebP chunk of 4 GB": lambda: riff(struct.pack("<4sI", b"XXXX", 0xFFFFFFFF) + bytes(9)),
    "a WebP without pixels": lambda: b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(10),
    "a WebP of another kind": lambda: b"RIFF" + struct.pack("<I", 40) + b"WEBPXXXX" + bytes(60),
    "a TIFF of 60000 x 160": lambda: tiff_field(256, 60_000),
    "a TIFF strip of 4 GB": lambda: tiff_field(279, 0xFFFFFFFF),
    "a TIFF with a tag of 4 billion values": lambda: tiff_field(273, 0xFFFFFFFF, at=4),
    "a TIFF without strips": lambda: tiff_field(273, 0, at=4),
    "a HEIC without a size": lambda: b"\0\0\0\x18ftypheic" + bytes(100),
    "a HEIC of 65535 x 65535": lambda: (
        b"\0\0\0\x18ftypheic" + bytes(12) + b"\0\0\0\x14ispe" + bytes(4) + b"\0\0\xff\xff" * 2
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_files_are_refused_quickly(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = REFUSED[name]()
    start = time.process_time()
    with pytest.raises(FiduciaError) as caught:
        read_image(data)
    assert time.process_time() - start < 2
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert capfd.readouterr() == ("", "")


READ: dict[str, Callable[[], bytes]] = {
    "fill bytes before a marker": lambda: JPEG[:2] + b"\xff" * 300_000 + JPEG[2:],
    "a GIF of many comments": lambda: GIF[:-1] + b"\x21\xfe\x01a\0" * 100_000 + GIF[-1:],
    "a text that unpacks to 50 MB": lambda: (
        PNG[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000))) + PNG[33:]
    ),
}


@pytest.mark.parametrize("name", READ)
def test_odd_files_are_read_quickly(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = READ[name]()
    start = time.process_time()
    whole = GIF if "GIF" in name else PNG if "text" in name else JPEG
    np.testing.assert_array_equal(read_image(data), read_image(whole))
    assert time.process_time() - start < 2
    assert capfd.readouterr() == ("", "")


def bombs() -> dict[str, bytes]:
    """Small files that claim 60,000 x 60,000 pixels."""
    jpeg = bytearray(JPEG)
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    tiff = bytearray(FILES["tiff"])
    (ifd,) = struct.unpack_from("<I", tiff, 4)
    for i in range(2):  # tags 256 and 257 stand first
        struct.pack_into("<HHII", tiff, ifd + 2 + 12 * i, 256 + i, 4, 1, 60_000)
    webp = bytearray(WEBP)
    webp[24:30] = (59_999).to_bytes(3, "little") * 2
    gif = bytearray(GIF)
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    bmp = bytearray(FILES["bmp"])
    bmp[18:26] = struct.pack("<ii", 60_000, -60_000)
    bmp[30:34] = struct.pack("<I", 1)  # run-length coded, so that the file may be small
    # Text, so that the size is refused and not the length.
    ppm = b"P4\n# a comment\n60000 60000\n" + bytes(99)
    named = {"jpeg": jpeg, "tiff": tiff, "webp": webp, "gif": gif, "bmp": bmp, "ppm": ppm}
    return {"png": png_of(60_000, 60_000, 8, 2, zlib.compress(bytes(9))), **{k: bytes(v) for k, v in named.items()}}


@pytest.mark.parametrize("name", bombs())
def test_a_decompression_bomb_is_refused_before_memory_is_taken(name: str) -> None:
    data = bombs()[name]
    tracemalloc.start()
    try:
        with pytest.raises(FiduciaError, match=r"60000 x 60000 pixels|cut short"):
            read_image(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "bmp", "tiff", "gif", "ppm"])
def test_max_pixels_is_an_option_and_exact(name: str) -> None:
    assert read_image(FILES[name], max_pixels=120 * 160).shape == (120, 160, 3)
    with pytest.raises(FiduciaError, match=r"160 x 120 pixels; expected at least one and at most 0.019199 million"):
        read_image(FILES[name], max_pixels=120 * 160 - 1)


def test_16_bits_count_double() -> None:
    deep = encode(Image.fromarray(PHOTO[..., 0].astype(np.uint16) * 257), "PNG")
    assert read_photo(deep, max_pixels=2 * 120 * 160).image.shape == (120, 160, 3)
    with pytest.raises(FiduciaError, match=r"of 16 bits; expected at least one and at most 0\.019199"):
        read_image(deep, max_pixels=2 * 120 * 160 - 2)


def test_memory_that_is_not_there_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("fiducia.images.read.to_rgb", none_left)
    with pytest.raises(FiduciaError, match="not enough memory"):
        read_image(JPEG)
