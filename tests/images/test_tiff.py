"""TIFF in its layouts: byte orders, strips and tiles, planes, predictors, compressions, depths."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from whole_files import PHOTO, PIL_PHOTO, encode

from fiducia.errors import FiduciaError
from fiducia.images import read_image, read_photo
from fiducia.images.lzw import LzwError, decode_lzw

SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}


def tiff(tags: dict[int, list[int] | bytes], pieces: list[bytes], order: str = "<", big: bool = False) -> bytes:
    """Write pieces, then one directory; lists become longs, bytes are kept as undefined."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42))
    out += struct.pack(order + "HHQ", 8, 0, 0) if big else struct.pack(order + "I", 0)
    places = []
    for piece in pieces:
        places.append(len(out))
        out += piece
    tags = {**tags}
    tiled = 322 in tags
    tags.setdefault(324 if tiled else 273, places)
    tags.setdefault(325 if tiled else 279, [len(piece) for piece in pieces])
    entries = []
    room = 8 if big else 4
    for tag, value in sorted(tags.items()):
        kind = 7 if isinstance(value, bytes) else 4
        body = value if isinstance(value, bytes) else struct.pack(f"{order}{len(value)}I", *value)
        if len(body) > room:
            at = len(out)
            out += body
            body = struct.pack(order + ("Q" if big else "I"), at)
        entries.append(struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(value)) + body.ljust(room, b"\0"))
    struct.pack_into(order + ("Q" if big else "I"), out, 8 if big else 4, len(out))
    out += struct.pack(order + ("Q" if big else "H"), len(entries)) + b"".join(entries) + bytes(8)
    return bytes(out)


def packbits(data: bytes) -> bytes:
    """Runs where bytes repeat, plain pieces elsewhere."""
    out = bytearray()
    for _, group in itertools.groupby(data):
        run = bytes(group)
        for i in range(0, len(run), 128):
            part = run[i : i + 128]
            out += bytes([257 - len(part), part[0]]) if len(part) > 1 else bytes([0, part[0]])
    return bytes(out) + b"\x80"


def lzw(data: bytes) -> bytes:
    """Let Pillow compress bytes as a picture of one row."""
    stored = encode(Image.frombytes("L", (len(data), 1), data), "TIFF", compression="tiff_lzw", tiffinfo={278: 1})
    picture = Image.open(io.BytesIO(stored))
    ((at,), (size,)) = picture.tag_v2[273], picture.tag_v2[279]
    return stored[at : at + size]


PACKERS: dict[int, Any] = {1: bytes, 5: lzw, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}


def write(
    values: np.ndarray,
    *,
    order: str = "<",
    compression: int = 1,
    predictor: int = 1,
    tile: tuple[int, int] | None = None,
    rows: int = 5,
    planar: int = 1,
    big: bool = False,
    more: dict[int, list[int] | bytes] | None = None,
) -> bytes:
    """Write samples ``(h, w, c)`` of uint8, uint16 or floats."""
    height, width, channels = values.shape
    high, wide = tile or (rows, width)
    layers = [values] if planar == 1 else [values[..., i : i + 1] for i in range(channels)]
    pieces = []
    for layer in layers:
        for top in range(0, height, high):
            for left in range(0, width, wide):
                block = layer[top : top + high, left : left + wide]
                if tile:
                    block = np.pad(block, ((0, high - block.shape[0]), (0, wide - block.shape[1]), (0, 0)))
                pieces.append(PACKERS[compression](raw(block, order, predictor)))
    tags: dict[int, list[int] | bytes] = {
        256: [width],
        257: [height],
        258: [8 * values.itemsize] * channels,
        259: [compression],
        262: [2 if channels >= 3 else 1],
        277: [channels],
        284: [planar],
        317: [predictor],
        339: [3 if values.dtype.kind == "f" else 1] * channels,
    }
    tags |= {322: [wide], 323: [high]} if tile else {278: [high]}
    return tiff(tags | (more or {}), pieces, order, big)


