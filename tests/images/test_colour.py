"""Colour profiles: sRGB and grey ones are silent, others are named, and converted when asked."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from whole_files import PHOTO, encode

from fiducia.errors import FiduciaError
from fiducia.images import read_image, read_photo
from fiducia.images.colour import profile_name

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_profile(version: int = 2, name: str = "Wide, made here") -> bytes:
    """An RGB profile with the primaries of Adobe RGB (D50) and gamma 2.2 (ICC.1:2022)."""
    if version == 2:
        text = name.encode() + b"\0"
        desc = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    else:
        text = name.encode("utf-16-be")
        desc = b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(text), 28) + text
    xyz = lambda *v: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * x) for x in v))  # noqa: E731
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(2.2 * 256))
    tags = {
        b"desc": desc,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.6097, 0.3111, 0.0195),
        b"gXYZ": xyz(0.2053, 0.6257, 0.0609),
        b"bXYZ": xyz(0.1492, 0.0632, 0.7446),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body = struct.pack(">I", len(tags)), b""
    for key, data in tags.items():
        table += struct.pack(">4sII", key, 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 132 + 12 * len(tags) + len(body) - 4 + 4
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", version << 24, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(65536 * x) for x in (0.9642, 1.0, 0.8249))) + bytes(48)
    return head[:128] + table + body


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_profile_is_named(kind: str, version: int) -> None:
    data = encode(PHOTO, kind, icc_profile=wide_profile(version))
    photo = read_photo(data)
    assert photo.remarks == (
        "its colour profile 'Wide, made here' is not applied: colours are read as if they were sRGB",
    )
    np.testing.assert_array_equal(photo.image, read_image(encode(PHOTO, kind)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_srgb_needs_no_remark(kind: str) -> None:
    assert read_photo(encode(PHOTO, kind, icc_profile=SRGB)).remarks == ()


def test_conversion_is_that_of_the_primaries() -> None:
    pixels = np.array([[[200, 100, 50], [128, 128, 128], [10, 200, 30]]], np.uint8)
    data = encode(np.repeat(pixels, 8, axis=0), "PNG", icc_profile=wide_profile())
    photo = read_photo(data, convert_colours=True)
    assert photo.remarks == ("its colours were converted from the profile 'Wide, made here' to sRGB",)
    # By hand: linear light, the profile's matrix to XYZ, the inverse of sRGB's (both D50), and sRGB's curve.
    wide = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
    srgb = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
    light = np.clip((pixels[0] / 255) ** 2.2 @ wide.T @ np.linalg.inv(srgb).T, 0, 1)
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(photo.image[0], expected, atol=2)


def test_a_long_profile_in_several_segments_is_put_together() -> None:
    profile = wide_profile() + bytes(100_000)
    assert read_photo(encode(PHOTO, "JPEG", icc_profile=profile)).remarks


@pytest.mark.parametrize("cut", [0, 1, 100, 131, 132, 140, 300])
def test_a_damaged_profile_is_harmless(cut: int) -> None:
    profile = wide_profile()[:cut]
    photo = read_photo(encode(PHOTO, "PNG", icc_profile=profile or b"x"))
    np.testing.assert_array_equal(photo.image, PHOTO)
    profile_name(profile)
    profile_name(profile.ljust(400, b"\xff"))


def test_a_profile_that_cannot_be_used_is_told_when_it_should_be() -> None:
    profile = bytearray(wide_profile())
    profile[-60:] = bytes(60)
    profile[128:132] = struct.pack(">I", 1)
    data = encode(PHOTO, "PNG", icc_profile=bytes(profile))
    with pytest.raises(FiduciaError, match="colour profile that cannot be used"):
        read_photo(data, convert_colours=True)
    read_image(data)


def test_grey_and_cmyk() -> None:
    grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_photo(encode(Image.fromarray(PHOTO).convert("L"), "JPEG", icc_profile=grey)).remarks == ()
    inks = bytearray(wide_profile())
    inks[16:20] = b"CMYK"
    photo = read_photo(
        encode(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", icc_profile=bytes(inks)), convert_colours=True
    )
    assert "is not applied" in photo.remarks[0]
