"""Damaged photographs are refused, in one line, and nothing is printed; whole ones beside them are read."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_files import FILES, PHOTO, encode

from fiducia.errors import FiduciaError
from fiducia.images import read_image


def jpeg(progressive: int = 0, restart: int = 0) -> bytes:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    return bytes(cv2.imencode(".jpg", PHOTO, options)[1].tobytes())


def glued(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)] + b"\xff\xd9"


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


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("restart", [0, 4])
@pytest.mark.parametrize("share", [0.4, 0.6, 0.9, 0.99])
def test_an_end_marker_glued_on_does_not_hide_a_cut(
    progressive: int, restart: int, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FiduciaError, match=r"(cut short|damaged).*; (download|export)") as caught:
        read_image(glued(jpeg(progressive, restart), share))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("restart", [0, 4])
def test_no_cut_of_the_picture_passes(progressive: int, restart: int) -> None:
    whole = jpeg(progressive, restart)
    read_image(whole)
    passed = []
    # Every place where a marker or a scan ends, and every 23rd byte between; the last few bytes may be padding.
    places = {i + step for i in range(len(whole) - 1) if whole[i] == 0xFF for step in (-1, 0, 1, 2)}
    for end in sorted({*range(3, len(whole) - 4, 23), *places}):
        if 2 < end < len(whole) - 4:
            try:
                read_image(whole[:end] + b"\xff\xd9")
                passed.append(end)
            except FiduciaError:
                pass
    assert passed == []


def test_a_thumbnails_end_marker_does_not_hide_a_cut() -> None:
    whole = FILES["jpeg"]
    # An APP segment that holds a whole small JPEG, as cameras write them.
    thumbnail = encode(PHOTO[:16, :16], "JPEG")
    segment = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = whole[:2] + segment + whole[2:]
    np.testing.assert_array_equal(read_image(data), read_image(whole))
    for end in (2 + len(segment), len(data) // 2, len(data) - 2):
        with pytest.raises(FiduciaError, match="cut short"):
            read_image(data[:end])


@pytest.mark.parametrize("name", ["tiff lzw", "tiff deflate", "gif", "png", "jpeg", "jpeg progressive"])
def test_four_thousand_wrong_bytes_in_the_middle_are_refused(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encode(np.kron(PHOTO, np.ones((4, 4, 1), np.uint8)), name.split()[0].upper()))
    if name.startswith("tiff"):
        kind = {"tiff lzw": "tiff_lzw", "tiff deflate": "tiff_adobe_deflate"}[name]
        data = bytearray(encode(np.kron(PHOTO, np.ones((4, 4, 1), np.uint8)), "TIFF", compression=kind))
    for start in range(len(data) // 4, len(data) * 3 // 4, len(data) // 40):
        damaged = bytearray(data)
        for k in range(start, min(start + 4000, len(data) - 100)):
            damaged[k] ^= 0x5A
        with pytest.raises(FiduciaError, match=r"damaged|cut short"):
            read_image(bytes(damaged))
    assert capfd.readouterr().err == ""


def test_threads_do_not_blame_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    files = [glued(jpeg(), 0.7) if i % 5 == 0 else jpeg() for i in range(60)]

    def refused(data: bytes) -> bool:
        try:
            read_image(data)
        except FiduciaError:
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            assert list(pool.map(refused, files)) == [i % 5 == 0 for i in range(60)]
    assert capfd.readouterr().err == ""


@settings(max_examples=300, deadline=None)
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