def raw(block: np.ndarray, order: str, predictor: int) -> bytes:
    if predictor == 2:
        bits = block.view(f"u{block.itemsize}")
        block = np.diff(bits, axis=1, prepend=np.zeros_like(bits[:, :1]))
    if predictor == 3:
        rows = []
        for row in block:
            planes = np.frombuffer(row.astype(f">f{block.itemsize}").tobytes(), np.uint8)
            flat = planes.reshape(-1, block.itemsize).T.reshape(-1, block.shape[2])
            rows.append(np.diff(flat, axis=0, prepend=np.zeros_like(flat[:1])).tobytes())
        return b"".join(rows)
    return block.astype(block.dtype.newbyteorder(order)).tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", PACKERS)
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("planar", [1, 2])
def test_every_layout(order: str, compression: int, predictor: int, tile: tuple[int, int] | None, planar: int) -> None:
    for dtype in (np.uint8, np.uint16):
        values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (23, 41, 3)).astype(dtype)
        values[:, 20:] = values[:, :1]
        data = write(values, order=order, compression=compression, predictor=predictor, tile=tile, planar=planar)
        np.testing.assert_array_equal(read_image(data), values if dtype == np.uint8 else np.rint(values / 257.0))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("predictor", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_floats(order: str, dtype: type, predictor: int, channels: int) -> None:
    values = np.random.default_rng(0).random((9, 14, channels)).astype(dtype)
    image = read_image(write(values, order=order, compression=8, predictor=predictor))
    expected = np.rint(values.astype(np.float64) * 255)
    np.testing.assert_allclose(image, np.broadcast_to(expected, (9, 14, 3)), atol=1 if dtype == np.float16 else 0)


@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff(order: str) -> None:
    np.testing.assert_array_equal(read_image(write(PHOTO, order=order, big=True)), PHOTO)


def test_what_other_writers_write_is_read_the_same() -> None:
    for options in ({}, {"compression": "tiff_lzw"}, {"big_tiff": True}, {"compression": "tiff_deflate"}):
        np.testing.assert_array_equal(read_image(encode(PIL_PHOTO, "TIFF", **options)), PHOTO)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [0, 1, 3])
