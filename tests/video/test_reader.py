"""Video files as they come: varying rates, turned ones, damaged ones, and what is no video."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fiducia.errors import FiduciaError, UsageError
from fiducia.video import reader
from fiducia.video.frames import Frame, camera_number, is_video
from fiducia.video.opening import Pictures, open_video
from fiducia.video.reader import VideoFile

from .clips import grey_frames, level_of, write_clip


def read(path: Path) -> tuple[list[Frame], VideoFile]:
    video = VideoFile(str(path))
    try:
        return list(video), video
    finally:
        video.close()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.avi", "a.m2ts"])
def test_frames_come_in_order_with_their_times(tmp_path: Path, name: str) -> None:
    base = Fraction(1, 30) if name == "a.avi" else Fraction(1, 90000)
    codec = "mjpeg" if name == "a.avi" else "libx264"
    options = {} if name == "a.avi" else None
    write_clip(tmp_path / name, grey_frames(12), base=base, codec=codec, options=options)
    frames, video = read(tmp_path / name)
    assert [level_of(f.image) for f in frames] == list(range(12))
    assert [f.index for f in frames] == list(range(12))
    times = np.array([f.time for f in frames])
    # Matroska counts milliseconds; a transport stream does not start at 0.
    np.testing.assert_allclose(times - times[0], np.arange(12) / 30, atol=6e-4)
    assert (video.skipped, video.trouble) == (0, "")
    assert float(video.rate) == pytest.approx(30, rel=0.1)


def test_a_varying_rate_is_read_to_the_tick(tmp_path: Path) -> None:
    times = [0, 3000, 6100, 9000, 20000, 20050, 90000]
    write_clip(tmp_path / "vfr.mp4", grey_frames(7), times=times)
    frames, _ = read(tmp_path / "vfr.mp4")
    assert [f.pts * f.time_base for f in frames] == [Fraction(t, 90000) for t in times]
    assert [level_of(f.image) for f in frames] == list(range(7))


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_the_rotation_of_the_file_is_applied(tmp_path: Path, rotation: int) -> None:
    picture = np.full((48, 64, 3), 30, np.uint8)
    picture[4:16, 4:20] = (250, 40, 40)  # red at the upper left
    write_clip(tmp_path / "turned.mp4", [picture] * 3, rotation=rotation)
    frames, _ = read(tmp_path / "turned.mp4")
    upright = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, -90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180}[rotation]
    expected = cv2.rotate(picture, upright)
    assert frames[0].image.shape == expected.shape
    assert np.abs(frames[0].image.astype(int) - expected).mean() < 6


def test_a_damaged_frame_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "hurt.avi"
    frames = [cv2.applyColorMap(np.full((48, 64), 20 * i, np.uint8), cv2.COLORMAP_HSV) for i in range(10)]
    write_clip(path, frames, base=Fraction(1, 30), codec="mjpeg", options={})
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 10
    data[starts[4] : starts[4] + 600] = bytes(600)
    path.write_bytes(data)
    found, video = read(path)
    assert len(found) == 9
    assert video.skipped == 1
    assert [round(f.time * 30) for f in found] == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_a_video_cut_in_the_middle_is_read_up_to_there_and_says_so(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    write_clip(tmp_path / "a.mp4", list(noise), container_options={"movflags": "faststart"})
    whole = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    frames, video = read(tmp_path / "cut.mp4")
    assert 10 < len(frames) < 30
    assert "cut.mp4: ends after" in video.trouble
    assert "of 40 frames" in video.trouble
    for sound in (None, "aac"):
        write_clip(tmp_path / "b.mkv", list(noise), sound=sound)
        whole = (tmp_path / "b.mkv").read_bytes()
        assert not read(tmp_path / "b.mkv")[1].trouble
        (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 4 // 10])
        frames, video = read(tmp_path / "cut.mkv")
        assert 10 < len(frames) < 20
        assert re.search(r"ends after 0\.\d of 1\.\d seconds", video.trouble)


def test_an_index_at_the_end_that_is_cut_off_is_one_line(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", grey_frames(10))
    whole = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        FiduciaError, match=r"cut\.mp4: is a video \(MP4 or QuickTime\) that cannot be read: .*cut short"
    ):
        VideoFile(str(tmp_path / "cut.mp4"))


def test_an_unknown_codec_is_named(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", grey_frames(4))
    data = (tmp_path / "a.mp4").read_bytes().replace(b"avc1\0", b"zzzz\0")
    at = data.rindex(b"avc1")
    (tmp_path / "odd.mp4").write_bytes(data[:at] + b"zzzz" + data[at + 4 :])
    with pytest.raises(FiduciaError, match=r"odd\.mp4: .*(codec|no frame)"):
        read(tmp_path / "odd.mp4")


def test_a_video_without_frames(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "none.avi"), "w") as out:
        stream = out.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"  # type: ignore[union-attr]
        out.start_encoding()
    with pytest.raises(FiduciaError, match=r"none\.avi: holds no frame"):
        read(tmp_path / "none.avi")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    from .clips import write_sound

    with av.open(str(tmp_path / "voice.mp4"), "w") as out:
        write_sound(out, out.add_stream("aac", rate=48000, layout="mono"), 0.2)
    with pytest.raises(FiduciaError, match="holds no pictures"):
        VideoFile(str(tmp_path / "voice.mp4"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"hello, this is a letter", "is a text file; expected a video"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n", "expected a video"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "expected a video"),
    ],
)
def test_what_is_no_video_is_called_what_it_is(tmp_path: Path, content: bytes, says: str) -> None:
    """A play list is not followed: it could name any file or address."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(FiduciaError, match=says) as caught:
        VideoFile(str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_video_and_one_that_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match="no such file; expected a video"):
        VideoFile(str(tmp_path / "none.mp4"))
    write_clip(tmp_path / "a.mp4", grey_frames(2))
    with pytest.raises(FiduciaError, match=r"64 x 48 pixels; expected at most 0\.003 million"):
        VideoFile(str(tmp_path / "a.mp4"), max_pixels=3000)


