"""PNG of every type, depth and interlacing; chunks and compressed data that are not what they say."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fiducia.errors import FiduciaError
from fiducia.images import read_image, read_photo

TYPES = [
    (0, 1),
    (0, 2),
    (0, 4),
    (0, 8),
    (0, 16),
    (2, 8),
    (2, 16),
    (3, 1),
    (3, 2),
    (3, 4),
    (3, 8),
    (4, 8),
    (4, 16),
    (6, 8),
    (6, 16),
]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed(values: np.ndarray, depth: int, kind: int) -> bytes:
    """Rows of samples ``(h, w, c)``, each behind a filter byte; kind 0 is no filter, 1 the difference to the left."""
    rows = []
    for row in values:
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(np.uint8).tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
            data = np.packbits(bits.ravel()).tobytes()
        if kind == 1:
            step = max(1, values.shape[2] * depth // 8)
            data = bytes((b - (data[i - step] if i >= step else 0)) & 255 for i, b in enumerate(data))
        rows.append(bytes([kind]) + data)
    return b"".join(rows)


def png(
    values: np.ndarray, depth: int, colour: int, *, interlaced: bool = False, kind: int = 0, more: bytes = b""
) -> bytes:
    height, width = values.shape[:2]
    parts = [values[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [values]
    data = zlib.compress(b"".join(packed(part, depth, kind) for part in parts if part.size))
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    # The data in pieces of 50 bytes, as writers with small buffers leave them.
    pieces = b"".join(chunk(b"IDAT", data[i : i + 50]) for i in range(0, len(data), 50))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + more + pieces + chunk(b"IEND", b"")


def expected(values: np.ndarray, depth: int, colour: int, palette: np.ndarray) -> np.ndarray:
    if colour == 3:
        return palette[values[..., 0]]
    scaled = np.rint(values * (255 / ((1 << depth) - 1)))
    if colour in (4, 6):
        alpha = scaled[..., -1:]
        scaled = np.rint((scaled[..., :-1] * alpha + 255 * (255 - alpha)) / 255)
    return np.repeat(scaled, 3, axis=2) if scaled.shape[2] == 1 else scaled


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), TYPES)
@pytest.mark.parametrize("size", [(13, 11), (1, 1), (3, 40), (40, 2)])
def test_every_type_depth_and_interlacing(colour: int, depth: int, interlaced: bool, size: tuple[int, int]) -> None:
    random = np.random.default_rng(depth)
    values = random.integers(0, 1 << depth, (*size, CHANNELS[colour]))
    palette = random.integers(0, 256, (1 << min(depth, 8), 3)).astype(np.uint8)
    more = chunk(b"PLTE", palette.tobytes()) if colour == 3 else b""
    for kind in (0, 1):
        data = png(values, depth, colour, interlaced=interlaced, kind=kind, more=more)
        np.testing.assert_array_equal(read_image(data), expected(values, depth, colour, palette))


def test_the_writer_of_this_test_writes_what_pillow_reads() -> None:
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 3))
    found = np.asarray(Image.open(io.BytesIO(png(values, 8, 2, interlaced=True, kind=1))))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(("depth", "key"), [(1, 1), (2, 2), (4, 9), (8, 77), (16, 40_000)])
def test_the_transparent_grey_is_white(depth: int, key: int) -> None:
    values = np.full((2, 3, 1), key)
    values[0, 0] = key - 1
    image = read_image(png(values, depth, 0, more=chunk(b"tRNS", struct.pack(">H", key))))
    assert (image[0, 1:] == 255).all()
    assert image[0, 0, 0] == round((key - 1) * 255 / ((1 << depth) - 1))


def test_the_transparent_colour_of_16_bits_is_white_and_its_neighbour_is_not() -> None:
    values = np.array([[[1000, 2000, 3000], [1000, 2000, 3001]]])
    image = read_image(png(values, 16, 2, more=chunk(b"tRNS", struct.pack(">3H", 1000, 2000, 3000))))
    np.testing.assert_array_equal(image, [[[255, 255, 255], [4, 8, 12]]])


GOOD = png(np.random.default_rng(1).integers(0, 256, (20, 30, 3)), 8, 2, kind=1)
ROWS = bytes(20 * 91)


def of_data(data: bytes, more: bytes = b"") -> bytes:
    ihdr = struct.pack(">IIBBBBB", 30, 20, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bad_sum(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


ANIMATED = chunk(b"acTL", struct.pack(">II", 2, 0))
FRAME = struct.pack(">IIIIIHHBB", 0, 30, 20, 0, 0, 1, 1, 0, 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (of_data(zlib.compress(ROWS[:-1])), "1819 of 1820 bytes"),
        (of_data(zlib.compress(ROWS)[:-4]), "cut short"),
        (of_data(zlib.compress(ROWS + b"\0")), "more data"),
        (of_data(zlib.compress(bytes(100_000_000), 1)), "more data"),
        (of_data(zlib.compress(ROWS) + b"xx"), "more data"),
        (of_data(bad_sum(zlib.compress(ROWS))), "incorrect data check"),
        (of_data(zlib.compress(b"\5" + ROWS[1:])), "unknown filter"),
        (of_data(b"nonsense"), "damaged"),
        (of_data(b""), "cut short"),
        (of_data(zlib.compress(ROWS), ANIMATED + chunk(b"fcTL", FRAME[:4] + bytes(4) + FRAME[8:])), "first frame"),
        (of_data(zlib.compress(ROWS), ANIMATED + chunk(b"fcTL", FRAME[:24] + b"\3\0")), "first frame"),
        (of_data(zlib.compress(ROWS), chunk(b"acTL", bytes(8))), "without frames"),
        (of_data(zlib.compress(ROWS), chunk(b"acTL", b"\0\0\0\1")), "without frames"),
        (of_data(zlib.compress(ROWS[:900]), ANIMATED + chunk(b"fcTL", FRAME)), "cut short"),
        (of_data(zlib.compress(ROWS), chunk(b"ABCD", b"")), "unknown PNG chunk"),
        (of_data(zlib.compress(ROWS), chunk(b"a\x07bc", b"")), "unknown PNG chunk"),
        (of_data(zlib.compress(ROWS), chunk(b"abcd", b"")), "unknown PNG chunk"),
        (of_data(zlib.compress(ROWS), chunk(b"IHDR", GOOD[16:29])), "two headers"),
        (GOOD.replace(b"IDAT", b"IDAX", 1), "checksum"),
        (GOOD[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 4, 2, 0, 0, 0)) + GOOD[33:], "type 2, 4 bits"),
        (GOOD[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 1 << 21, 1, 0, 0, 0, 0)) + GOOD[33:], "sides"),
        (png(np.full((3, 3, 1), 7), 4, 3, more=chunk(b"PLTE", bytes(18))), "outside its palette"),
        (png(np.full((3, 3, 1), 1), 4, 3), "without its palette"),
        (png(np.full((3, 3, 1), 1), 4, 3, more=chunk(b"PLTE", bytes(7))), "palette"),
    ],
)
def test_what_contradicts_itself_is_refused(data: bytes, says: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FiduciaError, match=says):
        read_image(data)
    assert capfd.readouterr() == ("", "")


def test_chunks_that_are_not_the_picture_do_no_harm(capfd: pytest.CaptureFixture[str]) -> None:
    bomb = zlib.compress(bytes(50_000_000))
    more = (
        chunk(b"zTXt", b"a\0\0" + bomb)
        + chunk(b"iCCP", b"bad\0\0" + zlib.compress(b"no profile"))
        + chunk(b"iCCP", b"bomb\0\0" + bomb)
        + chunk(b"iCCP", b"broken\0\0xxxx")
        + chunk(b"gAMA", b"\0")
        + chunk(b"eXIf", b"MM\0*\xff")
    )
    photo = read_photo(GOOD[:33] + more + GOOD[33:])
    np.testing.assert_array_equal(photo.image, read_image(GOOD))
    assert photo.remarks == ()
    assert capfd.readouterr() == ("", "")
