"""Decoders keep silent, a JPEG that ends too early is refused, and nobody else's words are lost."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from fiducia.errors import FiduciaError
from fiducia.images.pixels import read_image
from fiducia.images.remarks import decode_quietly

PHOTO = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (160, 120))


def jpeg(progressive: int = 0, restart: int = 0) -> bytes:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    return bytes(cv2.imencode(".jpg", PHOTO, options)[1].tobytes())


def glued(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)] + b"\xff\xd9"


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("restart", [0, 4])
@pytest.mark.parametrize("share", [0.4, 0.6, 0.9, 0.99])
def test_an_end_marker_glued_on_does_not_hide_a_cut(
    progressive: int, restart: int, share: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(glued(jpeg(progressive, restart), share))
    with pytest.raises(FiduciaError, match=r"cut\.jpg: .*(cut short|damaged).*; (download|export)") as caught:
        read_image(path)
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


def test_libpngs_and_libjpegs_remarks_stay_inside(capfd: pytest.CaptureFixture[str]) -> None:
    png = cv2.imencode(".png", PHOTO)[1].tobytes()
    body = b"iCCPbad\x00\x00" + zlib.compress(b"no profile")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    np.testing.assert_array_equal(read_image(png[:33] + chunk + png[33:]), PHOTO[..., ::-1])
    # Bytes that belong to nothing, before the end marker: the picture is whole.
    whole = jpeg()
    np.testing.assert_array_equal(read_image(whole[:-2] + b"\x12\x34\x56" + whole[-2:]), read_image(whole))
    assert capfd.readouterr().err == ""


def test_threads_do_not_blame_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    files = [glued(jpeg(), 0.7) if i % 5 == 0 else jpeg() for i in range(60)]

    def refused(data: bytes) -> bool:
        try:
            read_image(data)
        except FiduciaError:
            return True
        return False

    # A remark that another thread overwrote went unheard in one round of thirty.
    with ThreadPoolExecutor(8) as pool:
        for _ in range(100):
            assert list(pool.map(refused, files)) == [i % 5 == 0 for i in range(60)]
    assert capfd.readouterr().err == ""


def test_other_words_are_passed_on_whatever_the_decoder_does(capfd: pytest.CaptureFixture[str]) -> None:
    def decode() -> int:
        os.write(2, b"a warning of mine\nCorrupt JPEG data: 3 extraneous bytes before marker 0xd9\nmore\n")
        return 7

    assert decode_quietly(decode) == (7, False)
    assert capfd.readouterr().err == "a warning of mine\nmore\n"

    def fail() -> int:
        os.write(2, b"before the fall\n")
        raise ValueError

    with pytest.raises(ValueError):
        decode_quietly(fail)
    sys.stderr.write("after\n")
    assert capfd.readouterr().err == "before the fall\nafter\n"
