"""Whole photographs of every format give exactly the right pixels; what is no photograph is told by name."""

from __future__ import annotations

import builtins
import io
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, features
from whole_files import EXACT, FILES, PHOTO, PIL_PHOTO, encode, faded, with_pillow

from fiducia.errors import FiduciaError, UsageError
from fiducia.images import read_header, read_image, read_photo, write_image


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_decodes_as_pillow_decodes_it(name: str) -> None:
    image = read_image(FILES[name])
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    np.testing.assert_allclose(image.astype(int), with_pillow(FILES[name]), atol=0 if name in EXACT else 1)


@pytest.mark.parametrize(
    "name", ["jpeg", "jpeg progressive", "jpeg grey", "jpeg restart markers", "png", "tiff", "bmp"]
)
def test_pixels_are_those_of_opencv(name: str) -> None:
    expected = cv2.imdecode(np.frombuffer(FILES[name], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(read_image(FILES[name]), expected)


@pytest.mark.parametrize("name", FILES)
def test_garbage_after_the_end_does_no_harm(name: str) -> None:
    np.testing.assert_array_equal(read_image(FILES[name] + b"junk\xff\xd8\xff\xe1 more"), read_image(FILES[name]))


@pytest.mark.parametrize("name", FILES)
def test_the_header_tells_the_size(name: str) -> None:
    header = read_header(FILES[name])
    assert (header.width, header.height) == (160, 120)
    assert header.format.lower() in ("pnm", *name.replace("apng", "png").split())


def ramp(orientation: int) -> tuple[Image.Image, np.ndarray]:
    """Pixels, and what they look like when they are stored with this orientation: the eight of EXIF 2.32, Table 6."""
    pixels = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels, 1),
    }
    return Image.fromarray(pixels), turned[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_exactly(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored, upright = ramp(orientation)
    data = encode(stored, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(read_image(data), upright)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_a_jpeg_is_applied_as_pillow_and_opencv_do(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(PHOTO, "JPEG", exif=exif, quality=95)
    np.testing.assert_array_equal(read_image(data), with_pillow(data))
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(read_image(data), expected)


@pytest.mark.parametrize(
    "body", [b"", b"Exif\0\0", b"MM\0*" + bytes(4), b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_a_damaged_exif_block_says_nothing(body: bytes) -> None:
    whole = FILES["jpeg"]
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 8) + b"Exif\0\0" + body
    np.testing.assert_array_equal(read_image(whole[:2] + segment + whole[2:]), read_image(whole))


def test_alpha_is_laid_over_white() -> None:
    pixels = np.array([[[10, 200, 30, 0], [9, 8, 7, 255], [0, 100, 255, 51]]], np.uint8)
    # 51/255 = 1/5 of the colour, 4/5 of white.
    expected = [[[255, 255, 255], [9, 8, 7], [204, 224, 255]]]
    np.testing.assert_array_equal(read_image(encode(pixels, "PNG")), expected)
    np.testing.assert_array_equal(read_image(encode(pixels, "TIFF")), expected)
    grey = np.array([[[10, 0], [10, 255], [100, 51]]], np.uint8)
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(grey, "LA"), "PNG"))[0, :, 0], [255, 10, 224])


def test_premultiplied_alpha_of_a_tiff_is_laid_over_white() -> None:
    data = bytearray(encode(np.array([[[0, 20, 51, 51], [9, 8, 7, 255]]], np.uint8), "TIFF"))
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    places = [directory + 2 + 12 * i for i in range(count)]
    at = next(place for place in places if struct.unpack_from("<H", data, place)[0] == 338)
    struct.pack_into("<H", data, at + 8, 1)
    np.testing.assert_array_equal(read_image(bytes(data)), [[[204, 224, 255], [9, 8, 7]]])


def see_through(kind: str, mode: str, opaque: bool) -> bytes:
    """Return a picture of 2 x 1: its first pixel is transparent (or not), the second is (9, 8, 7), or grey 9."""
    pixels = np.array([[[90, 80, 70, 255 if opaque else 0], [9, 8, 7, 255]]], np.uint8)
    if mode == "key":  # one colour of the file is transparent
        pixels = Image.fromarray(pixels[..., :3].copy())
        return encode(pixels, kind, **({} if opaque else {"transparency": (90, 80, 70)}))
    if mode == "grey key":
        return encode(Image.fromarray(pixels[..., 0].copy()), kind, **({} if opaque else {"transparency": 90}))
    if mode == "palette":  # each colour of the palette has its alpha
        numbers = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
        numbers.putpalette([90, 80, 70, 9, 8, 7])
        return encode(
            numbers, kind, transparency=bytes([255, 255] if opaque else [0, 255]) if kind == "PNG" else 9 * opaque
        )
    if mode == "LA":
        return encode(Image.fromarray(np.ascontiguousarray(pixels[..., [0, 3]]), "LA"), kind)
    return encode(pixels, kind, **({"lossless": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("PNG", mode) for mode in ("RGBA", "LA", "palette", "key", "grey key")),
        *(("TIFF", mode) for mode in ("RGBA", "LA")),
        *(("WEBP", "RGBA"), ("GIF", "palette"), ("AVIF", "RGBA")),
    ],
)
def test_every_format_says_that_transparent_pixels_are_laid_over_white(kind: str, mode: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("needs Pillow with AVIF")
    photo = read_photo(see_through(kind, mode, opaque=False))
    assert photo.remarks == ("has transparent pixels; they are laid over white",)
    np.testing.assert_allclose(photo.image[0, 0], 255, atol=3)
    np.testing.assert_allclose(photo.image[0, 1], 9, atol=9 if kind == "AVIF" else 2)
    plain = read_photo(see_through(kind, mode, opaque=True))
    assert plain.remarks == ()
    np.testing.assert_allclose(plain.image[0, 0], 90, atol=20)


def test_a_tiff_of_palette_or_inks_with_alpha_is_laid_over_white_too() -> None:
    def tiff(photometric: int, samples: bytes, count: int, extra: int) -> bytes:
        """Return a TIFF of two pixels of 8 bits; a palette has 90 and 9 in its first places."""
        palette = struct.pack("<768H", *([90 << 8, 9 << 8, *[0] * 254] * 3))
        bits, at = struct.pack(f"<{count}H", *[8] * count), 8
        tags = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, count, at), (259, 3, 1, 1), (262, 3, 1, photometric)]
        if count < 3:  # so few stand in the tag itself
            tags[2] = (258, 3, count, 8 | 8 << 16)
        pixels_at, palette_at = at + len(bits), at + len(bits) + len(samples)
        tags += [(273, 4, 1, pixels_at), (277, 3, 1, count), (278, 3, 1, 1), (279, 4, 1, len(samples))]
        tags += [(320, 3, 768, palette_at)] if photometric == 3 else []
        tags += [(338, 3, 1, extra)]
        directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
        return b"II*\0" + struct.pack("<I", palette_at + len(palette)) + bits + samples + palette + directory

    for data in (tiff(3, bytes([0, 0, 1, 255]), 2, 2), tiff(5, bytes([99, 9, 9, 9, 0, 0, 0, 0, 246, 255]), 5, 2)):
        photo = read_photo(data)
        np.testing.assert_array_equal(photo.image, [[[255] * 3, [9] * 3]])
        assert photo.remarks == ("has transparent pixels; they are laid over white",)
    # Inks that are already multiplied by alpha are what lies on white paper.
    photo = read_photo(tiff(5, bytes([0, 0, 0, 0, 0, 0, 0, 0, 246, 255]), 5, 1))
    np.testing.assert_array_equal(photo.image, [[[255] * 3, [9] * 3]])


def test_cmyk_has_the_right_colours() -> None:
    colours = Image.new("RGB", (64, 16), (200, 30, 60))
    colours.paste((20, 160, 90), (32, 0, 64, 16))
    for data in (encode(colours.convert("CMYK"), "JPEG", quality=100), encode(colours.convert("CMYK"), "TIFF")):
        image = read_image(data)
        np.testing.assert_allclose(image[8, 8], (200, 30, 60), atol=4)
        np.testing.assert_allclose(image[8, 56], (20, 160, 90), atol=4)


def test_a_jpeg_of_red_green_blue_without_conversion() -> None:
    data = cv2.imencode(".jpg", PHOTO, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    # An Adobe segment with transform 0 says: these three channels are red, green and blue.
    marked = data[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" + data[20:]
    np.testing.assert_array_equal(read_image(marked), np.asarray(Image.open(io.BytesIO(marked)).convert("RGB")))


def test_the_smallest_and_a_very_wide_picture() -> None:
    np.testing.assert_array_equal(read_image(encode(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG")), [[[1, 2, 3]]])
    wide = np.zeros((3, 20_000, 3), np.uint8)
    wide[:, -1] = 255
    image = read_image(encode(wide, "PNG"))
    assert image.shape == wide.shape
    assert image[0, -1, 0] == 255


@pytest.mark.parametrize("name", ["apng", "webp animated", "gif animated"])
def test_the_first_frame_of_an_animation_is_read_with_a_remark(name: str) -> None:
    photo = read_photo(FILES[name])
    assert photo.remarks == ("holds 2 frames; the first is read",)
    assert (photo.image != (255, 0, 0)).any(), "the second frame is red"
    assert read_photo(FILES["jpeg"]).remarks == ()


def test_the_first_page_of_a_tiff_is_read_with_a_remark() -> None:
    data = encode(PIL_PHOTO, "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))])
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.image, PHOTO)
    assert photo.remarks == ("holds more than one picture; the first is read",)


# --- what is no photograph -----------------------------------------------------------------------------------------

MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(200)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, world", "a text file"),
        (b"<html>404 not found</html>", "an HTML page"),
        (b"\n <!DOCTYPE html>\n<title>x</title>", "an HTML page"),
        (b'<?xml version="1.0"?>\n<svg width="9"/>', "an SVG drawing"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (MP4, r"a video \(MP4"),
        (b"\0\0\0\x14ftypqt  " + bytes(40), "a video"),
        (b"RIFF\x24\0\0\0AVI LIST" + bytes(40), r"a video \(AVI\)"),
        (b"\x1aE\xdf\xa3" + bytes(40), "a video"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40), "a sound"),
        (b'{"a": 1}', "a JSON file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04" + bytes(20), "ZIP"),
        (bytes(100), "a file of zeros"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"\xff\xd8\xff\xd9", "without a picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (cv2.imencode(".tiff", np.full((4, 4, 3), 255, np.float32))[1].tobytes(), "255 to 255; expected 0 to 1"),
        (cv2.imencode(".tiff", np.full((4, 4, 3), np.nan, np.float32))[1].tobytes(), "nan to nan; expected 0 to 1"),
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
        assert "heic" not in str(caught.value).lower()


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=r"nowhere\.png: no such file"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(FiduciaError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(FiduciaError, match="cannot be opened"):
        read_image("a\0b.png")


# --- HEIC and AVIF -------------------------------------------------------------------------------------------------


def heic(picture: Image.Image, **options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, quality=-1, chroma=444, matrix_coefficients=0, **options)
    return buffer.getvalue()


def test_heic_is_read_upright() -> None:
    data = heic(PIL_PHOTO)
    assert read_header(data).format == "HEIC"
    np.testing.assert_array_equal(read_image(data), PHOTO)
    with pytest.raises(FiduciaError, match="damaged"):
        read_image(data.replace(b"pitm", b"xxxx"))
    for share in (0.3, 0.9, 0.999):
        with pytest.raises(FiduciaError, match="damaged"):
            read_image(data[: int(len(data) * share)])


def test_avif_is_read_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for options, expected in (({}, PHOTO), ({"exif": exif}, np.rot90(PHOTO, -1))):
        data = encode(PIL_PHOTO, "AVIF", quality=100, subsampling="4:4:4", **options)
        image = read_image(data)
        assert image.shape == expected.shape
        assert np.abs(image.astype(int) - expected).max() <= 3
    with pytest.raises(FiduciaError, match="damaged"):
        read_image(data[:-50])


def test_the_frames_of_an_avif_sequence_are_told() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    photo = read_photo(encode(frames[0], "AVIF", save_all=True, append_images=frames[1:]))
    assert photo.remarks == ("holds 3 frames; the first is read",)
    assert photo.image[..., 0].min() > 200


def test_a_missing_extra_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Callable[..., Any] = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pillow_heif":
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    size = b"\0\0\0\x14ispe" + bytes(4) + struct.pack(">II", 9, 9)
    with pytest.raises(UsageError, match=r'HEIC.*pip install "fiducia\[heif\]"'):
        read_image(b"\x00\x00\x00\x18ftypheic" + bytes(12) + size)


# --- nothing of the process is touched -----------------------------------------------------------------------------


def test_pictures_survive_writing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for suffix in (".png", ".bmp", ".tiff"):
        write_image(tmp_path / f"x{suffix}", PHOTO)
        np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), PHOTO)
    write_image(tmp_path / "x.JPG", PHOTO)
    assert np.abs(read_image(tmp_path / "x.JPG").astype(int) - PHOTO).mean() < 4
    for name, image in [("x.xyz", PHOTO), ("x", PHOTO), ("x.png", PHOTO[..., 0]), ("x.png", PHOTO.astype(np.float32))]:
        with pytest.raises(UsageError, match="expected"):
            write_image(tmp_path / name, image)
    for name, width in (("x.jpg", 65_501), ("x.webp", 16_384), ("x.png", 1_000_001), ("x.tiff", 1_000_001)):
        with pytest.raises(FiduciaError, match=f"{width} x 1 pixels cannot be stored as"):
            write_image(tmp_path / name, np.zeros((1, width, 3), np.uint8))
    assert capfd.readouterr() == ("", "")


def test_threads_decode_as_one_thread_does() -> None:
    files = [*FILES.values(), *(data[: len(data) * 2 // 3] for data in FILES.values())]

    def result(data: bytes) -> bytes | str:
        try:
            return read_image(data).tobytes()
        except FiduciaError as error:
            return str(error)

    serial = [result(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(result, files * 4)) == serial * 4


def test_a_float_tiff_is_multiplied_by_255() -> None:
    values = np.random.default_rng(2).random((9, 7, 3)).astype(np.float32)
    data = cv2.imencode(".tiff", values)[1].tobytes()
    np.testing.assert_array_equal(read_image(data), np.rint(values[..., ::-1] * 255))


def test_16_bits_are_divided_by_257_and_rounded() -> None:
    # The larger ones stand in several strips of a TIFF.
    for shape in [(9, 11), (9, 11, 3), (300, 200), (300, 200, 3)]:
        deep = np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)
        expected = np.rint(deep / 257.0)
        expected = np.repeat(expected[..., None], 3, axis=2) if len(shape) == 2 else expected[..., ::-1]
        for suffix in (".png", ".tiff"):
            np.testing.assert_array_equal(read_image(cv2.imencode(suffix, deep)[1].tobytes()), expected)


def test_every_16_bit_value_is_rounded_right() -> None:
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = read_image(cv2.imencode(".png", deep)[1].tobytes())
    np.testing.assert_array_equal(image[..., 0], np.rint(deep / 257.0))


def test_alpha_of_every_strength_is_rounded_right() -> None:
    colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
    data = encode(np.stack([colour, colour, colour, alpha], axis=2).astype(np.uint8), "PNG")
    exact = (colour * alpha + 255.0 * (255 - alpha)) / 255
    np.testing.assert_array_equal(read_image(data)[..., 0], np.rint(exact))


def test_what_is_faded_equals_pillows_composite() -> None:
    np.testing.assert_array_equal(read_image(encode(faded(), "PNG")), with_pillow(encode(faded(), "PNG")))