def test_few_bits(bits: int, photometric: int) -> None:
    largest = (1 << bits) - 1
    values = np.random.default_rng(0).integers(0, largest + 1, (7, 13))
    padded = np.pad(values, ((0, 0), (0, -13 % (8 // bits)))).astype(np.uint8)
    stored = np.packbits(np.unpackbits(padded[..., None], axis=2)[..., 8 - bits :].reshape(7, -1), axis=1).tobytes()
    palette = np.random.default_rng(1).integers(0, 256, (3, largest + 1))
    tags: dict[int, list[int] | bytes] = {256: [13], 257: [7], 258: [bits], 259: [1], 262: [photometric], 278: [7]}
    expected = np.repeat(values[..., None], 3, axis=2) * (255 // largest)
    if photometric == 0:
        expected = 255 - expected
    if photometric == 3:
        tags[320] = [int(v) for v in palette.ravel() * 256]
        expected = palette.T[values]
    np.testing.assert_array_equal(read_image(tiff(tags, [stored])), expected)
    # The same with the bits of each byte the other way round.
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in stored)
    np.testing.assert_array_equal(read_image(tiff({**tags, 266: [2]}, [turned])), expected)


@pytest.mark.parametrize("shared", [False, True])
def test_strips_and_tiles_of_jpeg(shared: bool) -> None:
    if shared:
        # Pillow writes the tables apart from the strips, and the colours as they are.
        data = encode(PIL_PHOTO, "TIFF", compression="jpeg", quality=95)
        found = np.asarray(Image.open(io.BytesIO(data)))
    else:
        parts = [PHOTO[:64, :64], PHOTO[:64, 64:128]]
        tiles = [encode(part, "JPEG", quality=95) for part in parts]
        tags: dict[int, list[int] | bytes] = {256: [128], 257: [64], 258: [8] * 3, 259: [7], 262: [6], 277: [3]}
        data = tiff({**tags, 322: [64], 323: [64]}, tiles)
        found = np.concatenate([read_image(tile) for tile in tiles], axis=1)
    np.testing.assert_array_equal(read_image(data), found)
    with pytest.raises(FiduciaError, match=r"TIFF|JPEG"):
        read_image(data.replace(b"\xff\xda", b"\xff\xd9", 1))


def test_a_small_copy_or_a_mask_behind_the_picture_is_no_second_page() -> None:
    data = bytearray(encode(PIL_PHOTO, "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))]))
    assert read_photo(bytes(data)).remarks
    order = "<"
    (first,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, first)
    (second,) = struct.unpack_from(order + "I", data, first + 2 + 12 * count)
    # The first tag of the second directory becomes "this is a reduced copy".
    struct.pack_into(order + "HHII", data, second + 2, 254, 4, 1, 1)
    assert read_photo(bytes(data)).remarks == ()


BASE: dict[int, list[int] | bytes] = {256: [9], 257: [9], 258: [8], 259: [1], 262: [1], 278: [9]}


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({254: [1]}, "raw photograph"),
        ({50706: [1]}, "raw photograph"),
        ({256: [0]}, "without a picture"),
        ({256: [9, 9]}, "tag 256 of 2 values"),
        ({258: [12]}, "12 bits"),
        ({258: [32]}, "32 bits, unsigned"),
        ({258: [8, 8]}, "contradict"),
        ({259: [4]}, "compression fax"),
        ({259: [50000]}, "Zstandard"),
        ({259: [9999]}, "number 9999"),
        ({262: [8]}, "colour space 8"),
        ({277: [4]}, "4 channels"),
        ({277: [2], 338: [7], 258: [8, 8]}, "2 channels"),
        ({278: [0]}, "no size"),
        ({273: [10**6]}, "beyond the end"),
        ({273: []}, "tag 273 without numbers"),
        ({273: [8, 8]}, "2 places and 1 sizes of 1"),
        ({262: b"\1"}, "tag 262 without numbers"),
        ({279: [80]}, "80 of 81 bytes"),
        ({279: [10**6]}, "beyond the end"),
        ({322: [1 << 20], 323: [1 << 20], 324: [8], 325: [81]}, "do not fit"),
        ({322: [0], 323: [16], 324: [8], 325: [81]}, "no size"),
        ({259: [5]}, "LZW"),
        ({259: [8]}, "damaged"),
        ({259: [7]}, "no JPEG"),
        ({262: [3]}, "without its palette"),
        ({317: [3]}, "predictor 3"),
        ({339: [2]}, "signed"),
        ({256: [60_000], 257: [60_000]}, "60000 x 60000"),
        ({257: [10**6]}, "cut short|damaged"),
        ({278: [1], 257: [10**7]}, "do not fit|cut short|of 1"),
    ],
)
def test_what_is_not_read_or_contradicts_itself_is_told(tags: dict[int, list[int] | bytes], says: str) -> None:
    with pytest.raises(FiduciaError, match=says) as caught:
        read_image(tiff({**BASE, **tags}, [bytes(range(81))]))
    assert "\n" not in str(caught.value)


def test_a_directory_that_points_nowhere_or_to_everything_is_refused() -> None:
    entries = b"".join(struct.pack("<HHII", tag, 7, 10**6, 8) for tag in range(250, 65_000))
    for data in (
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0\x08\0\0\0" + struct.pack("<H", 64_750) + entries,
        b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 62),
    ):
        with pytest.raises(FiduciaError, match=r"damaged|cut short"):
            read_image(data)


# --- LZW -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"a",
        b"aaaa",
        b"abababababab" * 50,
        bytes(100_000),
        np.random.default_rng(0).integers(0, 256, 30_000).astype(np.uint8).tobytes(),
        np.random.default_rng(0).integers(0, 3, 200_000).astype(np.uint8).tobytes(),
        PHOTO.tobytes(),
    ],
)
def test_lzw_gives_what_was_compressed(data: bytes) -> None:
    packed = lzw(data) if len(data) < 65_000 else b""
    if packed:
        assert decode_lzw(packed, len(data)) == data
        assert decode_lzw(packed, len(data) // 2, len(data)) == data[: len(data) // 2]
        with pytest.raises(LzwError, match="more than"):
            decode_lzw(packed, len(data) - 1)
        with pytest.raises(LzwError, match=f"{len(data)} of {len(data) + 1} bytes"):
            decode_lzw(packed, len(data) + 1)
    else:
        rows = encode(Image.frombytes("L", (100, len(data) // 100), data), "TIFF", compression="tiff_lzw")
        assert read_image(rows)[..., 0].tobytes() == data


def codes(*values: int) -> bytes:
    """Codes of nine bits."""
    bits = "".join(f"{value:09b}" for value in values)
    return bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))


def test_lzw_by_hand() -> None:
    # 258 = "ab", 259 = "b" + the first byte of the next, which is 259 itself: the code that stands for its own beginning.
    assert decode_lzw(codes(256, 97, 98, 259, 258, 257), 6) == b"abbbab"
    # What follows the end code is no data.
    with pytest.raises(LzwError, match="1 of 2"):
        decode_lzw(codes(256, 97, 257, 98), 2)
    for damaged in (codes(256, 258), codes(256, 97, 300), codes(97, 260)):
        with pytest.raises(LzwError, match="stands for nothing"):
            decode_lzw(damaged, 9)
    with pytest.raises(LzwError, match="clear codes"):
        decode_lzw(codes(*[256, 97] * 40_000), 40_000)
    with pytest.raises(LzwError, match=r"more codes than its table holds|stands for nothing"):
        decode_lzw(codes(256, *[97] * 5000), 9000)


@pytest.mark.parametrize("compression", [5, 8, 32773])
def test_strips_of_more_bytes_than_they_need_are_refused_unless_they_were_filled_up(compression: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (8, 41)).astype(np.uint8)
    pack = PACKERS[compression]
    tags: dict[int, list[int] | bytes] = {256: [41], 257: [8], 258: [8], 259: [compression], 262: [1], 278: [5]}
    first, last = values[:5].tobytes(), values[5:].tobytes()
    for filled in (last, last + bytes(2 * 41)):
        image = read_image(tiff(tags, [pack(first), pack(filled)]))
        np.testing.assert_array_equal(image[..., 0], values)
    for pieces in ([first + b"x", last], [first, last + b"x"], [first, last + bytes(3 * 41)], [first[:-1], last]):
        with pytest.raises(FiduciaError, match=r"damaged|cut short"):
            read_image(tiff(tags, [pack(piece) for piece in pieces]))