def test_a_frame_of_4k(tmp_path: Path) -> None:
    large = np.zeros((2160, 3840, 3), np.uint8)
    write_clip(tmp_path / "k.mp4", [large] * 2, options={"preset": "ultrafast"})
    frames, _ = read(tmp_path / "k.mp4")
    assert [f.image.shape for f in frames] == [(2160, 3840, 3)] * 2


def test_without_pyav_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'fiducia\[video\]'"):
        VideoFile("clip.mp4")


def test_what_is_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "a.mp4", grey_frames(2))
    (tmp_path / "clip").write_bytes((tmp_path / "a.mp4").read_bytes())
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    assert [is_video(name) for name in ("clip", "missing.mp4", "photo.jpg", "photo.heic", "missing")] == [
        *(True, True),
        *(False, False, False),
    ]
    assert (camera_number("0"), camera_number("12"), camera_number("a.mp4"), camera_number("²")) == (0, 12, None, None)
    (tmp_path / "0").touch()
    assert camera_number("0") is None


def test_pictures_in_hand_are_a_source() -> None:
    frames = list(open_video(iter(grey_frames(3)), rate=25))
    assert [f.time for f in frames] == pytest.approx([0, 0.04, 0.08])
    # One picture in half an hour was taken for one in 17 minutes, and one an hour ended in a division by zero.
    for rate, seconds in ((1 / 1800, 1800), (1 / 3600, 3600), (30000 / 1001, 1001 / 30000), (29.97, 1 / 29.97)):
        assert list(open_video(grey_frames(2), rate=rate))[1].time == pytest.approx(seconds, rel=1e-3)
    assert Pictures([], 30000 / 1001).rate == Fraction(30000, 1001)
    for rate in (0, 1e-6, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=f"rate = {rate}; expected frames per second"):
            Pictures([], rate)
    with pytest.raises(UsageError, match="found float; expected a path, a camera's number"):
        open_video(1.5)
    with pytest.raises(FiduciaError, match="uint8 RGB"):
        list(open_video([np.zeros((4, 4))]))  # type: ignore[list-item]
