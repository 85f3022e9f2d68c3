from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fiducia.errors import FiduciaError, UsageError
from fiducia.files import write_atomic
from fiducia.geometry import affine_compose, box_to_crop, similarity_matrix
from fiducia.images.pixels import crop, crop_patch, cut_patch, read_image, reduction, write_image

PHOTO = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (160, 120))


def encode(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def with_pillow(data: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


PIL_PHOTO = Image.fromarray(PHOTO)
FILES = {
    "jpeg": encode(PHOTO, "JPEG", quality=95),
    "jpeg progressive": encode(PHOTO, "JPEG", quality=95, progressive=True),
    "jpeg grey": encode(PIL_PHOTO.convert("L"), "JPEG", quality=95),
    "jpeg restart markers": cv2.imencode(".jpg", PHOTO, [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])[1].tobytes(),
    "png": encode(PHOTO, "PNG"),
    "png grey": encode(PIL_PHOTO.convert("L"), "PNG"),
    "png palette": encode(PIL_PHOTO.convert("P"), "PNG"),
    "png 1 bit": encode(PIL_PHOTO.convert("1"), "PNG"),
    "png grey alpha": encode(PIL_PHOTO.convert("LA"), "PNG"),
    "webp": encode(PHOTO, "WEBP", quality=90),
    "webp lossless": encode(PHOTO, "WEBP", lossless=True),
    "webp alpha": encode(PIL_PHOTO.convert("RGBA"), "WEBP", quality=90),
    "bmp": encode(PHOTO, "BMP"),
    "tiff": encode(PHOTO, "TIFF"),
    "tiff lzw": encode(PHOTO, "TIFF", compression="tiff_lzw"),
    "gif": encode(PHOTO, "GIF"),
    "ppm": encode(PHOTO, "PPM"),
    "pgm": encode(PIL_PHOTO.convert("L"), "PPM"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_decodes_as_pillow_decodes_it(name: str) -> None:
    image = read_image(FILES[name])
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_allclose(image.astype(int), with_pillow(FILES[name]), atol=1)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_refused_wherever_it_is_cut(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = FILES[name]
    for share in (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99):
        path = tmp_path / "cut.img"
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(FiduciaError, match=r"cut\.img: .*; (download|export|convert)") as caught:
            read_image(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(FiduciaError):
        read_image(data[:-1])
    assert capfd.readouterr().err == "", "decoders keep silent"


@pytest.mark.parametrize("name", FILES)
def test_garbage_after_the_end_does_no_harm(name: str) -> None:
    np.testing.assert_array_equal(read_image(FILES[name] + b"junk\xff\xd8\xff\xe1 more"), read_image(FILES[name]))


def test_a_thumbnails_end_marker_does_not_hide_a_cut() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x"
    whole = encode(PHOTO, "JPEG", quality=95, exif=exif)
    # An APP segment that holds a whole small JPEG, as cameras write them.
    thumbnail = encode(PHOTO[:16, :16], "JPEG")
    segment = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = whole[:2] + segment + whole[2:]
    np.testing.assert_array_equal(read_image(data), read_image(whole))
    for end in (2 + len(segment), len(data) // 2, len(data) - 2):
        with pytest.raises(FiduciaError, match="cut short"):
            read_image(data[:end])


def test_damaged_png_is_refused() -> None:
    data = bytearray(FILES["png"])
    data[len(data) // 2] ^= 0x55
    with pytest.raises(FiduciaError, match="damaged"):
        read_image(bytes(data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(PHOTO, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    image = read_image(data)
    assert image.shape == ((160, 120, 3) if orientation > 4 else (120, 160, 3))
    np.testing.assert_allclose(image.astype(int), with_pillow(data), atol=2)


def test_16_bits_are_divided_by_257_and_rounded() -> None:
    # The larger ones stand in several strips of a TIFF.
    for shape in [(9, 11), (9, 11, 3), (9, 11, 4), (300, 200), (300, 200, 3), (300, 200, 4)]:
        deep = np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)
        for suffix in (".png", ".tiff"):
            image = read_image(cv2.imencode(suffix, deep)[1].tobytes())
            expected = np.rint(deep / 257.0)
            expected = np.repeat(expected[..., None], 3, axis=2) if len(shape) == 2 else expected[..., 2::-1]
            np.testing.assert_array_equal(image, expected)


def test_alpha_is_dropped_and_the_colour_beneath_kept() -> None:
    pixels = np.array([[[10, 200, 30, 0], [9, 8, 7, 255]]], np.uint8)
    np.testing.assert_array_equal(read_image(encode(pixels, "PNG")), [[[10, 200, 30], [9, 8, 7]]])


def test_cmyk_has_the_right_colours() -> None:
    colours = Image.new("RGB", (64, 16), (200, 30, 60))
    colours.paste((20, 160, 90), (32, 0, 64, 16))
    image = read_image(encode(colours.convert("CMYK"), "JPEG", quality=100))
    np.testing.assert_allclose(image[8, 8], (200, 30, 60), atol=4)
    np.testing.assert_allclose(image[8, 56], (20, 160, 90), atol=4)


def test_the_smallest_and_a_very_wide_picture() -> None:
    np.testing.assert_array_equal(read_image(encode(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG")), [[[1, 2, 3]]])
    wide = np.zeros((3, 20_000, 3), np.uint8)
    wide[:, -1] = 255
    image = read_image(encode(wide, "PNG"))
    assert image.shape == wide.shape
    assert image[0, -1, 0] == 255


def bombs() -> dict[str, bytes]:
    """Small files that claim 60,000 x 60,000 pixels."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))  # noqa: E731
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    jpeg = bytearray(FILES["jpeg"])
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    tiff = bytearray(FILES["tiff"])
    (ifd,) = struct.unpack_from("<I", tiff, 4)
    for i in range(2):  # tags 256 and 257 stand first
        struct.pack_into("<HHII", tiff, ifd + 2 + 12 * i, 256 + i, 4, 1, 60_000)
    webp = bytearray(FILES["webp alpha"]) if FILES["webp alpha"][12:16] == b"VP8X" else None
    gif = bytearray(FILES["gif"])
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    bmp = bytearray(FILES["bmp"])
    bmp[18:26] = struct.pack("<ii", 60_000, -60_000)
    bmp[30:34] = struct.pack("<I", 1)  # run-length coded, so that the file may be small
    ppm = b"P6\n# a comment\n60000 60000\n255\n" + bytes(99)
    found = {"png": png, "jpeg": bytes(jpeg), "tiff": bytes(tiff), "gif": bytes(gif), "bmp": bytes(bmp), "ppm": ppm}
    if webp is not None:
        webp[24:30] = (59_999).to_bytes(3, "little") * 2
        found["webp"] = bytes(webp)
    return found


@pytest.mark.parametrize("name", bombs())
def test_a_decompression_bomb_is_refused_before_it_is_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("was handed to the decoder")

    monkeypatch.setattr(cv2, "imdecode", decoded)
    with pytest.raises(FiduciaError, match="60000 x 60000 pixels; expected at most 200 million"):
        read_image(bombs()[name])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, world", "no image that can be read"),
        (b"<html>404 not found</html>", "no image that can be read"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(40), "HEIC"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"\xff\xd8\xff\xd9", "without a picture"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40), "not WebP"),
        (cv2.imencode(".tiff", np.ones((4, 4, 3), np.float32))[1].tobytes(), "float32"),
    ],
)
def test_what_is_no_image_is_told_in_one_line_with_the_file(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    for source in (path, str(path)):
        with pytest.raises(FiduciaError, match=says) as caught:
            read_image(source)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=r"nowhere\.png: no such file"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(FiduciaError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(FiduciaError, match="cannot be opened"):
        read_image("a\0b.png")


@settings(max_examples=200, deadline=None)
@given(start=st.sampled_from(sorted(FILES)), data=st.data())
def test_no_damage_ends_in_anything_but_an_image_or_a_fiducia_error(start: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[start])
    for _ in range(data.draw(st.integers(1, 6))):
        # Half of the hits fall on the header, where they do most harm.
        limit = len(damaged) if data.draw(st.booleans()) else min(120, len(damaged))
        damaged[data.draw(st.integers(0, limit - 1))] = data.draw(st.integers(0, 255))
    try:
        image = read_image(bytes(damaged))
    except FiduciaError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


def test_writing_is_atomic_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"], "nothing is left beside it"
    with pytest.raises(FiduciaError, match="cannot be written"):
        write_atomic(path / "below a file", b"")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FiduciaError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_pictures_survive_writing(tmp_path: Path) -> None:
    for suffix in (".png", ".bmp", ".tiff"):
        write_image(tmp_path / f"x{suffix}", PHOTO)
        np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), PHOTO)
    write_image(tmp_path / "x.JPG", PHOTO)
    assert np.abs(read_image(tmp_path / "x.JPG").astype(int) - PHOTO).mean() < 4
    for name, image in [("x.xyz", PHOTO), ("x", PHOTO), ("x.png", PHOTO[..., 0]), ("x.png", PHOTO.astype(np.float32))]:
        with pytest.raises(UsageError, match="expected"):
            write_image(tmp_path / name, image)


# --- crops ---------------------------------------------------------------------------------------------------------


def test_a_crop_of_the_photographs_own_pixels_is_a_copy() -> None:
    to_crop = np.array([[1.0, 0.0, -30.0], [0.0, 1.0, -20.0]])
    np.testing.assert_array_equal(crop(PHOTO, to_crop, 64), PHOTO[20:84, 30:94])
    np.testing.assert_array_equal(crop(PHOTO, to_crop, 64, interpolation="nearest"), PHOTO[20:84, 30:94])


def test_outside_is_black() -> None:
    out = crop(np.full((20, 20, 3), 255, np.uint8), np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 5.0]]), 40)
    expected = np.zeros((40, 40, 3), np.uint8)
    expected[5:25, 10:30] = 255
    np.testing.assert_array_equal(out, expected)
    assert not crop(PHOTO, np.array([[1.0, 0.0, 9e5], [0.0, 1.0, 0.0]]), 16).any()
    assert not crop(PHOTO, np.array([[1.0, 0.0, -9e5], [0.0, 1.0, -9e5]]), 16).any()


@pytest.mark.parametrize("f", [2, 3, 5, 8])
def test_a_whole_reduction_is_the_mean_of_blocks(f: int) -> None:
    # Crop pixel i covers the photograph's pixels f i ... f i + f - 1: x_red = (x + 0.5) / f - 0.5.
    to_crop = np.array([[1 / f, 0.0, 0.5 / f - 0.5], [0.0, 1 / f, 0.5 / f - 0.5]])
    assert reduction(to_crop) == f
    size = 120 // f
    blocks = PHOTO[: size * f, : size * f].reshape(size, f, size, f, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(crop(PHOTO, to_crop, size), blocks, atol=0.51)


def test_a_block_over_the_border_is_averaged_with_black() -> None:
    white = np.full((7, 7, 3), 200, np.uint8)
    patch = cut_patch(white, (0, 0, 6, 6), 2)
    assert patch.image.shape == (4, 4, 3)
    np.testing.assert_array_equal(patch.image[..., 0], [[200, 200, 200, 100]] * 3 + [[100, 100, 100, 50]])


@pytest.mark.parametrize(("scale", "f"), [(2.0, 1), (1.0, 1), (0.51, 1), (0.5, 2), (0.34, 2), (1 / 3, 3), (0.1, 10)])
def test_the_reduction_is_the_floor_of_one_over_the_scale(scale: float, f: int) -> None:
    turned = affine_compose(similarity_matrix(64, 0.7, 1.0, (0, 0)), [[scale, 0, 0], [0, scale, 0]])
    assert reduction(turned) == f


def test_fine_stripes_do_not_alias() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    out = crop(stripes, box_to_crop([0, 0, 511, 511], 64, 1.0), 64)[4:-4, 4:-4]
    # f = 7: blocks of 3 or 4 white columns in 7; without the reduction there would be black and white.
    assert out.min() >= 109
    assert out.max() <= 146


@settings(deadline=None, max_examples=60)
@given(
    scale=st.floats(0.08, 3.0),
    angle=st.floats(-3.2, 3.2),
    x=st.floats(20, 140),
    y=st.floats(20, 100),
    ahead=st.integers(0, 30),
)
def test_a_larger_patch_gives_the_same_pixels(scale: float, angle: float, x: float, y: float, ahead: int) -> None:
    size = 24
    centre = np.array([[scale, 0.0, 11.5 - scale * x], [0.0, scale, 11.5 - scale * y]])
    to_crop = affine_compose(similarity_matrix(size, angle, 1.0, (0, 0)), centre)
    reach = size / scale + ahead
    patch = cut_patch(PHOTO, (x - reach, y - reach, x + reach, y + reach), reduction(to_crop))
    np.testing.assert_array_equal(crop_patch(patch, to_crop, size), crop(PHOTO, to_crop, size))


def test_one_pixel_can_be_cropped_and_a_flat_affine_cannot() -> None:
    assert crop(np.full((1, 1, 3), 9, np.uint8), [[4.0, 0, 8.0], [0, 4.0, 8.0]], 16).max() == 9
    for bad in ([[0.0, 0, 0], [0, 1.0, 0]], [[np.nan, 0, 0], [0, 1.0, 0]]):
        with pytest.raises(ValueError):
            crop(PHOTO, bad, 16)
